//! Recordings of the lab: a run of the pipeline that is kept under a link, and plays anywhere as a file.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{CommandRequest, Hop};
use crate::{event::RecordedEvent, id::WorkspaceId, timestamp::Timestamp, token::ConsistencyToken};

/// The format of a recording: what the member `format` of its JSON says.
pub const RECORDING_FORMAT: &str = "foldline-recording/1";

/// `POST /api/v1/lab/recordings`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"title": "A declined card", "from": "0:120"})))]
pub struct KeepRecording {
    /// The title, up to 80 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The consistency token after which the run begins; by default 2,000 events before its end, evenly over
    /// the partitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "0:120"))]
    pub from: Option<ConsistencyToken>,
    /// The consistency token with which it ends; by default the newest event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "0:131"))]
    pub to: Option<ConsistencyToken>,
}

/// The answer to `POST /api/v1/lab/recordings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeptRecording {
    /// The id of the recording.
    pub id: Uuid,
    /// The path of the page that plays it.
    pub link: String,
}

/// A recording as `GET /api/v1/lab/recordings` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordingInfo {
    /// Its id.
    pub id: Uuid,
    /// Its title; empty if it was given none.
    pub title: String,
    /// When it was kept.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub made_at: Timestamp,
    /// The person who kept it.
    pub made_by: Uuid,
    /// The consistency token after which the run begins.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:120"))]
    pub from: ConsistencyToken,
    /// The consistency token with which it ends.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:131"))]
    pub to: ConsistencyToken,
    /// The number of its events.
    pub events: u64,
    /// The number of its hops.
    pub hops: u64,
}

/// A command of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommandInRecording {
    /// Milliseconds from the first event of the run to the first event of the command.
    pub at_ms: u64,
    /// The command, as it can be sent again.
    pub command: CommandRequest,
}

/// A recording, as `GET /api/v1/lab/recordings/{id}` answers it and as a file has it. `P` is the payload of
/// its events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recording<P = Value> {
    /// [`RECORDING_FORMAT`].
    pub format: String,
    /// Its title; empty if it was given none.
    pub title: String,
    /// When it was kept.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub made_at: Timestamp,
    /// The workspace in which it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The consistency token after which the run begins.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:120"))]
    pub from: ConsistencyToken,
    /// The consistency token with which it ends.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:131"))]
    pub to: ConsistencyToken,
    /// Its events by time, in order within each partition, with personal fields sealed as the log has them.
    pub events: Vec<RecordedEvent<P>>,
    /// Its hops, by time. Those that the lab did not watch are missing.
    pub hops: Vec<Hop>,
    /// The commands of people, as they can be sent again in another workspace. Commands about accounts are
    /// missing, because their data is personal.
    pub commands: Vec<CommandInRecording>,
}
