//! The lifecycle writes of the appender. It owns the connection that writes, so it makes these writes too,
//! between two groups of appends: a purge delays an append by one batch at most.

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};

use super::{Answer, Appender, Queue, Work, Writer};
use crate::{AdmissionOutcome, PurgeProgress, StoreError, Workspace};

/// A write of [`Lifecycle`](crate::Lifecycle), with its answer.
pub(super) enum LifecycleWork {
    Admit(WorkspaceId, Option<u32>, Answer<AdmissionOutcome>),
    Release(WorkspaceId, u32, Answer<bool>),
    NoteActivity(WorkspaceId, Timestamp, Answer<bool>),
    BeginPurge(WorkspaceId, Option<Timestamp>, Answer<bool>),
    Replace(Workspace, WorkspaceId, Answer<bool>),
    Purge(WorkspaceId, u32, Answer<PurgeProgress>),
}

/// The writes of [`Lifecycle`](crate::Lifecycle) on a database.
#[async_trait]
pub(crate) trait LifecycleWriter {
    async fn admit(
        &mut self,
        workspace: WorkspaceId,
        most: Option<u32>,
    ) -> Result<AdmissionOutcome, StoreError>;

    async fn release(&mut self, workspace: WorkspaceId, people: u32) -> Result<bool, StoreError>;

    async fn note_activity(&mut self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError>;

    async fn begin_purge(
        &mut self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    async fn replace(
        &mut self,
        old: &Workspace,
        new: WorkspaceId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    async fn purge(&mut self, workspace: WorkspaceId, limit: u32) -> Result<PurgeProgress, StoreError>;
}

impl Queue {
    pub(crate) async fn admit(
        &self,
        workspace: WorkspaceId,
        most: Option<u32>,
    ) -> Result<AdmissionOutcome, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::Admit(workspace, most, answer)))
            .await
    }

    pub(crate) async fn release(&self, workspace: WorkspaceId, people: u32) -> Result<bool, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::Release(workspace, people, answer)))
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

    pub(crate) async fn replace(&self, old: Workspace, new: WorkspaceId) -> Result<bool, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::Replace(old, new, answer)))
            .await
    }

    pub(crate) async fn purge(
        &self,
        workspace: WorkspaceId,
        limit: u32,
    ) -> Result<PurgeProgress, StoreError> {
        self.ask(|answer| Work::Lifecycle(LifecycleWork::Purge(workspace, limit, answer)))
            .await
    }
}

impl<W: Writer> Appender<W> {
    /// Forgets a workspace that was marked.
    fn forget(&mut self, workspace: WorkspaceId) {
        self.cache.remove_workspace(workspace);
        self.unconfirmed.retain(|(of, _), _| *of != workspace);
    }

    pub(super) async fn lifecycle(&mut self, work: LifecycleWork) {
        match work {
            LifecycleWork::Admit(workspace, most, answer) => {
                let result = self.writer.admit(workspace, most).await;
                self.reply(answer, result).await;
            }
            LifecycleWork::Release(workspace, people, answer) => {
                let result = self.writer.release(workspace, people).await;
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
                    self.forget(workspace);
                }
                self.reply(answer, result).await;
            }
            LifecycleWork::Replace(old, new, answer) => {
                let now = self.clock.now();
                let result = self.writer.replace(&old, new, now).await;
                if matches!(result, Ok(true)) {
                    self.forget(old.id);
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
