//! Lesson 5, the same race without the version check: both decisions are stored, the last item is sold twice,
//! and neither the log nor the view is broken. Only another decision mends it.

use domain::{
    lesson::Fact,
    wire::{CommandAnswer, CommandRequest, DocumentAnswer, ExpectedVersion},
};
use futures::join;
use serde_json::json;

use super::last_item::{SKU, leave_one, reserve, stock};
use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, command, order_key},
};

/// What the run remembers: the answers to the orders of Ada and of Grace.
const ORDERS: &str = "orders";
/// What the run remembers: the units that were oversold still after a rebuild.
const AFTER_REBUILD: &str = "oversold_after_rebuild";

pub(super) const LESSON: Lesson = Lesson {
    name: "last_item_unchecked",
    steps: &[
        Step::new("unchecked").acts(|stage| Box::pin(unchecked(stage))),
        Step::new("race")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(race(stage))),
        Step::new("stock")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(stock_afterwards(stage))),
        Step::new("sound")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(sound(stage))),
        Step::new("mend")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(mend(stage))),
    ],
};

/// How many units are reserved, and how many of them beyond what there is.
fn oversold(document: &DocumentAnswer) -> (u64, u64) {
    let units = |field: &str| document.data[field].as_u64().unwrap_or_default();
    let reserved = units("reserved");
    (reserved, reserved.saturating_sub(units("on_hand")))
}

/// Takes the version check away, and leaves one unit that can be sold.
async fn unchecked(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    let document = leave_one(stage).await?;
    take_check_away(stage).await?;
    let available = document.data["available"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsAvailable, &1, &available);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    Ok(())
}

/// Takes the version check away. The broker delivers.
async fn take_check_away(stage: &Stage) -> Result<(), Failure> {
    let unchecked = json!({
        "broker": {"paused": false},
        "guarantees": {"optimistic_concurrency": false},
    });
    stage.dials(unchecked).await?;
    Ok(())
}

/// Two customers order the last one, and the stock hears of both orders at the same moment.
async fn race(stage: &mut Stage) -> Result<(), Failure> {
    take_check_away(stage).await?;
    let (ada, grace) = (stage.person("Ada").await?, stage.person("Grace").await?);
    // A try that has failed may have sold it.
    leave_one(stage).await?;
    // Held until both orders are stored: then both are decided on the same version.
    stage.dials(json!({"broker": {"paused": true}})).await?;
    let (one, other) = join!(
        stage.place_order(&ada, SKU, 1, "tok_ok"),
        stage.place_order(&grace, SKU, 1, "tok_ok")
    );
    stage.dials(json!({"broker": {"paused": false}})).await?;
    let orders = [one?, other?];
    let (mut confirmed, mut rejected) = (0, 0);
    for order in &orders {
        stage.settled(order.correlation_id).await?;
        for event in stage.caused_by(order.correlation_id).await? {
            if matches!(
                event.event_type.as_str(),
                "StockReserved" | "StockReservationFailed"
            ) {
                stage.event_seen(Fact::EventRecorded, &event);
            }
        }
        let key = order_key(&order.stream);
        let document = stage.document("orders", key, Some(&order.token)).await?;
        match document.data["status"].as_str() {
            Some("confirmed") => confirmed += 1,
            Some("rejected") => rejected += 1,
            _ => {}
        }
        stage.document_seen(Fact::OrderShown, "orders", key, &document);
    }
    stage.expect_same(Fact::OrdersConfirmed, &2, &confirmed);
    stage.expect_same(Fact::OrdersRejected, &0, &rejected);
    match confirmed {
        2 => stage.show_choice(1),
        1 => stage.show_choice(2),
        _ => stage.show_choice(3),
    }
    stage.remember(ORDERS, &orders);
    Ok(())
}

/// The view shows what the events say, and nothing below zero.
async fn stock_afterwards(stage: &mut Stage) -> Result<(), Failure> {
    stage.all_settled().await?;
    let document = stage.document("inventory", SKU, None).await?;
    let (reserved, oversold) = oversold(&document);
    stage.expect_same(Fact::UnitsOversold, &1, &oversold);
    let available = document.data["available"].as_i64();
    stage.expect(
        Fact::UnitsAvailable,
        available == Some(0),
        0,
        available.map_or_else(String::new, |units| units.to_string()),
    );
    stage.number_seen(Fact::UnitsReserved, reserved, "units");
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    match available {
        Some(-1) => stage.show_choice(1),
        Some(0) => stage.show_choice(2),
        _ => stage.show_choice(3),
    }
    Ok(())
}

/// The log keeps a wrong decision as faithfully as a right one: its chain is whole, and every view is the
/// fold of its events.
async fn sound(stage: &mut Stage) -> Result<(), Failure> {
    stage.all_settled().await?;
    let report = stage.verify().await?;
    stage.expect_same(Fact::VerifyFindings, &0, &report.findings.len());
    stage.number_seen(Fact::EventsRecorded, report.events, "events");
    stage.number_seen(Fact::VerifyFindings, report.findings.len(), "");
    match report.findings.first() {
        None => stage.show_choice(3),
        Some(finding) if finding.starts_with("inventory: ") => stage.show_choice(2),
        Some(_) => stage.show_choice(1),
    }
    Ok(())
}

/// With the check again a stale decision is refused, and what was decided without it stays. Neither the check
/// nor a rebuild mends that: an order is cancelled.
async fn mend(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    let decided_before = CommandRequest {
        expected_version: ExpectedVersion::Exact(1),
        ..command("ReserveStock", &stock(), reserve(stage, 1))
    };
    let refused = stage.try_send(stage.educator(), &decided_before, None).await;
    stage.answer_seen(Fact::AnswerGiven, &refused);
    stage.expect_same(Fact::AnswerStatus, &409, &refused.status);
    let after_rebuild: u64 = if let Ok(units) = stage.recall(AFTER_REBUILD) {
        units
    } else {
        stage.rebuild("inventory").await?;
        let (_, units) = oversold(&stage.document("inventory", SKU, None).await?);
        stage.remember(AFTER_REBUILD, &units);
        units
    };
    stage.expect_same(Fact::UnitsOversold, &1, &after_rebuild);

    let grace = stage.person("Grace").await?;
    let [_, order]: [CommandAnswer; 2] = stage.recall(ORDERS)?;
    let reason = json!({"reason": "The last lamp was sold twice"});
    let cancelled = stage
        .send_as(&grace, "CancelOrder", &order.stream, reason)
        .await?;
    stage.settled(cancelled.correlation_id).await?;
    for event in stage.caused_by(cancelled.correlation_id).await? {
        stage.event_seen(Fact::EventRecorded, &event);
    }
    let document = stage.document("inventory", SKU, Some(&cancelled.token)).await?;
    let (_, units) = oversold(&document);
    stage.expect_same(Fact::UnitsOversold, &0, &units);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    match (after_rebuild, units) {
        (0, _) => stage.show_choice(3),
        (_, 0) => stage.show_choice(2),
        _ => {}
    }
    Ok(())
}
