//! `order-<id>`: an order with the names and prices at the time it was placed, and its status.
//!
//! An order is shipped only while its goods are reserved for it and its payment stands. Fulfilment alone
//! confirms it, and moves its stock.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    access::{Actor, Role},
    command_types,
    decider::{Context, Decider},
    id::{MAX_STREAM_NAME, StreamName, category},
    money::Money,
    payment_method::require_method,
    rejection::{Rejection, Violations},
    visible_text,
};

mod catalogue;
mod events;
mod evidence;

pub use catalogue::ProductCatalogue;
pub use events::{
    Customer, OrderCancelled, OrderCancelledV1, OrderConfirmed, OrderConfirmedV1, OrderCreated,
    OrderDelivered, OrderDeliveredV1, OrderEvent, OrderLine, OrderRefunded, OrderRejected, OrderRejectedV1,
    OrderShipped, OrderShippedV1, Sold,
};
pub use evidence::{Goods, NOT_PAID, NOT_RESERVED, OrderEvidence};

/// The maximum number of lines of an order.
pub const MAX_LINES: usize = 50;
/// The maximum quantity of one line.
pub const MAX_LINE_QUANTITY: u32 = 999;
/// The maximum length of a reason, in characters.
pub const MAX_REASON: usize = 280;

/// One line of an order that is being placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LineRequest {
    /// The product.
    pub sku: String,
    /// 1 to [`MAX_LINE_QUANTITY`].
    pub quantity: u32,
}

/// Places an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceOrder {
    /// 1 to [`MAX_LINES`] lines, each with a different SKU.
    pub lines: Vec<LineRequest>,
    /// The payment provider's token for the method, such as `tok_ok`.
    pub payment_method: String,
}

impl PlaceOrder {
    /// The distinct SKUs of its lines: the products that the decision needs.
    pub fn skus(&self) -> BTreeSet<&str> {
        self.lines
            .iter()
            .take(MAX_LINES)
            .map(|line| line.sku.as_str())
            .collect()
    }
}

/// Confirms that stock is reserved and the payment is processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfirmOrder {}

/// Rejects an order that cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectOrder {
    /// The reason, worded for the customer.
    pub reason: String,
}

/// Cancels the order before it is shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelOrder {
    /// The reason; 1 to [`MAX_REASON`] characters.
    pub reason: String,
}

/// Ships the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShipOrder {}

/// Marks the order as delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliverOrder {}

/// Ends a confirmed order whose payment was refunded, whether or not it was shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefundOrder {
    /// The reason of the refund; 1 to [`MAX_REASON`] characters.
    pub reason: String,
}

command_types! {
    /// The commands of an order.
    pub enum OrderCommand {
        PlaceOrder, ConfirmOrder, RejectOrder, CancelOrder, ShipOrder, DeliverOrder, RefundOrder
    }
}

/// The status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderStatus {
    /// Placed; stock and payment are open.
    Created,
    /// The stock of all lines is reserved.
    Reserved,
    /// The stock is reserved and the payment is processed.
    Confirmed,
    /// It could not be fulfilled.
    Rejected,
    /// It was cancelled.
    Cancelled,
    /// It was shipped.
    Shipped,
    /// It was delivered.
    Delivered,
    /// Its payment was refunded after it was confirmed.
    Refunded,
}

impl OrderStatus {
    /// The name on the wire, and the group in the listing `by_status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Refunded => "refunded",
        }
    }

    /// Whether the order can still be cancelled.
    pub const fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Created | Self::Reserved | Self::Confirmed)
    }
}

/// The state for decisions about an order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderState {
    /// `None` before the order is placed.
    pub placed: Option<PlacedOrder>,
}

/// The state of a placed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedOrder {
    /// The customer who placed it.
    pub customer: Uuid,
    /// Its status.
    pub status: OrderStatus,
    /// The lines, with their prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// Whether it counts as sold: confirmed with its lines, and neither cancelled nor refunded since.
    pub sold: bool,
}

impl PlacedOrder {
    /// The sale that a cancellation or a refund reverses; `None` if the order does not count as sold.
    fn reversed_sale(&self) -> Option<Sold> {
        self.sold.then(|| Sold {
            lines: self.lines.clone(),
            total: self.total.clone(),
        })
    }
}

/// The order aggregate. A decision to place an order sees the products of its lines, and one to ship it its
/// goods.
#[derive(Debug)]
pub struct Order;

impl Decider for Order {
    const CATEGORY: &'static str = category::ORDER;
    // 2: the state has the lines and the total, so that later events can carry them.
    const SNAPSHOT_VERSION: u32 = 2;
    type State = OrderState;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Evidence = OrderEvidence;

