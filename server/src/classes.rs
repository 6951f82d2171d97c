//! The classes of workspaces among the boxes: the names of their people are sealed by the people service, and
//! what is in memory of a purged workspace ends with it.

use std::sync::Arc;

use async_trait::async_trait;
use documents::DocumentStore;
use domain::id::WorkspaceId;
use identity::People;
use lab::class::{ClassKeeper, NameSeals};
use lifecycle::{PurgeError, WorkspaceKeeper};
use uuid::Uuid;

/// Seals the names of a class.
#[derive(Debug)]
pub(crate) struct ClassNames(pub(crate) Arc<People>);

#[async_trait]
impl NameSeals for ClassNames {
    async fn seal(&self, workspace: WorkspaceId, person: Uuid, name: &str) -> Option<String> {
        let mut name = name.to_owned();
        match self.0.seals.seal(workspace, person, vec![&mut name]).await {
            Ok(()) => Some(name),
            Err(error) => {
                tracing::warn!(%workspace, %error, "a name of a class could not be sealed");
                None
            }
        }
    }
}

/// The workspaces whose classes are in memory. What is stored of them lies in the process store, which is
/// purged with the consumers.
#[derive(Debug)]
pub(crate) struct ClassWorkspaces(pub(crate) Arc<ClassKeeper>);

#[async_trait]
impl WorkspaceKeeper for ClassWorkspaces {
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
