//! A store of documents, with listings and checkpoints: what box 8, the process managers and the payment's test mode keep
//! what they fold in.
//!
//! The trait and its vocabulary; adapters lie beside it. Whatever the database, an adapter promises: the documents, the
//! listings and the checkpoint of a lane change in one transaction, and only if the checkpoint is what the lane believes
//! it to be; and a reader gets its documents and how far they are folded from one and the same moment. What the documents
//! mean, and when they are folded, is left to the projections.

mod columns;
#[cfg(test)]
mod conformance;
mod generations;
mod open;
mod opener;
mod parking;
pub mod postgres;
mod purging;
mod sql;
pub mod sqlite;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken, view::ListingEntry, wire::Order};
use serde_json::value::RawValue;
use uuid::Uuid;

use database::{postgres::refuses_for_good, schema::SchemaError};
pub use generations::{Generations, StoredGeneration, Switched};
pub use open::{open, open_to_read};
pub use opener::{Opener, SealError};
pub use parking::{DeadLetter, DeadLetterKey, ParkedCount, ParkedEvent, ParkedState, Parking};
pub use purging::Purging;

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

/// Where a lane writes: one generation of a view, and the partition whose checkpoint it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneId {
    /// The view.
    pub scope: Scope,
    /// The partition.
    pub partition: u32,
}

/// A lane's checkpoint as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The view's name; perhaps one that this program no longer has.
    pub view: String,
    /// The live generation, whose checkpoint it is.
    pub generation: u64,
    /// The partition.
    pub partition: u32,
    /// The position of the last event that was folded or parked.
    pub position: u64,
    /// Where it stood when parked events were last applied; 0 where none ever were.
    pub released_at: u64,
}

/// A document as it lies in the database.
#[derive(Debug, Clone)]
pub struct StoredDocument {
    /// Its key.
    pub key: String,
    /// Its JSON.
    pub data: Box<RawValue>,
    /// Whose it is.
    pub owner: Option<Uuid>,
}

/// What a lane does to one document.
#[derive(Debug, Clone)]
pub struct DocumentWrite {
    /// Its key.
    pub key: String,
    /// Its new JSON; `None` deletes it.
    pub data: Option<Arc<RawValue>>,
    /// Whose it is now.
    pub owner: Option<Uuid>,
    /// Where it is no longer listed.
    pub left: Vec<ListingEntry>,
    /// Where it is newly listed.
    pub entered: Vec<ListingEntry>,
}

/// What a fold is given: the documents of the keys that it asked for, as far as they exist, and the streams that are held
/// back on its lane.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The documents.
    pub documents: Vec<StoredDocument>,
    /// The names of streams behind whose dead letters events have to wait.
    pub held: Vec<String>,
}

/// What a fold answers.
#[derive(Debug, Clone, Default)]
pub struct Effect {
    /// What becomes of documents.
    pub writes: Vec<DocumentWrite>,
    /// Events that are passed without being applied.
    pub parked: Vec<ParkedEvent>,
}

/// An event that cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event at position {position} cannot be applied: {reason}")]
pub struct FoldFault {
    /// Its position.
    pub position: u64,
    /// Why not.
    pub reason: String,
}

/// A document's place in a listing, and the document.
#[derive(Debug, Clone)]
pub struct StoredRow {
    /// What it is sorted by.
    pub sort: String,
    /// The document.
    pub document: StoredDocument,
}

/// A document and every place where it is listed: what the verifier compares with the fold.
#[derive(Debug, Clone)]
pub struct ListedDocument {
    /// The document.
    pub document: StoredDocument,
    /// Listing, group and sort key of each place, in order.
    pub places: Vec<(String, String, String)>,
}

/// Everything that a view holds at one moment.
#[derive(Debug, Clone, Default)]
pub struct Everything {
    /// Its documents, by key.
    pub documents: Vec<ListedDocument>,
    /// The partition and the position of every event that it has passed without applying it.
    pub passed: Vec<(u32, u64)>,
}

/// Something read, and the moment it is from.
#[derive(Debug, Clone)]
pub struct Moment<T> {
    /// What was read.
    pub value: T,
    /// How far it is folded.
    pub as_of: ConsistencyToken,
    /// The generation that was live at that moment.
    pub generation: u64,
}

/// Where a page of a listing begins: behind this place.
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
    /// Which way.
    pub order: Order,
    /// The most rows.
    pub limit: u32,
    /// Behind which row; from the first where absent.
    pub behind: Option<&'a SeekKey>,
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// It is committed.
    Committed,
    /// The checkpoint is not where the lane believed: somebody else moved it. Nothing was changed.
    Elsewhere {
        /// Where it is.
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
    /// The database did not do it; worth a retry.
    #[error("the document store is unavailable: {0}")]
    Unavailable(String),
    /// It refuses a value, and will refuse it again: no retry helps.
    #[error("the document store refuses a value: {0}")]
    Refused(String),
    /// What it holds cannot be read; a rebuild mends it.
    #[error("the document store holds something unreadable: {0}")]
    Corrupt(String),
    /// The fold failed at an event, and nothing was changed.
    #[error(transparent)]
    Fault(#[from] FoldFault),
}

impl From<sqlx::Error> for DocumentStoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            _ if refuses_for_good(&error) => Self::Refused(error.to_string()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(error.to_string()),
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

/// Folds events into the documents of an update. Pure and repeatable: an adapter may call it again when its transaction
/// has to start over.
pub type Fold<'a> = dyn FnMut(Loaded) -> Result<Effect, FoldFault> + Send + 'a;

/// Documents and listings, and how far they are folded.
#[async_trait]
pub trait DocumentStore: Parking + Generations + Purging {
    /// Every checkpoint of every live generation.
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, DocumentStoreError>;

    /// The checkpoint of one lane; 0 where it has seen nothing.
    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, DocumentStoreError>;

    /// In one transaction: moves the lane's checkpoint from `from` to `to`, reads the documents of `keys` and which streams
    /// are held back, folds, and writes and parks what the fold answers. The lanes of other partitions may hold the same
    /// documents; the transaction keeps them apart, so no update is lost.
    async fn update(
        &self,
        lane: &LaneId,
        from: u64,
        to: u64,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<Updated, DocumentStoreError>;

    /// In one transaction: reads the documents of `keys` and writes what the fold answers, without moving a checkpoint; for
    /// changes that no event makes. Who shows these documents has to be told.
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

    /// A page of a listing of the live generation, in order.
    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, DocumentStoreError>;

    /// Every document of the live generation with its places, by key, and what was passed, at one moment. Holds them all in
    /// memory: for the verifier, not for queries.
    async fn everything(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<Everything>, DocumentStoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), DocumentStoreError>;

    /// Finishes what is under way and closes the files.
    async fn close(&self);
}
