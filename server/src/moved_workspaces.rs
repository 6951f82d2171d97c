//! Tells the other servers of a workspace that was reset, and ends it here where another server has reset it:
//! its sockets are told at once where the class goes on.
//!
//! A message may be lost. Then a socket is told with its next ping, and a request with its answer: what is
//! stored leads there.

use std::sync::Arc;

use async_trait::async_trait;
use broker::{Broker, Heard, ServerMessage};
use documents::DocumentStore;
use domain::id::WorkspaceId;
use lifecycle::{PurgeError, Sweeper, WorkspaceKeeper};
use tokio_util::sync::CancellationToken;

/// Tells the other servers. It holds no data of a workspace.
#[derive(Debug)]
pub(crate) struct MovedWorkspaces(pub(crate) Arc<dyn Broker>);

#[async_trait]
impl WorkspaceKeeper for MovedWorkspaces {
    async fn end(&self, _: WorkspaceId) {}

    fn stores(&self) -> Vec<Arc<dyn DocumentStore>> {
        Vec::new()
    }

    async fn replaced(&self, workspace: WorkspaceId, successor: WorkspaceId) {
        let moved = ServerMessage::Moved { workspace, successor };
        self.0.tell(&moved).await;
    }

    async fn forget(&self, _: WorkspaceId) -> Result<(), PurgeError> {
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError> {
        Ok(Vec::new())
    }
}

/// Ends the workspaces that other servers have reset, until it is cancelled.
pub(crate) async fn follow(broker: Arc<dyn Broker>, sweeper: Arc<Sweeper>, cancelled: CancellationToken) {
    let mut messages = broker.messages();
    loop {
        let heard = tokio::select! {
            () = cancelled.cancelled() => return,
            heard = Heard::next(&mut messages) => heard,
        };
        // What was missed is found by the next request, or ping of a socket, of each workspace.
        if let Heard::Message(ServerMessage::Moved { workspace, successor }) = heard {
            sweeper.moved(workspace, successor).await;
        }
    }
}
