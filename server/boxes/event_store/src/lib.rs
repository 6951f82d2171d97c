//! Box 5, Event Store: persists the immutable event stream by aggregate.
//!
//! The trait and its vocabulary; adapters lie beside it. Whatever the database, an adapter promises:
//!
//! - **dense positions**: within a partition, positions run 1, 2, 3 … in the order of commits, and a reader never meets
//!   a gap. The append takes the partition's lock, advances its head, and inserts;
//! - **optimistic concurrency**: a conflict changes nothing and names the current version;
//! - **atomic**: all events of an append are stored, or none, also over several streams;
//! - **idempotent**: the same command id with the same body answers what it answered first; with another body it is
//!   refused;
//! - **durable**: an append is acknowledged only after its commit is on disk;
//! - **immutable**: no UPDATE and no DELETE on events; each event carries its hash chained to its predecessor's. A workspace
//!   goes as a whole or not at all: see [`Lifecycle`].
//!
//! The event store knows no view and no aggregate: payloads are raw JSON.

mod answer;
mod appender;
mod chain_head;
mod columns;
#[cfg(test)]
mod conformance;
mod import;
mod lifecycle;
mod open;
mod postgres;
mod sql;
mod sqlite;
mod workspace;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::{Metadata, StoredEvent},
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::{AppendedEvent, EventSchema, Page, StreamInfo},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::error::DatabaseError;
use uuid::Uuid;

pub use chain_head::ChainHead;
use database::{postgres::refuses_for_good, schema::SchemaError};
pub use import::{AnsweredCommand, Import, ImportFault};
pub use lifecycle::{Admitted, Lifecycle, Purged};
pub use open::{open, open_to_import, open_to_read};
pub use postgres::PostgresEventStore;
pub use sqlite::SqliteEventStore;
pub use workspace::{MAX_SHARDS, MAX_WORKSPACE_NAME, Workspace, new_join_code};

/// What a stream's version must be for an append to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Any,
    /// No event yet.
    NoStream,
    /// At least one event.
    StreamExists,
    /// Exactly this version; 0 is the same as `NoStream`.
    Exact(u64),
}

impl Expected {
    /// Whether a stream at `version` (0: no event) meets this.
    pub const fn is_met_by(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::StreamExists => version > 0,
            Self::Exact(expected) => version == expected,
        }
    }
}

/// An event before it is stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// UUIDv7.
    pub event_id: Uuid,
    /// The type, as in `OrderCreated`.
    pub event_type: String,
    /// The version of the type's schema.
    pub schema_version: u32,
    /// The payload; these bytes are stored and hashed.
    pub payload: Box<RawValue>,
}

/// The part of an append that goes to one stream.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// The stream.
    pub stream: StreamName,
    /// What its version must be.
    pub expected: Expected,
    /// Its new events, oldest first; may be empty, which still checks the version.
    pub events: Vec<NewEvent>,
}

/// What one command appends: atomically, to one stream or several.
#[derive(Debug, Clone)]
pub struct Append {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// A digest of the command's body, to tell a repetition from another command with the same id.
    pub body_digest: [u8; 32],
    /// The streams; the first is the command's own. No stream twice.
    pub streams: Vec<StreamAppend>,
    /// The most events that the workspace may have with these; no limit where absent. An append that was stored already
    /// is answered as the first time, whatever the limit.
    pub max_events: Option<u64>,
    /// Of every event; its `command_id` is the id of this append.
    pub metadata: Metadata,
}

/// What an append did to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAppended {
    /// The stream.
    pub stream: StreamName,
    /// Its version after the append.
    pub version: u64,
    /// Its new events.
    pub events: Vec<AppendedEvent>,
}

/// The answer to an append; kept with the command id, and given again when the command is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Shared by everything that the intention caused.
    pub correlation_id: Uuid,
    /// In the order of the append.
    pub streams: Vec<StreamAppended>,
    /// How far a reader must have seen to see this append.
    pub token: ConsistencyToken,
}

/// A command that was appended before.
#[derive(Debug, Clone)]
pub struct RecordedCommand {
    /// The digest of its body.
    pub body_digest: [u8; 32],
    /// What it answered.
    pub answer: Appended,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody was faster, or the sender was wrong about the stream.
    #[error("stream {stream} is at version {current}, not as expected")]
    Conflict {
        /// The stream.
        stream: StreamName,
        /// Its version; 0 where it has no event.
        current: u64,
    },
    /// The command id has been used for another command.
    #[error("command {0} was already used with another body")]
    CommandReused(Uuid),
    /// There is no such workspace.
    #[error("there is no workspace {0}")]
    UnknownWorkspace(WorkspaceId),
    /// The workspace would have more events than it may.
    #[error("the workspace has {stored} events and may have {most}")]
    Full {
        /// What it has.
        stored: u64,
        /// What it may have.
        most: u64,
    },
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The database failed. What was not acknowledged may or may not be stored; a repetition with the same command id is
/// safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is gone, full or shutting down; worth a retry.
    #[error("the event store is unavailable: {0}")]
    Unavailable(String),
    /// Its disk is full; worth a retry when there is room.
    #[error("the event store has no room left: {0}")]
    Full(String),
    /// It refuses a value, and will refuse it again: no retry helps.
    #[error("the event store refuses a value: {0}")]
    Refused(String),
    /// What it holds cannot be read.
    #[error("the event store holds something unreadable: {0}")]
    Corrupt(String),
}

