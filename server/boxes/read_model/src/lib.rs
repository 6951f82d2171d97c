//! Box 8, Read Model Database: stores denormalized views for queries.
//!
//! It is a document store in its own file or schema; the crate `documents` defines what a document store
//! promises. What the documents mean, and when they are folded, is left to the projections.

use std::sync::Arc;

use database::url::StoreUrl;
use documents::{DocumentStore, DocumentStoreError};

/// The schema of its tables in a PostgreSQL.
const SCHEMA: &str = "foldline_views";

/// Opens the read model that a URL names.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    documents::open(url, SCHEMA).await
}

/// Opens the read model that a URL names, read-only.
pub async fn open_to_read(url: &StoreUrl) -> Result<Arc<dyn DocumentStore>, DocumentStoreError> {
    documents::open_to_read(url, SCHEMA).await
}
