//! Actors and their roles. The rights of a role are in [`crate::authorization`], which knows the aggregates'
//! commands; the aggregates know only this module.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The role of a person, or of the system itself, in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// Buys, and sees only their own data.
    Customer,
    /// Runs the shop.
    Staff,
    /// A customer who may also read the lab: every stream and view of the workspace.
    Student,
    /// Full access to the workspace.
    Educator,
    /// Process managers and templates; never the role of a token.
    System,
}

impl Role {
    /// All roles.
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
    /// The name shown to others.
    pub name: String,
}

impl Actor {
    /// The part of an actor that the log stores.
    pub fn reference(&self) -> ActorRef {
        ActorRef {
            id: self.id,
            role: self.role,
        }
    }
}

/// The actor that caused an event, without name and address: the log stores no personal data of actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActorRef {
    /// The subject of the access token.
    pub id: Uuid,
    /// The role in which the actor acted.
    pub role: Role,
}
