//! Ends the hops of a purged workspace with it: the lab keeps them in memory.

use std::sync::Arc;

use async_trait::async_trait;
use documents::DocumentStore;
use domain::id::WorkspaceId;
use lab::hops::Observatory;
use lifecycle::{PurgeError, WorkspaceKeeper};

/// The workspaces whose hops are kept.
#[derive(Debug)]
pub(crate) struct ObservedWorkspaces(pub(crate) Arc<Observatory>);

#[async_trait]
impl WorkspaceKeeper for ObservedWorkspaces {
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
