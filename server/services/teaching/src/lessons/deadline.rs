//! Lesson 14, a deadline: the timer is stored with the process that waits, so it runs out at its time after a
//! crash, at once where its time has passed meanwhile, and before what was due later.

use domain::{lesson::Fact, wire::CommandAnswer};
use serde_json::json;

use super::payment_times_out::{PROCESS_MANAGER, count_of, status_after, unanswered_order};
use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::Stage,
};

/// The product that is ordered.
const SKU: &str = "pencil-01";

/// A part of the time that the shop waits for a payment, in milliseconds: less than all of it, and more than
/// a half.
const PART_MS: u64 = 3_000;
/// An hour, in milliseconds: long after every deadline.
const HOUR_MS: u64 = 3_600_000;

pub(super) const LESSON: Lesson = Lesson {
    name: "deadline",
    steps: &[
        Step::new("wait")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(wait(stage))),
        Step::new("crash")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(crash(stage))),
        Step::new("down")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(down(stage))),
        Step::new("leap")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(leap(stage))),
    ],
};

/// The status of an order that waits for its payment, as its view has it.
async fn status_while_it_waits(stage: &mut Stage, order: &CommandAnswer) -> Result<String, Failure> {
    let reserved = stage.await_event(order.correlation_id, "StockReserved").await?;
    status_after(stage, order, &reserved).await
}

/// Puts the clock forward.
async fn forward(stage: &mut Stage, by_ms: u64) -> Result<(), Failure> {
    stage.advance_clock(by_ms).await?;
    stage.number_seen(Fact::ClockMoved, by_ms, "ms");
    Ok(())
}

/// Waits until the deadline of an order has run out, which rejects the order.
async fn run_out(stage: &mut Stage, order: &CommandAnswer) -> Result<(), Failure> {
    let rejected = stage.await_event(order.correlation_id, "OrderRejected").await?;
    stage.event_seen(Fact::EventRecorded, &rejected);
    let status = status_after(stage, order, &rejected).await?;
    stage.expect_same(Fact::OrderStatus, &"rejected", &status.as_str());
    Ok(())
}

/// An order waits for its payment. What is left to do is known, and so are the timers: they are stored.
async fn wait(stage: &mut Stage) -> Result<(), Failure> {
    let order = unanswered_order(stage, "Ada", SKU).await?;
    let status = status_while_it_waits(stage, &order).await?;
    stage.expect_same(Fact::OrderStatus, &"reserved", &status.as_str());
    for event in stage.caused_by(order.correlation_id).await? {
        stage.event_seen(Fact::EventRecorded, &event);
    }
    if status == "reserved" {
        stage.show_choice(2);
    }
    Ok(())
}

/// The process manager crashes in the middle of the wait. The rest of the wait is what was left of it.
async fn crash(stage: &mut Stage) -> Result<(), Failure> {
    let order = unanswered_order(stage, "Grace", SKU).await?;
    forward(stage, PART_MS).await?;
    let crashed = stage.intervene(PROCESS_MANAGER, "crash").await?;
    stage.expect(Fact::Crashes, crashed.panics > 0, "> 0", crashed.panics);
    let status = status_while_it_waits(stage, &order).await?;
    stage.expect_same(Fact::OrderStatus, &"reserved", &status.as_str());
    let left = stage.await_timer(PROCESS_MANAGER, order.correlation_id).await?;
    stage.expect(Fact::OpenWork, true, "fulfilment: 1 timers", left.join(", "));
    // Together more than the deadline; from the crash on, less. The clock stands, so a wait that had begun
    // anew would not end.
    forward(stage, PART_MS).await?;
    run_out(stage, &order).await?;
    stage.show_choice(3);
    Ok(())
}

/// The process manager is stopped while the time of the deadline passes, and goes on an hour later.
async fn down(stage: &mut Stage) -> Result<(), Failure> {
    let order = unanswered_order(stage, "Linus", SKU).await?;
    stage.intervene(PROCESS_MANAGER, "pause").await?;
    forward(stage, HOUR_MS).await?;
    let status = status_while_it_waits(stage, &order).await?;
    stage.expect_same(Fact::OrderStatus, &"reserved", &status.as_str());
    let events = stage.caused_by(order.correlation_id).await?;
    stage.expect_same(Fact::OrdersRejected, &0, &count_of(&events, "OrderRejected"));
    stage.intervene(PROCESS_MANAGER, "resume").await?;
    run_out(stage, &order).await?;
    if status == "reserved" {
        stage.show_choice(1);
    }
    Ok(())
}

/// The clock leaps at once past the deadline, and past the later moment at which the provider answers.
async fn leap(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    stage.dials(json!({"clock": {"frozen": true}})).await?;
    let ada = stage.person("Ada").await?;
    let order = stage.place_order(&ada, SKU, 1, "tok_timeout").await?;
    stage.await_timer(PROCESS_MANAGER, order.correlation_id).await?;
    forward(stage, HOUR_MS).await?;
    stage.settled(order.correlation_id).await?;
    let events = stage.caused_by(order.correlation_id).await?;
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    let (confirmed, rejected) = (
        count_of(&events, "OrderConfirmed"),
        count_of(&events, "OrderRejected"),
    );
    stage.expect_same(Fact::OrdersConfirmed, &0, &confirmed);
    stage.expect_same(Fact::OrdersRejected, &1, &rejected);
    let (charged, refunded) = (
        count_of(&events, "PaymentProcessed"),
        count_of(&events, "PaymentRefunded"),
    );
    stage.expect_same(Fact::Charges, &1, &charged);
    stage.expect(
        Fact::EventsRecorded,
        refunded == 1,
        "1 PaymentRefunded",
        format!("{refunded} PaymentRefunded"),
    );
    if confirmed > 0 {
        stage.show_choice(1);
    } else if rejected == 1 && refunded == 1 {
        stage.show_choice(2);
    }
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    Ok(())
}
