//! Roles, and who may command and read what. The gateway authenticates; this decides, on the server and, for hiding
//! what cannot be done, in the browser.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{aggregate::Command, event::ActorRef};

/// What a person, or the system itself, is in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// Buys, and sees only what is theirs.
    Customer,
    /// Runs the shop.
    Staff,
    /// A customer who may also read the lab: every stream and view of the workspace.
    Student,
    /// Everything in the workspace.
    Educator,
    /// Process managers and templates; never the role of a token.
    System,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Customer,
        Self::Staff,
        Self::Student,
        Self::Educator,
        Self::System,
    ];

    /// The name on the wire and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Student => "student",
            Self::Educator => "educator",
            Self::System => "system",
        }
    }

    /// Whether the role acts for the shop, and not for itself.
    pub const fn runs_shop(self) -> bool {
        matches!(self, Self::Staff | Self::Educator | Self::System)
    }

    /// Whether the role may inspect streams, events and the pipeline.
    pub const fn reads_lab(self) -> bool {
        matches!(self, Self::Student | Self::Educator | Self::System)
    }
}

/// Who is acting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The subject of the access token.
    pub id: Uuid,
    /// The role in this workspace.
    pub role: Role,
    /// The name that others see.
    pub name: String,
}

impl Actor {
    /// What the log keeps of an actor.
    pub fn reference(&self) -> ActorRef {
        ActorRef {
            id: self.id,
            role: self.role,
        }
    }

    /// Whether this actor may send the command at all. Rules about the state, such as whose order it is, are the
    /// decider's.
    pub fn may_command(&self, command: &Command) -> bool {
        use crate::aggregate::{inventory::InventoryCommand, order::OrderCommand, payment::PaymentCommand};
        match command {
            // Whose account it is, is the decider's to see; who holds an email follows from that.
            Command::Order(OrderCommand::PlaceOrder(_) | OrderCommand::CancelOrder(_))
            | Command::Inbox(_)
            | Command::User(_) => true,
            Command::Order(OrderCommand::ShipOrder(_) | OrderCommand::DeliverOrder(_))
            | Command::Product(_)
            | Command::Payment(PaymentCommand::RefundPayment(_))
            | Command::Inventory(InventoryCommand::ReceiveStock(_)) => self.role.runs_shop(),
            Command::Email(_) => false,
            Command::Order(OrderCommand::ConfirmOrder(_) | OrderCommand::RejectOrder(_))
            | Command::Payment(PaymentCommand::ProcessPayment(_))
            | Command::Inventory(_) => matches!(self.role, Role::System | Role::Educator),
        }
    }

    /// Whether this actor may read a listing of a view. `group` is the group asked for.
    pub fn may_read_listing(&self, view: &str, listing: &str, group: &str) -> bool {
        match view {
            "products" => true,
            "orders" if self.role == Role::Customer => {
                listing == "by_customer" && group == self.id.to_string()
            }
            "notifications" if self.role == Role::Customer => {
                listing == "inbox" && group == self.id.to_string()
            }
            _ => self.role != Role::Customer,
        }
    }

    /// Whether this actor may read one document of a view. `owner` is the person it belongs to, where it has one.
    pub fn may_read_document(&self, view: &str, owner: Option<Uuid>) -> bool {
        match view {
            "products" => true,
            // An order is its customer's from its first event on; before that, there are only traces of it.
            "orders" if owner.is_none() => false,
            _ => self.role != Role::Customer || owner == Some(self.id),
        }
    }
}

#[cfg(test)]
mod tests;
