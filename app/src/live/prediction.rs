//! Predicts the effect of a command: runs the domain's own `decide` and `fold` in the browser over the
//! document that is shown. The server decides again; if it decides otherwise, the prediction is rolled back.
//!
//! The browser has only the document, so it derives the state that a decision needs from it.

use std::collections::BTreeMap;

use domain::{
    access::Actor,
    aggregate::{
        inventory::{Inventory, InventoryState, ReceiveStock, ReservationOwner},
        order::{
            CancelOrder, DeliverOrder, Goods, Order, OrderCommand, OrderEvidence, OrderState, OrderStatus,
            PlaceOrder, PlacedOrder, ShipOrder,
        },
        product::{CatalogueEntry, ProductState},
    },
    decider::{Context, Decider},
    event::{DomainEvent, EventPayload, Metadata, RecordedEvent, TypedEvent},
    id::{StreamName, WorkspaceId},
    rejection::Rejection,
    view::{
        View,
        inventory::{InventoryDocument, InventoryView},
        orders::{OrderDocument, OrdersView},
        products::ProductDocument,
    },
};
use uuid::Uuid;

use super::command_queue::Pending;

/// A document to which the browser can apply a pending command before the server has answered.
pub trait Predict: Sized + Clone {
    /// The stream that commands for this document go to.
    fn stream(key: &str) -> String;

    /// The document after the command, or the rejection by the domain's rules; `None` for a command without a
    /// prediction.
    fn predict(self, command: &Pending, actor: &Actor) -> Option<Result<Self, Rejection>>;
}

impl Predict for OrderDocument {
    fn stream(key: &str) -> String {
        ["order-", key].concat()
    }

    fn predict(self, pending: &Pending, actor: &Actor) -> Option<Result<Self, Rejection>> {
        let command: OrderCommand = match pending.command.as_str() {
            "CancelOrder" => CancelOrder {
                reason: pending.data.get("reason")?.as_str()?.to_owned(),
            }
            .into(),
            "ShipOrder" => ShipOrder {}.into(),
            "DeliverOrder" => DeliverOrder {}.into(),
            _ => return None,
        };
        let state = OrderState {
            placed: Some(PlacedOrder {
                customer: self.customer.id,
                status: self.status,
                lines: self.lines.clone(),
                total: self.total.clone(),
                sold: matches!(
                    self.status,
                    OrderStatus::Confirmed | OrderStatus::Shipped | OrderStatus::Delivered
                ),
            }),
        };
        // An order that lacks a part of its goods offers no shipment; the server reads its stock itself.
        let goods = OrderEvidence::Goods(Goods::complete(&self.lines));
        let events = decide::<Order>(&state, command, pending, actor, goods)?;
        let version = self.version;
        Some(events.map(|events| fold::<OrdersView>(self, version, events, pending, actor)))
    }
}

impl Predict for InventoryDocument {
    fn stream(key: &str) -> String {
        ["inventory-", key].concat()
    }

    fn predict(self, pending: &Pending, actor: &Actor) -> Option<Result<Self, Rejection>> {
        if pending.command != "ReceiveStock" {
            return None;
        }
        let quantity = pending.data.get("quantity")?.as_u64()?;
        let command = ReceiveStock {
            quantity: u32::try_from(quantity).unwrap_or(u32::MAX),
        };
        // The document has only the sum of the reservations, which is enough for this decision.
        let mut reservations = BTreeMap::new();
        reservations.insert(String::new(), self.reserved);
        let state = InventoryState {
            on_hand: self.on_hand,
            reservations,
        };
        let owner = ReservationOwner::default();
        let events = decide::<Inventory>(&state, command.into(), pending, actor, owner)?;
        Some(events.map(|events| fold::<InventoryView>(self, 0, events, pending, actor)))
    }
}

/// The order that a `PlaceOrder` creates, with the names and prices that are shown.
pub fn predicted_order(
    order: PlaceOrder,
    products: &[ProductDocument],
    pending: &Pending,
    actor: &Actor,
) -> Result<Option<OrderDocument>, Rejection> {
    let state_of = |product: &ProductDocument| ProductState {
        listed: product.price.clone().map(|price| CatalogueEntry {
            name: product.name.clone(),
            price,
        }),
        retired: product.retired,
    };
    let products = products
        .iter()
        .map(|product| (product.sku.clone(), state_of(product)))
        .collect();
    let state = OrderState::default();
    let Some(events) = decide::<Order>(&state, order.into(), pending, actor, products) else {
        return Ok(None);
    };
    let event = events?.into_iter().next();
    let event = event.and_then(|event| typed_event(event, 1, pending, actor));
    Ok(event.and_then(|event| OrdersView::fold(None, &event)))
}

/// The events of the command; `None` if the name of its stream is invalid, in which case the command cannot
/// be sent either.
fn decide<D: Decider<Event: EventPayload>>(
    state: &D::State,
    command: D::Command,
    pending: &Pending,
    actor: &Actor,
    evidence: D::Evidence,
) -> Option<Result<Vec<DomainEvent>, Rejection>> {
    let context = Context {
        stream: pending.stream.parse().ok()?,
        now: pending.made_at,
        actor: actor.clone(),
        evidence,
    };
    let events = D::decide(state, command, &context);
    Some(events.map(|events| events.into_iter().map(EventPayload::into_domain).collect()))
}

