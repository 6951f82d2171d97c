//! The JSON of the HTTP interface, and of the live one ([`ServerFrame`], [`ClientFrame`]): the single source
//! for server, app and tests.
//!
//! Field names are the contract. Documents are generic (`D`): raw JSON on the server, which passes them on
//! unparsed, and [`serde_json::Value`] or a view's own type in clients.

mod bots;
mod class;
mod copies;
pub mod dials;
mod events;
mod handlers;
pub mod hops;
mod invariants;
mod lab;
mod lessons;
mod mailbox;
mod operations;
pub mod own_views;
mod plain;
mod question_words;
mod recordings;
mod search;
mod sessions;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use crate::event_type::EventSchema;
use crate::{
    access::Role,
    event::StoredEvent,
    id::WorkspaceId,
    language::Language,
    parse_error::{MAX_MESSAGE, shorten},
    rejection::Violation,
    timestamp::Timestamp,
    token::ConsistencyToken,
};
pub use bots::{BotsAnswer, BotsEnd, MAX_BOTS, MAX_ORDERS_PER_MINUTE, SetBots};
pub use class::{
    ClassAnswer, ClassBots, ClassCopy, ClassMember, ClassPerson, ClassStage, HandDial, HandedDial,
    MAX_HANDED, MAX_ROSTER,
};
pub use copies::{CopiesAnswer, CopyClass, MAX_COPIES, PersonalCopy, ResetWorkspace};
pub use dials::{
    BentDial, BrokerDials, CacheDials, ClockDials, Dials, DialsAnswer, Guarantees, LiveDials, MailDials,
    PaymentDials, ProjectionDials, ProviderMode,
};
pub use events::{EventAnswer, StoredEventAnswer};
pub use handlers::{
    CONSUMERS, ERASURE, HandledAnswer, HandledBy, HandlerKind, HandlerStatus, HandlersAnswer, Handling,
    PROCESS_MANAGERS, RetriedDeadLetters, WaitingEvent,
};
pub use hops::{Arrow, BUSINESS_SHEET, Hop, HopOutcome, HopPage, MergedHops, PATTERN_SHEET};
pub use invariants::{
    CureKind, CureStep, Evidence, Invariant, InvariantStatus, InvariantsAnswer, SequenceStep,
};
pub use lab::{LabClock, MoveClock, PurgeStarted};
pub use lessons::{
    Expectation, LessonAnswer, LessonEvidence, LessonInfo, LessonRun, LessonsAnswer, NoDetails, QuestionInfo,
    RunInfo, RunStep, StepInfo, StepPhase,
};
pub use mailbox::MailboxMessage;
pub use operations::{
    DeadLetterInfo, DeadLetterOutcome, FailingLane, ProjectionStatus, RebuildProgress, SettledAnswer,
};
pub use own_views::{
    FieldKind, FoldOp, OfferedEventType, OfferedField, OfferedFields, OwnFold, OwnView, OwnViewDefinition,
    OwnViewsAnswer,
};
pub use plain::from_plain;
pub use question_words::QuestionWords;
pub use recordings::{
    CommandInRecording, KeepRecording, KeptRecording, RECORDING_FORMAT, Recording, RecordingInfo,
};
pub use search::{Facet, Highlight, HighlightPart, SearchAnswer, SearchFacets, SearchHit, SearchKind};

mod live;

pub use sessions::{
    ChangePassword, EmailConfirmation, ForgottenPassword, LinkToken, PasswordReset, SessionAccess, SignIn,
};

pub use live::{ChangeCause, ClientFrame, LabTopic, ServerFrame, SnapshotData};

/// The version that a stream must have for a command to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExpectedVersion {
    /// Exactly this version; 0 is a stream without events.
    Exact(u64),
    /// A condition by name.
    Named(NamedExpectation),
    /// No condition: after a concurrent append, the server decides again on the newest state. In JSON: absent
    /// or null.
    #[default]
    Any,
}

/// A condition that is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NamedExpectation {
    /// The stream must not have an event.
    NoStream,
    /// The stream must have an event.
    StreamExists,
    /// The same as no condition.
    Any,
}

/// `POST /api/v1/commands`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({
    "type": "ReceiveStock", "stream": "inventory-mug-01", "data": {"quantity": 12},
})))]
pub struct CommandRequest {
    /// The command's name, as in `PlaceOrder`.
    #[serde(rename = "type")]
    pub command_type: String,
    /// The stream that it is sent to, as in `order-0198c1…`.
    pub stream: String,
    /// The command's own fields.
    pub data: Value,
    /// The expected version of the stream.
    #[serde(default, skip_serializing_if = "is_any")]
    pub expected_version: ExpectedVersion,
    /// Links this command to others of one intention; by default, a new id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Uuid>,
}

fn is_any(expected: &ExpectedVersion) -> bool {
    *expected == ExpectedVersion::Any
}

/// An appended event of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppendedEvent {
    /// UUIDv7.
    pub event_id: Uuid,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its version in the stream.
    pub version: u64,
    /// Its position in the partition.
    pub position: u64,
    /// The stream's partition.
    pub partition: u32,
}

/// The answer to an accepted command. Without events, the command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommandAnswer {
    /// The command's id, the same for a repeated Idempotency-Key.
    pub command_id: Uuid,
    /// The id shared by everything that this command causes.
    pub correlation_id: Uuid,
    /// The stream.
    pub stream: String,
    /// The stream's version after the command.
    pub version: u64,
    /// The appended events.
    pub events: Vec<AppendedEvent>,
    /// The consistency token for the parameter `after`, to read this command's effects.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "3:128"))]
    pub token: ConsistencyToken,
}

