//! Operations of an educator on a whole workspace: its clock, and its purge.

use serde::{Deserialize, Serialize};

use crate::{id::WorkspaceId, timestamp::Timestamp};

/// The clock of a workspace; `GET /api/v1/lab/clock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabClock {
    /// The time of the workspace's events and timers.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub now: Timestamp,
    /// Its offset from the server's clock, in milliseconds; negative where the workspace was opened with its
    /// clock in the past, or where the clock stands.
    pub ahead_ms: i64,
    /// Whether it stands still: the dial `clock.frozen`.
    pub frozen: bool,
}

/// `POST /api/v1/lab/clock`: one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveClock {
    /// Advances the clock by this many milliseconds; one that stands is stepped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0))]
    pub advance_ms: Option<i64>,
    /// Sets the clock to this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub set: Option<Timestamp>,
}

/// The answer to `DELETE /api/v1/workspace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurgeStarted {
    /// The purged workspace.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub workspace: WorkspaceId,
}
