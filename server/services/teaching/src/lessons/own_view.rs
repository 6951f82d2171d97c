//! Lesson 16, a view of one's own over old events: a definition becomes a view that folds the log from its
//! first event, follows it from then on, and changes no other part of the shop.

use domain::{
    lesson::Fact,
    wire::{CommandAnswer, DocumentAnswer, OwnView},
};
use serde_json::{Value, json};

use crate::{
    api::{Call, Method},
    lesson::{Failure, Lesson, Question, Step},
    stage::{Person, Stage, order_key, place_of},
};

/// The view of one's own.
const VIEW: &str = "shoppers";
/// The path of the views of one's own.
const VIEWS: &str = "/api/v1/lab/views";
/// The name of the customer whose document is looked at.
const CUSTOMER: &str = "Ada";

/// The product and the quantity of each of her orders before the view is there.
const OLD_ORDERS: [(&str, u32); 2] = [("mug-01", 2), ("tea-01", 3)];
/// Those of her order afterwards.
const NEW_ORDER: (&str, u32) = ("tea-01", 4);
/// Those of her order while the view is paused.
const ORDER_MEANWHILE: (&str, u32) = ("mug-01", 1);

/// What the run remembers of the old orders, one each.
const OLD: &str = "old_order";
/// What the run remembers: the order that came afterwards.
const NEW: &str = "new_order";

pub(super) const LESSON: Lesson = Lesson {
    name: "own_view",
    steps: &[
        Step::new("define")
            .asks(Question::Choice { right: 3 })
            .acts(|stage| Box::pin(define(stage))),
        Step::new("live")
            .asks(Question::Number { tolerance: 0 })
            .acts(|stage| Box::pin(live(stage))),
        Step::new("alone")
            .asks(Question::Choice { right: 2 })
            .acts(|stage| Box::pin(alone(stage))),
        Step::new("anew")
            .asks(Question::Choice { right: 1 })
            .acts(|stage| Box::pin(anew(stage))),
    ],
};

/// The folds of the view: the number of orders, and the units in their first lines.
fn folds() -> Vec<Value> {
    vec![
        json!({"field": "orders", "op": "count"}),
        json!({"field": "units", "op": "sum", "of": "data.lines.0.quantity"}),
    ]
}

/// Defines the view. One that is there is deleted first.
async fn create(stage: &Stage, folds: Vec<Value>) -> Result<OwnView, Failure> {
    let delete = Call::new(stage.educator(), Method::Delete, format!("{VIEWS}/{VIEW}"));
    let deleted = stage.call(delete).await;
    if !deleted.is_success() && deleted.status != 404 {
        return Err(Failure::Refused {
            what: "deleting the view".to_owned(),
            problem: Box::new(deleted.problem()),
        });
    }
    let definition = json!({
        "name": VIEW,
        "on": ["OrderCreated"],
        "key": "data.customer.id",
        "fold": folds,
    });
    let create = Call::post(stage.educator(), VIEWS, definition);
    stage.answered("the view of one's own", create).await
}

/// An order of the customer, placed once however often the step is tried.
async fn order_once(
    stage: &mut Stage,
    customer: &Person,
    name: &str,
    (sku, quantity): (&str, u32),
) -> Result<CommandAnswer, Failure> {
    if let Ok(order) = stage.recall(name) {
        return Ok(order);
    }
    let order = stage.place_order(customer, sku, quantity, "tok_ok").await?;
    stage.remember(name, &order);
    Ok(order)
}

/// A number of the customer's document.
fn number_of(document: &DocumentAnswer, field: &str) -> u64 {
    document.data[field].as_u64().unwrap_or_default()
}

/// Two orders are placed, and then the view is defined.
async fn define(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person(CUSTOMER).await?;
    let mut newest = None;
    for (n, order) in (1..).zip(OLD_ORDERS) {
        let name = format!("{OLD}_{n}");
        let order = order_once(stage, &ada, &name, order).await?;
        stage.settled(order.correlation_id).await?;
        if let Some(event) = stage.stream(&order.stream).await?.first() {
            stage.event_seen(Fact::EventRecorded, event);
        }
        newest = Some(order.token);
    }
    create(stage, folds()).await?;
    let document = stage.document(VIEW, &ada.id(), newest.as_ref()).await?;
    let orders = number_of(&document, "orders");
    let units: u32 = OLD_ORDERS.iter().map(|(_, quantity)| quantity).sum();
    stage.expect_same(Fact::OrdersCounted, &2, &orders);
    stage.expect_same(
        Fact::UnitsCounted,
        &u64::from(units),
        &number_of(&document, "units"),
    );
    stage.document_seen(Fact::OwnViewShown, VIEW, &ada.id(), &document);
    match orders {
        0 => stage.show_choice(1),
        2 => stage.show_choice(3),
        _ => stage.show_choice(2),
    }
    Ok(())
}

