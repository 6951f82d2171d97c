//! The consumers' way to read what is sealed: mails and the search index need names as people wrote them.
//!
//! A port of their own, which the box that holds the keys fits.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::id::WorkspaceId;
use identity::Seals;
use serde_json::value::RawValue;

/// The keys cannot be read now.
#[derive(Debug, thiserror::Error)]
#[error("what is sealed cannot be opened now: {0}")]
pub struct SealError(String);

/// Opens personal fields.
#[async_trait]
pub trait Opener: Send + Sync + Debug {
    /// A text as it was written; what cannot be opened any more says that its person was erased.
    async fn open_text(&self, workspace: WorkspaceId, text: &str) -> Result<String, SealError>;

    /// A document with every sealed text in it opened.
    async fn open_json(
        &self,
        workspace: WorkspaceId,
        json: Box<RawValue>,
    ) -> Result<Box<RawValue>, SealError>;
}

#[async_trait]
impl Opener for Seals {
    async fn open_text(&self, workspace: WorkspaceId, text: &str) -> Result<String, SealError> {
        let opened = Self::open_text(self, workspace, text).await;
        opened.map_err(|error| SealError(error.to_string()))
    }

    async fn open_json(
        &self,
        workspace: WorkspaceId,
        json: Box<RawValue>,
    ) -> Result<Box<RawValue>, SealError> {
        let opened = Self::open_json(self, workspace, json).await;
        opened.map_err(|error| SealError(error.to_string()))
    }
}

/// Where nothing is sealed.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsealed;

#[cfg(test)]
#[async_trait]
impl Opener for Unsealed {
    async fn open_text(&self, _: WorkspaceId, text: &str) -> Result<String, SealError> {
        Ok(text.to_owned())
    }

    async fn open_json(&self, _: WorkspaceId, json: Box<RawValue>) -> Result<Box<RawValue>, SealError> {
        Ok(json)
    }
}