/// An error, as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A stable URI reference of the kind of problem: `/problems/conflict`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The occurrence, and what to do about it.
    pub detail: String,
    /// The invalid fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// For a conflict: the actual version of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// For a rejection: the rule's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// For a timeout: the lagging views, as in `orders 0:12 of 0:15`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<String>,
    /// For a workspace that was reset: the one that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Uuid>))]
    pub workspace: Option<WorkspaceId>,
}

/// The longest detail of a problem, in characters; its violations are listed apart.
const MAX_DETAIL: usize = 600;
/// The longest name of a field in a problem, in characters.
const MAX_FIELD: usize = 200;

impl Problem {
    /// The problem with its texts at a bounded length: some name what the client has sent, such as a view
    /// or a field that there is not.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        shorten(&mut self.detail, MAX_DETAIL);
        for violation in &mut self.violations {
            shorten(&mut violation.field, MAX_FIELD);
            shorten(&mut violation.message, MAX_MESSAGE);
        }
        self
    }
}

/// `POST /api/v1/workspaces`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"template": "shop", "name": "A class"})))]
pub struct OpenWorkspace {
    /// The initial content; either this or `snapshot` is present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// In place of a template: the workspace whose events the new one begins with. The caller is an educator
    /// of it. Times are kept. Its people cannot sign in to the new one, and their names are not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Uuid>))]
    pub snapshot: Option<WorkspaceId>,
    /// The number of partitions, 1 to 64; by default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// The display name, up to 80 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language of the template's texts; by default that of the request, or else English. English as well
    /// where the template has no texts in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The time at which the workspace's clock begins (RFC 3339), from the year 2000 to now; by default now.
    /// Its events and timers go by this clock, from the template's events on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub clock: Option<Timestamp>,
}

/// The initial content of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Template {
    /// 24 products with stock, three customers and some of their orders.
    Shop,
    /// Nothing.
    Empty,
}

/// The answer to opening or joining a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkspaceAccess {
    /// The workspace.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The code for joining.
    pub join_code: String,
    /// The access token: `Authorization: Bearer …`.
    pub token: String,
    /// Seconds until it expires.
    pub expires_in: u64,
}

/// `POST /api/v1/workspaces/join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JoinWorkspace {
    /// The workspace's join code.
    pub code: String,
    /// The name shown to others, 1 to 40 characters.
    pub display_name: String,
}

/// The session of the request, for the browser; without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionInfo {
    /// The workspace.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// Its name.
    pub workspace_name: String,
    /// The code for joining.
    pub join_code: String,
    /// The person.
    pub actor_id: Uuid,
    /// The name shown to others.
    pub display_name: String,
    /// The role.
    pub role: Role,
    /// The language of the account: of emails, and of the interface on a device where none was chosen. Absent
    /// for a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The time at which the workspace is purged unless it is used before; absent if it is never purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_if_idle_at: Option<Timestamp>,
}

/// `GET /api/v1/views/{view}/{key}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentAnswer<D = Value> {
    /// The document.
    pub data: D,
    /// The folded position of the view.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// The number of events that the view has not folded yet.
    pub behind: u64,
    /// The generation of the view.
    pub generation: u64,
}

/// One document in a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Row<D = Value> {
    /// The document's key.
    pub key: String,
    /// The sort key in this listing; ties are sorted by key.
    pub sort: String,
    /// The document.
    pub data: D,
}

/// `GET /api/v1/views/{view}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListingAnswer<D = Value> {
    /// The documents, in order.
    pub data: Vec<Row<D>>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The `cursor` of the page before; absent on the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The folded position of the view.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
    pub as_of: ConsistencyToken,
    /// The number of events that the view has not folded yet.
    pub behind: u64,
    /// The generation of the view.
    pub generation: u64,
}

/// The sort order of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Order {
    /// Smallest sort key first.
    #[default]
    Asc,
    /// Largest sort key first: newest first, if the sort key is a time.
    Desc,
}

/// One stream, as `GET /api/v1/streams` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StreamInfo {
    /// Its name.
    pub stream: String,
    /// The version of its newest event.
    pub version: u64,
    /// Its partition.
    pub partition: u32,
}

/// A page of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// The `cursor` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of events, as `GET /api/v1/streams/{stream}` and `GET /api/v1/events` answer it.
pub type EventPage = Page<StoredEvent>;

/// A signed checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedCheckpoint {
    /// The partition.
    pub partition: u32,
    /// The position of the event up to which it vouches for the history.
    pub position: u64,
    /// The hash of the chain there, in hexadecimal.
    pub hash: String,
    /// The signed note, as `foldline verify --checkpoint` takes it.
    pub note: String,
}

/// The answer of `GET /api/v1/checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckpointsAnswer {
    /// The public key that verifies the notes, as `name+id+key`.
    pub verifier: String,
    /// The checkpoints.
    pub data: Vec<SignedCheckpoint>,
    /// The histories that the server has signed and kept and that the log does not contain, one sentence
    /// each; absent if it contains all: then it was neither rolled back nor rewritten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

/// The report of `GET /api/v1/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyReport {
    /// The number of events whose hash was recomputed.
    pub events: u64,
    /// The number of documents that were folded again.
    pub documents: u64,
    /// The differences, one sentence each; empty if there are none.
    pub findings: Vec<String>,
    /// The histories that the server has signed and kept and that the log does not contain, one sentence
    /// each; absent if it contains all. After a restore from a backup they say what was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

#[cfg(test)]
mod tests;
