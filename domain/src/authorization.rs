//! Which role may send which command and read which view. The gateway authenticates; this module authorises,
//! on the server and, to hide forbidden actions, in the browser.
//!
//! It is above the aggregates, because it names their commands; they use actors and roles
//! ([`crate::access`]), but no rule of this module.

use uuid::Uuid;

use crate::{
    access::{Actor, Role},
    aggregate::{
        Command, inventory::InventoryCommand, order::OrderCommand, payment::PaymentCommand, user::UserCommand,
    },
};

impl Actor {
    /// Whether this actor asks the class, and sees who answered what.
    fn leads_class(&self) -> bool {
        matches!(self.role, Role::Educator | Role::System)
    }

    /// Whether this actor may send the command at all. Rules about the state, such as the owner of an order,
    /// belong to the decider.
    pub fn may_command(&self, command: &Command) -> bool {
        match command {
            // The server knows who has read an email and whose password was changed, and no client does.
            Command::User(
                UserCommand::RequestPasswordReset(_)
                | UserCommand::RecordPasswordChange(_)
                | UserCommand::RequestEmailConfirmation(_)
                | UserCommand::ConfirmEmail(_),
            )
            // Fulfilment confirms an order when its stock is reserved and its payment processed. The refund
            // of a payment comes first, and fulfilment tells the order.
            | Command::Order(OrderCommand::ConfirmOrder(_) | OrderCommand::RefundOrder(_)) => {
                self.role == Role::System
            }
            // The decider checks the owner of an account, an inbox or a prediction.
            Command::Order(OrderCommand::PlaceOrder(_) | OrderCommand::CancelOrder(_))
            | Command::Inbox(_)
            | Command::Prediction(_)
            | Command::User(_) => true,
            Command::Order(OrderCommand::ShipOrder(_) | OrderCommand::DeliverOrder(_))
            | Command::Product(_)
            | Command::Payment(PaymentCommand::RefundPayment(_))
            | Command::Inventory(InventoryCommand::ReceiveStock(_)) => self.role.runs_shop(),
            Command::Email(_) => false,
            Command::Order(OrderCommand::RejectOrder(_))
            | Command::Payment(PaymentCommand::ProcessPayment(_))
            | Command::Question(_)
            | Command::Inventory(_) => matches!(self.role, Role::System | Role::Educator),
        }
    }

    /// Whether this actor may read a listing of a view, in this group.
    pub fn may_read_listing(&self, view: &str, listing: &str, group: &str) -> bool {
        match view {
            "products" => true,
            // Everyone sees the questions of the class; the answers of all, with their names, are the
            // educator's.
            "predictions" => listing == "questions" || self.leads_class(),
            "orders" if self.role == Role::Customer => {
                listing == "by_customer" && group == self.id.to_string()
            }
            "notifications" if self.role == Role::Customer => {
                listing == "inbox" && group == self.id.to_string()
            }
            _ => self.role != Role::Customer,
        }
    }

    /// Whether this actor may read one document of a view. `owner` is the person to whom it belongs, if any.
    pub fn may_read_document(&self, view: &str, owner: Option<Uuid>) -> bool {
        match view {
            "products" => true,
            // A question has no owner, and an answer is seen by its person and the educator.
            "predictions" => owner.is_none_or(|owner| owner == self.id) || self.leads_class(),
            // An order without an owner is one whose first event is not folded yet.
            "orders" if owner.is_none() => false,
            _ => self.role != Role::Customer || owner == Some(self.id),
        }
    }
}

#[cfg(test)]
mod tests;
