//! The port to the stored documents of a workspace, for the few facts of them that a command needs: which
//! notifications a person has, and how much a sandbox has stored. The program implements it over the read
//! model and the store of processes; this box knows neither.

use std::{collections::BTreeSet, fmt::Debug};

use async_trait::async_trait;
use domain::id::WorkspaceId;
use event_store::StoreError;
use uuid::Uuid;

/// What a workspace has stored beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StorageUsage {
    /// The number of its documents.
    pub documents: u64,
    /// The bytes of their JSON.
    pub bytes: u64,
    /// Whether every view had folded all events, so that no document of an appended event is missing.
    pub is_current: bool,
}

/// The stored documents of workspaces.
#[async_trait]
pub trait StoredDocuments: Debug + Send + Sync {
    /// Those of these events that are notifications of a person.
    async fn notifications(
        &self,
        workspace: WorkspaceId,
        person: Uuid,
        events: &[Uuid],
    ) -> Result<BTreeSet<Uuid>, StoreError>;

    /// What a workspace has stored.
    async fn usage(&self, workspace: WorkspaceId) -> Result<StorageUsage, StoreError>;
}
