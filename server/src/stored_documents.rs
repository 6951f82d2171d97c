//! The stored documents of workspaces, for the command service: the read model knows a person's
//! notifications, and it and the process store know how much a sandbox has stored.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use command::{StorageUsage, StoredDocuments};
use documents::{DocumentStore, DocumentStoreError};
use domain::{
    id::WorkspaceId,
    view::{
        View as _,
        notifications::{self, NotificationsView},
    },
};
use event_store::{EventStore, StoreError};
use projection::progress::Progress;
use uuid::Uuid;

/// The documents of a server's views and processes.
#[derive(Debug)]
pub(crate) struct ServerDocuments {
    /// The views.
    pub(crate) read_model: Arc<dyn DocumentStore>,
    /// Processes, clocks, and the books of the payments' test mode.
    pub(crate) process_store: Arc<dyn DocumentStore>,
    /// The log.
    pub(crate) events: Arc<dyn EventStore>,
    /// How far the views have folded.
    pub(crate) progress: Arc<Progress>,
}

impl ServerDocuments {
    /// Whether every view has folded all that is in the log.
    async fn is_caught_up(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let head = self.events.head(workspace).await?;
        Ok(self.progress.handlers().iter().all(|handler| {
            let progress = self.progress.of(workspace, handler.name());
            progress.is_none_or(|progress| progress.folded().covers(&head))
        }))
    }
}

#[async_trait]
impl StoredDocuments for ServerDocuments {
    async fn notifications(
        &self,
        workspace: WorkspaceId,
        person: Uuid,
        events: &[Uuid],
    ) -> Result<BTreeSet<Uuid>, StoreError> {
        let keys: Vec<_> = events
            .iter()
            .map(|event| notifications::key(person, *event))
            .collect();
        let found = self
            .read_model
            .documents(workspace, NotificationsView::NAME, &keys)
            .await
            .map_err(unavailable)?;
        Ok(found
            .iter()
            .filter_map(|document| notifications::event_of_key(&document.key))
            .collect())
    }

    async fn usage(&self, workspace: WorkspaceId) -> Result<StorageUsage, StoreError> {
        // Before it is measured: what is folded meanwhile may be missing.
        let is_current = self.is_caught_up(workspace).await?;
        let views = self.read_model.usage(workspace).await.map_err(unavailable)?;
        let processes = self.process_store.usage(workspace).await.map_err(unavailable)?;
        Ok(StorageUsage {
            documents: views.documents.saturating_add(processes.documents),
            bytes: views.bytes.saturating_add(processes.bytes),
            is_current,
        })
    }
}

fn unavailable(error: DocumentStoreError) -> StoreError {
    match error {
        DocumentStoreError::Refused(reason) => StoreError::Refused(reason),
        DocumentStoreError::Corrupt(reason) => StoreError::Corrupt(reason),
        DocumentStoreError::Full(reason) => StoreError::Full(reason),
        error @ (DocumentStoreError::Unavailable(_) | DocumentStoreError::Fault(_)) => {
            StoreError::Unavailable(error.to_string())
        }
    }
}
