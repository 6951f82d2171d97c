//! Lesson 1, the happy path, box by box: a command becomes an event, process managers add theirs, a
//! projection folds them into the document that a page reads, and one id links all of it.

use domain::{lesson::Fact, wire::CommandAnswer};
use uuid::Uuid;

use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Stage, order_key},
};

/// The product that is ordered.
const SKU: &str = "mug-01";

/// What the run remembers of the order.
const ORDER: &str = "order";

pub(super) const LESSON: Lesson = Lesson {
    name: "happy_path",
    steps: &[
        Step::new("shop"),
        Step::new("place")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(place(stage))),
        Step::new("follow")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(follow(stage))),
        Step::new("view")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(view(stage))),
        Step::new("causes")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(causes(stage))),
    ],
};

/// A customer orders two mugs: the command service stores one event.
async fn place(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person("Ada").await?;
    let answer = stage.place_order(&ada, SKU, 2, "tok_ok").await?;
    let stored = stage.stream(&answer.stream).await?;
    let types: Vec<_> = answer
        .events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    stage.expect(
        Fact::EventsRecorded,
        types == ["OrderCreated"],
        "OrderCreated",
        types.join(", "),
    );
    let own = answer.events.first();
    if let Some(event) = stored
        .iter()
        .find(|event| own.is_some_and(|own| own.event_id == event.event_id))
    {
        stage.event_seen(Fact::EventRecorded, event);
        stage.show_choice(2);
    }
    stage.remember(ORDER, &answer);
    Ok(())
}

/// Process managers reserve the goods, charge the customer and confirm the order: each with a command of its
/// own, and an event that comes of it.
async fn follow(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let settled = stage.settled(order.correlation_id).await?;
    let events = stage.caused_by(order.correlation_id).await?;
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    stage.expect_same(Fact::Settled, &count, &settled.events.unwrap_or_default());
    for kind in [
        "OrderCreated",
        "StockReserved",
        "PaymentProcessed",
        "OrderConfirmed",
    ] {
        let found = events.iter().filter(|event| event.event_type == kind).count();
        stage.expect(
            Fact::EventsRecorded,
            found == 1,
            format!("1 {kind}"),
            format!("{found} {kind}"),
        );
    }
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.number_seen(Fact::EventsRecorded, count, "events");
    stage.show_number(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

/// The page of the order reads one document, which a projection has folded from these events.
async fn view(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let key = order_key(&order.stream);
    let document = stage.document("orders", key, Some(&order.token)).await?;
    let events = stage.caused_by(order.correlation_id).await?;
    let status = document.data["status"].as_str().unwrap_or_default().to_owned();
    stage.expect_same(Fact::OrderStatus, &"confirmed", &status.as_str());
    let folded = document.data["history"].as_array().map_or(0, Vec::len);
    stage.expect_same(Fact::EventsRecorded, &events.len(), &folded);
    stage.expect(
        Fact::TokenGiven,
        document.as_of.covers(&order.token),
        format!("≥ {}", order.token),
        &document.as_of,
    );
    if document.as_of.covers(&order.token) && folded == events.len() {
        stage.show_choice(2);
    }
    stage.document_seen(Fact::OrderShown, "orders", key, &document);
    Ok(())
}

/// Every event carries the id of the intention that it belongs to, and the id of what caused it.
async fn causes(stage: &mut Stage) -> Result<(), Failure> {
    let order: CommandAnswer = stage.recall(ORDER)?;
    let events = stage.caused_by(order.correlation_id).await?;
    let linked = events
        .iter()
        .filter(|event| event.metadata.correlation_id == order.correlation_id)
        .count();
    stage.expect_same(Fact::EventsRecorded, &events.len(), &linked);
    // The customer's click has no cause in the log; each other event has one among them.
    let is_caused = |cause: Uuid| events.iter().any(|event| event.event_id == cause);
    let first = events
        .iter()
        .filter(|event| event.metadata.causation_id.is_none());
    let first = first.count();
    let caused = events
        .iter()
        .filter(|event| event.metadata.causation_id.is_some_and(is_caused))
        .count();
    stage.expect_same(Fact::EventRecorded, &1, &first);
    stage.expect_same(Fact::EventsRecorded, &events.len().saturating_sub(1), &caused);
    for event in &events {
        stage.event_seen(Fact::EventRecorded, event);
    }
    if first == 1 && linked == events.len() && caused + 1 == events.len() {
        stage.show_choice(3);
    }
    Ok(())
}
