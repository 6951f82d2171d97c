//! Fulfilment: the lines of an order are reserved, then it is charged, then it is confirmed; a failure of any
//! step rejects it.
//!
//! The order's own stream decides between concurrent outcomes: a confirmation, a rejection or a cancellation.
//! Compensation follows from that decision alone: reservations are released and charges are refunded,
//! including those that become known only later. So every failure has one way out, and no order is left half
//! done. If the shop refunds the payment of a confirmed order, the order is told, and what it has reserved is
//! released.
//!
//! Only its own commands count: stock that staff have reserved, and charges that they have made, stand for no
//! order (see `foreign`).

mod foreign;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PendingCommand, Policy, Reaction};
use crate::{
    access::Role,
    aggregate::{
        inventory::{InventoryEvent, StockReservationFailed},
        order::{MAX_REASON, OrderCreated, OrderEvent, status_of_rejection},
        payment::{PaymentEvent, PaymentFailed, PaymentRefunded},
    },
    event::{DomainEvent, TypedEvent},
    money::Money,
    reason::Reason,
    view::orders::order_of,
};
use foreign::Early;

/// The deadline of a payment's answer, in milliseconds of the workspace's clock.
pub const PAYMENT_DEADLINE_MS: u64 = 5_000;

/// The timer that ends the wait for a payment's answer.
const PAYMENT_TIMER: &str = "payment";
/// The step that charges the order.
const CHARGE_STEP: &str = "charge";

/// The fulfilment policy.
#[derive(Debug)]
pub struct Fulfilment;

/// The state of an order's fulfilment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FulfilmentState {
    /// `None` before the order's first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ordered: Option<FulfilmentOrder>,
    stage: Stage,
    /// By SKU.
    stock: BTreeMap<String, Stock>,
    payment: PaymentStage,
    #[serde(default, skip_serializing_if = "Early::is_empty")]
    early: Early,
}

#[derive(Debug, Serialize, Deserialize)]
struct FulfilmentOrder {
    id: String,
    customer: Uuid,
    lines: Vec<Line>,
    total: Money,
    method: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    sku: String,
    name: String,
    quantity: u32,
}

/// The stage of the order, by its own stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// `OrderCreated` has not arrived yet.
    #[default]
    #[serde(rename = "unheard")]
    Unknown,
    /// Placed, and undecided.
    Open,
    Confirmed,
    /// Rejected or cancelled.
    #[serde(rename = "undone")]
    Aborted,
    /// Shipped or delivered.
    Shipped,
}

/// The reservation of a line's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stock {
    Reserved,
    /// Reserved in the quantity that the order asks for, but by staff, or after staff had used its id.
    ByStaff,
    /// Reserved under the order's id, but not as the order asks for; or moved by staff.
    Foreign,
    /// Too little was available.
    Failed,
    /// The reservation has ended: released or shipped.
    #[serde(rename = "gone")]
    Ended,
}

/// The stage of the payment, by its own stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentStage {
    /// The provider's answer is not known yet.
    #[default]
    #[serde(rename = "unasked")]
    Pending,
    Processed,
    /// Charged under the order's id, but not what the order asks for.
    Foreign,
    Failed,
    Refunded,
}

impl Policy for Fulfilment {
    const NAME: &'static str = "fulfilment";
    type State = FulfilmentState;

    fn key(event: &TypedEvent) -> Option<String> {
        order_of(event).map(str::to_owned)
    }

