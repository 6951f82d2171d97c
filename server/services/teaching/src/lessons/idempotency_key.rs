//! Lesson 11, the same submit twice: a client that gets no answer has to send again, and a key that it sends
//! along makes sure that the command is carried out once.

use domain::{
    event::StoredEvent,
    lesson::Fact,
    wire::{CommandAnswer, CommandRequest},
};
use futures::join;
use serde_json::json;

use crate::{
    api::Answer,
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, command, order_key},
};

/// The product that is ordered, and delivered.
const SKU: &str = "tea-01";
/// How many units a delivery has.
const UNITS: u64 = 10;
/// How often a delivery is sent.
const TIMES: u64 = 3;

/// The rule that a key belongs to one command.
const KEY_REUSED: &str = "idempotency-key-reused";

/// What the run remembers: the key of Ada's checkout.
const KEY: &str = "key";

pub(super) const LESSON: Lesson = Lesson {
    name: "idempotency_key",
    steps: &[
        Step::new("twice")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(twice(stage))),
        Step::new("key")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(key(stage))),
        Step::new("at_once")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(at_once(stage))),
        Step::new("other")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(other(stage))),
        Step::new("without")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(without(stage))),
    ],
};

/// The command of Ada's checkout, for a new order.
fn checkout(stage: &Stage, quantity: u64) -> CommandRequest {
    let data = json!({"lines": [{"sku": SKU, "quantity": quantity}], "payment_method": "tok_ok"});
    command("PlaceOrder", &format!("order-{}", stage.new_id()), data)
}

/// What an accepted command was answered.
fn accepted(what: &str, answer: &Answer) -> Result<CommandAnswer, Failure> {
    answer.parsed().map_err(|problem| Failure::Refused {
        what: what.to_owned(),
        problem,
    })
}

fn count_of(events: &[StoredEvent], event_type: &str) -> usize {
    events
        .iter()
        .filter(|event| event.event_type == event_type)
        .count()
}

/// How often the events of an order say this, once all of it is done.
async fn happened(stage: &Stage, order: &CommandAnswer, event_type: &str) -> Result<usize, Failure> {
    stage.settled(order.correlation_id).await?;
    let events = stage.caused_by(order.correlation_id).await?;
    Ok(count_of(&events, event_type))
}

/// The answer to an order is lost, and Ada orders again, without a key.
async fn twice(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    let ada = stage.person("Ada").await?;
    let mut charges = 0;
    let mut confirmed = 0;
    for _ in 0..2 {
        let order = stage.place_order(&ada, SKU, 1, "tok_ok").await?;
        charges += happened(stage, &order, "PaymentProcessed").await?;
        if let Some(event) = stage.stream(&order.stream).await?.first() {
            stage.event_seen(Fact::EventRecorded, event);
        }
        let key = order_key(&order.stream);
        let document = stage.document("orders", key, Some(&order.token)).await?;
        confirmed += usize::from(document.data["status"] == "confirmed");
        stage.document_seen(Fact::OrderShown, "orders", key, &document);
    }
    stage.expect_same(Fact::OrdersConfirmed, &2, &confirmed);
    stage.expect_same(Fact::Charges, &2, &charges);
    stage.number_seen(Fact::Charges, charges, "");
    match (confirmed, charges) {
        (2, 2) => stage.show_choice(2),
        (2, _) => stage.show_choice(3),
        _ => stage.show_choice(1),
    }
    Ok(())
}

/// The same command is sent twice, under one key.
async fn key(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person("Ada").await?;
    let order = checkout(stage, 1);
    let key = format!("checkout-{}", stage.new_id());
    let first = stage.try_send(stage.sender(&ada), &order, Some(&key)).await;
    let second = stage.try_send(stage.sender(&ada), &order, Some(&key)).await;
    stage.answer_seen(Fact::AnswerGiven, &first);
    stage.answer_seen(Fact::AnswerGiven, &second);
    stage.expect_same(Fact::AnswerStatus, &200, &second.status);
    let first = accepted("the first submit", &first)?;
    stage.remember(KEY, &key);
    let charges = happened(stage, &first, "PaymentProcessed").await?;
    stage.expect_same(Fact::Charges, &1, &charges);
    let events = stage.stream(&order.stream).await?;
    stage.expect_same(Fact::EventsRecorded, &1, &count_of(&events, "OrderCreated"));
    if let Some(event) = events.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.number_seen(Fact::Charges, charges, "");
    match accepted("the second submit", &second) {
        Ok(second) => {
            stage.expect_same(Fact::CommandId, &first.command_id, &second.command_id);
            stage.show_choice(if second == first { 1 } else { 3 });
        }
        Err(_) => stage.show_choice(2),
    }
    Ok(())
}

