//! Reading all of a view in one snapshot, page by page.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Checkpoint, DocumentStoreError, Moment, StoredDocument};

/// Rows of a page, where the caller keeps all of them.
const PAGE: u32 = 1_000;

/// An entry of a listing, without its document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredEntry {
    /// The listing.
    pub listing: String,
    /// The group within it.
    pub group: String,
    /// The sort key.
    pub sort: String,
    /// The document's key.
    pub key: String,
}

/// A document with its entries in listings.
#[derive(Debug, Clone)]
pub struct ListedDocument {
    /// The document.
    pub document: StoredDocument,
    /// Listing, group and sort key of each entry, in order.
    pub places: Vec<(String, String, String)>,
}

/// A document as the verifier reads it: its text may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDocument {
    /// Its key.
    pub key: String,
    /// Its text and its owner, or why its row cannot be read.
    pub content: Result<(String, Option<Uuid>), String>,
}

/// The contents of a view in one snapshot.
#[derive(Debug, Clone, Default)]
pub struct ViewContents {
    /// Its documents, by key.
    pub documents: Vec<ListedDocument>,
    /// The partition and the position of every event that was parked.
    pub passed: Vec<(u32, u64)>,
}

/// The live generation of a view in one snapshot, which ends when this is dropped. It holds a connection, and
/// the database keeps what was deleted meanwhile: read it without a pause.
#[async_trait]
pub trait ViewSnapshot: Send {
    /// The next documents, by key; none after the last.
    async fn documents(&mut self, limit: u32) -> Result<Vec<StoredDocument>, DocumentStoreError>;

    /// The same as they are stored: one that cannot be read hides no other.
    async fn raw_documents(&mut self, limit: u32) -> Result<Vec<RawDocument>, DocumentStoreError>;

    /// Whether there is a document with this key.
    async fn contains(&mut self, key: &str) -> Result<bool, DocumentStoreError>;

    /// The partition and the checkpoint of every lane.
    async fn checkpoints(&mut self) -> Result<Vec<(u32, Checkpoint)>, DocumentStoreError>;

    /// The next entries, by listing, group, sort key and key; none after the last.
    async fn entries(&mut self, limit: u32) -> Result<Vec<StoredEntry>, DocumentStoreError>;

    /// The partition and the position of every event that was parked.
    async fn passed(&mut self) -> Result<Vec<(u32, u64)>, DocumentStoreError>;
}

impl DocumentStoreError {
    /// A listing has an entry of a document that is not stored.
    pub fn entry_without_document(view: &str, key: &str) -> Self {
        Self::Corrupt(format!("{view} lists {key}, of which there is no document"))
    }
}

/// Implements [`DocumentStore::contents`](super::DocumentStore::contents).
pub(super) async fn contents(
    view: &str,
    snapshot: Moment<Box<dyn ViewSnapshot>>,
) -> Result<Moment<ViewContents>, DocumentStoreError> {
    let Moment {
        value: mut snapshot,
        as_of,
        generation,
    } = snapshot;
    let mut documents = BTreeMap::new();
    loop {
        let page = snapshot.documents(PAGE).await?;
        if page.is_empty() {
            break;
        }
        for document in page {
            let key = document.key.clone();
            let places = Vec::new();
            documents.insert(key, ListedDocument { document, places });
        }
    }
    loop {
        let page = snapshot.entries(PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            let listed = documents
                .get_mut(&entry.key)
                .ok_or_else(|| DocumentStoreError::entry_without_document(view, &entry.key))?;
            // the order of entries is the order of each document's places
            listed.places.push((entry.listing, entry.group, entry.sort));
        }
    }
    let passed = snapshot.passed().await?;
    Ok(Moment {
        value: ViewContents {
            documents: documents.into_values().collect(),
            passed,
        },
        as_of,
        generation,
    })
}