    fn evolve(mut state: FulfilmentState, event: &TypedEvent) -> FulfilmentState {
        match &event.payload {
            DomainEvent::Order(change) => {
                if let OrderEvent::OrderCreated(created) = change {
                    state.know(FulfilmentOrder::new(event.stream.id(), created));
                }
                state.stage = match change {
                    OrderEvent::OrderCreated(_) => Stage::Open,
                    OrderEvent::OrderConfirmed(_) => Stage::Confirmed,
                    OrderEvent::OrderRejected(_) | OrderEvent::OrderCancelled(_) => Stage::Aborted,
                    // Goods that were shipped before the refund are not released.
                    OrderEvent::OrderRefunded(_) if state.stage != Stage::Shipped => Stage::Aborted,
                    OrderEvent::OrderShipped(_)
                    | OrderEvent::OrderDelivered(_)
                    | OrderEvent::OrderRefunded(_) => Stage::Shipped,
                };
            }
            DomainEvent::Inventory(change) => {
                let sku = event.stream.id();
                let is_own = is_own(event);
                let stock = match change {
                    InventoryEvent::StockReceived(_) => return state,
                    InventoryEvent::StockReserved(reserved) => state.reserved(sku, reserved.quantity, is_own),
                    InventoryEvent::StockReservationFailed(failed)
                        if !is_own || !state.may_have_failed(sku, failed.requested) =>
                    {
                        return state;
                    }
                    InventoryEvent::StockReservationFailed(_) => Stock::Failed,
                    InventoryEvent::StockReleased(_) | InventoryEvent::StockShipped(_) if is_own => {
                        Stock::Ended
                    }
                    InventoryEvent::StockReleased(_) | InventoryEvent::StockShipped(_) => Stock::Foreign,
                };
                state.stock.insert(sku.to_owned(), stock);
            }
            DomainEvent::Payment(change) => {
                state.payment = match change {
                    PaymentEvent::PaymentProcessed(paid) => state.charged(paid, is_own(event)),
                    PaymentEvent::PaymentFailed(_) => PaymentStage::Failed,
                    PaymentEvent::PaymentRefunded(_) => PaymentStage::Refunded,
                };
            }
            _ => {}
        }
        state
    }

    fn react(state: &FulfilmentState, event: &TypedEvent) -> Vec<Reaction> {
        let Some(ordered) = &state.ordered else {
            // Reservations and charges that arrive before the order are handled when it arrives.
            return Vec::new();
        };
        let sku = event.stream.id();
        match &event.payload {
            DomainEvent::Order(OrderEvent::OrderCreated(_)) => state.begin(ordered),
            DomainEvent::Order(change) => match change {
                OrderEvent::OrderRejected(_) => state.compensate(ordered, &Reason::OrderRejected),
                OrderEvent::OrderCancelled(_) => state.compensate(ordered, &Reason::OrderCancelled),
                OrderEvent::OrderShipped(_) => {
                    state.each(&[Stock::Reserved, Stock::ByStaff], |sku| ordered.ship(sku))
                }
                OrderEvent::OrderConfirmed(_) => {
                    let mut reactions = vec![Reaction::StopTimer { name: PAYMENT_TIMER }];
                    // The refund arrived before the confirmation.
                    if state.payment == PaymentStage::Refunded {
                        reactions.push(ordered.refunded(&Reason::PaymentRefunded));
                    }
                    reactions
                }
                OrderEvent::OrderRefunded(_) if state.stage == Stage::Aborted => state.release_all(ordered),
                OrderEvent::OrderCreated(_)
                | OrderEvent::OrderDelivered(_)
                | OrderEvent::OrderRefunded(_) => Vec::new(),
            },
            DomainEvent::Inventory(change) => match (change, state.stage) {
                // What a decided order asks for is its own, also if it is known late and from an old log in
                // which staff could reserve it.
                (InventoryEvent::StockReserved(reserved), Stage::Confirmed | Stage::Shipped)
                    if ordered.wants(sku, reserved.quantity) =>
                {
                    let is_shipped = state.stage == Stage::Shipped;
                    is_shipped.then(|| ordered.ship(sku)).into_iter().collect()
                }
                (InventoryEvent::StockReserved(_), _) if state.is_foreign(sku) => {
                    vec![state.after_foreign_reservation(ordered, sku)]
                }
                (InventoryEvent::StockReserved(_), Stage::Open) => state.next_step(ordered),
                (InventoryEvent::StockReserved(_), Stage::Aborted) => vec![ordered.release(sku)],
                (InventoryEvent::StockReservationFailed(failed), Stage::Open)
                    if is_own(event) && ordered.wants(sku, failed.requested) =>
                {
                    vec![ordered.reject(&ordered.sold_out(sku, failed))]
                }
                (InventoryEvent::StockReleased(_) | InventoryEvent::StockShipped(_), Stage::Open)
                    if ordered.has(sku) =>
                {
                    vec![ordered.reject(&Reason::StockTaken)]
                }
                _ => Vec::new(),
            },
            DomainEvent::Payment(change) => state.after_payment(ordered, change),
            _ => Vec::new(),
        }
    }

