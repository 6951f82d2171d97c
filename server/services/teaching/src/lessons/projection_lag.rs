//! Lesson 2, projection lag made visible: the write side goes on while a projection stands, its view stays as
//! it was and says so, and later folds exactly what it has missed.

use domain::{event::StoredEvent, lesson::Fact, wire::CommandAnswer};
use serde_json::json;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, command},
};

/// The product whose stock arrives.
const SKU: &str = "mug-01";
/// How many units a delivery has.
const UNITS: u64 = 10;
/// How many deliveries arrive in the third step.
const MORE_DELIVERIES: u64 = 3;

/// What the run remembers: the units before the first delivery.
const BEFORE: &str = "units_before";
/// What the run remembers: the answer to the newest delivery.
const NEWEST: &str = "newest_delivery";

pub(super) const LESSON: Lesson = Lesson {
    name: "projection_lag",
    steps: &[
        Step::new("pause")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(pause(stage))),
        Step::new("stale")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(stale(stage))),
        Step::new("count")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(count(stage))),
        Step::new("catch_up")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(catch_up(stage))),
    ],
};

/// Units of the product on hand, as the view shows them.
async fn units_shown(stage: &Stage) -> Result<u64, Failure> {
    let document = stage.document("inventory", SKU, None).await?;
    Ok(document.data["on_hand"].as_u64().unwrap_or_default())
}

/// The projection of the stock stands, and a delivery arrives: the command succeeds at once.
async fn pause(stage: &mut Stage) -> Result<(), Failure> {
    // A second try begins as the first: nothing is missing yet.
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let before = units_shown(stage).await?;
    stage.remember(BEFORE, &before);
    stage
        .dials(json!({"projections": {"inventory": {"paused": true}}}))
        .await?;
    let began = stage.now();
    let receive = command("ReceiveStock", &stock(), json!({"quantity": UNITS}));
    let answer = stage.try_send(stage.educator(), &receive, None).await;
    stage.time_seen(Fact::TimeTaken, began);
    stage.answer_seen(Fact::AnswerGiven, &answer);
    stage.expect_same(Fact::AnswerStatus, &200, &answer.status);
    let delivered: CommandAnswer = answer.parsed().map_err(|problem| Failure::Refused {
        what: "ReceiveStock".to_owned(),
        problem,
    })?;
    for event in recorded(stage, &delivered).await? {
        stage.event_seen(Fact::EventRecorded, &event);
    }
    stage.expect_same(Fact::EventsRecorded, &1, &delivered.events.len());
    if !delivered.events.is_empty() {
        stage.show_choice(2);
    }
    stage.remember(NEWEST, &delivered);
    Ok(())
}

/// The view shows what it has folded, and says that it is behind.
async fn stale(stage: &mut Stage) -> Result<(), Failure> {
    let before: u64 = stage.recall(BEFORE)?;
    let document = stage.document("inventory", SKU, None).await?;
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    stage.expect_same(Fact::UnitsOnHand, &before, &shown);
    stage.expect_same(Fact::EventsBehind, &1, &document.behind);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    stage.number_seen(Fact::EventsBehind, document.behind, "events");
    if shown == before && document.behind > 0 {
        stage.show_choice(2);
    }
    Ok(())
}

/// Three more deliveries: the view is behind by one event for each.
async fn count(stage: &mut Stage) -> Result<(), Failure> {
    for delivery in 1..=MORE_DELIVERIES {
        // Under a key: a second try after a failure delivers nothing twice.
        let receive = command("ReceiveStock", &stock(), json!({"quantity": UNITS}));
        let key = format!("delivery-{delivery}");
        let answer = stage.try_send(stage.educator(), &receive, Some(&key)).await;
        let delivered: CommandAnswer = answer.parsed().map_err(|problem| Failure::Refused {
            what: "ReceiveStock".to_owned(),
            problem,
        })?;
        stage.remember(NEWEST, &delivered);
    }
    let document = stage.document("inventory", SKU, None).await?;
    stage.expect_same(Fact::EventsBehind, &(MORE_DELIVERIES + 1), &document.behind);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    stage.number_seen(Fact::EventsBehind, document.behind, "events");
    stage.show_number(i64::try_from(document.behind).unwrap_or(i64::MAX));
    Ok(())
}

/// The projection goes on at its checkpoint, and folds what it has missed, in order.
async fn catch_up(stage: &mut Stage) -> Result<(), Failure> {
    let before: u64 = stage.recall(BEFORE)?;
    let newest: CommandAnswer = stage.recall(NEWEST)?;
    let began = stage.now();
    stage
        .dials(json!({"projections": {"inventory": {"paused": false}}}))
        .await?;
    let document = stage.document("inventory", SKU, Some(&newest.token)).await?;
    stage.time_seen(Fact::TimeTaken, began);
    let shown = document.data["on_hand"].as_u64().unwrap_or_default();
    let expected = before + UNITS * (MORE_DELIVERIES + 1);
    stage.expect_same(Fact::UnitsOnHand, &expected, &shown);
    stage.expect_same(Fact::EventsBehind, &0, &document.behind);
    stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
    stage.all_settled().await?;
    if shown == expected {
        stage.show_choice(3);
    }
    Ok(())
}

fn stock() -> String {
    format!("inventory-{SKU}")
}

/// The events that a command has appended, as they are in the log.
async fn recorded(stage: &Stage, answer: &CommandAnswer) -> Result<Vec<StoredEvent>, Failure> {
    stage.caused_by(answer.correlation_id).await
}
