//! Box 9, Cache: accelerates hot read responses.
//!
//! The trait and its types. An answer is stored under a **topic** (one document, or one group of a listing)
//! with the topic's stamp from before it was read. Invalidation gives a topic a new stamp, so an answer that
//! was read before a commit is never found after that commit's invalidation, however the two race. Concurrent
//! requests for the same answer share one load.
//!
//! An [entry] also has the bytes that were sent last, so a repeated request costs one lookup.

pub mod encoded;
pub mod entry;
pub mod in_process;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use documents::{DocumentStoreError, SeekKey};
use domain::{id::WorkspaceId, token::ConsistencyToken, wire::Order};
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use uuid::Uuid;

pub use encoded::EncodedAnswer;
pub use entry::{CacheEntry, Form, VisibleRows};

/// The unit of invalidation: what changes together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One document.
    Document {
        /// The workspace.
        workspace: WorkspaceId,
        /// The view.
        view: &'static str,
        /// The document's key.
        key: String,
    },
    /// One group of a listing.
    Group {
        /// The workspace.
        workspace: WorkspaceId,
        /// The view.
        view: &'static str,
        /// The listing.
        listing: &'static str,
        /// The group.
        group: String,
    },
}

/// One answer within a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// The topic.
    pub topic: Topic,
    /// Which page of a listing; absent for a document.
    pub page: Option<PageKey>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// The order of the rows.
    pub order: Order,
    /// The most rows.
    pub limit: u32,
    /// The sort key and the key of the row before the page.
    pub after: Option<(String, String)>,
}

impl PageKey {
    /// The key of a page that begins after the row of `after`.
    pub fn new(order: Order, limit: u32, after: Option<&SeekKey>) -> Self {
        Self {
            order,
            limit,
            after: after.map(|row| (row.sort.clone(), row.key.clone())),
        }
    }
}

/// One document of an answer.
#[derive(Debug, Clone)]
pub struct CachedRow {
    /// Its key.
    pub key: String,
    /// What it is sorted by; empty for a single document.
    pub sort: String,
    /// The user that it belongs to.
    pub owner: Option<Uuid>,
    /// Its JSON.
    pub data: Box<RawValue>,
}

/// An answer: its rows, and the token as of which they are.
#[derive(Debug)]
pub struct CachedAnswer {
    /// The documents; at most one if a document was requested.
    pub rows: Vec<CachedRow>,
    /// Whether there are more rows after the last.
    pub more: bool,
    /// The token as of which they are.
    pub as_of: ConsistencyToken,
    /// Their generation.
    pub generation: u64,
}

/// Loads an answer that the cache does not have.
pub type Load<'a> = BoxFuture<'a, Result<CachedAnswer, DocumentStoreError>>;

/// Chooses the bytes of an entry that a request gets, if it has them.
pub type Choose<'a> = &'a (dyn Fn(&CacheEntry) -> Option<Arc<EncodedAnswer>> + Send + Sync);

/// Keeps hot answers.
#[async_trait]
pub trait Cache: Send + Sync + Debug {
    /// Returns the answer, from the cache or loaded; concurrent callers share one load.
    async fn get(&self, key: CacheKey, load: Load<'_>) -> Result<Arc<CacheEntry>, Arc<DocumentStoreError>>;

    /// Returns the chosen bytes of an answer in the cache; it loads nothing.
    async fn sent(&self, key: CacheKey, choose: Choose<'_>) -> Option<Arc<EncodedAnswer>>;

    /// Invalidates these topics. When this returns, no answer read before the call is found again.
    async fn invalidate(&self, topics: &[Topic]);

    /// Drops all answers; for the switch of a generation.
    async fn clear(&self);

    /// Whether it keeps answers of a workspace; one that does not loads each of them.
    fn keeps(&self, _workspace: WorkspaceId) -> bool {
        true
    }
}
