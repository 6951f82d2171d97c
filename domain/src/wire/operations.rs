//! What those who run a workspace see of its projections: how far they are, what they could not apply, and rebuilds.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{timestamp::Timestamp, token::ConsistencyToken};

/// How a projection of the workspace stands; `GET /api/v1/lab/projections` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectionStatus {
    /// The view.
    pub view: String,
    /// The generation that is read.
    pub generation: u64,
    /// How far it has folded.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// Events that it has not folded yet.
    pub behind: u64,
    /// Events that it could not apply.
    pub dead_letters: u64,
    /// Events that wait behind those.
    pub waiting: u64,
    /// Its lanes that are tried again after an error or a panic.
    pub failing: Vec<FailingLane>,
    /// Somebody in the lab holds its lanes.
    #[serde(default)]
    pub paused: bool,
    /// How often a lane of it has panicked since the server started; each time it went on at its checkpoint.
    #[serde(default)]
    pub panics: u64,
    /// The generation that is being built, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildProgress>,
}

/// A lane that is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailingLane {
    /// The partition.
    pub partition: u32,
    /// How often it has failed in a row.
    pub failures: u32,
    /// It has failed so often that it is tried only slowly.
    pub stopped: bool,
    /// Why it failed the last time.
    pub reason: String,
}

/// How far a rebuild is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RebuildProgress {
    /// The new generation.
    pub generation: u64,
    /// Events that it has folded.
    pub events_done: u64,
    /// Events in the log.
    pub events_total: u64,
    /// How many it folds in a second.
    pub events_per_second: u64,
    /// How long it will take at this rate, in milliseconds; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
    /// Why it had to try again, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// An event that a projection could not apply; `GET /api/v1/dead-letters` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterInfo {
    /// Its name, for `retry` and `discard`.
    pub id: Uuid,
    /// The view, or the policy.
    pub view: String,
    /// The generation of the view.
    pub generation: u64,
    /// The stream, which waits behind it.
    pub stream: String,
    /// Its version in the stream.
    pub version: u64,
    /// The partition.
    pub partition: u32,
    /// Its position in the partition.
    pub position: u64,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The intention that caused it.
    pub correlation_id: Uuid,
    /// Why it could not be applied.
    pub reason: String,
    /// How often that was tried.
    pub attempts: u32,
    /// Later events of the stream that wait.
    pub waiting: u64,
    /// When it was parked.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub parked_at: Timestamp,
}

/// The answer to `POST /api/v1/dead-letters/{id}/retry` and `…/discard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterOutcome {
    /// Events that were applied.
    pub applied: u64,
    /// The event that holds the stream back now: the same, or a later one. Absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterInfo>,
}

/// `GET /api/v1/settled`: nothing is left to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettledAnswer {
    /// Everything up to this moment is done.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// The events that the correlation caused; absent where none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}
