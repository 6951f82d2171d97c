//! The connection that writes to the file, as the appender uses it.

use async_trait::async_trait;
use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use sqlx::{Connection as _, SqliteConnection};

use super::{
    directory, lifecycle, look_up,
    open::{Connector, Lock},
    read, write,
};
use crate::{
    Admitted, Append, Purged, Snapshot, StoreError, Workspace,
    appender::{Cause, Failure, Judged, Knowledge, Known, LifecycleWriter, Writer},
};

/// The connection, which is opened anew when it broke, and the lock that keeps it the only one.
pub(super) struct SqliteWriter {
    connector: Connector,
    connection: Option<SqliteConnection>,
    _lock: Lock,
}

impl SqliteWriter {
    pub(super) fn new(connector: Connector, lock: Lock) -> Self {
        Self {
            connector,
            connection: None,
            _lock: lock,
        }
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let open = match self.connection.take() {
            Some(open) => open,
            None => self.connector.connect().await?,
        };
        Ok(self.connection.insert(open))
    }
}

fn failure(error: sqlx::Error) -> Failure {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const READ_ONLY: i32 = 8;
    const IO_ERROR: i32 = 10;
    const CANNOT_OPEN: i32 = 14;
    const PRIMARY_KEY: i32 = 1555;
    const UNIQUE: i32 = 2067;
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<i32>().ok());
    let cause = match code {
        // a name, a command or a version is there already
        Some(PRIMARY_KEY | UNIQUE) => Cause::Overtaken,
        // the low byte of SQLite's extended result codes is the kind
        Some(code) if !matches!(code & 0xff, BUSY | LOCKED | READ_ONLY | IO_ERROR | CANNOT_OPEN) => {
            Cause::OneAppend
        }
        _ => Cause::Database,
    };
    Failure {
        error: error.into(),
        cause,
    }
}

#[async_trait]
impl LifecycleWriter for SqliteWriter {
    async fn admit(&mut self, workspace: WorkspaceId, most: Option<u32>) -> Result<Admitted, StoreError> {
        lifecycle::admit(self.connection().await?, workspace, most).await
    }

    async fn note_activity(&mut self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError> {
        lifecycle::note_activity(self.connection().await?, workspace, at).await
    }

    async fn begin_purge(
        &mut self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        lifecycle::begin_purge(self.connection().await?, workspace, idle_since, now).await
    }

    async fn purge(&mut self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError> {
        lifecycle::purge(self.connection().await?, workspace, limit).await
    }
}

#[async_trait]
impl Writer for SqliteWriter {
    const SHARED: bool = false;

    async fn look_up(
        &mut self,
        known: &mut Known,
        appends: &[&Append],
        knowledge: Knowledge,
    ) -> Result<(), Failure> {
        Ok(look_up::look_up(self.connection().await?, known, appends, knowledge).await?)
    }

    async fn write(&mut self, judged: &Judged) -> Result<(), Failure> {
        let connection = self.connection().await?;
        write::transaction(judged)?
            .run(connection)
            .await
            .map_err(failure)?;
        Ok(())
    }

    async fn give_up(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // An error of SQLite's own says that there is no transaction left; any other, that the connection is gone.
            match sqlx::query("rollback").execute(&mut connection).await {
                Ok(_) | Err(sqlx::Error::Database(_)) => self.connection = Some(connection),
                Err(error) => tracing::warn!(%error, "the event store's writing connection was lost"),
            }
        }
    }

    async fn create_workspace(&mut self, workspace: &Workspace, now: Timestamp) -> Result<bool, StoreError> {
        directory::create_workspace(self.connection().await?, workspace, now).await
    }

    async fn save_snapshot(
        &mut self,
        workspace: WorkspaceId,
        stream: &StreamName,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        directory::save_snapshot(self.connection().await?, workspace, stream, snapshot).await
    }

    async fn register_type(
        &mut self,
        name: &str,
        schema_version: u32,
        schema: Option<&str>,
    ) -> Result<(i64, Option<String>), StoreError> {
        directory::register_type(self.connection().await?, name, schema_version, schema).await
    }

    async fn stored_types(&mut self) -> Result<Vec<(String, i64)>, StoreError> {
        directory::stored_types(self.connection().await?).await
    }

    async fn read(
        &mut self,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        read::partition(self.connection().await?, workspace, partition, after, limit).await
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the event store's writing connection did not close cleanly");
        }
    }
}
