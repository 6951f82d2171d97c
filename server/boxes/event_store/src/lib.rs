//! Box 5, Event Store: persists the immutable event stream by aggregate.
//!
//! The trait and its vocabulary; the adapters are modules beside it. On every database, an adapter promises:
//!
//! - **dense positions**: within a partition, positions run 1, 2, 3 … in the order of commits, and a reader
//!   never sees a gap. The append takes the partition's lock, advances its head, and inserts;
//! - **optimistic concurrency**: a conflict changes nothing and names the current version;
//! - **atomicity**: all events of an append are stored, or none, also across several streams;
//! - **idempotency**: the same command id with the same body gets the first answer again; with another body
//!   it is refused;
//! - **durability**: an append is acknowledged only after its commit is on disk;
//! - **immutability**: no UPDATE and no DELETE on events; each event carries its hash, chained to its
//!   predecessor's. A workspace is deleted as a whole or not at all: see [`Lifecycle`].
//!
//! The event store knows no view and no aggregate: payloads are raw JSON.

mod answer;
mod appender;
mod audit;
mod chain_head;
mod columns;
#[cfg(test)]
mod conformance;
mod content;
mod digest;
mod import;
mod lifecycle;
mod open;
mod postgres;
mod sql;
mod sqlite;
mod type_block;
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

pub use audit::{Audit, AuditedCommand, AuditedEvent, AuditedSnapshot, AuditedWorkspace};
pub use chain_head::ChainHead;
pub use content::{ContentError, WorkspaceContent};
use database::{disk, postgres::is_permanent_refusal, schema::SchemaError};
pub use digest::{DigestKey, UNKNOWN_BODY};
pub use import::{AnsweredCommand, AnsweredStream, Import, ImportFault, dry::DryImport};
pub use lifecycle::{AdmissionOutcome, Lifecycle, PurgeProgress, Successor};
pub use open::{open, open_to_import, open_to_read};
pub use postgres::PostgresEventStore;
pub use sqlite::SqliteEventStore;
pub use type_block::{BLOCK_BITS as TYPE_BLOCK_BITS, TypeBlockEntry};
pub use workspace::{MAX_SHARDS, MAX_WORKSPACE_NAME, Workspace, is_join_code, new_join_code};

/// The version that a stream must have for an append to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any version.
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

/// An event that is to be appended.
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
    /// The version it must have.
    pub expected: Expected,
    /// Its new events, oldest first; may be empty: the version is checked all the same.
    pub events: Vec<NewEvent>,
}

/// The events that one command appends, atomically, to one stream or several.
#[derive(Debug, Clone)]
pub struct Append {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The [keyed](DigestKey) digest of the command's body, to tell a repetition from another command with
    /// the same id.
    pub body_digest: [u8; 32],
    /// The streams, each once; the first is the command's own.
    pub streams: Vec<StreamAppend>,
    /// The most events that the workspace may have including these; `None`: no limit. An append that is
    /// stored already gets its first answer again, also above the limit.
    pub max_events: Option<u64>,
    /// The metadata of every event; its `command_id` is the id of this append.
    pub metadata: Metadata,
}

/// What an append changed in one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamAppendAnswer {
    /// The stream.
    pub stream: StreamName,
    /// Its version after the append.
    pub version: u64,
    /// Its new events.
    pub events: Vec<AppendedEvent>,
}

/// The answer to an append, stored under the command id and returned again when the command is repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendAnswer {
    /// The correlation id of the events.
    pub correlation_id: Uuid,
    /// In the order of the append.
    pub streams: Vec<StreamAppendAnswer>,
    /// The position that a reader must have reached to see this append.
    pub token: ConsistencyToken,
}

/// A command whose append is stored.
#[derive(Debug, Clone)]
pub struct RecordedCommand {
    /// The keyed digest of its body, or [`UNKNOWN_BODY`].
    pub body_digest: [u8; 32],
    /// Its answer.
    pub answer: AppendAnswer,
}

