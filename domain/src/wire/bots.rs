//! Bots: simulated shoppers, which fill the shop of a small class.

use serde::{Deserialize, Serialize};

use crate::{
    rejection::{Rejection, Violations},
    timestamp::Timestamp,
};

/// The most bots of a workspace.
pub const MAX_BOTS: u32 = 100;

/// The most orders that the bots of a workspace place in a minute, together.
pub const MAX_ORDERS_PER_MINUTE: u32 = 600;

/// `PUT /api/v1/lab/bots`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"count": 20, "orders_per_minute": 60})))]
pub struct SetBots {
    /// How many there are, 1 to 100.
    pub count: u32,
    /// How many orders they place in a minute, all together, 1 to 600.
    pub orders_per_minute: u32,
}

impl SetBots {
    /// Checks the fields, or names those that are wrong.
    pub fn check(&self) -> Result<(), Rejection> {
        let mut violations = Violations::default();
        violations.require(
            (1..=MAX_BOTS).contains(&self.count),
            "count",
            format!("is 1 to {MAX_BOTS}"),
        );
        violations.require(
            (1..=MAX_ORDERS_PER_MINUTE).contains(&self.orders_per_minute),
            "orders_per_minute",
            format!("is 1 to {MAX_ORDERS_PER_MINUTE}"),
        );
        violations.finish()
    }
}

/// Why the bots of a workspace have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum BotsEnd {
    /// An educator has ended them.
    Stopped,
    /// No educator was there for half an hour.
    ClassOver,
    /// None of them could join: the sandbox has no room, or is gone.
    NoRoom,
    /// The workspace is gone.
    WorkspaceGone,
}

/// The answer to `GET /api/v1/lab/bots`: what the bots have done since they were begun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BotsAnswer {
    /// Whether there are any.
    pub running: bool,
    /// How many were asked for.
    pub count: u32,
    /// How many have joined.
    pub joined: u32,
    /// The rate that was asked for: orders in a minute, all together.
    pub orders_per_minute: u32,
    /// Orders that were accepted.
    pub orders_placed: u64,
    /// Orders that were refused, by a rule or by a limit.
    pub orders_refused: u64,
    /// When they were begun; absent if there were none since the server started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// Why they have ended; absent while they run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<BotsEnd>,
    /// The newest refusal, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_bots_and_a_rate_have_their_limits() {
        let fields = |count, orders_per_minute| {
            let wanted = SetBots {
                count,
                orders_per_minute,
            };
            let refused = wanted.check().err();
            let violations = refused.map(|refused| refused.violations).unwrap_or_default();
            violations
                .into_iter()
                .map(|violation| violation.field)
                .collect::<Vec<_>>()
        };
        assert!(fields(1, 1).is_empty() && fields(MAX_BOTS, MAX_ORDERS_PER_MINUTE).is_empty());
        assert_eq!(fields(0, 1), ["count"]);
        assert_eq!(fields(MAX_BOTS + 1, 0), ["count", "orders_per_minute"]);
        assert_eq!(fields(1, MAX_ORDERS_PER_MINUTE + 1), ["orders_per_minute"]);
    }
}
