//! The event store in one SQLite file: the embedded default.
//!
//! One appender owns the only writing connection and gathers concurrent appends into one transaction; readers have
//! connections of their own, which cannot write. WAL with `synchronous=FULL`: what is acknowledged is on disk.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | the file, its lock, its settings and its migrations |
//! | `writer` | the connection that writes, as the appender uses it |
//! | `look_up` | what a group has to know beforehand |
//! | `write` | what a group writes, as few statements as it can be |
//! | `read` | reading streams, partitions and the log |
//! | `lifecycle` | people, activity and the end of workspaces |
//! | `directory` | workspaces, snapshots, event types and recorded commands |
//! | `import` | the transaction of an import |
//! | `row` | places, and the columns of an event |

mod directory;
mod import;
mod lifecycle;
mod look_up;
mod open;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{EventSchema, Page, StreamInfo},
};
use sqlx::SqlitePool;
use uuid::Uuid;

use super::{
    Admitted, AnsweredCommand, Append, AppendError, Appended, CommitObserver, Direction, EventFilter,
    EventStore, Lifecycle, Purged, RecordedCommand, Registered, Snapshot, StoreError, Workspace,
    appender::{self, Queue},
    import::Import,
};
use clock::SharedClock;
use writer::SqliteWriter;

/// An event store in one SQLite file.
pub struct SqliteEventStore {
    readers: SqlitePool,
    queue: Queue,
}

impl SqliteEventStore {
    /// Opens the file, and makes it with its folder where it is not there. Refuses a file that a newer version of the
    /// program has written, and one that another process has open. `observer` is told of every commit.
    pub async fn open(
        path: &Path,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Self, StoreError> {
        let opened = open::open(path).await?;
        let writer = SqliteWriter::new(opened.writer, opened.lock);
        let queue = appender::start(writer, clock, observer);
        Ok(Self {
            readers: opened.readers,
            queue,
        })
    }
}

impl SqliteEventStore {
    /// Opens a file that is there, to look at it and no more, also while a server has it open. Appends are refused.
    pub async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            readers: open::open_to_read(path).await?,
            queue: Queue::closed(),
        })
    }

    /// Opens the file to bring workspaces into it, as if for appending: it is made where it is not there, and nobody else
    /// may have it open.
    pub async fn open_to_import(path: &Path, clock: SharedClock) -> Result<Import, StoreError> {
        let database = import::SqliteImport::new(open::open(path).await?).await?;
        Ok(Import::new(Box::new(database), clock))
    }
}

impl fmt::Debug for SqliteEventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteEventStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Lifecycle for SqliteEventStore {
    async fn admit(&self, workspace: WorkspaceId, most: Option<u32>) -> Result<Admitted, StoreError> {
        self.queue.admit(workspace, most).await
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

    async fn purging(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        lifecycle::purging(&self.readers).await
    }

    async fn was_purged(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        lifecycle::was_purged(&self.readers, workspace).await
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError> {
        self.queue.purge(workspace, limit).await
    }
}

#[async_trait]
impl EventStore for SqliteEventStore {
    async fn create_workspace(&self, workspace: &Workspace) -> Result<bool, StoreError> {
        self.queue.create_workspace(workspace.clone()).await
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

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.queue.append(append).await
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
        read::partition(&mut connection, workspace, partition, after, limit).await
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

    async fn register_types(&self) -> Result<Registered, StoreError> {
        self.queue.register_types().await
    }

    async fn schemas(&self) -> Result<Vec<EventSchema>, StoreError> {
        directory::schemas(&self.readers).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.queue.is_open()?;
        sqlx::query("select 1").execute(&self.readers).await?;
        Ok(())
    }

    async fn close(&self) {
        self.queue.close().await;
        self.readers.close().await;
    }
}
