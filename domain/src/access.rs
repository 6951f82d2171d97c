//! Actors and their roles. What a role may send and read is [`crate::authorization`], which sees the aggregates' commands;
//! the aggregates see no more than this.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

/// A person, or a part of the system, that acts in a workspace.
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
}

/// The actor that caused an event. No name and no address: the log keeps no personal data of actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActorRef {
    /// The subject of the access token.
    pub id: Uuid,
    /// The role in which they acted.
    pub role: Role,
}