/// The document after `events`.
fn fold<V: View>(
    document: V::Document,
    version: u64,
    events: Vec<DomainEvent>,
    pending: &Pending,
    actor: &Actor,
) -> V::Document {
    let mut after = document.clone();
    for (event, version) in events.into_iter().zip(version + 1..) {
        let Some(event) = typed_event(event, version, pending, actor) else {
            return document;
        };
        match V::fold(Some(after), &event) {
            Some(folded) => after = folded,
            None => return document,
        }
    }
    after
}

/// A predicted event. Its id is the command's key, by which a document's predicted entries are told from
/// recorded ones.
fn typed_event(event: DomainEvent, version: u64, pending: &Pending, actor: &Actor) -> Option<TypedEvent> {
    let stream: StreamName = pending.stream.parse().ok()?;
    Some(RecordedEvent {
        workspace: WorkspaceId(Uuid::nil()),
        partition: 0,
        position: 0,
        stream,
        version,
        event_id: pending.key,
        event_type: event.event_type().name.to_owned(),
        schema_version: 0,
        payload: event,
        metadata: Metadata {
            correlation_id: pending.key,
            causation_id: None,
            command_id: pending.key,
            actor: actor.reference(),
            traceparent: None,
        },
        recorded_at: pending.made_at,
        hash: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use domain::access::Role;
    use domain::aggregate::order::{LineRequest, OrderStatus};
    use domain::money::Money;
    use domain::timestamp::Timestamp;
    use serde_json::{Value, json};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::command_queue::Stage;
    use super::*;

    fn pending(command: &str, stream: &str, data: Value) -> Pending {
        Pending {
            key: Uuid::from_u128(7),
            command: command.into(),
            stream: stream.into(),
            data,
            expected: None,
            made_at: Timestamp::from_micros(1_763_756_400_000_000),
            preview: None,
            was_sent: false,
            stage: Stage::Waiting,
        }
    }

    fn actor(role: Role) -> Actor {
        Actor {
            id: Uuid::from_u128(1),
            role,
            name: "Ada".into(),
        }
    }

    fn mug() -> ProductDocument {
        ProductDocument {
            sku: "mug-01".into(),
            name: "Enamel mug".into(),
            price: Some(Money::new(1_250, "EUR")),
            available: 3,
            ..ProductDocument::default()
        }
    }

    fn order_of(sku: &str, quantity: u32) -> Result<Option<OrderDocument>, Rejection> {
        let order = PlaceOrder {
            lines: vec![LineRequest {
                sku: sku.into(),
                quantity,
            }],
            payment_method: "tok_ok".into(),
        };
        let command = pending("PlaceOrder", "order-1", json!({}));
        predicted_order(order, &[mug()], &command, &actor(Role::Customer))
    }

    #[test]
    fn an_order_is_predicted_with_the_prices_that_are_shown() {
        let order = order_of("mug-01", 2).unwrap().unwrap();
        assert_eq!((order.id.as_str(), order.status), ("1", OrderStatus::Created));
        assert_eq!(order.total, Money::new(2_500, "EUR"));
        assert_eq!(order.history[0].event_id, Uuid::from_u128(7));
        assert_eq!(
            order_of("tea-01", 1).unwrap_err().violations[0].field,
            "data.lines[0].sku"
        );
    }

    #[test]
    fn a_cancellation_is_predicted_with_its_reason_and_a_forbidden_one_is_rejected() {
        let order = order_of("mug-01", 1).unwrap().unwrap();
        let cancel = pending("CancelOrder", "order-1", json!({"reason": "changed my mind"}));
        let cancelled = order
            .clone()
            .predict(&cancel, &actor(Role::Customer))
            .unwrap()
            .unwrap();
        assert_eq!(cancelled.status, OrderStatus::Cancelled);
        assert_eq!(cancelled.reason.as_deref(), Some("changed my mind"));
        assert_eq!(cancelled.version, 2);
        let stranger = Actor {
            id: Uuid::from_u128(2),
            ..actor(Role::Customer)
        };
        let refused = order.predict(&cancel, &stranger).unwrap().unwrap_err();
        assert_eq!(refused.rule, "not-your-order");
    }

    #[test]
    fn received_stock_is_available() {
        let stock = InventoryDocument {
            sku: "mug-01".into(),
            on_hand: 5,
            reserved: 2,
            available: 3,
        };
        let receive = pending("ReceiveStock", "inventory-mug-01", json!({"quantity": 4}));
        let after = stock
            .clone()
            .predict(&receive, &actor(Role::Staff))
            .unwrap()
            .unwrap();
        assert_eq!((after.on_hand, after.reserved, after.available), (9, 2, 7));
        let nothing = pending("ReceiveStock", "inventory-mug-01", json!({"quantity": 0}));
        assert!(
            stock
                .clone()
                .predict(&nothing, &actor(Role::Staff))
                .unwrap()
                .is_err()
        );
        let other = pending("ShipStock", "inventory-mug-01", json!({}));
        assert!(stock.predict(&other, &actor(Role::Staff)).is_none());
    }
}
