//! Ends the dials of a purged workspace with it: what shows them is in memory.

use std::sync::Arc;

use async_trait::async_trait;
use documents::DocumentStore;
use domain::id::WorkspaceId;
use lab::dials::DialKeeper;
use lifecycle::{PurgeError, WorkspaceKeeper};

/// The workspaces whose dials are shown. What is stored of them lies in the process store, which is purged
/// with the consumers.
#[derive(Debug)]
pub(crate) struct BentWorkspaces(pub(crate) Arc<DialKeeper>);

#[async_trait]
impl WorkspaceKeeper for BentWorkspaces {
    async fn end(&self, workspace: WorkspaceId) {
        self.0.end(workspace);
    }

    fn stores(&self) -> Vec<Arc<dyn DocumentStore>> {
        Vec::new()
    }

    async fn forget(&self, _: WorkspaceId) -> Result<(), PurgeError> {
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError> {
        Ok(self.0.workspaces())
    }
}
