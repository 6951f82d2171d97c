//! Ends the sandboxes of the lessons of a purged workspace with it. What is stored of their runs lies in the
//! process store, which is purged with the consumers.

use std::sync::Arc;

use async_trait::async_trait;
use documents::DocumentStore;
use domain::id::WorkspaceId;
use lifecycle::{PurgeError, WorkspaceKeeper};
use teaching::runs::Lessons;

/// The workspaces in which people do lessons.
#[derive(Debug)]
pub(crate) struct LessonWorkspaces(pub(crate) Arc<Lessons>);

#[async_trait]
impl WorkspaceKeeper for LessonWorkspaces {
    async fn end(&self, workspace: WorkspaceId) {
        self.0.end_workspace(workspace).await;
    }

    fn stores(&self) -> Vec<Arc<dyn DocumentStore>> {
        Vec::new()
    }

    async fn forget(&self, _: WorkspaceId) -> Result<(), PurgeError> {
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError> {
        Ok(Vec::new())
    }
}
