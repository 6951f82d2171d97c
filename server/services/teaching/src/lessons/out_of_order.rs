//! Lesson 8, out of order and a gap: positions tell a projection that an event is missing, and it reads what
//! is missing from the log. Without that check the event is lost to the view, which does not know it.

use std::collections::BTreeSet;

use domain::{lesson::Fact, token::ConsistencyToken};
use serde_json::{Value, json};

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The product whose stock arrives.
const SKU: &str = "mug-01";
/// How many units the delivery has that comes late.
const LATE: u64 = 3;
/// How many units the delivery has that comes before it.
const EARLY: u64 = 4;

/// Of so many events the first is delivered after the second: the two that a step sends.
const SWAP_THE_FIRST: u32 = 10_000;

/// How often two deliveries are tried to be swapped. On a machine that is very busy the first of them may
/// have waited for the second in vain.
const TRIES: u64 = 5;

/// The view of the run's own that counts each arrival, and the key of its document.
const ARRIVALS: (&str, &str) = ("arrivals", "inventory-mug-01");

/// What the run remembers: the units that the view lacked when nothing was bent any more.
const MISSING: &str = "missing";

pub(super) const LESSON: Lesson = Lesson {
    name: "out_of_order",
    steps: &[
        Step::new("swap")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(swap(stage))),
        Step::new("arrivals")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(arrivals(stage))),
        Step::new("without")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(without(stage))),
        Step::new("cure")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(cure(stage))),
    ],
};

/// Nothing is bent, and everything is done.
async fn calm(stage: &Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    Ok(())
}

/// The units on hand, as the view shows them.
async fn on_hand(stage: &Stage, after: &ConsistencyToken) -> Result<u64, Failure> {
    stage.number_in(("inventory", SKU), "on_hand", after).await
}

/// As far as the view of the stock is now.
async fn now(stage: &Stage) -> Result<ConsistencyToken, Failure> {
    Ok(stage.document("inventory", SKU, None).await?.as_of)
}

/// Two deliveries arrive, and the broker delivers the second event before the first. The token of the second;
/// with `is_evidence`, both events are.
async fn swapped(stage: &mut Stage, is_evidence: bool) -> Result<ConsistencyToken, Failure> {
    // Held until both are stored, so that one can go before the other.
    let held = json!({"broker": {"paused": true, "reorder_within": SWAP_THE_FIRST}});
    stage.dials(held).await?;
    let late = stage.receive(SKU, LATE).await?;
    let early = stage.receive(SKU, EARLY).await?;
    stage.dials(json!({"broker": {"paused": false}})).await?;
    if is_evidence {
        for delivery in [&late, &early] {
            for event in stage.caused_by(delivery.correlation_id).await? {
                stage.event_seen(Fact::EventRecorded, &event);
            }
        }
    }
    Ok(early.token)
}

/// The later event comes first; the projection reads the one that is missing from the log.
async fn swap(stage: &mut Stage) -> Result<(), Failure> {
    calm(stage).await?;
    let before = on_hand(stage, &now(stage).await?).await?;
    let second = swapped(stage, true).await?;
    on_hand(stage, &second).await?;
    let end = stage.one_more_delivery().await?;
    let document = stage.document("inventory", SKU, Some(&end)).await?;
    stage.dials_at_rest().await?;
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    let more = shown.saturating_sub(before);
    stage.expect_same(Fact::UnitsMore, &(LATE + EARLY), &more);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    if more == EARLY {
        stage.show_choice(1);
    } else if more == LATE + EARLY {
        stage.show_choice(2);
    } else {
        stage.show_choice(3);
    }
    Ok(())
}

