//! Lesson 9, a crashed worker: documents and checkpoint change in one transaction. So a worker that crashes
//! in the middle of its work is started again, goes on behind the last event that it has folded, and counts
//! nothing twice.

use std::cmp::Ordering;

use domain::{lesson::Fact, wire::CommandAnswer};
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, command},
};

/// The view whose worker crashes.
const VIEW: &str = "inventory";
/// The product whose stock arrives.
const SKU: &str = "mug-01";
/// How many units a delivery has.
const UNITS: u64 = 10;
/// How many deliveries are folded before the worker is slow.
const FOLDED: u64 = 2;
/// How many deliveries arrive while it is slow.
const WAITING: u64 = 3;
/// How many deliveries arrive in the last step, with a crash at each.
const MORE: u64 = 3;

/// How long the slow worker takes for an event, in milliseconds: no event is done before the crash.
const SLOW_MS: u64 = 60_000;

/// What the run remembers: the units before the first delivery.
const BEFORE: &str = "units_before";
/// What the run remembers: the answer to the newest delivery.
const NEWEST: &str = "newest_delivery";

pub(super) const LESSON: Lesson = Lesson {
    name: "crashed_worker",
    steps: &[
        Step::new("busy").acts(|stage| Box::pin(busy(stage))),
        Step::new("crash")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(crash(stage))),
        Step::new("restart")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(restart(stage))),
        Step::new("again")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(again(stage))),
    ],
};

/// Units of the product on hand, as the view shows them.
async fn units_shown(stage: &Stage) -> Result<u64, Failure> {
    let document = stage.document(VIEW, SKU, None).await?;
    Ok(document.data["on_hand"].as_u64().unwrap_or_default())
}

/// Has the worker take a minute for each event, or work as usual.
async fn slow(stage: &Stage, is_slow: bool) -> Result<(), Failure> {
    let slow_ms = if is_slow { SLOW_MS } else { 0 };
    stage
        .dials(json!({"projections": {VIEW: {"slow_ms": slow_ms}}}))
        .await?;
    Ok(())
}

/// A delivery arrives. Under its key it arrives once, however often the step is tried.
async fn deliver(stage: &Stage, key: &str) -> Result<CommandAnswer, Failure> {
    let receive = command(
        "ReceiveStock",
        &format!("inventory-{SKU}"),
        json!({"quantity": UNITS}),
    );
    let answer = stage.try_send(stage.educator(), &receive, Some(key)).await;
    answer.parsed().map_err(|problem| Failure::Refused {
        what: "ReceiveStock".to_owned(),
        problem,
    })
}

/// Two deliveries are folded; then the worker takes a minute for each event, and three more arrive.
async fn busy(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let before = units_shown(stage).await?;
    stage.remember(BEFORE, &before);
    let attempt = stage.new_id();
    let mut newest = deliver(stage, &format!("folded-1-{attempt}")).await?;
    for delivery in 2..=FOLDED {
        newest = deliver(stage, &format!("folded-{delivery}-{attempt}")).await?;
    }
    stage.document(VIEW, SKU, Some(&newest.token)).await?;
    slow(stage, true).await?;
    for delivery in 1..=WAITING {
        newest = deliver(stage, &format!("waiting-{delivery}-{attempt}")).await?;
    }
    stage.remember(NEWEST, &newest);
    let document = stage.document(VIEW, SKU, None).await?;
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsOnHand, &(before + UNITS * FOLDED), &shown);
    stage.expect_same(Fact::EventsBehind, &WAITING, &document.behind);
    stage.document_seen(Fact::StockShown, VIEW, SKU, &document);
    stage.number_seen(Fact::EventsBehind, document.behind, "events");
    Ok(())
}

/// The worker crashes while it is busy with an event: the view shows what was committed, and no part of more.
async fn crash(stage: &mut Stage) -> Result<(), Failure> {
    let earlier = stage.document(VIEW, SKU, None).await?;
    let crashes = stage.projection(VIEW).await?.panics;
    let status = stage.intervene(VIEW, "crash").await?;
    let has_crashed = status.panics > crashes;
    stage.expect(Fact::Crashes, has_crashed, format!("> {crashes}"), status.panics);
    let document = stage.document(VIEW, SKU, None).await?;
    stage.expect(
        Fact::StockShown,
        document.data == earlier.data,
        &earlier.data,
        &document.data,
    );
    stage.expect_same(Fact::EventsBehind, &earlier.behind, &document.behind);
    stage.number_seen(Fact::Crashes, status.panics, "");
    stage.document_seen(Fact::StockShown, VIEW, SKU, &document);
    stage.number_seen(Fact::EventsBehind, document.behind, "events");
    if has_crashed && document.data == earlier.data && document.as_of == earlier.as_of {
        stage.show_choice(2);
    }
    Ok(())
}

/// The worker was started again, and goes on at its usual speed.
async fn restart(stage: &mut Stage) -> Result<(), Failure> {
    let before: u64 = stage.recall(BEFORE)?;
    let newest: CommandAnswer = stage.recall(NEWEST)?;
    let began = stage.now();
    slow(stage, false).await?;
    let document = stage.document(VIEW, SKU, Some(&newest.token)).await?;
    stage.time_seen(Fact::TimeTaken, began);
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    let once = before + UNITS * (FOLDED + WAITING);
    stage.expect_same(Fact::UnitsOnHand, &once, &shown);
    stage.expect_same(Fact::EventsBehind, &0, &document.behind);
    stage.document_seen(Fact::StockShown, VIEW, SKU, &document);
    stage.show_choice(match shown.cmp(&once) {
        Ordering::Greater => 1,
        Ordering::Less => 2,
        Ordering::Equal => 3,
    });
    Ok(())
}

/// Three more deliveries, and a crash at each: in the end the view has counted each delivery once.
async fn again(stage: &mut Stage) -> Result<(), Failure> {
    let before: u64 = stage.recall(BEFORE)?;
    for delivery in 1..=MORE {
        slow(stage, true).await?;
        let answer = deliver(stage, &format!("again-{delivery}")).await?;
        let status = stage.intervene(VIEW, "crash").await?;
        stage.number_seen(Fact::Crashes, status.panics, "");
        slow(stage, false).await?;
        stage.document(VIEW, SKU, Some(&answer.token)).await?;
    }
    stage.all_settled().await?;
    let document = stage.document(VIEW, SKU, None).await?;
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    let once = before + UNITS * (FOLDED + WAITING + MORE);
    stage.expect_same(Fact::UnitsOnHand, &once, &shown);
    stage.document_seen(Fact::StockShown, VIEW, SKU, &document);
    let report = stage.verify().await?;
    stage.expect(
        Fact::VerifyFindings,
        report.findings.is_empty(),
        0,
        report.findings.len(),
    );
    stage.number_seen(Fact::VerifyFindings, report.findings.len(), "");
    let counted = i64::try_from(shown.saturating_sub(before)).unwrap_or(i64::MAX);
    stage.show_number(counted);
    Ok(())
}
