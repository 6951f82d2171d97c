//! Lesson 12, payment fails: an order goes on in steps, each in its own stream, and a step that fails is no
//! rollback. The process manager sends the commands that make up for what was done before, and each adds an
//! event.

use domain::{event::StoredEvent, lesson::Fact, wire::CommandAnswer};
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, order_key},
};

/// The product that is ordered.
const SKU: &str = "mug-01";
/// How many of it.
const QUANTITY: u32 = 2;

/// What the run remembers: the order that cannot be paid.
const ORDER: &str = "order";
/// What the run remembers: the units that could be sold before the order.
const BEFORE: &str = "units_before";

pub(super) const LESSON: Lesson = Lesson {
    name: "payment_fails",
    steps: &[
        Step::new("declined")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(declined(stage))),
        Step::new("follow")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(follow(stage))),
        Step::new("release")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(release(stage))),
        Step::new("refund")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(refund(stage))),
    ],
};

/// Units of the product that can be sold, as the view shows them.
async fn available(stage: &Stage) -> Result<u64, Failure> {
    let document = stage.document("inventory", SKU, None).await?;
    Ok(document.data["available"].as_u64().unwrap_or_default())
}

/// The first event of this type.
fn first_of<'a>(events: &'a [StoredEvent], event_type: &str) -> Option<&'a StoredEvent> {
    events.iter().find(|event| event.event_type == event_type)
}

/// Expects each of these types once among the events.
fn expect_each(stage: &mut Stage, events: &[StoredEvent], types: &[&str]) {
    for kind in types {
        let found = events.iter().filter(|event| event.event_type == *kind).count();
        stage.expect(
            Fact::EventsRecorded,
            found == 1,
            format!("1 {kind}"),
            format!("{found} {kind}"),
        );
    }
}

/// Ada orders with a card that will be declined: the order is recorded all the same.
async fn declined(stage: &mut Stage) -> Result<(), Failure> {
    stage.all_settled().await?;
    let before = available(stage).await?;
    stage.remember(BEFORE, &before);
    let ada = stage.person("Ada").await?;
    let answer = stage.try_order(&ada, SKU, QUANTITY, "tok_declined", None).await;
    stage.answer_seen(Fact::AnswerGiven, &answer);
    stage.expect_same(Fact::AnswerStatus, &200, &answer.status);
    if !answer.is_success() {
        stage.show_choice(1);
        return Ok(());
    }
    let order: CommandAnswer = answer.parsed().map_err(|problem| Failure::Refused {
        what: "PlaceOrder".to_owned(),
        problem,
    })?;
    let types: Vec<_> = order
        .events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    stage.expect_same(Fact::EventsRecorded, &"OrderCreated", &types.join(", ").as_str());
    if let Some(event) = stage.stream(&order.stream).await?.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.show_choice(if types == ["OrderCreated"] { 2 } else { 3 });
    stage.remember(ORDER, &order);
    Ok(())
}

/// The payment fails after the goods were reserved, and the order comes to its end.
async fn follow(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let settled = stage.settled(order.correlation_id).await?;
    let events = stage.caused_by(order.correlation_id).await?;
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    stage.expect_same(Fact::Settled, &count, &settled.events.unwrap_or_default());
    let types = [
        "OrderCreated",
        "StockReserved",
        "PaymentFailed",
        "OrderRejected",
        "StockReleased",
    ];
    expect_each(stage, &events, &types);
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let key = order_key(&order.stream);
    let document = stage.document("orders", key, Some(&order.token)).await?;
    let status = document.data["status"].as_str().unwrap_or_default().to_owned();
    stage.expect_same(Fact::OrderStatus, &"rejected", &status.as_str());
    stage.document_seen(Fact::OrderShown, "orders", key, &document);
    stage.number_seen(Fact::EventsRecorded, count, "events");
    stage.show_number(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

/// The reservation stays in the log; a further event takes it back, caused by the rejection.
async fn release(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let before: u64 = stage.recall(BEFORE)?;
    let events = stage.caused_by(order.correlation_id).await?;
    expect_each(stage, &events, &["StockReserved", "StockReleased"]);
    let (reserved, rejected, released) = (
        first_of(&events, "StockReserved"),
        first_of(&events, "OrderRejected"),
        first_of(&events, "StockReleased"),
    );
    for event in [reserved, rejected, released].into_iter().flatten() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let cause = released.and_then(|event| event.metadata.causation_id);
    let is_caused = cause.is_some() && cause == rejected.map(|event| event.event_id);
    stage.expect(
        Fact::Cause,
        is_caused,
        rejected.map_or_else(String::new, |event| event.event_id.to_string()),
        cause.map_or_else(String::new, |cause| cause.to_string()),
    );
    let is_same_stream = reserved.map(|event| &event.stream) == released.map(|event| &event.stream);
    let document = stage.document("inventory", SKU, None).await?;
    let shown = document.data["available"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsAvailable, &before, &shown);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    if reserved.is_some() && is_caused && is_same_stream && shown == before {
        stage.show_choice(3);
    } else if reserved.is_none() {
        stage.show_choice(1);
    }
    Ok(())
}

/// An order that was paid is cancelled: the charge stays in the log, and a refund follows.
async fn refund(stage: &mut Stage) -> Result<(), Failure> {
    stage.all_settled().await?;
    let before = available(stage).await?;
    let ada = stage.person("Ada").await?;
    let order = stage.place_order(&ada, SKU, QUANTITY, "tok_ok").await?;
    stage.settled(order.correlation_id).await?;
    let reason = json!({"reason": "I have changed my mind"});
    let cancelled = stage.send_as(&ada, "CancelOrder", &order.stream, reason).await?;
    stage.settled(cancelled.correlation_id).await?;
    let events = stage.caused_by(cancelled.correlation_id).await?;
    expect_each(
        stage,
        &events,
        &["OrderCancelled", "StockReleased", "PaymentRefunded"],
    );
    let key = order_key(&order.stream);
    let payment = stage.stream(&format!("payment-{key}")).await?;
    for event in &payment {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let types: Vec<_> = payment.iter().map(|event| event.event_type.as_str()).collect();
    let types = types.join(", ");
    let both = "PaymentProcessed, PaymentRefunded";
    stage.expect_same(Fact::EventsRecorded, &both, &types.as_str());
    let document = stage.document("payments", key, Some(&cancelled.token)).await?;
    let status = document.data["status"].as_str().unwrap_or_default().to_owned();
    stage.expect_same(Fact::PaymentStatus, &"refunded", &status.as_str());
    stage.document_seen(Fact::PaymentShown, "payments", key, &document);
    let shown = available(stage).await?;
    stage.expect_same(Fact::UnitsAvailable, &before, &shown);
    if types == both && status == "refunded" {
        stage.show_choice(1);
    } else if types == "PaymentProcessed" {
        stage.show_choice(3);
    } else {
        stage.show_choice(2);
    }
    Ok(())
}