    fn expire(state: &FulfilmentState, timer: &str) -> Vec<Reaction> {
        match &state.ordered {
            Some(ordered)
                if timer == PAYMENT_TIMER
                    && state.stage == Stage::Open
                    && state.payment == PaymentStage::Pending =>
            {
                vec![ordered.reject(&Reason::PaymentLate)]
            }
            _ => Vec::new(),
        }
    }

    /// A refused reservation or charge rejects the order. Other commands are refused because the order was
    /// decided otherwise in the meantime, and that decision's event continues the process.
    fn refused(state: &FulfilmentState, command: &PendingCommand, reason: &str) -> Vec<Reaction> {
        let Some(ordered) = state.ordered.as_ref().filter(|_| state.stage == Stage::Open) else {
            return Vec::new();
        };
        match command.command_type.as_str() {
            "ReserveStock" => vec![ordered.reject(&Reason::CannotBeReserved { because: reason })],
            "ProcessPayment" => vec![ordered.reject(&Reason::CannotBeCharged { because: reason })],
            _ => Vec::new(),
        }
    }

    /// A refused compensation or shipment leaves stock reserved or a customer charged. A decision about the
    /// order is refused in its turn only if the order's own stream has decided otherwise.
    fn is_dead_letter(_: &FulfilmentState, command: &PendingCommand, reason: &str) -> bool {
        match command.command_type.as_str() {
            "ReleaseStock" | "ShipStock" | "RefundPayment" => true,
            "ConfirmOrder" | "RejectOrder" | "RefundOrder" => status_of_rejection(reason).is_none(),
            _ => false,
        }
    }
}

/// Whether a command of the system itself caused the event, and not one of a person.
fn is_own(event: &TypedEvent) -> bool {
    event.metadata.actor.role == Role::System
}

impl FulfilmentState {
    /// The next step of an open order, if its lines are reserved.
    fn next_step(&self, ordered: &FulfilmentOrder) -> Vec<Reaction> {
        let is_reserved = |line: &Line| self.stock.get(&line.sku) == Some(&Stock::Reserved);
        if !ordered.lines.iter().all(is_reserved) {
            return Vec::new();
        }
        match self.payment {
            PaymentStage::Pending => vec![
                ordered.charge(),
                Reaction::StartDeadline {
                    name: PAYMENT_TIMER,
                    after_ms: PAYMENT_DEADLINE_MS,
                    step: CHARGE_STEP.into(),
                },
            ],
            PaymentStage::Processed => vec![ordered.order("confirm", "ConfirmOrder", json!({}))],
            PaymentStage::Foreign => self.rejection_of_foreign(ordered).into_iter().collect(),
            PaymentStage::Failed | PaymentStage::Refunded => vec![ordered.reject(&Reason::NotPaid)],
        }
    }

    fn after_payment(&self, ordered: &FulfilmentOrder, change: &PaymentEvent) -> Vec<Reaction> {
        let stop = Reaction::StopTimer { name: PAYMENT_TIMER };
        match (change, self.stage) {
            (PaymentEvent::PaymentProcessed(_), Stage::Open) => {
                let mut reactions = vec![stop];
                if self.payment == PaymentStage::Foreign {
                    reactions.extend(self.rejection_of_foreign(ordered));
                } else {
                    reactions.extend(self.next_step(ordered));
                }
                reactions
            }
            // A late answer: the order was rejected or cancelled in the meantime.
            (PaymentEvent::PaymentProcessed(_), Stage::Aborted) => {
                vec![ordered.refund(&Reason::PaymentTooLate)]
            }
            (PaymentEvent::PaymentFailed(PaymentFailed { reason, .. }), Stage::Open) => {
                vec![stop, ordered.reject(reason)]
            }
            (PaymentEvent::PaymentRefunded(_), Stage::Open) => {
                vec![stop, ordered.reject(&Reason::PaymentRefunded)]
            }
            (
                PaymentEvent::PaymentRefunded(PaymentRefunded { reason, .. }),
                Stage::Confirmed | Stage::Shipped,
            ) => vec![ordered.refunded(reason)],
            _ => Vec::new(),
        }
    }

