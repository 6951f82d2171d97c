//! The event store on a database that speaks SQL: everything except the differences that [`Database`] covers.
//!
//! One appender owns the only connection that writes and commits concurrent appends in one transaction;
//! readers have their own connections, which cannot write.
//!
//! | module | what it holds |
//! |---|---|
//! | `database` | the differences between the databases |
//! | `writer` | the connection that writes, as the appender uses it |
//! | `read` | reading streams, partitions and the log |
//! | `type_pages` | reading the events of a type |
//! | `lifecycle` | admissions, activity and purges of workspaces |
//! | `directory` | workspaces, snapshots, event types and recorded commands |
//! | `digests` | the key of digests of earlier versions |
//! | `import` | the transaction of an import |
//! | `key_fingerprints` | the fingerprints of the servers' keys |
//! | `listener_task` | the task that receives the commits of other servers |

mod database;
mod digests;
pub(super) mod directory;
pub(super) mod import;
mod key_fingerprints;
mod lifecycle;
mod listener_task;
pub(super) mod read;
mod type_pages;
pub(super) mod writer;

use std::fmt;

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{EventSchema, Page, StreamInfo},
};
use sqlx::Pool;
use uuid::Uuid;

pub(super) use database::Database;
pub(super) use listener_task::ListenerTask;

use super::{
    AdmissionOutcome, AnsweredCommand, Append, AppendAnswer, AppendError, Audit, AuditedCommand,
    AuditedEvent, AuditedSnapshot, AuditedWorkspace, ChainHead, Direction, EventFilter, EventStore,
    KeyFingerprint, Lifecycle, PurgeProgress, RecordedCommand, Snapshot, StoreError, Successor,
    TypeBlockEntry, TypeCompatibility, Workspace, WorkspaceContent, appender::Queue, columns,
    digest::DigestKey,
};
use ::database::engine::statement;

/// Batches of digests after which progress is reported.
const PROGRESS_INTERVAL: u64 = 100;

/// An event store on a database that speaks SQL.
pub struct SqlEventStore<D: sqlx::Database> {
    readers: Pool<D>,
    queue: Queue,
    listener: ListenerTask,
}

impl<D: sqlx::Database> SqlEventStore<D> {
    /// A store that reads through these connections and appends through this queue.
    pub(super) fn new(readers: Pool<D>, queue: Queue, listener: ListenerTask) -> Self {
        Self {
            readers,
            queue,
            listener,
        }
    }

    /// A store for reading only. Appends are refused.
    pub(super) fn read_only(readers: Pool<D>) -> Self {
        Self::new(readers, Queue::closed(), ListenerTask::none())
    }
}

