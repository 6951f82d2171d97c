//! Ends what the lab has in memory of a purged workspace with it: its hops, and the checks of its invariants.

use std::sync::Arc;

use async_trait::async_trait;
use documents::DocumentStore;
use domain::id::WorkspaceId;
use lab::{hops::Observatory, invariants::Invariants};
use lifecycle::{PurgeError, WorkspaceKeeper};

/// The workspaces that are observed in the lab.
#[derive(Debug)]
pub(crate) struct ObservedWorkspaces {
    /// Those whose hops are kept.
    pub(crate) hops: Arc<Observatory>,
    /// Those whose invariants are checked.
    pub(crate) invariants: Arc<Invariants>,
}

#[async_trait]
impl WorkspaceKeeper for ObservedWorkspaces {
    async fn end(&self, workspace: WorkspaceId) {
        self.hops.end(workspace);
        self.invariants.end(workspace);
    }

    fn stores(&self) -> Vec<Arc<dyn DocumentStore>> {
        Vec::new()
    }

    async fn forget(&self, _: WorkspaceId) -> Result<(), PurgeError> {
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError> {
        let mut workspaces = self.hops.workspaces();
        workspaces.extend(self.invariants.workspaces());
        Ok(workspaces)
    }
}