impl RecordedCommand {
    /// Whether a command with the same id and this digest is a repetition.
    pub fn is_repeated_by(&self, body_digest: &[u8; 32]) -> bool {
        self.body_digest == *body_digest || self.body_digest == UNKNOWN_BODY
    }
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another append came first, or the sender expected a wrong version.
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
        /// The number of its events.
        stored: u64,
        /// Its limit.
        most: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the database failed. An append that was not acknowledged may or may not be stored; repeating it with
/// the same command id is safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or is shutting down; worth a retry.
    #[error("the event store is unavailable: {0}")]
    Unavailable(String),
    /// Its disk is full; worth a retry when there is space.
    #[error("the event store has no room left: {0}")]
    Full(String),
    /// It refuses a value permanently: no retry helps.
    #[error("the event store refuses a value: {0}")]
    Refused(String),
    /// A stored value cannot be read.
    #[error("the event store holds something unreadable: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // Two writers added the same row: the appender tries again.
        let is_race = error
            .as_database_error()
            .is_some_and(DatabaseError::is_unique_violation);
        match error {
            _ if is_permanent_refusal(&error) && !is_race => Self::Refused(error.to_string()),
            // a `StoreError` that passed through code with database errors
            sqlx::Error::Decode(source) => source.downcast().map_or_else(
                |source| Self::Corrupt(sqlx::Error::Decode(source).to_string()),
                |error: Box<Self>| *error,
            ),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => {
                Self::Corrupt(error.to_string())
            }
            _ if disk::is_full(&error) => Self::Full(error.to_string()),
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

/// A state of a stream's aggregate, so that loading it need not begin at the first event. A cache: it may
/// disappear at any time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The version of the stream that the state has folded.
    pub version: u64,
    /// The schema version of the state's JSON.
    pub schema_version: u32,
    /// The state.
    pub state: Box<RawValue>,
}

/// The fingerprint of a key that the servers on one database share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprint {
    /// What the key is for, as in `signing`; not empty. There may be several keys for one purpose.
    pub purpose: String,
    /// The fingerprint, from which nothing of the key follows.
    pub fingerprint: [u8; 32],
}

/// Where the event types of the program and of the store do not match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypeCompatibility {
    /// Types and versions of stored events that the program cannot read, each with the reason.
    pub unreadable: Vec<String>,
    /// Types and versions whose stored schema differs in meaning from the program's.
    pub changed: Vec<String>,
}

/// The direction in which a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forwards,
    /// Newest first.
    Backwards,
}

/// Selects events of a workspace; a field that is `None` does not restrict them.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The event's type.
    pub event_type: Option<String>,
    /// Its correlation id.
    pub correlation_id: Option<Uuid>,
    /// The category of its stream.
    pub category: Option<String>,
}

/// Receives every commit, in the order of positions within a partition; must not block.
pub trait CommitObserver: Send + Sync {
    /// Events of one partition, with consecutive positions, are durable.
    fn committed(&self, events: Arc<[StoredEvent]>);

    /// A partition has reached this head, perhaps by a commit of another server: its events can be read
    /// from the store. Calls come in no order and may repeat. An observer of this process's own commits
    /// need not implement this.
    fn head_advanced(&self, _workspace: WorkspaceId, _partition: u32, _head: u64) {}

    /// Another server has sent a message: see [`EventStore::tell`]. `None`: messages may have been missed,
    /// because this server has only begun to listen.
    fn heard(&self, _message: Option<&str>) {}
}

/// An append-only store of events.
#[async_trait]
pub trait EventStore: Lifecycle + Audit {
    /// Creates a workspace with its partitions. `false`: the join code is taken, and nothing was created.
    async fn create_workspace(&self, workspace: &Workspace) -> Result<bool, StoreError>;

    /// Creates a workspace that begins with this content, which is [of it](WorkspaceContent::in_workspace):
    /// all of it, or nothing. `false`: the join code is taken.
    async fn import_workspace(
        &self,
        workspace: &Workspace,
        content: WorkspaceContent,
    ) -> Result<bool, StoreError>;

    /// The workspace with this id.
    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError>;

    /// The workspace with this join code.
    async fn workspace_by_code(&self, join_code: &str) -> Result<Option<Workspace>, StoreError>;

    /// Workspaces in the order of their ids, after `after`.
    async fn workspaces(&self, after: Option<WorkspaceId>, limit: u32) -> Result<Vec<Workspace>, StoreError>;

    /// Stores the events of an append, all or none.
    async fn append(&self, append: Append) -> Result<AppendAnswer, AppendError>;

    /// Stores several appends in one transaction, all or none. Each is validated on the state that the ones
    /// before it leave, and the first that is refused refuses all.
    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<AppendAnswer>, AppendError>;

