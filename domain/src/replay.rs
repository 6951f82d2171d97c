//! The command of a person whose outcome an event is, so that a run can be done again in another workspace.

use serde::Serialize;
use serde_json::Value;

use crate::{
    access::Role,
    aggregate::{
        inventory::{InventoryEvent, ReceiveStock, ReleaseStock, ReserveStock, ShipStock},
        order::{
            CancelOrder, DeliverOrder, LineRequest, OrderCreated, OrderEvent, PlaceOrder, RejectOrder,
            ShipOrder,
        },
        payment::{PaymentEvent, ProcessPayment, RefundPayment},
        product::{ChangePrice, ListProduct, ProductEvent, ProductListed, RetireProduct},
        question::{AskQuestion, QuestionAsked, QuestionEvent, RevealAnswer},
    },
    event::{DomainEvent, TypedEvent},
    wire::{CommandRequest, ExpectedVersion},
};

/// The command that a person sent and of which this event is the outcome: for the same stream, without an
/// expected version and without a correlation.
///
/// `None` for an event that another event caused or that the template of its workspace wrote, and for one of
/// an account, an inbox, an email address or an answer to a question: what these need is personal, or secret
/// and not in the log.
pub fn command_of(event: &TypedEvent) -> Option<CommandRequest> {
    let actor = &event.metadata.actor;
    if event.metadata.causation_id.is_some() || actor.role == Role::System || event.is_of_template() {
        return None;
    }
    let (command_type, data) = match &event.payload {
        DomainEvent::Inventory(change) => of_inventory(change),
        DomainEvent::Order(change) => of_order(change),
        DomainEvent::Payment(change) => of_payment(change, event),
        DomainEvent::Product(change) => of_product(change),
        DomainEvent::Question(change) => of_question(change),
        DomainEvent::Email(_) | DomainEvent::Inbox(_) | DomainEvent::Prediction(_) | DomainEvent::User(_) => {
            None
        }
    }?;
    Some(CommandRequest {
        command_type: command_type.to_owned(),
        stream: event.stream.to_string(),
        data,
        expected_version: ExpectedVersion::Any,
        correlation_id: None,
    })
}

/// A command's name, and its data.
type NamedCommand = (&'static str, Value);

fn named(name: &'static str, command: impl Serialize) -> Option<NamedCommand> {
    Some((name, serde_json::to_value(command).ok()?))
}

fn of_order(change: &OrderEvent) -> Option<NamedCommand> {
    match change {
        OrderEvent::OrderCreated(created) => named("PlaceOrder", place_order(created)),
        OrderEvent::OrderRejected(rejected) => {
            let reason = rejected.reason.clone();
            named("RejectOrder", RejectOrder { reason })
        }
        OrderEvent::OrderCancelled(cancelled) => {
            let reason = cancelled.reason.clone();
            named("CancelOrder", CancelOrder { reason })
        }
        OrderEvent::OrderShipped(_) => named("ShipOrder", ShipOrder {}),
        OrderEvent::OrderDelivered(_) => named("DeliverOrder", DeliverOrder {}),
        // Fulfilment confirms an order; people did so once. A person refunds the payment, and fulfilment
        // tells the order.
        OrderEvent::OrderConfirmed(_) | OrderEvent::OrderRefunded(_) => None,
    }
}

fn place_order(created: &OrderCreated) -> PlaceOrder {
    let lines = created.lines.iter().map(|line| LineRequest {
        sku: line.sku.clone(),
        quantity: line.quantity,
    });
    PlaceOrder {
        lines: lines.collect(),
        payment_method: created.payment_method.clone(),
    }
}

fn of_payment(change: &PaymentEvent, event: &TypedEvent) -> Option<NamedCommand> {
    let (order, amount, method, customer) = match change {
        PaymentEvent::PaymentProcessed(paid) => (&paid.order, &paid.amount, &paid.method, paid.customer),
        PaymentEvent::PaymentFailed(failed) => {
            (&failed.order, &failed.amount, &failed.method, failed.customer)
        }
        PaymentEvent::PaymentRefunded(refunded) => {
            let reason = refunded.reason.clone();
            return named("RefundPayment", RefundPayment { reason });
        }
    };
    let payment = ProcessPayment {
        order: order.clone(),
        amount: amount.clone(),
        method: method.clone(),
        customer: Some(customer).filter(|customer| *customer != event.metadata.actor.id),
    };
    named("ProcessPayment", payment)
}

fn of_inventory(change: &InventoryEvent) -> Option<NamedCommand> {
    match change {
        InventoryEvent::StockReceived(received) => {
            let quantity = received.quantity;
            named("ReceiveStock", ReceiveStock { quantity })
        }
        InventoryEvent::StockReserved(reserved) => {
            let (order, quantity) = (reserved.order.clone(), reserved.quantity);
            named("ReserveStock", ReserveStock { order, quantity })
        }
        InventoryEvent::StockReservationFailed(failed) => {
            let (order, quantity) = (failed.order.clone(), failed.requested);
            named("ReserveStock", ReserveStock { order, quantity })
        }
        InventoryEvent::StockReleased(released) => {
            let order = released.order.clone();
            named("ReleaseStock", ReleaseStock { order })
        }
        InventoryEvent::StockShipped(shipped) => {
            let order = shipped.order.clone();
            named("ShipStock", ShipStock { order })
        }
    }
}

fn of_question(change: &QuestionEvent) -> Option<NamedCommand> {
    match change {
        QuestionEvent::QuestionAsked(asked) => {
            let QuestionAsked {
                lesson,
                step,
                text,
                choices,
                labels,
            } = asked.clone();
            let question = AskQuestion {
                lesson,
                step,
                text,
                choices,
                labels,
            };
            named("AskQuestion", question)
        }
        QuestionEvent::AnswerRevealed(revealed) => {
            let (right, tolerance) = (revealed.right, revealed.tolerance);
            named("RevealAnswer", RevealAnswer { right, tolerance })
        }
    }
}

fn of_product(change: &ProductEvent) -> Option<NamedCommand> {
    match change {
        ProductEvent::ProductListed(listed) => named("ListProduct", list_product(listed)),
        ProductEvent::PriceChanged(changed) => {
            // Which price the person had seen is not in the event, and the new one is what came of it.
            let (price, seen) = (changed.price.clone(), None);
            named("ChangePrice", ChangePrice { price, seen })
        }
        ProductEvent::ProductRetired(_) => named("RetireProduct", RetireProduct {}),
    }
}

fn list_product(listed: &ProductListed) -> ListProduct {
    let ProductListed {
        sku,
        name,
        description,
        price,
        tags,
    } = listed.clone();
    ListProduct {
        sku,
        name,
        description,
        price,
        tags,
    }
}

#[cfg(test)]
mod tests;
