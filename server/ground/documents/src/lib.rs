//! A store of documents, with listings and checkpoints, for box 8, the process managers and the payment's
//! test mode.
//!
//! The trait and its vocabulary; the adapters are modules beside it. On every database, an adapter promises:
//! the documents, the listings and the checkpoint of a lane change in one transaction, and only if the
//! checkpoint is the one that the lane expects; and a reader gets documents and their consistency token from
//! one snapshot. The projections decide what the documents mean and when they are folded.

mod columns;
#[cfg(test)]
mod conformance;
mod generations;
mod open;
mod opener;
mod parking;
pub mod postgres;
mod purging;
mod sharing;
mod snapshot;
mod sql;
pub mod sqlite;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken, view::ListingEntry, wire::Order};
use serde_json::value::RawValue;
use uuid::Uuid;

use database::{disk, postgres::is_permanent_refusal, schema::SchemaError};
pub use generations::{Generations, StoredGeneration, SwitchOutcome};
pub use open::{is_made, open, open_to_read};
pub use opener::{Opener, SealError};
pub use parking::{DeadLetter, DeadLetterKey, ParkedCount, ParkedEvent, ParkedState, Parking};
pub use purging::Purging;
pub use sharing::{
    FollowedView, Membership, SHARED_PAGE, SharedChanges, SharedCommit, SharedCommits, Sharing,
};
pub use snapshot::{ListedDocument, RawDocument, StoredEntry, ViewContents, ViewSnapshot};

/// The generation of a view that was never rebuilt.
pub const FIRST_GENERATION: u64 = 1;

/// One generation of a view in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The view's name.
    pub view: &'static str,
    /// The generation, from 1.
    pub generation: u64,
}

/// A lane: one generation of a view, and the partition with the checkpoint that it advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneId {
    /// The view.
    pub scope: Scope,
    /// The partition.
    pub partition: u32,
}

/// A checkpoint to which a lane advances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The position of the last event that was folded or parked.
    pub position: u64,
    /// The hash of the log's chain there, in hexadecimal: a log with another one has another history. `None`:
    /// the lane does not know it.
    pub hash: Option<String>,
}

impl From<u64> for Checkpoint {
    /// A checkpoint of which only the position is known.
    fn from(position: u64) -> Self {
        Self { position, hash: None }
    }
}

/// A lane's checkpoint as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The view's name; the program may not have this view any more.
    pub view: String,
    /// The live generation.
    pub generation: u64,
    /// The partition.
    pub partition: u32,
    /// The position of the last event that was folded or parked.
    pub position: u64,
    /// The hash of the log's chain there, if it is known.
    pub hash: Option<String>,
    /// The checkpoint's position when parked events were last applied; 0: none were.
    pub released_at: u64,
}

/// A document as it is stored.
#[derive(Debug, Clone)]
pub struct StoredDocument {
    /// Its key.
    pub key: String,
    /// Its JSON.
    pub data: Box<RawValue>,
    /// The user who owns it; `None`: no user does.
    pub owner: Option<Uuid>,
}

/// The change of one document.
#[derive(Debug, Clone)]
pub struct DocumentWrite {
    /// Its key.
    pub key: String,
    /// Its new JSON; `None` deletes it.
    pub data: Option<Arc<RawValue>>,
    /// Its new owner.
    pub owner: Option<Uuid>,
    /// The entries that are removed from listings.
    pub removed_entries: Vec<ListingEntry>,
    /// The entries that are added to listings.
    pub added_entries: Vec<ListingEntry>,
}

/// The input of a fold: the existing documents of the requested keys, and the streams that are held back on
/// its lane.
#[derive(Debug, Clone, Default)]
pub struct FoldInput {
    /// The documents.
    pub documents: Vec<StoredDocument>,
    /// The names of streams with dead letters, behind which later events have to wait.
    pub held_streams: Vec<String>,
}

/// The output of a fold.
#[derive(Debug, Clone, Default)]
pub struct FoldOutput {
    /// The changes of documents.
    pub writes: Vec<DocumentWrite>,
    /// Events that are parked instead of applied.
    pub parked: Vec<ParkedEvent>,
    /// What is handed over to other servers, where there are any.
    pub shared: Option<SharedChanges>,
}

/// An event that cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event at position {position} cannot be applied: {reason}")]
pub struct FoldFault {
    /// Its position.
    pub position: u64,
    /// The reason.
    pub reason: String,
}

/// An entry of a listing, with its document.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// The sort key.
    pub sort: String,
    /// The document.
    pub document: StoredDocument,
}

/// A value with the consistency token and the generation of the snapshot that it was read from.
#[derive(Debug, Clone)]
pub struct Moment<T> {
    /// The value.
    pub value: T,
    /// The token up to which it is folded.
    pub as_of: ConsistencyToken,
    /// The live generation.
    pub generation: u64,
}

/// What a workspace has stored: the documents of the live generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DocumentUsage {
    /// Their number.
    pub documents: u64,
    /// The bytes of their JSON.
    pub bytes: u64,
}

