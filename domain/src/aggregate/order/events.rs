//! The events of an order, and the upcasts of their older versions.
//!
//! Every event carries the order's customer, so that a view, a notification or a process can handle it
//! without other events.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{event_types, money::Money};

/// The customer of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Customer {
    /// The user id.
    pub id: Uuid,
    /// The display name in the workspace.
    pub name: String,
}

/// One line, with name and price at the time of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderLine {
    /// The product.
    pub sku: String,
    /// Its name at that time.
    pub name: String,
    /// The price of one unit at that time.
    pub price: Money,
    /// The number of units.
    pub quantity: u32,
}

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCreated {
    /// The customer.
    pub customer: Customer,
    /// The lines, with their prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// The payment method.
    pub payment_method: String,
}

/// The stock is reserved and the payment is processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderConfirmed {
    /// The customer; nil for events of version 1.
    pub customer: Uuid,
    /// The sold lines; empty for events of version 1.
    pub lines: Vec<OrderLine>,
    /// The total; zero without a currency for events of version 1.
    pub total: Money,
}

/// The order cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderRejected {
    /// The customer; nil for events of version 1.
    pub customer: Uuid,
    /// The reason.
    pub reason: String,
}

/// The part of a sale that a cancellation or a refund reverses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sold {
    /// The confirmed lines.
    pub lines: Vec<OrderLine>,
    /// Their sum.
    pub total: Money,
}

/// The order was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelled {
    /// The customer; nil for events of version 1.
    pub customer: Uuid,
    /// The reason.
    pub reason: String,
    /// The reversed sale, if the order had been confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold: Option<Sold>,
}

/// The order was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderShipped {
    /// The customer; nil for events of version 1.
    pub customer: Uuid,
}

/// The order was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderDelivered {
    /// The customer; nil for events of version 1.
    pub customer: Uuid,
}

/// The payment of a confirmed order was refunded, before or after it was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderRefunded {
    /// The customer.
    pub customer: Uuid,
    /// The reason.
    pub reason: String,
    /// The reversed sale; absent if the confirmation, of version 1, had no lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold: Option<Sold>,
}

/// Version 1 of [`OrderConfirmed`], which had no customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderConfirmedV1 {}

impl From<OrderConfirmedV1> for OrderConfirmed {
    fn from(_: OrderConfirmedV1) -> Self {
        Self {
            customer: Uuid::nil(),
            lines: Vec::new(),
            total: Money::new(0, ""),
        }
    }
}

/// Version 1 of [`OrderRejected`], which had no customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderRejectedV1 {
    /// The reason.
    pub reason: String,
}

impl From<OrderRejectedV1> for OrderRejected {
    fn from(old: OrderRejectedV1) -> Self {
        Self {
            customer: Uuid::nil(),
            reason: old.reason,
        }
    }
}

/// Version 1 of [`OrderCancelled`], which had no customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelledV1 {
    /// The reason.
    pub reason: String,
}

impl From<OrderCancelledV1> for OrderCancelled {
    fn from(old: OrderCancelledV1) -> Self {
        Self {
            customer: Uuid::nil(),
            reason: old.reason,
            sold: None,
        }
    }
}

/// Version 1 of [`OrderShipped`], which had no customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderShippedV1 {}

impl From<OrderShippedV1> for OrderShipped {
    fn from(_: OrderShippedV1) -> Self {
        Self {
            customer: Uuid::nil(),
        }
    }
}

/// Version 1 of [`OrderDelivered`], which had no customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderDeliveredV1 {}

impl From<OrderDeliveredV1> for OrderDelivered {
    fn from(_: OrderDeliveredV1) -> Self {
        Self {
            customer: Uuid::nil(),
        }
    }
}

event_types! {
    /// The events of an order.
    pub enum OrderEvent {
        OrderCreated: 1,
        OrderConfirmed: 2 from [OrderConfirmedV1: 1 => OrderConfirmed],
        OrderRejected: 2 from [OrderRejectedV1: 1 => OrderRejected],
        OrderCancelled: 2 from [OrderCancelledV1: 1 => OrderCancelled],
        OrderShipped: 2 from [OrderShippedV1: 1 => OrderShipped],
        OrderDelivered: 2 from [OrderDeliveredV1: 1 => OrderDelivered],
        OrderRefunded: 1,
    }
}