    fn decide(
        state: &OrderState,
        command: OrderCommand,
        context: &Context<OrderEvidence>,
    ) -> Result<Vec<OrderEvent>, Rejection> {
        if let OrderCommand::PlaceOrder(order) = command {
            return place(state, order, context);
        }
        let Some(placed) = &state.placed else {
            return Err(Rejection::new("order-not-found", "there is no such order"));
        };
        match command {
            OrderCommand::PlaceOrder(_) => Ok(Vec::new()),
            OrderCommand::ConfirmOrder(_) => match placed.status {
                OrderStatus::Created | OrderStatus::Reserved => Ok(vec![
                    OrderConfirmed {
                        customer: placed.customer,
                        lines: placed.lines.clone(),
                        total: placed.total.clone(),
                    }
                    .into(),
                ]),
                OrderStatus::Confirmed => Ok(Vec::new()),
                status => Err(out_of_turn("confirmed", status)),
            },
            OrderCommand::RejectOrder(RejectOrder { reason }) => match placed.status {
                OrderStatus::Created | OrderStatus::Reserved => {
                    require_reason(&reason, &context.actor)?;
                    Ok(vec![
                        OrderRejected {
                            customer: placed.customer,
                            reason,
                        }
                        .into(),
                    ])
                }
                OrderStatus::Rejected => Ok(Vec::new()),
                status => Err(out_of_turn("rejected", status)),
            },
            OrderCommand::CancelOrder(CancelOrder { reason }) => cancel(placed, reason, &context.actor),
            OrderCommand::ShipOrder(_) => match placed.status {
                OrderStatus::Confirmed => {
                    context.evidence.require_goods(&placed.lines)?;
                    Ok(vec![
                        OrderShipped {
                            customer: placed.customer,
                        }
                        .into(),
                    ])
                }
                status => Err(out_of_turn("shipped", status)),
            },
            OrderCommand::DeliverOrder(_) => match placed.status {
                OrderStatus::Shipped => Ok(vec![
                    OrderDelivered {
                        customer: placed.customer,
                    }
                    .into(),
                ]),
                status => Err(out_of_turn("delivered", status)),
            },
            OrderCommand::RefundOrder(RefundOrder { reason }) => refund(placed, reason, &context.actor),
        }
    }

    fn evolve(mut state: OrderState, event: &OrderEvent) -> OrderState {
        if let OrderEvent::OrderCreated(created) = event {
            state.placed = Some(PlacedOrder {
                customer: created.customer.id,
                status: OrderStatus::Created,
                lines: created.lines.clone(),
                total: created.total.clone(),
                sold: false,
            });
            return state;
        }
        let Some(placed) = &mut state.placed else {
            return state;
        };
        placed.status = status_after(event);
        match event {
            // Version 1 has no lines, so nothing counts as sold, and a cancellation has nothing to reverse.
            OrderEvent::OrderConfirmed(confirmed) => placed.sold = !confirmed.lines.is_empty(),
            OrderEvent::OrderCancelled(_) | OrderEvent::OrderRefunded(_) => placed.sold = false,
            _ => {}
        }
        state
    }
}

/// The status that an event gives its order.
pub const fn status_after(event: &OrderEvent) -> OrderStatus {
    match event {
        OrderEvent::OrderCreated(_) => OrderStatus::Created,
        OrderEvent::OrderConfirmed(_) => OrderStatus::Confirmed,
        OrderEvent::OrderRejected(_) => OrderStatus::Rejected,
        OrderEvent::OrderCancelled(_) => OrderStatus::Cancelled,
        OrderEvent::OrderShipped(_) => OrderStatus::Shipped,
        OrderEvent::OrderDelivered(_) => OrderStatus::Delivered,
        OrderEvent::OrderRefunded(_) => OrderStatus::Refunded,
    }
}

