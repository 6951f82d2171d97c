//! Lesson 13, payment times out and has charged: a missing answer says nothing, so the shop asks again under
//! the same key, gives up at a deadline, and gives back what turns out to have been charged.

use domain::{event::StoredEvent, lesson::Fact, wire::CommandAnswer};
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, order_key, place_of},
};

/// The process manager that waits for the payment.
pub(super) const PROCESS_MANAGER: &str = "fulfilment";

/// The product that is ordered.
const SKU: &str = "notebook-01";

/// How far the clock is put forward before the provider answers in time, in milliseconds.
const IN_TIME_MS: u64 = 3_000;
/// The same, to get past the deadline.
const TOO_LATE_MS: u64 = 6_000;

/// What the run remembers: the order that is paid in time.
const IN_TIME: &str = "order_in_time";
/// What the run remembers: that the clock was put forward for it.
const MOVED: &str = "clock_is_forward";
/// What the run remembers: the order that is paid too late.
const LATE: &str = "late_order";

pub(super) const LESSON: Lesson = Lesson {
    name: "payment_times_out",
    steps: &[
        Step::new("silence")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(silence(stage))),
        Step::new("in_time")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(in_time(stage))),
        Step::new("deadline")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(deadline(stage))),
        Step::new("late")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(late(stage))),
    ],
};

/// Has a customer order one unit from a shop whose clock stands and whose payment provider charges and does
/// not answer. When this returns, the deadline of the payment runs.
pub(super) async fn unanswered_order(
    stage: &mut Stage,
    name: &str,
    sku: &str,
) -> Result<CommandAnswer, Failure> {
    // A try that has failed may have left an order that waits.
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let dials = json!({"clock": {"frozen": true}, "payment": {"mode": "silent"}});
    stage.dials(dials).await?;
    let person = stage.person(name).await?;
    let order = stage.place_order(&person, sku, 1, "tok_ok").await?;
    let left = stage.await_timer(PROCESS_MANAGER, order.correlation_id).await?;
    stage.expect(Fact::OpenWork, true, "fulfilment: 1 timers", left.join(", "));
    Ok(order)
}

/// The status of an order, as its view has it once it has folded this event.
pub(super) async fn status_after(
    stage: &mut Stage,
    order: &CommandAnswer,
    event: &StoredEvent,
) -> Result<String, Failure> {
    let key = order_key(&order.stream);
    let document = stage.document("orders", key, Some(&place_of(event))).await?;
    stage.document_seen(Fact::OrderShown, "orders", key, &document);
    Ok(document.data["status"].as_str().unwrap_or_default().to_owned())
}

/// How many of these events have this type.
pub(super) fn count_of(events: &[StoredEvent], event_type: &str) -> usize {
    events
        .iter()
        .filter(|event| event.event_type == event_type)
        .count()
}

/// Units of the product that can be sold, once the view has folded this event.
async fn available_after(stage: &Stage, event: &StoredEvent) -> Result<u64, Failure> {
    let document = stage.document("inventory", SKU, Some(&place_of(event))).await?;
    Ok(document.data["available"].as_u64().unwrap_or_default())
}

/// The provider has charged Ada and does not answer: the log knows neither a payment nor a refusal.
async fn silence(stage: &mut Stage) -> Result<(), Failure> {
    let order = unanswered_order(stage, "Ada", SKU).await?;
    let reserved = stage.await_event(order.correlation_id, "StockReserved").await?;
    let events = stage.caused_by(order.correlation_id).await?;
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let answers = count_of(&events, "PaymentProcessed") + count_of(&events, "PaymentFailed");
    stage.expect_same(Fact::Charges, &0, &answers);
    let status = status_after(stage, &order, &reserved).await?;
    stage.expect_same(Fact::OrderStatus, &"reserved", &status.as_str());
    if answers == 0 && status == "reserved" {
        stage.show_choice(3);
    }
    stage.remember(IN_TIME, &order);
    Ok(())
}

