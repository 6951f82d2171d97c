//! What an educator asks of a workspace as a whole: its clock, and its end.

use serde::{Deserialize, Serialize};

use crate::{id::WorkspaceId, timestamp::Timestamp};

/// What time it is in a workspace; `GET /api/v1/lab/clock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabClock {
    /// The time by which the workspace's timers run.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub now: Timestamp,
    /// How far it is ahead of the server's, in milliseconds.
    pub ahead_ms: u64,
}

/// `POST /api/v1/lab/clock`: one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveClock {
    /// By so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0))]
    pub advance_ms: Option<i64>,
    /// To this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub set: Option<Timestamp>,
}

/// The answer to `DELETE /api/v1/workspace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurgeStarted {
    /// The workspace that is gone.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub workspace: WorkspaceId,
}
