//! The view `orders`, a document per order: what was ordered, where it stands, and how it came to that, with what happened
//! to its stock and its payment.
//!
//! These are other streams, perhaps on other partitions, so what happened to them may be folded before the order itself. It
//! is kept in a document of version 0, which is nobody's, in no listing, and so shown to nobody
//! ([`crate::access::Actor::may_read_document`]), until the order's first event makes it whole.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    access::Role,
    aggregate::{
        inventory::{InventoryEvent, StockReservationFailed},
        order::{
            Customer, OrderCancelled, OrderCreated, OrderEvent, OrderLine, OrderRejected, OrderStatus,
            status_after,
        },
        payment::{PaymentEvent, PaymentFailed, PaymentRefunded},
    },
    event::{DomainEvent, TypedEvent},
    id::MAX_STREAM_NAME,
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
    /// The stream that it happened to: the order's, an inventory's or the payment's.
    #[serde(default)]
    pub stream: String,
    /// The event that caused it; absent where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<Uuid>,
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
    /// The version of its stream that this document has folded; what a careful command expects. 0 where the order itself
    /// was not folded yet.
    pub version: u64,
    /// How it came to that, oldest first; by time and then by event.
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
        order_of(event).map(str::to_owned).into_iter().collect()
    }

    fn fold(document: Option<OrderDocument>, event: &TypedEvent) -> Option<OrderDocument> {
        let key = order_of(event)?;
        let mut order = document.unwrap_or_else(|| not_yet(key));
        if let DomainEvent::Order(change) = &event.payload {
            if let OrderEvent::OrderCreated(created) = change {
                order.place(created, event);
            }
            order.status = status_after(change);
            order.reason = reason_of(event);
            order.version = event.version;
        }
        order.enter(event);
        Some(order)
    }

    fn listings(order: &OrderDocument) -> Vec<ListingEntry> {
        if order.version == 0 {
            return Vec::new();
        }
        let sort = order.placed_at.to_string();
        vec![
            ListingEntry::new("all", sort.clone()),
            ListingEntry::grouped("by_customer", order.customer.id.to_string(), sort.clone()),
            ListingEntry::grouped("by_status", order.status.as_str(), sort),
        ]
    }

    fn owner(order: &OrderDocument) -> Option<Uuid> {
        (order.version > 0).then_some(order.customer.id)
    }
}

/// The order that an event is about. What was promised to a longer name than a stream can have, before orders' ids were
/// checked, was promised to none; and as the key of a document it would not fit into a database's index.
pub fn order_of(event: &TypedEvent) -> Option<&str> {
    match &event.payload {
        DomainEvent::Order(_) | DomainEvent::Payment(_) => Some(event.stream.id()),
        DomainEvent::Inventory(change) => change.order().filter(|order| order.len() <= MAX_STREAM_NAME),
        _ => None,
    }
}

/// What is kept of an order before its first event.
fn not_yet(key: &str) -> OrderDocument {
    OrderDocument {
        id: key.to_owned(),
        customer: Customer {
            id: Uuid::nil(),
            name: String::new(),
        },
        lines: Vec::new(),
        total: Money::new(0, ""),
        payment_method: String::new(),
        status: OrderStatus::Created,
        reason: None,
        placed_at: Timestamp::default(),
        version: 0,
        history: Vec::new(),
    }
}

/// Why it happened, where the event says so.
fn reason_of(event: &TypedEvent) -> Option<String> {
    match &event.payload {
        DomainEvent::Order(
            OrderEvent::OrderRejected(OrderRejected { reason, .. })
            | OrderEvent::OrderCancelled(OrderCancelled { reason, .. }),
        )
        | DomainEvent::Payment(
            PaymentEvent::PaymentFailed(PaymentFailed { reason, .. })
            | PaymentEvent::PaymentRefunded(PaymentRefunded { reason, .. }),
        ) => Some(reason.clone()),
        DomainEvent::Inventory(InventoryEvent::StockReservationFailed(StockReservationFailed {
            requested,
            available,
            ..
        })) => Some(format!("{requested} wanted, {available} available")),
        _ => None,
    }
}

impl OrderDocument {
    fn place(&mut self, created: &OrderCreated, event: &TypedEvent) {
        let OrderCreated {
            customer,
            lines,
            total,
            payment_method,
        } = created.clone();
        self.customer = customer;
        self.lines = lines;
        self.total = total;
        self.payment_method = payment_method;
        self.placed_at = event.recorded_at;
    }

    /// Puts an event into the time line, and says of every entry where the order stood from then on.
    fn enter(&mut self, event: &TypedEvent) {
        let entry = HistoryEntry {
            at: event.recorded_at,
            event: event.event_type.clone(),
            event_id: event.event_id,
            status: self.status,
            by: event.metadata.actor.role,
            reason: reason_of(event),
            stream: event.stream.to_string(),
            caused_by: event.metadata.causation_id,
        };
        let place = |entry: &HistoryEntry| (entry.at, entry.event_id);
        let index = self
            .history
            .partition_point(|before| place(before) <= place(&entry));
        self.history.insert(index, entry);
        let mut status = OrderStatus::Created;
        let mut reserved: i64 = 0;
        let lines = i64::try_from(self.lines.len()).unwrap_or(i64::MAX);
        for entry in &mut self.history {
            match entry.event.as_str() {
                "StockReserved" => reserved += 1,
                "StockReleased" | "StockShipped" => reserved -= 1,
                "OrderConfirmed" => status = OrderStatus::Confirmed,
                "OrderRejected" => status = OrderStatus::Rejected,
                "OrderCancelled" => status = OrderStatus::Cancelled,
                "OrderShipped" => status = OrderStatus::Shipped,
                "OrderDelivered" => status = OrderStatus::Delivered,
                _ => {}
            }
            let is_reserved = status == OrderStatus::Created && lines > 0 && reserved >= lines;
            entry.status = if is_reserved {
                OrderStatus::Reserved
            } else {
                status
            };
        }
        if matches!(self.status, OrderStatus::Created | OrderStatus::Reserved) {
            let is_reserved = lines > 0 && reserved >= lines;
            self.status = if is_reserved {
                OrderStatus::Reserved
            } else {
                OrderStatus::Created
            };
        }
    }
}