/// How SQLite (`SQLITE_FULL`) and PostgreSQL (`disk_full`) say it.
const NO_ROOM: [&str; 2] = ["13", "53100"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // Two writers that add the same row: the appender tries again.
        let is_race = error
            .as_database_error()
            .is_some_and(DatabaseError::is_unique_violation);
        match error {
            _ if refuses_for_good(&error) && !is_race => Self::Refused(error.to_string()),
            // what the store said of its own content, on its way through code that fails as the database does
            sqlx::Error::Decode(source) => source.downcast().map_or_else(
                |source| Self::Corrupt(sqlx::Error::Decode(source).to_string()),
                |error: Box<Self>| *error,
            ),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
                Self::Corrupt(error.to_string())
            }
            sqlx::Error::Database(error) if error.code().is_some_and(|code| NO_ROOM.contains(&&*code)) => {
                Self::Full(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<SchemaError> for StoreError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Newer { .. } => Self::Corrupt(error.to_string()),
            SchemaError::Failed { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

/// A state of a stream's aggregate, so that loading it need not begin at its first event. May vanish at any time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The version of the stream that the state has folded.
    pub version: u64,
    /// The version of the state's own JSON.
    pub schema_version: u32,
    /// The state.
    pub state: Box<RawValue>,
}

/// How the event types of a program and of a store fit together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// Types and versions that some event has and the program cannot read, each with the reason.
    pub unreadable: Vec<String>,
    /// Types and versions whose kept schema says something else than the program's.
    pub changed: Vec<String>,
}

/// Which way a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forwards,
    /// Newest first.
    Backwards,
}

/// Which events of a workspace are wanted; a field that is absent does not matter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The event's type.
    pub event_type: Option<String>,
    /// Its correlation id.
    pub correlation_id: Option<Uuid>,
    /// The category of its stream.
    pub category: Option<String>,
}

/// Is told of every commit, in the order of positions within a partition; must not block.
pub trait CommitObserver: Send + Sync {
    /// Events that are now durable: of one partition, with consecutive positions.
    fn committed(&self, events: Arc<[StoredEvent]>);

    /// Somebody, perhaps another server, has brought a partition to this head: its events can be read from the store. In no
    /// order, and again and again. Whoever asks for no more than this process's own commits need not listen.
    fn moved(&self, _workspace: WorkspaceId, _partition: u32, _head: u64) {}
}

/// An append-only store of events.
#[async_trait]
pub trait EventStore: Lifecycle {
    /// Opens a workspace with its partitions. `false`: the join code is taken, and nothing was opened.
    async fn create_workspace(&self, workspace: &Workspace) -> Result<bool, StoreError>;

    /// The workspace of this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError>;

    /// The workspace of this join code.
    async fn workspace_by_code(&self, join_code: &str) -> Result<Option<Workspace>, StoreError>;

    /// Workspaces in the order of their ids, behind `after`.
    async fn workspaces(&self, after: Option<WorkspaceId>, limit: u32) -> Result<Vec<Workspace>, StoreError>;

    /// Stores events, all or none.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// What a command answered when it was appended.
    async fn recorded_command(
        &self,
        workspace: WorkspaceId,
        command_id: Uuid,
    ) -> Result<Option<RecordedCommand>, StoreError>;

    /// Commands that were answered, in the order of their ids, behind `after`.
    async fn commands(
        &self,
        workspace: WorkspaceId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AnsweredCommand>, StoreError>;

    /// Events of a stream from a version on (inclusive), at most `limit`.
    async fn read_stream(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        from: u64,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// What a state has to fold that may begin at the stream's snapshot: its events from the one on that the snapshot of this
    /// schema version was taken at, oldest first, at most `limit`; from the first one on where there is no such snapshot. So
    /// no event is no stream, and an answer that begins at version 1 needs no snapshot.
    async fn read_tail(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot_schema_version: u32,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events of a partition behind a position, oldest first, at most `limit`: the historical events of a lane.
    async fn read_partition(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events of a workspace behind a token, in order within each partition, at most `limit`, and the token behind them.
    async fn read_events(
        &self,
        workspace: WorkspaceId,
        filter: &EventFilter,
        after: &ConsistencyToken,
        limit: u32,
    ) -> Result<(Vec<StoredEvent>, ConsistencyToken), StoreError>;

    /// Streams whose names begin with `prefix`, by name, behind `after`.
    async fn streams(
        &self,
        workspace: WorkspaceId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<StreamInfo>, StoreError>;

    /// The position of the newest event of each partition of a workspace.
    async fn head(&self, workspace: WorkspaceId) -> Result<ConsistencyToken, StoreError>;

    /// Every partition that has an event, with its head, in the order of workspaces: what a relay and lanes compare
    /// their checkpoints with at start.
    async fn heads(&self) -> Result<Vec<(WorkspaceId, u32, u64)>, StoreError>;

    /// The snapshot of a stream.
    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
    ) -> Result<Option<Snapshot>, StoreError>;

    /// Keeps a snapshot in place of an older one.
    async fn save_snapshot(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError>;

    /// Keeps the schema of every event type and version that this program knows, and says what stands against using the
    /// store with it.
    async fn register_types(&self) -> Result<Registered, StoreError>;

    /// Every kept schema, by type and version.
    async fn schemas(&self) -> Result<Vec<EventSchema>, StoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Finishes what is under way, then refuses appends. After it returns, everything acknowledged is durable.
    async fn close(&self);
}
