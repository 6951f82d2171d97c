//! Lesson 6, duplicate delivery: a broker may deliver an event again, and a projection notices by its
//! position. So each event has its effect once, however often it comes.

use domain::{lesson::Fact, token::ConsistencyToken};
use serde_json::{Value, json};

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, order_key},
};

/// The product whose stock arrives.
const SKU: &str = "mug-01";
/// How many units a delivery has.
const UNITS: u64 = 10;

/// The view of the run's own that counts each arrival, and the key of its document.
const ARRIVALS: (&str, &str) = ("arrivals", "inventory-mug-01");

pub(super) const LESSON: Lesson = Lesson {
    name: "duplicate_delivery",
    steps: &[
        Step::new("twice")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(twice(stage))),
        Step::new("lost")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(lost(stage))),
        Step::new("alike")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(alike(stage))),
        Step::new("once")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(once(stage))),
    ],
};

/// What the view of the stock shows, and how often the broker has delivered.
struct Seen {
    on_hand: u64,
    arrivals: u64,
}

/// What both views show once they have folded up to a token.
async fn seen(stage: &Stage, after: &ConsistencyToken) -> Result<Seen, Failure> {
    Ok(Seen {
        on_hand: stage.number_in(("inventory", SKU), "on_hand", after).await?,
        arrivals: stage.number_in(ARRIVALS, "arrivals", after).await?,
    })
}

/// Nothing is bent, and a view of the run's own counts what the broker delivers from now on: it compares
/// nothing, so it counts a repetition as well.
async fn begin(stage: &Stage) -> Result<Seen, Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let (name, _) = ARRIVALS;
    let definition = json!({
        "on": ["StockReceived"],
        "key": "stream",
        "fold": [{"field": "arrivals", "op": "count"}],
        "detect_duplicates": false,
    });
    stage.create_view(name, &definition).await?;
    let now = stage.document("inventory", SKU, None).await?.as_of;
    seen(stage, &now).await
}

/// Receives stock so many times, with the broker bent. The units that the stock shows more, and how often
/// the broker has delivered.
async fn receive_bent(stage: &mut Stage, broker: &Value, times: u64) -> Result<Seen, Failure> {
    let before = begin(stage).await?;
    stage.dials(json!({"broker": broker})).await?;
    let mut newest = ConsistencyToken::default();
    for _ in 0..times {
        let delivery = stage.receive(SKU, UNITS).await?;
        for event in stage.caused_by(delivery.correlation_id).await? {
            stage.event_seen(Fact::EventRecorded, &event);
        }
        newest = delivery.token;
    }
    // The first delivery of each event comes before the one that ends the repetitions is sent.
    seen(stage, &newest).await?;
    let end = stage.one_more_delivery().await?;
    let after = seen(stage, &end).await?;
    stage.dials_at_rest().await?;
    let document = stage.document("inventory", SKU, Some(&end)).await?;
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    let arrivals = after.arrivals.saturating_sub(before.arrivals);
    stage.number_seen(Fact::Arrivals, arrivals, "");
    Ok(Seen {
        on_hand: after.on_hand.saturating_sub(before.on_hand),
        arrivals,
    })
}

/// The broker delivers one event twice.
async fn twice(stage: &mut Stage) -> Result<(), Failure> {
    let more = receive_bent(stage, &json!({"duplicate_next": 1}), 1).await?;
    stage.expect_same(Fact::Arrivals, &2, &more.arrivals);
    stage.expect_same(Fact::UnitsMore, &UNITS, &more.on_hand);
    if more.on_hand == UNITS {
        stage.show_choice(2);
    } else {
        stage.show_choice(1);
    }
    Ok(())
}

/// The projection has folded the event, and its acknowledgement is lost on the way to the broker.
async fn lost(stage: &mut Stage) -> Result<(), Failure> {
    let more = receive_bent(stage, &json!({"lose_acknowledgement_next": 1}), 1).await?;
    stage.expect_same(Fact::Arrivals, &2, &more.arrivals);
    stage.expect_same(Fact::UnitsMore, &UNITS, &more.on_hand);
    if more.arrivals == 2 {
        stage.show_choice(3);
    } else {
        stage.show_choice(1);
    }
    Ok(())
}

/// Two deliveries that are alike, each of them made twice: four arrivals, and two events.
async fn alike(stage: &mut Stage) -> Result<(), Failure> {
    let more = receive_bent(stage, &json!({"duplicate_every": 1}), 2).await?;
    stage.expect_same(Fact::Arrivals, &4, &more.arrivals);
    stage.expect_same(Fact::UnitsMore, &(2 * UNITS), &more.on_hand);
    stage.show_number(i64::try_from(more.on_hand).unwrap_or(i64::MAX));
    Ok(())
}

/// An order while every event comes twice and every acknowledgement is lost, at every handler.
async fn once(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    // It counts wrongly on purpose; what is verified below is the shop.
    stage.delete_view(ARRIVALS.0).await?;
    let ada = stage.person("Ada").await?;
    let faults = json!({"duplicate_percent": 100, "lose_acknowledgement_percent": 100});
    stage.dials(json!({"broker": faults})).await?;
    let order = stage.place_order(&ada, SKU, 1, "tok_ok").await?;
    stage.settled(order.correlation_id).await?;
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let events = stage.caused_by(order.correlation_id).await?;
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let charges = events
        .iter()
        .filter(|event| event.event_type == "PaymentProcessed");
    let charges = charges.count();
    stage.expect_same(Fact::Charges, &1, &charges);
    let key = order_key(&order.stream);
    let document = stage.document("orders", key, Some(&order.token)).await?;
    let status = document.data["status"].as_str().unwrap_or_default();
    stage.expect_same(Fact::OrderStatus, &"confirmed", &status);
    stage.document_seen(Fact::OrderShown, "orders", key, &document);
    let report = stage.verify().await?;
    stage.expect_same(Fact::VerifyFindings, &0, &report.findings.len());
    stage.show_number(i64::try_from(charges).unwrap_or(i64::MAX));
    Ok(())
}
