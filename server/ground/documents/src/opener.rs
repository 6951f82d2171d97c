//! The port that opens personal data in documents: texts are stored sealed, and opened for a reader who may
//! see them.
//!
//! The identity service, which has the keys, implements it; the query API, emails and the search index use
//! it.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use domain::id::WorkspaceId;
use serde_json::value::RawValue;
use uuid::Uuid;

/// Why a sealed text cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The keys cannot be read now; worth a retry.
    #[error("sealed texts cannot be opened now: {0}")]
    Unavailable(String),
    /// The store of keys refuses a value permanently.
    #[error("sealed texts cannot be opened: {0}")]
    Refused(String),
}

/// Opens sealed texts. If the key of a text is destroyed, the text says that its person was erased.
#[async_trait]
pub trait Opener: Send + Sync + Debug {
    /// A text as it was before it was sealed.
    async fn open_text(&self, workspace: WorkspaceId, text: &str) -> Result<String, SealError>;

    /// A document with every sealed text in it opened.
    async fn open_json(
        &self,
        workspace: WorkspaceId,
        json: Box<RawValue>,
    ) -> Result<Box<RawValue>, SealError>;

    /// The bytes of JSON, as a frame of a live session has them, with every sealed text in them opened.
    async fn open_bytes(&self, workspace: WorkspaceId, json: Bytes) -> Result<Bytes, SealError>;

    /// Whether this installation has, or had, a person's key. It has none of people whose texts were imported
    /// from another installation.
    async fn knows_person(&self, workspace: WorkspaceId, person: Uuid) -> Result<bool, SealError>;
}