/// The entry of a listing after which a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeekKey {
    /// The sort key.
    pub sort: String,
    /// The document's key.
    pub key: String,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct PageRequest<'a> {
    /// The listing.
    pub listing: &'a str,
    /// The group within it.
    pub group: &'a str,
    /// The direction.
    pub order: Order,
    /// The most rows.
    pub limit: u32,
    /// The row after which it begins; `None`: at the first.
    pub after: Option<&'a SeekKey>,
}

/// The outcome of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// It is committed.
    Committed,
    /// The checkpoint is not the expected one: another owner of the lane has advanced it. Nothing was
    /// changed.
    CheckpointMoved {
        /// The current checkpoint.
        checkpoint: u64,
    },
    /// The generation is neither live nor being built. Nothing was changed.
    Retired {
        /// The generation that is live.
        live: u64,
    },
}

/// Why nothing was read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentStoreError {
    /// The database failed; worth a retry.
    #[error("the document store is unavailable: {0}")]
    Unavailable(String),
    /// Its disk is full; worth a retry when there is space.
    #[error("the document store has no room left: {0}")]
    Full(String),
    /// It refuses a value permanently: no retry helps.
    #[error("the document store refuses a value: {0}")]
    Refused(String),
    /// A stored value cannot be read; a rebuild repairs it.
    #[error("the document store holds something unreadable: {0}")]
    Corrupt(String),
    /// The fold failed at an event, and nothing was changed.
    #[error(transparent)]
    Fault(#[from] FoldFault),
}

impl From<sqlx::Error> for DocumentStoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            _ if is_permanent_refusal(&error) => Self::Refused(error.to_string()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
            other if disk::is_full(&other) => Self::Full(other.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<SchemaError> for DocumentStoreError {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Newer { .. } => Self::Corrupt(error.to_string()),
            SchemaError::Failed { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

/// Folds events into the documents of an update. Pure and repeatable: an adapter may call it again when it
/// restarts its transaction.
pub type Fold<'a> = dyn FnMut(FoldInput) -> Result<FoldOutput, FoldFault> + Send + 'a;

/// A store of documents and listings with the checkpoints of their lanes.
#[async_trait]
pub trait DocumentStore: Parking + Generations + Purging {
    /// Every checkpoint of every live generation.
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, DocumentStoreError>;

    /// The checkpoint of one lane; 0: it has folded nothing.
    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, DocumentStoreError>;

    /// In one transaction: advances the lane's checkpoint from `from` to `to`, reads the documents of `keys`
    /// and the streams that are held back, folds, and writes and parks the fold's output. Lanes of other
    /// partitions may write the same documents; the transactions are serialised, so that no update is lost.
    ///
    /// Updates and amendments of several views may share a transaction. Each gets its own result, and if a
    /// caller goes away, its part is done wholly or not at all.
    async fn update(
        &self,
        lane: &LaneId,
        from: u64,
        to: &Checkpoint,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<UpdateOutcome, DocumentStoreError>;

    /// In one transaction: reads the documents of `keys` and writes the fold's output, without a checkpoint;
    /// for changes that no event makes. The caller has to notify the readers of these documents.
    async fn amend(
        &self,
        scope: &Scope,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<(), DocumentStoreError>;

    /// A document of the live generation.
    async fn document(
        &self,
        workspace: WorkspaceId,
        view: &str,
        key: &str,
    ) -> Result<Moment<Option<StoredDocument>>, DocumentStoreError>;

    /// Those documents of the live generation that have one of these keys, in no order.
    async fn documents(
        &self,
        workspace: WorkspaceId,
        view: &'static str,
        keys: &[String],
    ) -> Result<Vec<StoredDocument>, DocumentStoreError>;

    /// What a workspace has stored. It reads an entry of every document: for a measurement now and then, not
    /// for every request.
    async fn usage(&self, workspace: WorkspaceId) -> Result<DocumentUsage, DocumentStoreError>;

    /// A page of a listing of the live generation, in order.
    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, DocumentStoreError>;

    /// The workspaces in which a listing has an entry, of a view that is never rebuilt. It searches once for
    /// each workspace of the store: for the start of a server, not for every request.
    async fn workspaces_listed(
        &self,
        view: &'static str,
        listing: &'static str,
    ) -> Result<Vec<WorkspaceId>, DocumentStoreError>;

    /// Begins to read all of the live generation in one snapshot, page by page: for the verifier, not for
    /// queries.
    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<Box<dyn ViewSnapshot>>, DocumentStoreError>;

    /// A whole snapshot: every document with its entries, by key, and the parked events. It loads all of them
    /// into memory: for tests.
    async fn contents(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<ViewContents>, DocumentStoreError> {
        snapshot::contents(view, self.snapshot(workspace, view).await?).await
    }

    /// What servers that share this store agree upon; `None`: a single server uses it.
    fn sharing(&self) -> Option<Arc<dyn Sharing>> {
        None
    }

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), DocumentStoreError>;

    /// Finishes the running operations and closes the connections.
    async fn close(&self);
}
