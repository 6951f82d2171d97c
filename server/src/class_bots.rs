//! Ends the bots of a workspace with it, and tells bots whether their class goes on.

use std::sync::Arc;

use async_trait::async_trait;
use documents::DocumentStore;
use domain::id::WorkspaceId;
use lab::class::ClassKeeper;
use lifecycle::{PurgeError, WorkspaceKeeper};
use teaching::bots::{Bots, ClassWatch};

/// The classes that an educator leads.
#[derive(Debug)]
pub(crate) struct LedClasses(pub(crate) Arc<ClassKeeper>);

#[async_trait]
impl ClassWatch for LedClasses {
    async fn is_led(&self, workspace: WorkspaceId) -> bool {
        match self.0.of(workspace).await {
            Ok(now) => now.is_presenting(),
            Err(error) => {
                tracing::warn!(%workspace, %error, "whether an educator is there cannot be looked up");
                // A class does not end because a store does not answer.
                true
            }
        }
    }
}

/// The workspaces with bots. What is stored of them lies in the process store, which is purged with the
/// consumers.
#[derive(Debug)]
pub(crate) struct BotWorkspaces(pub(crate) Arc<Bots>);

#[async_trait]
impl WorkspaceKeeper for BotWorkspaces {
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
        Ok(self.0.workspaces())
    }
}