/// A double click: the same command arrives twice at the same moment, under one key.
async fn at_once(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person("Ada").await?;
    let order = checkout(stage, 1);
    let key = format!("double-click-{}", stage.new_id());
    let (one, other) = join!(
        stage.try_send(stage.sender(&ada), &order, Some(&key)),
        stage.try_send(stage.sender(&ada), &order, Some(&key))
    );
    for answer in [&one, &other] {
        stage.answer_seen(Fact::AnswerGiven, answer);
        stage.expect_same(Fact::AnswerStatus, &200, &answer.status);
    }
    let refused = [&one, &other].into_iter().filter(|answer| !answer.is_success());
    let refused = refused.count();
    if refused > 0 {
        stage.show_choice(3);
        return Ok(());
    }
    let (one, other) = (accepted("one click", &one)?, accepted("the other click", &other)?);
    stage.expect_same(Fact::CommandId, &one.command_id, &other.command_id);
    let charges = happened(stage, &one, "PaymentProcessed").await?;
    stage.expect_same(Fact::Charges, &1, &charges);
    let events = stage.stream(&order.stream).await?;
    stage.expect_same(Fact::EventsRecorded, &1, &count_of(&events, "OrderCreated"));
    if let Some(event) = events.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.number_seen(Fact::Charges, charges, "");
    stage.show_choice(if one == other && charges == 1 { 2 } else { 1 });
    Ok(())
}

/// Another command under a key that was used.
async fn other(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person("Ada").await?;
    let key: String = stage.recall(KEY)?;
    let order = checkout(stage, 2);
    let answer = stage.try_send(stage.sender(&ada), &order, Some(&key)).await;
    stage.answer_seen(Fact::AnswerGiven, &answer);
    stage.expect_same(Fact::AnswerStatus, &409, &answer.status);
    match answer.parsed::<CommandAnswer>() {
        Ok(given) if given.stream == order.stream => stage.show_choice(1),
        Ok(_) => stage.show_choice(2),
        Err(problem) => {
            let rule = problem.rule.unwrap_or_default();
            stage.expect_same(Fact::Rule, &KEY_REUSED, &rule.as_str());
            if answer.status == 409 && rule == KEY_REUSED {
                stage.show_choice(3);
            }
        }
    }
    Ok(())
}

/// A delivery is sent three times under one key, as usual and without the guarantee.
async fn without(stage: &mut Stage) -> Result<(), Failure> {
    stage.dials_at_rest().await?;
    stage.all_settled().await?;
    let before = stage.document("inventory", SKU, None).await?;
    let before = before.data["on_hand"].as_u64().unwrap_or_default();
    let mut expected = before;
    for is_held in [true, false] {
        stage
            .dials(json!({"guarantees": {"idempotency_keys": is_held}}))
            .await?;
        let key = format!("delivery-{}", stage.new_id());
        let receive = command(
            "ReceiveStock",
            &format!("inventory-{SKU}"),
            json!({"quantity": UNITS}),
        );
        let mut newest = None;
        for _ in 0..TIMES {
            let answer = stage.try_send(stage.educator(), &receive, Some(&key)).await;
            stage.answer_seen(Fact::AnswerGiven, &answer);
            newest = Some(accepted("ReceiveStock", &answer)?.token);
        }
        expected += if is_held { UNITS } else { UNITS * TIMES };
        let document = stage.document("inventory", SKU, newest.as_ref()).await?;
        let shown = document.data["on_hand"].as_u64().unwrap_or_default();
        stage.expect_same(Fact::UnitsOnHand, &expected, &shown);
        stage.document_seen(Fact::StockShown, "inventory", SKU, &document);
        stage.show_number(i64::try_from(shown.saturating_sub(before)).unwrap_or(i64::MAX));
    }
    stage.dials_at_rest().await
}
