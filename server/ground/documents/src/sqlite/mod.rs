//! The document store in SQLite: the embedded default, one file beside the event store's.
//!
//! WAL with `synchronous = normal`: after a power cut the file is intact and may lack the last commits, which
//! the lanes fold again. One connection writes, since SQLite allows one, and a few read.

mod read;
mod script;
#[cfg(test)]
mod tests;
mod write;

use std::{path::Path, time::Duration};

use domain::id::WorkspaceId;
use sqlx::{
    Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    DocumentStoreError, Scope, StoredDocument,
    sql::{Change, Database, Failure, Loaded, Request, SqlDocumentStore, ViewGenerations},
};
use database::{engine::statement, schema::SchemaError, sqlite::out_of_transaction};

/// The number of connections that read.
const READERS: u32 = 4;

/// The cache of each connection, as SQLite counts it: negative, in KiB.
const CACHE_SIZE: &str = "-16384";

/// The prepared statements of the connection that writes: those of groups differ in the sizes of their lists.
const PREPARED: usize = 256;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/sqlite/views");

/// A document store in one SQLite file.
pub type SqliteDocumentStore = SqlDocumentStore<Sqlite>;

impl SqliteDocumentStore {
    /// Opens the file, or creates it, and runs the migrations.
    pub async fn open(path: &Path) -> Result<Self, DocumentStoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", CACHE_SIZE)
            .pragma("temp_store", "memory");
        let writers = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(out_of_transaction)
            // a lane that waits while a broken connection is replaced tries again soon
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options.clone().statement_cache_capacity(PREPARED))
            .await?;
        MIGRATIONS
            .run(&writers)
            .await
            .map_err(|error| SchemaError::new(path.display(), &MIGRATIONS, error))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self::new(writers, readers, 1))
    }

    /// Opens an existing file for reading only, also while a server has it open.
    pub async fn open_to_read(path: &Path) -> Result<Self, DocumentStoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(Duration::from_secs(10));
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options)
            .await?;
        Ok(Self::new(readers.clone(), readers, 1))
    }
}

impl Database for Sqlite {
    const REMOVE_DOCUMENTS: &'static str = "
        delete from documents where rowid in (
            select rowid from documents where workspace = $1 and view = $2 and generation = $3 limit $4
        )
    ";
    const PURGE_DOCUMENTS: &'static str =
        "delete from documents where rowid in (select rowid from documents where workspace = $1 limit $2)";

    const LOCK_WORKSPACE: Option<&'static str> = None;

    const PURGE_CHANGES: Option<&'static str> = None;

    const RESET_CHANGES: Option<&'static str> = None;

    /// The transaction has locked the file already.
    async fn lock_view(_: &mut SqliteConnection, _: WorkspaceId, _: &str) -> Result<(), DocumentStoreError> {
        Ok(())
    }

    async fn generations(
        transaction: &mut SqliteConnection,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<ViewGenerations, DocumentStoreError> {
        let row = statement::<Self>(
            "select live, newest, building from generations where workspace = $1 and view = $2",
        )
        .bind(workspace.0)
        .bind(view)
        .optional(transaction)
        .await?;
        row.map_or_else(|| Ok(ViewGenerations::default()), ViewGenerations::from_columns)
    }

    async fn begin_group(
        connection: &mut SqliteConnection,
        requests: &[&Request],
    ) -> Result<Vec<Loaded>, Failure> {
        read::begin(connection, requests).await
    }

    async fn commit_group(connection: &mut SqliteConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
        write::commit(connection, changes).await
    }

    async fn load(
        transaction: &mut SqliteConnection,
        scope: &Scope,
        keys: &[String],
    ) -> Result<Vec<StoredDocument>, Failure> {
        read::load(transaction, scope, keys).await
    }

    async fn store(transaction: &mut SqliteConnection, changes: &[Change<'_>]) -> Result<(), Failure> {
        write::store(transaction, changes).await
    }
}
