//! Box 9, Cache: accelerates hot read responses.
//!
//! The trait and its vocabulary. An answer is filed under a **topic** (one document, or one group of a listing) and
//! carries the topic's stamp from before it was read. Invalidating a topic gives it a new stamp, so an answer that was
//! read before a commit can never be found after that commit's invalidation, however the two race. One load at a time
//! for the same answer.

pub mod in_process;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use documents::{DocumentStoreError, SeekKey};
use domain::{id::WorkspaceId, token::ConsistencyToken, wire::Order};
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use uuid::Uuid;

/// What changes together: the unit of invalidation.
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
    /// What it is about.
    pub topic: Topic,
    /// Which page of a listing; absent for a document.
    pub page: Option<PageKey>,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// Which way.
    pub order: Order,
    /// The most rows.
    pub limit: u32,
    /// Behind which row: sort key and document key.
    pub behind: Option<(String, String)>,
}

impl PageKey {
    /// The key of a page that begins behind `place`.
    pub fn new(order: Order, limit: u32, place: Option<&SeekKey>) -> Self {
        Self {
            order,
            limit,
            behind: place.map(|place| (place.sort.clone(), place.key.clone())),
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
    /// Whose it is.
    pub owner: Option<Uuid>,
    /// Its JSON.
    pub data: Box<RawValue>,
}

/// An answer: its rows, and the moment it is from.
#[derive(Debug)]
pub struct CachedAnswer {
    /// The documents; at most one where a document was asked for.
    pub rows: Vec<CachedRow>,
    /// Whether there are more rows behind the last.
    pub more: bool,
    /// How far they were folded.
    pub as_of: ConsistencyToken,
    /// The generation they are of.
    pub generation: u64,
}

/// Reads an answer that the cache does not have.
pub type Load<'a> = BoxFuture<'a, Result<CachedAnswer, DocumentStoreError>>;

/// Keeps hot answers.
#[async_trait]
pub trait Cache: Send + Sync + Debug {
    /// The answer, from the cache or loaded; callers who want the same answer at once share one load.
    async fn get(&self, key: CacheKey, load: Load<'_>) -> Result<Arc<CachedAnswer>, Arc<DocumentStoreError>>;

    /// What is kept about these topics is no longer true. When it returns, nothing read before the call is found again.
    async fn invalidate(&self, topics: &[Topic]);

    /// Forgets everything; for the switch of a generation.
    async fn clear(&self);
}
