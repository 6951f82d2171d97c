//! What can have happened to an order, and how what was written before reads today.
//!
//! Every event carries whose order it is, so that a view, a notification or a process needs no other event to act on it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{event_types, money::Money};

/// Who ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Customer {
    /// Their user id.
    pub id: Uuid,
    /// The name they go by in the workspace.
    pub name: String,
}

/// One line, with name and price at the moment of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderLine {
    /// Which product.
    pub sku: String,
    /// Its name then.
    pub name: String,
    /// The price of one then.
    pub price: Money,
    /// How many.
    pub quantity: u32,
}

/// Somebody ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCreated {
    /// Who.
    pub customer: Customer,
    /// What, at which prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// How they will pay.
    pub payment_method: String,
}

/// Goods and money are secured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderConfirmed {
    /// Whose order it is; nil where version 1 did not say.
    pub customer: Uuid,
    /// What is sold; empty where version 1 did not say.
    pub lines: Vec<OrderLine>,
    /// For how much; nothing of no currency where version 1 did not say.
    pub total: Money,
}

/// It cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderRejected {
    /// Whose order it is; nil where version 1 did not say.
    pub customer: Uuid,
    /// Why.
    pub reason: String,
}

/// What had been sold, and is not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sold {
    /// The lines, as they were confirmed.
    pub lines: Vec<OrderLine>,
    /// Their sum.
    pub total: Money,
}

/// It was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelled {
    /// Whose order it is; nil where version 1 did not say.
    pub customer: Uuid,
    /// Why.
    pub reason: String,
    /// What it takes back, where it had been confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold: Option<Sold>,
}

/// The goods are on their way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderShipped {
    /// Whose order it is; nil where version 1 did not say.
    pub customer: Uuid,
}

/// The goods arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderDelivered {
    /// Whose order it is; nil where version 1 did not say.
    pub customer: Uuid,
}

/// Version 1 of [`OrderConfirmed`], which did not say whose order it is.
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

/// Version 1 of [`OrderRejected`], which did not say whose order it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderRejectedV1 {
    /// Why.
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

/// Version 1 of [`OrderCancelled`], which did not say whose order it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelledV1 {
    /// Why.
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

/// Version 1 of [`OrderShipped`], which did not say whose order it is.
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

/// Version 1 of [`OrderDelivered`], which did not say whose order it is.
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
    /// What can have happened to an order.
    pub enum OrderEvent {
        OrderCreated: 1,
        OrderConfirmed: 2 from [OrderConfirmedV1: 1 => OrderConfirmed],
        OrderRejected: 2 from [OrderRejectedV1: 1 => OrderRejected],
        OrderCancelled: 2 from [OrderCancelledV1: 1 => OrderCancelled],
        OrderShipped: 2 from [OrderShippedV1: 1 => OrderShipped],
        OrderDelivered: 2 from [OrderDeliveredV1: 1 => OrderDelivered],
    }
}
