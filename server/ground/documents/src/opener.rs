//! The port to what is personal in documents: texts are kept sealed, and opened on the way to a reader who may see them.
//!
//! The service that keeps the keys implements it; the query API, mails and the search index use it.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use domain::id::WorkspaceId;
use serde_json::value::RawValue;

/// Why a sealed text cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The keys cannot be read now; worth a retry.
    #[error("what is sealed cannot be opened now: {0}")]
    Unavailable(String),
    /// The store of keys refuses a value, and will refuse it again.
    #[error("what is sealed cannot be opened: {0}")]
    Refused(String),
}

/// Opens sealed texts. A text whose key is gone says that its person was erased.
#[async_trait]
pub trait Opener: Send + Sync + Debug {
    /// A text as it was written.
    async fn open_text(&self, workspace: WorkspaceId, text: &str) -> Result<String, SealError>;

    /// A document with every sealed text in it opened.
    async fn open_json(
        &self,
        workspace: WorkspaceId,
        json: Box<RawValue>,
    ) -> Result<Box<RawValue>, SealError>;

    /// The bytes of JSON, as a frame of a live session has them, with every sealed text in them opened.
    async fn open_bytes(&self, workspace: WorkspaceId, json: Bytes) -> Result<Bytes, SealError>;
}
