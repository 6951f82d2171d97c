//! The state of a workspace's projections for educators: positions, dead letters and rebuilds.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{timestamp::Timestamp, token::ConsistencyToken};

/// The status of a projection; `GET /api/v1/lab/projections` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProjectionStatus {
    /// The view.
    pub view: String,
    /// The generation that serves reads.
    pub generation: u64,
    /// Its folded position.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// The number of events that it has not folded yet.
    pub behind: u64,
    /// The number of events that it could not apply.
    pub dead_letters: u64,
    /// The number of later events that wait behind dead letters.
    pub waiting: u64,
    /// Its lanes that are retried after an error or a panic.
    pub failing: Vec<FailingLane>,
    /// Whether its lanes are paused in the lab.
    #[serde(default)]
    pub paused: bool,
    /// By how many milliseconds each event is slowed down in the lab.
    #[serde(default)]
    pub slow_ms: u32,
    /// Whether transactions of its lanes fail because of a dial of the lab.
    #[serde(default)]
    pub fails_by_dial: bool,
    /// The type of the events that it cannot apply because of a dial of the lab; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poison: Option<String>,
    /// The number of panics of its lanes since the server started; after each, the lane resumed from its
    /// checkpoint.
    #[serde(default)]
    pub panics: u64,
    /// The rebuild in progress, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildProgress>,
}

/// A lane that is retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailingLane {
    /// The partition.
    pub partition: u32,
    /// The number of consecutive failures.
    pub failures: u32,
    /// Whether it has failed so often that it is retried only slowly.
    pub stopped: bool,
    /// The reason of the last failure.
    pub reason: String,
}

/// The progress of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RebuildProgress {
    /// The new generation.
    pub generation: u64,
    /// The number of folded events.
    pub events_done: u64,
    /// The number of events in the log.
    pub events_total: u64,
    /// The rate in events per second.
    pub events_per_second: u64,
    /// The remaining time at this rate, in milliseconds; absent while it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
    /// The reason of the current retries, if it is failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// An event that a projection could not apply, or a policy's command that was refused for good and that a
/// person has to settle; `GET /api/v1/dead-letters` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterInfo {
    /// Its id, for `retry` and `discard`.
    pub id: Uuid,
    /// The view, or the policy.
    pub view: String,
    /// The generation of the view.
    pub generation: u64,
    /// The stream, which waits behind it; of a command, the stream that it is for, which waits for nothing.
    pub stream: String,
    /// Its version in the stream; 0 for a command.
    pub version: u64,
    /// The partition; 0 for a command.
    pub partition: u32,
    /// Its position in the partition; the time of the refusal in microseconds for a command.
    pub position: u64,
    /// The event's id; of a command, that of the event that caused it.
    pub event_id: Uuid,
    /// The event's type, or the command's.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The event's correlation id.
    pub correlation_id: Uuid,
    /// The reason why it could not be applied, or was refused.
    pub reason: String,
    /// The number of attempts.
    pub attempts: u32,
    /// The number of later events of the stream that wait.
    pub waiting: u64,
    /// The time at which it was parked, or refused.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub parked_at: Timestamp,
}

/// The answer to `POST /api/v1/dead-letters/{id}/retry` and `…/discard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetterOutcome {
    /// The number of applied events; 0 for a command.
    pub applied: u64,
    /// The dead letter that blocks the stream now: the same or a later event; absent if the stream is not
    /// blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterInfo>,
}

/// The answer of `GET /api/v1/settled`: all work is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettledAnswer {
    /// The position up to which all work is done.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// The number of events with the correlation id; absent if the request named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}