/// A view that skips nothing shows that the late event was folded twice: read from the log, then delivered.
async fn arrivals(stage: &mut Stage) -> Result<(), Failure> {
    calm(stage).await?;
    let (name, _) = ARRIVALS;
    let definition = json!({
        "on": ["StockReceived"],
        "key": "stream",
        "fold": [{"field": "arrivals", "op": "count"}],
        "detect_duplicates": false,
    });
    stage.create_view(name, &definition).await?;
    let begun = on_hand(stage, &now(stage).await?).await?;
    let (mut counted, mut tries) = (0, 0);
    while counted <= 2 && tries < TRIES {
        tries += 1;
        let before = stage.number_in(ARRIVALS, "arrivals", &now(stage).await?).await?;
        let second = swapped(stage, false).await?;
        stage.number_in(ARRIVALS, "arrivals", &second).await?;
        let end = stage.one_more_delivery().await?;
        let after = stage.number_in(ARRIVALS, "arrivals", &end).await?;
        counted = after.saturating_sub(before);
        calm(stage).await?;
    }
    let end = now(stage).await?;
    let more = on_hand(stage, &end).await?.saturating_sub(begun);
    stage.expect_same(Fact::Arrivals, &3, &counted);
    stage.expect_same(Fact::UnitsMore, &((LATE + EARLY) * tries), &more);
    for (view, key, fact) in [
        (ARRIVALS.0, ARRIVALS.1, Fact::ArrivalsShown),
        ("inventory", SKU, Fact::StockShown),
    ] {
        let document = stage.document(view, key, Some(&end)).await?;
        stage.document_seen(fact, view, key, &document);
    }
    stage.number_seen(Fact::Arrivals, counted, "");
    stage.show_number(i64::try_from(counted).unwrap_or(i64::MAX));
    stage.delete_view(name).await
}

/// Without gap detection the projection goes on behind the early event, and skips the late one as old.
async fn without(stage: &mut Stage) -> Result<(), Failure> {
    let (mut more, mut tries) = (LATE + EARLY, 0);
    while more == LATE + EARLY && tries < TRIES {
        tries += 1;
        calm(stage).await?;
        let before = on_hand(stage, &now(stage).await?).await?;
        stage
            .dials(json!({"guarantees": {"gap_detection": false}}))
            .await?;
        let second = swapped(stage, tries == 1).await?;
        on_hand(stage, &second).await?;
        let end = stage.one_more_delivery().await?;
        more = on_hand(stage, &end).await?.saturating_sub(before);
    }
    stage.dials(json!({"broker": {"reorder_within": 0}})).await?;
    stage.all_settled().await?;
    let document = stage.document("inventory", SKU, None).await?;
    stage.expect_same(Fact::UnitsMore, &EARLY, &more);
    stage.expect_same(Fact::EventsBehind, &0, &document.behind);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    stage.number_seen(Fact::EventsBehind, document.behind, "events");
    if more == EARLY && document.behind == 0 {
        stage.show_choice(1);
    } else if more == EARLY {
        stage.show_choice(2);
    } else {
        stage.show_choice(3);
    }
    Ok(())
}

/// Detection alone brings nothing back: a rebuild reads every event.
async fn cure(stage: &mut Stage) -> Result<(), Failure> {
    calm(stage).await?;
    let end = stage.receive(SKU, 1).await?.token;
    let in_log = units_in_log(stage).await?;
    let missing: u64 = if let Ok(units) = stage.recall(MISSING) {
        units
    } else {
        let shown = on_hand(stage, &end).await?;
        let missing = in_log.saturating_sub(shown);
        stage.remember(MISSING, &missing);
        missing
    };
    stage.expect_same(Fact::UnitsMissing, &LATE, &missing);
    stage.all_settled().await?;
    let wrong = views_that_differ(stage).await?;
    stage.expect(
        Fact::VerifyFindings,
        wrong.contains("inventory"),
        "inventory",
        wrong.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    );
    for view in &wrong {
        stage.rebuild(view).await?;
    }
    let document = stage.document("inventory", SKU, Some(&end)).await?;
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsOnHand, &in_log, &shown);
    stage.all_settled().await?;
    let findings = stage.verify().await?.findings;
    stage.expect_same(Fact::VerifyFindings, &0, &findings.len());
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    if missing == 0 {
        stage.show_choice(1);
    } else if shown == in_log {
        stage.show_choice(3);
    }
    Ok(())
}

/// The units that the log says were received.
async fn units_in_log(stage: &Stage) -> Result<u64, Failure> {
    let events = stage.stream(&format!("inventory-{SKU}")).await?;
    let received = events.iter().filter(|event| event.event_type == "StockReceived");
    let units = received.filter_map(|event| {
        let payload: Value = serde_json::from_str(event.payload.get()).ok()?;
        payload["quantity"].as_u64()
    });
    Ok(units.sum())
}

/// The views that the verifier names: it says `inventory: mug-01 differs from its fold`.
async fn views_that_differ(stage: &Stage) -> Result<BTreeSet<String>, Failure> {
    let report = stage.verify().await?;
    let findings = report.findings.iter();
    let named = findings.filter_map(|finding| finding.split_once(": "));
    Ok(named.map(|(view, _)| view.to_owned()).collect())
}
