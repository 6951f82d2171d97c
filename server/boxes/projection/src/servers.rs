//! Follows what other servers on the same database do to a handler without an event: they switch its
//! generation, release its parked events, and crash its lanes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::id::WorkspaceId;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{
    Context, following::Following, generation_switch::follow_change, lane_group::Lanes,
    log_history::begin_again_while_running, progress::HandlerProgress,
};
use broker::{Heard, PartitionId, ServerMessage};
use documents::DocumentStoreError;

/// How long after a failure the stores are read again.
const RETRY: Duration = Duration::from_secs(1);

/// Does what other servers tell.
pub(super) struct ServerFollower {
    pub(super) context: Arc<Context>,
    /// In the order of the handlers.
    pub(super) lanes: Vec<Lanes>,
    /// For what other servers have folded.
    pub(super) following: Arc<Following>,
}

impl ServerFollower {
    /// Follows until it is cancelled, or the broker is gone.
    pub(super) async fn run(self, mut messages: broadcast::Receiver<Heard>, cancelled: CancellationToken) {
        loop {
            let received = tokio::select! {
                () = cancelled.cancelled() => return,
                received = messages.recv() => received,
            };
            let mut heard = match received {
                Ok(heard) => heard,
                Err(RecvError::Lagged(_)) => Heard::Missed,
                Err(RecvError::Closed) => return,
            };
            while let Err(error) = self.follow(&heard).await {
                tracing::warn!(%error, "what another server has changed could not be read; trying again");
                // It is found among all that may have been missed.
                heard = Heard::Missed;
                tokio::select! {
                    () = cancelled.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
    }

    async fn follow(&self, heard: &Heard) -> Result<(), DocumentStoreError> {
        match heard {
            Heard::Missed => return self.follow_missed().await,
            Heard::Message(ServerMessage::Changed { workspace, handler }) => {
                return self.follow_change(*workspace, handler).await;
            }
            Heard::Message(ServerMessage::Folded { workspaces }) => {
                for workspace in workspaces {
                    self.following.look_now(*workspace);
                }
            }
            // The leases of this server renew themselves, and the rest is of the lab.
            Heard::Message(
                ServerMessage::Hello
                | ServerMessage::Owners
                | ServerMessage::Moved { .. }
                | ServerMessage::HopsWanted { .. }
                | ServerMessage::Hops { .. }
                | ServerMessage::ClassChanged { .. }
                | ServerMessage::DialsChanged { .. }
                | ServerMessage::OwnViewsChanged { .. },
            ) => {}
            Heard::Message(ServerMessage::Crash { workspace, handler }) => {
                request_crash(&self.context, &self.lanes, *workspace, handler);
            }
        }
        Ok(())
    }

    async fn follow_change(&self, workspace: WorkspaceId, handler: &str) -> Result<(), DocumentStoreError> {
        match self.context.progress.handler(handler) {
            Some(handler) => follow_change(&self.context, handler.name(), workspace).await,
            None => Ok(()),
        }
    }

    /// Finds the switches and releases that this server may not have heard of.
    async fn follow_missed(&self) -> Result<(), DocumentStoreError> {
        begin_again_while_running(&self.context, &self.lanes).await?;
        let mut changed = BTreeSet::new();
        for checkpoint in self.context.documents.checkpoints().await? {
            let Some(progress) = self.context.progress.of(checkpoint.workspace, &checkpoint.view) else {
                continue;
            };
            let released_at = progress.release_positions().position(checkpoint.partition);
            if checkpoint.generation != progress.generation() || checkpoint.released_at > released_at {
                changed.insert((checkpoint.workspace, checkpoint.view));
            }
        }
        for (workspace, handler) in changed {
            self.follow_change(workspace, &handler).await?;
        }
        Ok(())
    }
}

/// Has every lane of a handler panic at its next step. `None`: there is no such handler.
pub(super) fn request_crash(
    context: &Context,
    lanes: &[Lanes],
    workspace: WorkspaceId,
    handler: &str,
) -> Option<HandlerProgress> {
    let progress = context.progress.of(workspace, handler)?;
    let lanes = lanes.get(context.progress.index(handler)?)?;
    let head = progress.head();
    progress
        .controls()
        .request_crash(head.iter().map(|(partition, _)| partition));
    // A lane with work crashes by itself; a lane without work does not exist, and is started to crash.
    for (partition, position) in head.iter() {
        lanes.start(PartitionId { workspace, partition }, position);
    }
    Some(progress)
}
