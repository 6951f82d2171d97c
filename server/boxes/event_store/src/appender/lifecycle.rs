//! What the appender does for the life of workspaces. It is the one that writes, so it does this too, between two groups of
//! appends: a purge in pieces never holds up an append for longer than a piece.

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};

use super::{Answer, Appender, Queue, Work, Writer};
use crate::{Admitted, Purged, StoreError};

/// See [`Lifecycle`](crate::Lifecycle).
pub(super) enum LifecycleWork {
    Admit(WorkspaceId, Option<u32>, Answer<Admitted>),
    NoteActivity(WorkspaceId, Timestamp, Answer<bool>),
    BeginPurge(WorkspaceId, Option<Timestamp>, Answer<bool>),
    Purge(WorkspaceId, u32, Answer<Purged>),
}

/// What a database does for it; see [`Lifecycle`](crate::Lifecycle).
#[async_trait]
pub(crate) trait LifecycleWriter {
    async fn admit(&mut self, workspace: WorkspaceId, most: Option<u32>) -> Result<Admitted, StoreError>;

    async fn note_activity(&mut self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError>;

    async fn begin_purge(
        &mut self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    async fn purge(&mut self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError>;
}

impl Queue {
    pub(crate) async fn admit(
        &self,
        workspace: WorkspaceId,
        most: Option<u32>,
    ) -> Result<Admitted, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::Admit(workspace, most, answer)))
            .await
    }

    pub(crate) async fn note_activity(
        &self,
        workspace: WorkspaceId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::NoteActivity(workspace, at, answer)))
            .await
    }

    pub(crate) async fn begin_purge(
        &self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::BeginPurge(workspace, idle_since, answer)))
            .await
    }

    pub(crate) async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::Purge(workspace, limit, answer)))
            .await
    }
}

impl<W: Writer> Appender<W> {
    pub(super) async fn lifecycle(&mut self, work: LifecycleWork) {
        match work {
            LifecycleWork::Admit(workspace, most, answer) => {
                let result = self.writer.admit(workspace, most).await;
                self.reply(answer, result).await;
            }
            LifecycleWork::NoteActivity(workspace, at, answer) => {
                let result = self.writer.note_activity(workspace, at).await;
                self.reply(answer, result).await;
            }
            LifecycleWork::BeginPurge(workspace, idle_since, answer) => {
                let now = self.clock.now();
                let result = self.writer.begin_purge(workspace, idle_since, now).await;
                if matches!(result, Ok(true)) {
                    self.known.forget_workspace(workspace);
                    self.unsure.retain(|(of, _), _| *of != workspace);
                }
                self.reply(answer, result).await;
            }
            LifecycleWork::Purge(workspace, limit, answer) => {
                let result = self.writer.purge(workspace, limit).await;
                self.reply(answer, result).await;
            }
        }
    }
}
