//! The view `orders`, one document per order: lines, status and timeline, including the events of its stock
//! and its payment.
//!
//! Stock and payment are other streams, possibly on other partitions, so their events may be folded before
//! the order itself. Until the order's first event is folded, they are in a document of version 0, which has
//! no owner and no listing entry, and is not readable ([`crate::access::Actor::may_read_document`]).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    access::Role,
    aggregate::{
        inventory::{InventoryEvent, StockReservationFailed},
        order::{
            Customer, OrderCancelled, OrderCreated, OrderEvent, OrderLine, OrderRefunded, OrderRejected,
            OrderStatus, status_after,
        },
        payment::{PaymentEvent, PaymentFailed, PaymentRefunded},
    },
    event::{DomainEvent, TypedEvent},
    id::MAX_STREAM_NAME,
    money::Money,
    reason::Reason,
    timestamp::Timestamp,
};

/// One entry of an order's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The time of the event.
    pub at: Timestamp,
    /// The event's type.
    pub event: String,
    /// The event's id.
    pub event_id: Uuid,
    /// The order's status after the event.
    pub status: OrderStatus,
    /// The role of the actor.
    pub by: Role,
    /// The reason, if the event has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The event's stream: the order's, an inventory's or the payment's.
    #[serde(default)]
    pub stream: String,
    /// The event that caused it; absent if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<Uuid>,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDocument {
    /// The key: the id part of the order's stream.
    pub id: String,
    /// The customer.
    pub customer: Customer,
    /// The lines, with their prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// The payment method.
    pub payment_method: String,
    /// The status.
    pub status: OrderStatus,
    /// The reason of the status, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The time at which it was placed.
    pub placed_at: Timestamp,
    /// The folded version of the order's stream, which a command may expect; 0 before the order's first
    /// event.
    pub version: u64,
    /// The timeline, oldest first: by time, then by event id.
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
        let mut order = document.unwrap_or_else(|| unplaced(key));
        if let DomainEvent::Order(change) = &event.payload {
            if let OrderEvent::OrderCreated(created) = change {
                order.place(created, event);
            }
            order.status = status_after(change);
            order.reason = reason_of(event);
            order.version = event.version;
        }
        order.add_entry(event);
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

/// The order of an event. Old reservations for a name longer than a stream name belong to no order, and such
/// a key would exceed a database's index.
pub fn order_of(event: &TypedEvent) -> Option<&str> {
    match &event.payload {
        DomainEvent::Order(_) | DomainEvent::Payment(_) => Some(event.stream.id()),
        DomainEvent::Inventory(change) => change.order().filter(|order| order.len() <= MAX_STREAM_NAME),
        _ => None,
    }
}

/// The document before the order's first event.
fn unplaced(key: &str) -> OrderDocument {
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

/// The reason of an event, if it has one.
fn reason_of(event: &TypedEvent) -> Option<String> {
    match &event.payload {
        DomainEvent::Order(
            OrderEvent::OrderRejected(OrderRejected { reason, .. })
            | OrderEvent::OrderCancelled(OrderCancelled { reason, .. })
            | OrderEvent::OrderRefunded(OrderRefunded { reason, .. }),
        )
        | DomainEvent::Payment(
            PaymentEvent::PaymentFailed(PaymentFailed { reason, .. })
            | PaymentEvent::PaymentRefunded(PaymentRefunded { reason, .. }),
        ) => Some(reason.clone()),
        DomainEvent::Inventory(InventoryEvent::StockReservationFailed(StockReservationFailed {
            requested,
            available,
            ..
        })) => {
            let (requested, available) = (*requested, *available);
            Some(Reason::NotAvailable { requested, available }.to_string())
        }
        _ => None,
    }
}

impl OrderDocument {
    /// Whether the shop can ship it: it is confirmed, stock is reserved for each line, and the payment
    /// stands.
    /// The server decides by the streams of stock and payment, which may be newer than this document.
    pub fn can_be_shipped(&self) -> bool {
        let (mut reserved, mut is_paid) = (0_usize, false);
        for entry in &self.history {
            match entry.event.as_str() {
                "StockReserved" => reserved += 1,
                "StockReleased" | "StockShipped" => reserved = reserved.saturating_sub(1),
                "PaymentProcessed" => is_paid = true,
                "PaymentRefunded" => is_paid = false,
                _ => {}
            }
        }
        self.status == OrderStatus::Confirmed && is_paid && reserved >= self.lines.len()
    }

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

    /// Adds an event to the timeline, and recomputes the status of all entries.
    fn add_entry(&mut self, event: &TypedEvent) {
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
        let sort_key = |entry: &HistoryEntry| (entry.at, entry.event_id);
        let index = self
            .history
            .partition_point(|before| sort_key(before) <= sort_key(&entry));
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
                "OrderRefunded" => status = OrderStatus::Refunded,
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
