//! The file of the store: its folder, its settings and its migrations.

use std::{path::Path, time::Duration};

use database::schema::SchemaError;
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::owner::{Lock, lock};
use crate::StoreError;

/// The migrations, inside the program.
static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/sqlite/events");

/// How long a statement waits for another process that holds SQLite's lock, as a backup or a database client
/// does.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reading connections. More would only compete for the processor: SQLite reads from memory.
const READERS: u32 = 4;

/// Statements that the writer keeps prepared: every size of every multi-row statement, and the small
/// combinations.
const WRITER_STATEMENTS: usize = 256;

/// Opens the connection that writes, and a new one when it has broken.
#[derive(Debug, Clone)]
pub(crate) struct Connector(SqliteConnectOptions);

impl Connector {
    /// Opens a connection that writes.
    pub(super) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.0.connect().await
    }
}

/// An open file.
pub(super) struct OpenDatabase {
    pub(super) writer: Connector,
    pub(super) readers: SqlitePool,
    pub(super) lock: Lock,
}

/// Opens the file for a server, and runs the migrations.
pub(super) async fn open(path: &Path) -> Result<OpenDatabase, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Unavailable(format!(
                "the folder {} cannot be created: {error}",
                folder.display()
            ))
        })?;
    }
    let lock = lock(path).await?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // without it, `insert or replace` would delete an event without firing the trigger that refuses
        // deletions
        .pragma("recursive_triggers", "on")
        .disable_statement_logging();
    let writer = Connector(
        options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(WRITER_STATEMENTS)
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            .pragma("cache_size", "-65536"),
    );
    let mut connection = writer.connect().await?;
    migrate(path, &mut connection).await?;
    connection.close().await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        // a connection to a file is never lost, and a test costs as much as a read
        .test_before_acquire(false)
        .connect_with(options.read_only(true).pragma("cache_size", "-32768"))
        .await?;
    Ok(OpenDatabase {
        writer,
        readers,
        lock,
    })
}

/// Connections that read a migrated file.
pub(super) async fn open_to_read(path: &Path) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .read_only(true);
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options)
        .await
        .map_err(|error| StoreError::Unavailable(format!("{} cannot be opened: {error}", path.display())))?;
    Ok(readers)
}

async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    MIGRATIONS
        .run(connection)
        .await
        .map_err(|error| SchemaError::new(path.display(), &MIGRATIONS, error).into())
}
