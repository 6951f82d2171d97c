//! The read model in SQLite: the embedded default, one file beside the event store's.
//!
//! WAL with `synchronous = normal`: after a power cut the file is sound and may be a moment old, which costs nothing,
//! because the lanes fold what is missing again. One writer, since SQLite has one, and a few readers; every query is one
//! statement, and so sees one moment.

mod generations;
mod parking;
mod purging;
mod query;
#[cfg(test)]
mod tests;
mod write;

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use domain::id::WorkspaceId;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Everything, Fold, LaneId, Moment, PageRequest, ReadModel, ReadModelError, Scope, StoredCheckpoint,
    StoredDocument, StoredRow, Updated,
};
use database::{schema::SchemaError, sqlite::out_of_transaction};

/// How many connections read.
const READERS: u32 = 4;

/// How many bytes of the file each connection keeps in memory, as SQLite counts it: negative, in KiB.
const CACHE_SIZE: &str = "-16384";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/sqlite/views");

/// See the module.
#[derive(Debug, Clone)]
pub struct SqliteReadModel {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteReadModel {
    /// Opens the file, or makes it, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, ReadModelError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", CACHE_SIZE)
            .pragma("temp_store", "memory");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(out_of_transaction)
            // a lane that waits for another connection than the one that was given up tries again before long
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone())
            .await?;
        MIGRATIONS
            .run(&writer)
            .await
            .map_err(|error| SchemaError::new(path.display(), &MIGRATIONS, error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { writer, readers })
    }
}

impl SqliteReadModel {
    /// Opens a file that is there, to look at it and no more, also while a server has it open.
    pub async fn open_to_read(path: &Path) -> Result<Self, ReadModelError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(Duration::from_secs(10));
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options)
            .await?;
        Ok(Self {
            writer: readers.clone(),
            readers,
        })
    }
}

#[async_trait]
impl ReadModel for SqliteReadModel {
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, ReadModelError> {
        query::checkpoints(&self.readers).await
    }

    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, ReadModelError> {
        query::checkpoint(&self.readers, lane).await
    }

    async fn update(
        &self,
        lane: &LaneId,
        from: u64,
        to: u64,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<Updated, ReadModelError> {
        write::update(&self.writer, lane, from, to, keys, fold).await
    }

    async fn amend(&self, scope: &Scope, keys: &[String], fold: &mut Fold<'_>) -> Result<(), ReadModelError> {
        write::amend(&self.writer, scope, keys, fold).await
    }

    async fn document(
        &self,
        workspace: WorkspaceId,
        view: &str,
        key: &str,
    ) -> Result<Moment<Option<StoredDocument>>, ReadModelError> {
        query::document(&self.readers, workspace, view, key).await
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, ReadModelError> {
        query::page(&self.readers, workspace, view, page).await
    }

    async fn everything(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<Everything>, ReadModelError> {
        query::everything(&self.readers, workspace, view).await
    }

    async fn ping(&self) -> Result<(), ReadModelError> {
        sqlx::query("select 1").execute(&self.readers).await?;
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