impl<D: sqlx::Database> fmt::Debug for SqlEventStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlEventStore")
            .field("database", &D::NAME)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<D: Database> Lifecycle for SqlEventStore<D> {
    async fn admit(&self, workspace: WorkspaceId, most: Option<u32>) -> Result<AdmissionOutcome, StoreError> {
        self.queue.admit(workspace, most).await
    }

    async fn release(&self, workspace: WorkspaceId, people: u32) -> Result<bool, StoreError> {
        self.queue.release(workspace, people).await
    }

    async fn note_activity(&self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError> {
        self.queue.note_activity(workspace, at).await
    }

    async fn idle_since(&self, since: Timestamp, limit: u32) -> Result<Vec<WorkspaceId>, StoreError> {
        lifecycle::idle_since(&self.readers, since, limit).await
    }

    async fn begin_purge(
        &self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.queue.begin_purge(workspace, idle_since).await
    }

    async fn replace(&self, old: &Workspace, new: WorkspaceId) -> Result<bool, StoreError> {
        self.queue.replace(old.clone(), new).await
    }

    async fn successor(&self, workspace: WorkspaceId) -> Result<Option<Successor>, StoreError> {
        lifecycle::successor(&self.readers, workspace).await
    }

    async fn was_purged(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        lifecycle::was_purged(&self.readers, workspace).await
    }

    async fn purging(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        lifecycle::purging(&self.readers).await
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<PurgeProgress, StoreError> {
        self.queue.purge(workspace, limit).await
    }
}

#[async_trait]
impl<D: Database> Audit for SqlEventStore<D> {
    async fn audit_workspaces(
        &self,
        after: Option<WorkspaceId>,
        limit: u32,
    ) -> Result<Vec<AuditedWorkspace>, StoreError> {
        directory::audit_workspaces(&self.readers, after, limit).await
    }

    async fn audit_partition(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditedEvent>, StoreError> {
        read::audit_partition(&self.readers, workspace, partition, after, limit).await
    }

    async fn audit_commands(
        &self,
        workspace: WorkspaceId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AuditedCommand>, StoreError> {
        directory::audit_commands(&self.readers, workspace, after, limit).await
    }

    async fn audit_snapshots(
        &self,
        workspace: WorkspaceId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<AuditedSnapshot>, StoreError> {
        directory::audit_snapshots(&self.readers, workspace, after, limit).await
    }
}

#[async_trait]
impl<D: Database> EventStore for SqlEventStore<D> {
    async fn create_workspace(&self, workspace: &Workspace) -> Result<bool, StoreError> {
        self.queue.create_workspace(workspace.clone()).await
    }

    async fn import_workspace(
        &self,
        workspace: &Workspace,
        content: WorkspaceContent,
    ) -> Result<bool, StoreError> {
        self.queue.import_workspace(workspace.clone(), content).await
    }

    async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        directory::workspace(&self.readers, id).await
    }

    async fn workspace_by_code(&self, join_code: &str) -> Result<Option<Workspace>, StoreError> {
        directory::workspace_by_code(&self.readers, join_code).await
    }

    async fn workspaces(&self, after: Option<WorkspaceId>, limit: u32) -> Result<Vec<Workspace>, StoreError> {
        directory::workspaces(&self.readers, after, limit).await
    }

    async fn append(&self, append: Append) -> Result<AppendAnswer, AppendError> {
        self.queue.append(append).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<AppendAnswer>, AppendError> {
        self.queue.append_all(appends).await
    }

    async fn recorded_command(
        &self,
        workspace: WorkspaceId,
        command_id: Uuid,
    ) -> Result<Option<RecordedCommand>, StoreError> {
        directory::recorded_command(&self.readers, workspace, command_id).await
    }

    async fn commands(
        &self,
        workspace: WorkspaceId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<AnsweredCommand>, StoreError> {
        directory::commands(&self.readers, workspace, after, limit).await
    }

    async fn read_stream(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        from: u64,
        direction: Direction,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        read::stream(&self.readers, workspace, stream, from, direction, limit).await
    }

    async fn read_tail(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot_schema_version: u32,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        read::tail(&self.readers, workspace, stream, snapshot_schema_version, limit).await
    }

    async fn read_partition(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = D::partition(&mut connection, workspace, partition, after, limit).await?;
        columns::events(workspace, rows)
    }

    async fn read_events(
        &self,
        workspace: WorkspaceId,
        filter: &EventFilter,
        after: &ConsistencyToken,
        limit: u32,
    ) -> Result<(Vec<StoredEvent>, ConsistencyToken), StoreError> {
        read::events(&self.readers, workspace, filter, after, limit).await
    }

    async fn streams(
        &self,
        workspace: WorkspaceId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<StreamInfo>, StoreError> {
        read::streams(&self.readers, workspace, prefix, after, limit).await
    }

    async fn head(&self, workspace: WorkspaceId) -> Result<ConsistencyToken, StoreError> {
        read::head(&self.readers, workspace).await
    }

    async fn heads(&self) -> Result<Vec<(WorkspaceId, u32, u64)>, StoreError> {
        read::heads(&self.readers).await
    }

    async fn chain_heads(
        &self,
        workspace: Option<WorkspaceId>,
    ) -> Result<Vec<(WorkspaceId, u32, ChainHead)>, StoreError> {
        read::chain_heads(&self.readers, workspace).await
    }

    async fn snapshots(
        &self,
        workspace: WorkspaceId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(StreamInfo, Snapshot)>, StoreError> {
        directory::snapshots(&self.readers, workspace, after, limit).await
    }

    async fn type_blocks(
        &self,
        workspace: WorkspaceId,
        partition: u32,
        blocks: (u64, u64),
    ) -> Result<Vec<TypeBlockEntry>, StoreError> {
        type_pages::entries(&self.readers, workspace, partition, blocks).await
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
    ) -> Result<Option<Snapshot>, StoreError> {
        directory::snapshot(&self.readers, workspace, stream).await
    }

    async fn save_snapshot(
        &self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        self.queue
            .save_snapshot(workspace, stream.clone(), snapshot.clone())
            .await
    }

    async fn register_types(&self) -> Result<TypeCompatibility, StoreError> {
        self.queue.register_types().await
    }

    async fn match_keys(&self, keys: &[KeyFingerprint], replace: bool) -> Result<Vec<String>, StoreError> {
        self.queue.match_keys(keys.to_vec(), replace).await
    }

    async fn key_digests(&self, key: &DigestKey) -> Result<(), StoreError> {
        let mut batches = 0_u64;
        while self.queue.key_digests(key.clone()).await? {
            batches += 1;
            if batches.is_multiple_of(PROGRESS_INTERVAL) {
                tracing::info!(batches, "digests of commands get a key");
            }
        }
        Ok(())
    }

    async fn schemas(&self) -> Result<Vec<EventSchema>, StoreError> {
        directory::schemas(&self.readers).await
    }

    async fn tell(&self, message: &str) -> Result<(), StoreError> {
        D::tell(&self.readers, self.listener.origin(), message).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.queue.ensure_writable().await?;
        statement::<D>("select 1")
            .execute(&mut *self.readers.acquire().await?)
            .await?;
        Ok(())
    }

    async fn close(&self) {
        self.queue.close().await;
        self.listener.stop().await;
        self.readers.close().await;
    }
}