    /// Releases the known reservations and refunds the known charge, foreign or not.
    fn compensate(&self, ordered: &FulfilmentOrder, why: &Reason<'_>) -> Vec<Reaction> {
        let mut reactions = vec![Reaction::StopTimer { name: PAYMENT_TIMER }];
        reactions.extend(self.release_all(ordered));
        if matches!(self.payment, PaymentStage::Processed | PaymentStage::Foreign) {
            reactions.push(ordered.refund(why));
        }
        reactions
    }

    fn release_all(&self, ordered: &FulfilmentOrder) -> Vec<Reaction> {
        let kinds = [Stock::Reserved, Stock::ByStaff, Stock::Foreign];
        self.each(&kinds, |sku| ordered.release(sku))
    }

    fn each(&self, kinds: &[Stock], reaction: impl Fn(&str) -> Reaction) -> Vec<Reaction> {
        let stock = self.stock.iter().filter(|(_, stock)| kinds.contains(stock));
        stock.map(|(sku, _)| reaction(sku)).collect()
    }
}

/// The command that reserves a line of an order: its step, its stream and its fields. A command sent under
/// the same id is the process's own.
pub fn reservation(order: &str, sku: &str, quantity: u32) -> (String, String, Value) {
    (
        format!("reserve {sku}"),
        format!("inventory-{sku}"),
        json!({"order": order, "quantity": quantity}),
    )
}

impl FulfilmentOrder {
    fn new(id: &str, created: &OrderCreated) -> Self {
        let line = |line: &crate::aggregate::order::OrderLine| Line {
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
        };
        Self {
            id: id.to_owned(),
            customer: created.customer.id,
            lines: created.lines.iter().map(line).collect(),
            total: created.total.clone(),
            method: created.payment_method.clone(),
        }
    }

    fn reserve(&self, line: &Line) -> Reaction {
        let (step, stream, data) = reservation(&self.id, &line.sku, line.quantity);
        Reaction::Send {
            step: step.into(),
            command_type: "ReserveStock",
            stream,
            data,
        }
    }

    fn release(&self, sku: &str) -> Reaction {
        self.inventory("release", "ReleaseStock", sku)
    }

    fn ship(&self, sku: &str) -> Reaction {
        self.inventory("ship", "ShipStock", sku)
    }

    fn inventory(&self, step: &str, command_type: &'static str, sku: &str) -> Reaction {
        Reaction::Send {
            step: format!("{step} {sku}").into(),
            command_type,
            stream: format!("inventory-{sku}"),
            data: json!({"order": self.id}),
        }
    }

    fn charge(&self) -> Reaction {
        Reaction::Send {
            step: CHARGE_STEP.into(),
            command_type: "ProcessPayment",
            stream: format!("payment-{}", self.id),
            data: json!({
                "order": self.id, "amount": self.total, "method": self.method, "customer": self.customer,
            }),
        }
    }

    fn refund(&self, why: &Reason<'_>) -> Reaction {
        Reaction::Send {
            step: "refund".into(),
            command_type: "RefundPayment",
            stream: format!("payment-{}", self.id),
            data: json!({"reason": why.to_string()}),
        }
    }

    fn reject(&self, reason: &dyn std::fmt::Display) -> Reaction {
        self.order_because("reject", "RejectOrder", reason)
    }

    /// Tells the order that its payment was refunded.
    fn refunded(&self, reason: &dyn std::fmt::Display) -> Reaction {
        self.order_because("refunded", "RefundOrder", reason)
    }

    fn order_because(
        &self,
        step: &'static str,
        command_type: &'static str,
        reason: &dyn std::fmt::Display,
    ) -> Reaction {
        let reason: String = reason.to_string().chars().take(MAX_REASON).collect();
        self.order(step, command_type, json!({"reason": reason}))
    }

    fn order(&self, step: &'static str, command_type: &'static str, data: Value) -> Reaction {
        Reaction::Send {
            step: step.into(),
            command_type,
            stream: format!("order-{}", self.id),
            data,
        }
    }

    /// The reason for the customer.
    fn sold_out<'a>(&'a self, sku: &'a str, failed: &StockReservationFailed) -> Reason<'a> {
        let line = self.lines.iter().find(|line| line.sku == sku);
        let product = line.map_or(sku, |line| line.name.as_str());
        match failed.available {
            0 => Reason::SoldOut { product },
            available => Reason::TooFew {
                product,
                available,
                requested: failed.requested,
            },
        }
    }
}