/// Three seconds later the provider answers again: the request that was repeated under one key was carried
/// out once.
async fn in_time(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(IN_TIME)?;
    // A try that has failed has put the clock forward already.
    if stage.recall::<bool>(MOVED).is_err() {
        stage.advance_clock(IN_TIME_MS).await?;
        stage.remember(MOVED, &true);
    }
    stage.number_seen(Fact::ClockMoved, IN_TIME_MS, "ms");
    stage.dials(json!({"payment": {"mode": "normal"}})).await?;
    stage.settled(order.correlation_id).await?;
    let confirmed = stage.await_event(order.correlation_id, "OrderConfirmed").await?;
    let events = stage.caused_by(order.correlation_id).await?;
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let charges = count_of(&events, "PaymentProcessed");
    stage.expect_same(Fact::Charges, &1, &charges);
    let status = status_after(stage, &order, &confirmed).await?;
    stage.expect_same(Fact::OrderStatus, &"confirmed", &status.as_str());
    match charges {
        0 => stage.show_choice(1),
        1 if status == "confirmed" => stage.show_choice(2),
        _ => stage.show_choice(3),
    }
    Ok(())
}

/// The provider is silent for longer than the shop waits: the order is rejected and the goods are released.
async fn deadline(stage: &mut Stage) -> Result<(), Failure> {
    let order = unanswered_order(stage, "Grace", SKU).await?;
    let reserved = stage.await_event(order.correlation_id, "StockReserved").await?;
    let before = available_after(stage, &reserved).await?;
    stage.advance_clock(TOO_LATE_MS).await?;
    stage.number_seen(Fact::ClockMoved, TOO_LATE_MS, "ms");
    let rejected = stage.await_event(order.correlation_id, "OrderRejected").await?;
    let released = stage.await_event(order.correlation_id, "StockReleased").await?;
    stage.event_seen(Fact::EventRecorded, &rejected);
    stage.event_seen(Fact::EventRecorded, &released);
    let status = status_after(stage, &order, &rejected).await?;
    stage.expect_same(Fact::OrderStatus, &"rejected", &status.as_str());
    let available = available_after(stage, &released).await?;
    stage.expect_same(Fact::UnitsAvailable, &(before + 1), &available);
    let events = stage.caused_by(order.correlation_id).await?;
    stage.expect_same(Fact::Charges, &0, &count_of(&events, "PaymentProcessed"));
    if status == "rejected" && available == before + 1 {
        stage.show_choice(1);
    }
    stage.remember(LATE, &order);
    Ok(())
}

/// The provider answers after the order was rejected: it has charged. The charge is recorded, and given back.
async fn late(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(LATE)?;
    stage.dials(json!({"payment": {"mode": "normal"}})).await?;
    stage.settled(order.correlation_id).await?;
    let charged = stage
        .await_event(order.correlation_id, "PaymentProcessed")
        .await?;
    let refunded = stage.await_event(order.correlation_id, "PaymentRefunded").await?;
    stage.event_seen(Fact::EventRecorded, &charged);
    stage.event_seen(Fact::EventRecorded, &refunded);
    let is_caused = refunded.metadata.causation_id == Some(charged.event_id);
    let cause = refunded.metadata.causation_id.unwrap_or_default();
    stage.expect(Fact::Cause, is_caused, charged.event_id, cause);
    let key = order_key(&order.stream);
    let payment = stage
        .document("payments", key, Some(&place_of(&refunded)))
        .await?;
    let paid = payment.data["status"].as_str().unwrap_or_default().to_owned();
    stage.expect_same(Fact::PaymentStatus, &"refunded", &paid.as_str());
    stage.document_seen(Fact::PaymentShown, "payments", key, &payment);
    let status = status_after(stage, &order, &refunded).await?;
    stage.expect_same(Fact::OrderStatus, &"rejected", &status.as_str());
    let events = stage.caused_by(order.correlation_id).await?;
    stage.expect_same(Fact::Charges, &1, &count_of(&events, "PaymentProcessed"));
    match (paid.as_str(), status.as_str()) {
        ("refunded", "rejected") => stage.show_choice(3),
        (_, "confirmed") => stage.show_choice(2),
        _ => stage.show_choice(1),
    }
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    Ok(())
}