/// A new order comes: nothing tells the view of it but the log.
async fn live(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person(CUSTOMER).await?;
    let order = order_once(stage, &ada, NEW, NEW_ORDER).await?;
    let document = stage.document(VIEW, &ada.id(), Some(&order.token)).await?;
    let units = number_of(&document, "units");
    let all = OLD_ORDERS.iter().chain([&NEW_ORDER]);
    let expected: u32 = all.map(|(_, quantity)| quantity).sum();
    stage.expect_same(Fact::UnitsCounted, &u64::from(expected), &units);
    stage.expect_same(Fact::OrdersCounted, &3, &number_of(&document, "orders"));
    if let Some(event) = stage.stream(&order.stream).await?.first() {
        stage.event_seen(Fact::EventRecorded, event);
    }
    stage.document_seen(Fact::OwnViewShown, VIEW, &ada.id(), &document);
    stage.settled(order.correlation_id).await?;
    stage.show_number(i64::try_from(units).unwrap_or(i64::MAX));
    Ok(())
}

/// The view stands still, and an order comes: it goes its way as ever.
async fn alone(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person(CUSTOMER).await?;
    stage.intervene(VIEW, "resume").await?;
    stage.all_settled().await?;
    let before = stage.document(VIEW, &ada.id(), None).await?;
    stage.intervene(VIEW, "pause").await?;
    let (sku, quantity) = ORDER_MEANWHILE;
    let order = stage.place_order(&ada, sku, quantity, "tok_ok").await?;
    let confirmed = stage.await_event(order.correlation_id, "OrderConfirmed").await?;
    let key = order_key(&order.stream);
    let shown = stage.document("orders", key, Some(&place_of(&confirmed))).await?;
    let status = shown.data["status"].as_str().unwrap_or_default().to_owned();
    stage.expect_same(Fact::OrderStatus, &"confirmed", &status.as_str());
    stage.document_seen(Fact::OrderShown, "orders", key, &shown);
    let own = stage.document(VIEW, &ada.id(), None).await?;
    let (units, behind) = (number_of(&own, "units"), own.behind);
    stage.expect_same(Fact::UnitsCounted, &number_of(&before, "units"), &units);
    stage.expect(Fact::EventsBehind, behind > 0, "> 0", behind);
    stage.document_seen(Fact::OwnViewShown, VIEW, &ada.id(), &own);
    stage.number_seen(Fact::EventsBehind, behind, "events");
    if status == "confirmed" && behind > 0 {
        stage.show_choice(2);
    }
    stage.intervene(VIEW, "resume").await?;
    let caught_up = stage.document(VIEW, &ada.id(), Some(&order.token)).await?;
    let expected = number_of(&before, "units") + u64::from(quantity);
    stage.expect_same(Fact::UnitsCounted, &expected, &number_of(&caught_up, "units"));
    stage.settled(order.correlation_id).await?;
    Ok(())
}

/// The view is deleted and defined anew, with one more fold: it has all history again.
async fn anew(stage: &mut Stage) -> Result<(), Failure> {
    let ada = stage.person(CUSTOMER).await?;
    stage.all_settled().await?;
    let before = stage.events("type=OrderCreated").await?.len();
    let mut folds = folds();
    folds.push(json!({"field": "largest", "op": "max", "of": "data.lines.0.quantity"}));
    create(stage, folds).await?;
    let newest: CommandAnswer = stage.recall(NEW)?;
    stage.all_settled().await?;
    let key = ada.id();
    let document = stage.document(VIEW, &key, Some(&newest.token)).await?;
    let created = stage.events("type=OrderCreated").await?;
    stage.expect_same(Fact::EventsRecorded, &before, &created.len());
    let own = created
        .iter()
        .filter(|event| event.metadata.actor.id == ada.actor.id)
        .count();
    let orders = number_of(&document, "orders");
    let own = u64::try_from(own).unwrap_or(u64::MAX);
    stage.expect_same(Fact::OrdersCounted, &own, &orders);
    let largest = number_of(&document, "largest");
    stage.expect_same(Fact::UnitsCounted, &u64::from(NEW_ORDER.1), &largest);
    stage.document_seen(Fact::OwnViewShown, VIEW, &key, &document);
    stage.number_seen(Fact::EventsRecorded, created.len(), "events");
    match orders {
        0 => stage.show_choice(2),
        _ if orders == own => stage.show_choice(1),
        _ => stage.show_choice(3),
    }
    Ok(())
}
