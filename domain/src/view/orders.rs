//! The view `orders`, a document per order: what was ordered, where it stands, and how it came to that.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    access::Role,
    aggregate::order::{
        Customer, OrderCancelled, OrderCreated, OrderEvent, OrderLine, OrderRejected, OrderStatus,
        status_after,
    },
    event::{DomainEvent, TypedEvent},
    money::Money,
    timestamp::Timestamp,
};

/// One entry of an order's time line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What happened: the event's type.
    pub event: String,
    /// The event, for a look at the stream.
    pub event_id: Uuid,
    /// Where the order stood from then on.
    pub status: OrderStatus,
    /// In which role somebody caused it.
    pub by: Role,
    /// Why, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An order as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDocument {
    /// The key: the id part of the order's stream.
    pub id: String,
    /// Who ordered.
    pub customer: Customer,
    /// What, at which prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// How it is paid.
    pub payment_method: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it stands there, where a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// The version of its stream that this document has folded; what a careful command expects.
    pub version: u64,
    /// How it came to that, oldest first.
    pub history: Vec<HistoryEntry>,
}

/// The view `orders`.
#[derive(Debug)]
pub struct OrdersView;

impl View for OrdersView {
    const NAME: &'static str = "orders";
    const LISTINGS: &'static [&'static str] = &["all", "by_customer", "by_status"];
    type Document = OrderDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        match &event.payload {
            DomainEvent::Order(_) => vec![event.stream.id().to_owned()],
            _ => Vec::new(),
        }
    }

    fn fold(document: Option<OrderDocument>, event: &TypedEvent) -> Option<OrderDocument> {
        let DomainEvent::Order(change) = &event.payload else {
            return document;
        };
        let mut order = match (document, change) {
            (None, OrderEvent::OrderCreated(created)) => new_order(created, event),
            (document, _) => document?,
        };
        if let Some(status) = status_after(change) {
            order.status = status;
        }
        let reason = match change {
            OrderEvent::OrderRejected(OrderRejected { reason })
            | OrderEvent::OrderCancelled(OrderCancelled { reason }) => Some(reason.clone()),
            _ => None,
        };
        order.reason.clone_from(&reason);
        order.version = event.version;
        order.history.push(HistoryEntry {
            at: event.recorded_at,
            event: event.event_type.clone(),
            event_id: event.event_id,
            status: order.status,
            by: event.metadata.actor.role,
            reason,
        });
        Some(order)
    }

    fn listings(order: &OrderDocument) -> Vec<ListingEntry> {
        let sort = order.placed_at.to_string();
        vec![
            ListingEntry::new("all", sort.clone()),
            ListingEntry::grouped("by_customer", order.customer.id.to_string(), sort.clone()),
            ListingEntry::grouped("by_status", order.status.as_str(), sort),
        ]
    }

    fn owner(order: &OrderDocument) -> Option<Uuid> {
        Some(order.customer.id)
    }
}

fn new_order(created: &OrderCreated, event: &TypedEvent) -> OrderDocument {
    let OrderCreated {
        customer,
        lines,
        total,
        payment_method,
    } = created.clone();
    OrderDocument {
        id: event.stream.id().to_owned(),
        customer,
        lines,
        total,
        payment_method,
        status: OrderStatus::Created,
        reason: None,
        placed_at: event.recorded_at,
        version: event.version,
        history: Vec::new(),
    }
}
