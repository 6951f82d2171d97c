//! `order-<id>`: what a customer wants to buy, at the names and prices of that moment, and what becomes of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    access::Actor,
    command_types,
    decider::{Context, Decider},
    id::{MAX_STREAM_NAME, StreamName, category},
    money::Money,
    payment_method::require_method,
    rejection::{Rejection, Violations},
};

mod catalogue;
mod events;

pub use catalogue::ProductCatalogue;
pub use events::{
    Customer, OrderCancelled, OrderCancelledV1, OrderConfirmed, OrderConfirmedV1, OrderCreated,
    OrderDelivered, OrderDeliveredV1, OrderEvent, OrderLine, OrderRejected, OrderRejectedV1, OrderShipped,
    OrderShippedV1, Sold,
};

/// The most lines of an order.
pub const MAX_LINES: usize = 50;
/// The most of one product in an order.
pub const MAX_LINE_QUANTITY: u32 = 999;
/// The longest reason, in characters.
pub const MAX_REASON: usize = 280;

/// One line of an order that is being placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRequest {
    /// Which product.
    pub sku: String,
    /// 1 to [`MAX_LINE_QUANTITY`].
    pub quantity: u32,
}

/// Buys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// 1 to [`MAX_LINES`], no sku twice.
    pub lines: Vec<LineRequest>,
    /// The payment provider's token for the method: `tok_ok` and its siblings.
    pub payment_method: String,
}

impl PlaceOrder {
    /// The skus of its lines, each once: the products that the decision sees.
    pub fn skus(&self) -> BTreeSet<&str> {
        self.lines
            .iter()
            .take(MAX_LINES)
            .map(|line| line.sku.as_str())
            .collect()
    }
}

/// Says that goods and money are secured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmOrder {}

/// Says that it cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectOrder {
    /// Why, for the customer to read.
    pub reason: String,
}

/// Takes the order back, before it is shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    /// Why; 1 to [`MAX_REASON`] characters.
    pub reason: String,
}

/// Sends the goods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShipOrder {}

/// Says that the goods arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverOrder {}

command_types! {
    /// What an order can be told.
    pub enum OrderCommand { PlaceOrder, ConfirmOrder, RejectOrder, CancelOrder, ShipOrder, DeliverOrder }
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderStatus {
    /// Placed, and nothing secured yet.
    Created,
    /// The goods are promised.
    Reserved,
    /// Goods and money are secured.
    Confirmed,
    /// It could not be fulfilled.
    Rejected,
    /// It was taken back.
    Cancelled,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
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
        }
    }

    /// Whether the order can still be cancelled.
    pub const fn can_be_cancelled(self) -> bool {
        matches!(self, Self::Created | Self::Reserved | Self::Confirmed)
    }
}

/// What decisions about an order need to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderState {
    /// Absent before it is placed.
    pub placed: Option<Placed>,
}

/// A placed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Whose it is.
    pub customer: Uuid,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was ordered, at which prices.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// Whether it counts as sold: it was confirmed with its lines, and not taken back since.
    pub sold: bool,
}

/// The order aggregate. Placing an order sees the products that its lines name.
#[derive(Debug)]
pub struct Order;

impl Decider for Order {
    const CATEGORY: &'static str = category::ORDER;
    // 2: what was ordered is remembered, so that later events can carry it.
    const SNAPSHOT_VERSION: u32 = 2;
    type State = OrderState;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Evidence = ProductCatalogue;

    fn decide(
        state: &OrderState,
        command: OrderCommand,
        context: &Context<ProductCatalogue>,
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
                    require_reason(&reason)?;
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
                OrderStatus::Confirmed => Ok(vec![
                    OrderShipped {
                        customer: placed.customer,
                    }
                    .into(),
                ]),
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
        }
    }

    fn evolve(mut state: OrderState, event: &OrderEvent) -> OrderState {
        if let OrderEvent::OrderCreated(created) = event {
            state.placed = Some(Placed {
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
            // What version 1 did not say was sold is not taken back either.
            OrderEvent::OrderConfirmed(confirmed) => placed.sold = !confirmed.lines.is_empty(),
            OrderEvent::OrderCancelled(_) => placed.sold = false,
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
    }
}

fn place(
    state: &OrderState,
    order: PlaceOrder,
    context: &Context<ProductCatalogue>,
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
    let customer = Customer {
        id: context.actor.id,
        name: context.actor.name.clone(),
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

fn cancel(placed: &Placed, reason: String, actor: &Actor) -> Result<Vec<OrderEvent>, Rejection> {
    if !actor.role.runs_shop() && placed.customer != actor.id {
        return Err(Rejection::new(
            "not-your-order",
            "only the customer or the shop can cancel an order",
        ));
    }
    require_reason(&reason)?;
    match placed.status {
        status if status.can_be_cancelled() => Ok(vec![
            OrderCancelled {
                customer: placed.customer,
                reason,
                sold: placed.sold.then(|| Sold {
                    lines: placed.lines.clone(),
                    total: placed.total.clone(),
                }),
            }
            .into(),
        ]),
        OrderStatus::Cancelled => Ok(Vec::new()),
        status => Err(out_of_turn("cancelled", status)),
    }
}

fn require_reason(reason: &str) -> Result<(), Rejection> {
    let mut violations = Violations::default();
    violations.require_text(reason, MAX_REASON, "data.reason");
    violations.finish()
}

fn out_of_turn(wanted: &str, status: OrderStatus) -> Rejection {
    let status = status.as_str();
    Rejection::new(
        "order-out-of-turn",
        format!("an order that is {status} cannot be {wanted}"),
    )
}

#[cfg(test)]
mod tests;
