//! The event store in a PostgreSQL database: for several servers, or for a database that is looked after by others.
//!
//! Each server has one appender with one connection that writes, and a pool of connections that read. Servers are kept
//! apart by the rows of the partitions: an append holds those that it moves until its commit, so positions are dense and
//! in the order of commits whoever appends. What an appender remembers is confirmed by the write itself: `append_group`
//! refuses a group whose partitions have other heads than the appender believed.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | the database, its connections, their settings and its migrations |
//! | `notice` | what a server tells the others of a group |
//! | `listen` | how a server hears of the groups of others |
//! | `writer` | the connection that writes, as the appender uses it |
//! | `look_up` | what a group has to know beforehand |
//! | `write` | what a group writes: one call |
//! | `read` | reading streams, partitions and the log |
//! | `lifecycle` | people, activity and the end of workspaces |
//! | `directory` | workspaces, snapshots, event types and recorded commands |
//! | `import` | the transaction of an import |
//! | `row` | the columns of an event |

mod directory;
mod import;
mod lifecycle;
mod listen;
mod look_up;
mod notice;
mod open;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{EventSchema, Page, StreamInfo},
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Admitted, AnsweredCommand, Append, AppendError, Appended, CommitObserver, Direction, EventFilter,
    EventStore, Lifecycle, Purged, RecordedCommand, Registered, Snapshot, StoreError, Workspace,
    appender::{self, Queue},
    columns,
    import::Import,
};
use clock::SharedClock;
use listen::Listening;
use writer::PostgresWriter;

/// An event store in a PostgreSQL database.
pub struct PostgresEventStore {
    readers: PgPool,
    queue: Queue,
    listening: Listening,
}

impl PostgresEventStore {
    /// Opens the database that a URL names, as in `postgres://user:password@host/database`, and makes the tables where
    /// they are not there. Refuses a database that a newer version of the program has written. `observer` is told of
    /// every commit of this process, and of the heads that others have moved.
    pub async fn open(
        url: &str,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Self, StoreError> {
        let opened = open::open(url).await?;
        let origin = clock.new_id();
        let writer = PostgresWriter::new(opened.writer, origin);
        let queue = appender::start(writer, clock, observer.clone());
        let readers = opened.readers;
        let listening = observer.map_or_else(Listening::none, |observer| {
            Listening::start(opened.database, readers.clone(), origin, observer)
        });
        Ok(Self {
            readers,
            queue,
            listening,
        })
    }

    /// Opens a database that has the tables, to look at it and no more. Appends are refused.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            readers: open::open_to_read(url).await?,
            queue: Queue::closed(),
            listening: Listening::none(),
        })
    }

    /// Opens the database to bring workspaces into it; servers on it may go on.
    pub async fn open_to_import(url: &str, clock: SharedClock) -> Result<Import, StoreError> {
        let opened = open::open(url).await?;
        opened.readers.close().await;
        let database = import::PostgresImport::new(opened.writer.connect().await?);
        Ok(Import::new(Box::new(database), clock))
    }
}

impl fmt::Debug for PostgresEventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresEventStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Lifecycle for PostgresEventStore {
    async fn admit(&self, workspace: WorkspaceId, most: Option<u32>) -> Result<Admitted, StoreError> {
        self.queue.admit(workspace, most).await
    }

    async fn note_activity(&self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError> {
        self.queue.note_activity(workspace, at).await
    }

    async fn idle_since(&self, since: Timestamp, limit: u32) -> Result<Vec<WorkspaceId>, StoreError> {
        Ok(lifecycle::idle_since(&self.readers, since, limit).await?)
    }

    async fn begin_purge(
        &self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.queue.begin_purge(workspace, idle_since).await
    }

    async fn purging(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        Ok(lifecycle::purging(&self.readers).await?)
    }

    async fn was_purged(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        Ok(lifecycle::was_purged(&self.readers, workspace).await?)
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError> {
        self.queue.purge(workspace, limit).await
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
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
        let rows = read::partition(&mut connection, workspace, partition, after, limit).await?;
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
        self.listening.stop().await;
        self.readers.close().await;
    }
}