fn place(
    state: &OrderState,
    order: PlaceOrder,
    context: &Context<OrderEvidence>,
) -> Result<Vec<OrderEvent>, Rejection> {
    if state.placed.is_some() {
        return Err(Rejection::new(
            "order-already-placed",
            "this order has been placed already",
        ));
    }
    let mut violations = Violations::default();
    let category = category::PAYMENT;
    violations.require(
        StreamName::new(category, context.stream.id()).is_ok(),
        "stream",
        format!(
            "has an id of at most {} characters, so that the stream of its payment has a name too",
            MAX_STREAM_NAME.saturating_sub(category.len() + 1)
        ),
    );
    violations.require_name_in_urls(&context.stream);
    let count = order.lines.len();
    violations.require(
        (1..=MAX_LINES).contains(&count),
        "data.lines",
        format!("has 1 to {MAX_LINES} lines"),
    );
    require_method(&mut violations, &order.payment_method, "data.payment_method");
    let (mut lines, mut total): (Vec<OrderLine>, Option<Money>) = (Vec::new(), None);
    for (n, LineRequest { sku, quantity }) in order.lines.into_iter().take(MAX_LINES).enumerate() {
        let valid = (1..=MAX_LINE_QUANTITY).contains(&quantity);
        violations.require(
            valid,
            format!("data.lines[{n}].quantity"),
            format!("is 1 to {MAX_LINE_QUANTITY}"),
        );
        let repeated = lines.iter().any(|line| line.sku == sku);
        violations.require(
            !repeated,
            format!("data.lines[{n}].sku"),
            "is on another line already",
        );
        let Some(listed) = context.evidence.on_sale(&sku) else {
            violations.require(false, format!("data.lines[{n}].sku"), "is not a product on sale");
            continue;
        };
        let price = listed.price.times(quantity);
        let sum = match (total.take(), price) {
            (None, price) => price,
            (Some(total), Some(price)) => total.plus(&price),
            (Some(_), None) => None,
        };
        violations.require(
            sum.is_some(),
            format!("data.lines[{n}]"),
            "has the currency of the other lines",
        );
        total = sum;
        lines.push(OrderLine {
            sku,
            name: listed.name.clone(),
            price: listed.price.clone(),
            quantity,
        });
    }
    violations.finish()?;
    let Some(total) = total else {
        return Err(Rejection::new("order-without-total", "the order has no total"));
    };
    // The name is that of a token, which may be older than the rules of names.
    let customer = Customer {
        id: context.actor.id,
        name: visible_text::one_line(&context.actor.name).into_owned(),
    };
    Ok(vec![
        OrderCreated {
            customer,
            lines,
            total,
            payment_method: order.payment_method,
        }
        .into(),
    ])
}

fn cancel(placed: &PlacedOrder, reason: String, actor: &Actor) -> Result<Vec<OrderEvent>, Rejection> {
    if !actor.role.runs_shop() && placed.customer != actor.id {
        return Err(Rejection::new(
            "not-your-order",
            "only the customer or the shop can cancel an order",
        ));
    }
    require_reason(&reason, actor)?;
    match placed.status {
        status if status.can_be_cancelled() => Ok(vec![
            OrderCancelled {
                customer: placed.customer,
                reason,
                sold: placed.reversed_sale(),
            }
            .into(),
        ]),
        OrderStatus::Cancelled => Ok(Vec::new()),
        status => Err(out_of_turn("cancelled", status)),
    }
}

/// A rejected or cancelled order has nothing more to reverse: its own event did that.
fn refund(placed: &PlacedOrder, reason: String, actor: &Actor) -> Result<Vec<OrderEvent>, Rejection> {
    require_reason(&reason, actor)?;
    match placed.status {
        OrderStatus::Confirmed | OrderStatus::Shipped | OrderStatus::Delivered => Ok(vec![
            OrderRefunded {
                customer: placed.customer,
                reason,
                sold: placed.reversed_sale(),
            }
            .into(),
        ]),
        OrderStatus::Rejected | OrderStatus::Cancelled | OrderStatus::Refunded => Ok(Vec::new()),
        status @ (OrderStatus::Created | OrderStatus::Reserved) => Err(out_of_turn("refunded", status)),
    }
}

/// A policy passes on texts of stored events, and what it began must end: only the length of its reasons is
/// checked.
fn require_reason(reason: &str, actor: &Actor) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    if actor.role == Role::System {
        violations.require_text(reason, MAX_REASON, "data.reason");
    } else {
        violations.require_prose(reason, MAX_REASON, "data.reason");
    }
    violations.finish()
}

/// The rule that the order's status does not allow a command.
pub const OUT_OF_TURN: &str = "order-out-of-turn";

/// The beginning of the sentence about [`OUT_OF_TURN`], before the status.
const BEFORE_STATUS: &str = "an order that is ";

fn out_of_turn(wanted: &str, status: OrderStatus) -> Rejection {
    let status = status.as_str();
    Rejection::new(OUT_OF_TURN, format!("{BEFORE_STATUS}{status} cannot be {wanted}"))
}

/// The status that a rejection by [`OUT_OF_TURN`] names, for interfaces that word it in another language.
pub fn status_of_rejection(detail: &str) -> Option<OrderStatus> {
    let word = detail.strip_prefix(BEFORE_STATUS)?.split(' ').next()?;
    serde_json::from_value(word.into()).ok()
}

#[cfg(test)]
mod tests;