    /// The answer that a command got when it was appended.
    async fn recorded_command(
        &self,
        workspace: WorkspaceId,
        command_id: Uuid,
    ) -> Result<Option<RecordedCommand>, StoreError>;

    /// Recorded commands in the order of their ids, after `after`.
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

    /// The events that a state folds on top of the stream's snapshot: oldest first, at most `limit`,
    /// beginning with the event at which the snapshot of this schema version was taken, or with the first
    /// event if there is no such snapshot. So an empty answer means that there is no stream, and an
    /// answer that begins at version 1 needs no snapshot.
    async fn read_tail(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot_schema_version: u32,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events of a partition after a position, oldest first, at most `limit`: the historical events of a
    /// lane.
    async fn read_partition(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events of a workspace after a token, in order within each partition, at most `limit`, and the token
    /// that covers them.
    async fn read_events(
        &self,
        workspace: WorkspaceId,
        filter: &EventFilter,
        after: &ConsistencyToken,
        limit: u32,
    ) -> Result<(Vec<StoredEvent>, ConsistencyToken), StoreError>;

    /// Streams with names that begin with `prefix`, by name, after `after`.
    async fn streams(
        &self,
        workspace: WorkspaceId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<StreamInfo>, StoreError>;

    /// The position of the newest event of each partition of a workspace.
    async fn head(&self, workspace: WorkspaceId) -> Result<ConsistencyToken, StoreError>;

    /// Every partition that has an event, with its head, in the order of workspaces. A relay and the
    /// lanes compare their checkpoints with it at start.
    async fn heads(&self) -> Result<Vec<(WorkspaceId, u32, u64)>, StoreError>;

    /// The chain head of every partition of a workspace, or of all workspaces; also of a partition without an
    /// event.
    async fn chain_heads(
        &self,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<(WorkspaceId, u32, ChainHead)>, StoreError>;

    /// The hash that the chain of a partition has at a position; `None`: the log does not reach as far.
    async fn hash_at(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        position: u64,
    ) -> Result<Option<String>, StoreError> {
        let Some(before) = position.checked_sub(1) else {
            return Ok(Some(ChainHead::default().hash));
        };
        let events = self.read_partition(workspace, partition, before, 1).await?;
        let event = events.into_iter().find(|event| event.position == position);
        Ok(event.map(|event| event.hash))
    }

    /// The snapshot of a stream.
    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
    ) -> Result<Option<Snapshot>, StoreError>;

    /// Snapshots of a workspace by the names of their streams, after `after`, each with the version of its
    /// stream: for the verifier.
    async fn snapshots(
        &self,
        workspace: WorkspaceId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(StreamInfo, Snapshot)>, StoreError>;

    /// The blocks of positions of a partition, from one block to another (inclusive), that are listed as
    /// having events of a type and schema version, in no order: for the verifier. A block is the positions
    /// that are the same without their lowest [`TYPE_BLOCK_BITS`] bits.
    async fn type_blocks(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        blocks: (u64, u64),
    ) -> Result<Vec<TypeBlockEntry>, StoreError>;

    /// Stores a snapshot in place of an older one.
    async fn save_snapshot(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError>;

    /// Stores the schema of every event type and version of this program, and reports what does not
    /// match.
    async fn register_types(&self) -> Result<TypeCompatibility, StoreError>;

    /// Compares the keys of this server with those of the servers that started before, and stores them if
    /// they match: for each purpose they have one in common, or there was none. Otherwise it changes nothing
    /// and returns the purposes of the keys that differ. With `replace`, and where no other server can use
    /// the database, the keys of this server are stored in any case.
    async fn match_keys(&self, keys: &[KeyFingerprint], replace: bool) -> Result<Vec<String>, StoreError>;

    /// Every stored schema, by type and version.
    async fn schemas(&self) -> Result<Vec<EventSchema>, StoreError>;

    /// Gives the digests that earlier versions have stored without a key their key, in place; there is
    /// nothing to do after the first time.
    async fn key_digests(&self, _key: &DigestKey) -> Result<(), StoreError> {
        Ok(())
    }

    /// Sends a message to the observers of the other servers on the same database, if there are any. It may
    /// be lost; a server that may have missed one is told that. At most 7000 bytes.
    async fn tell(&self, _message: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the database answers; and takes writes, if the last one found no room.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Refuses new appends and finishes those that were taken. When it returns, everything acknowledged is
    /// durable.
    async fn close(&self);
}
