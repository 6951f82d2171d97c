//! Shared test support: workspaces, events of a shop, users, and a document store with observed writes.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a failed preparation fails the test"
)]

mod hops;
pub mod observed_store;
pub mod plaintext_opener;

use clock::{Clock as _, SystemClock};
use domain::{
    access::{Actor, Role},
    aggregate::{
        inventory::{InventoryEvent, StockReceived, StockReserved},
        order::{Customer, OrderCancelled, OrderConfirmed, OrderCreated, OrderEvent, OrderLine},
        product::{PriceChanged, ProductEvent, ProductListed, ProductRetired},
    },
    event::{DomainEvent, EventPayload, Metadata},
    id::WorkspaceId,
    money::Money,
    wire::Template,
};
use event_store::{Append, AppendAnswer, EventStore, Expected, NewEvent, StreamAppend, Workspace};
use uuid::Uuid;

pub use hops::RecordedHops;

/// Opens a workspace.
pub async fn open_workspace(store: &dyn EventStore, shards: u32) -> WorkspaceId {
    let id = WorkspaceId(SystemClock.new_id());
    let workspace = Workspace {
        id,
        name: "Test".into(),
        template: Template::Empty,
        shards,
        join_code: id.to_string(),
        created_at: SystemClock.now(),
    };
    assert!(store.create_workspace(&workspace).await.unwrap());
    id
}

/// Appends events to a stream of a workspace.
pub async fn append(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    stream: &str,
    events: &[DomainEvent],
) -> AppendAnswer {
    let new = |event: &DomainEvent| NewEvent {
        event_id: SystemClock.new_id(),
        event_type: event.event_type().name.to_owned(),
        schema_version: event.event_type().schema_version,
        payload: payload(event),
    };
    let append = Append {
        workspace,
        body_digest: [0; 32],
        streams: vec![StreamAppend {
            stream: stream.parse().unwrap(),
            expected: Expected::Any,
            events: events.iter().map(new).collect(),
        }],
        max_events: None,
        metadata: Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: educator().reference(),
            traceparent: None,
        },
    };
    store.append(append).await.unwrap()
}

fn payload(event: &DomainEvent) -> Box<serde_json::value::RawValue> {
    event.encode().unwrap()
}

/// An educator, who may read everything.
pub fn educator() -> Actor {
    Actor {
        id: Uuid::from_u128(1),
        role: Role::Educator,
        name: "Grace".into(),
    }
}

/// A customer.
pub fn customer(n: u128) -> Actor {
    Actor {
        id: Uuid::from_u128(100 + n),
        role: Role::Customer,
        name: "Ada".into(),
    }
}

/// A product is listed.
pub fn listed(sku: &str, name: &str) -> DomainEvent {
    let listed = ProductListed {
        sku: sku.into(),
        name: name.into(),
        description: "Holds coffee.".into(),
        price: Money::new(900, "EUR"),
        tags: vec!["kitchen".into(), "kitchen".into()],
    };
    ProductEvent::from(listed).into_domain()
}

/// A product's price changes.
pub fn price(amount: i64) -> DomainEvent {
    ProductEvent::from(PriceChanged {
        price: Money::new(amount, "EUR"),
    })
    .into_domain()
}

/// A product is retired.
pub fn retired() -> DomainEvent {
    ProductEvent::from(ProductRetired {}).into_domain()
}

/// Stock is received.
pub fn received(quantity: u32) -> DomainEvent {
    InventoryEvent::from(StockReceived { quantity }).into_domain()
}

/// Stock is reserved.
pub fn reserved(quantity: u32) -> DomainEvent {
    reserved_for("1", quantity)
}

/// Stock is reserved for an order.
pub fn reserved_for(order: &str, quantity: u32) -> DomainEvent {
    InventoryEvent::from(StockReserved {
        order: order.into(),
        quantity,
    })
    .into_domain()
}

/// A customer places an order.
pub fn created(customer: &Actor) -> DomainEvent {
    let created = OrderCreated {
        customer: Customer {
            id: customer.id,
            name: customer.name.clone(),
        },
        lines: vec![a_mug()],
        total: Money::new(900, "EUR"),
        payment_method: "tok_ok".into(),
    };
    OrderEvent::from(created).into_domain()
}

fn a_mug() -> OrderLine {
    OrderLine {
        sku: "mug-1".into(),
        name: "Mug".into(),
        price: Money::new(900, "EUR"),
        quantity: 1,
    }
}

/// An order is confirmed.
pub fn confirmed() -> DomainEvent {
    let confirmed = OrderConfirmed {
        customer: customer(1).id,
        lines: vec![a_mug()],
        total: Money::new(900, "EUR"),
    };
    OrderEvent::from(confirmed).into_domain()
}

/// An order is cancelled.
pub fn cancelled() -> DomainEvent {
    OrderEvent::from(OrderCancelled {
        customer: customer(1).id,
        reason: "changed my mind".into(),
        sold: None,
    })
    .into_domain()
}
