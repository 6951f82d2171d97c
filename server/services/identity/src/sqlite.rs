//! The people store in a SQLite file, beside the one of the events.

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    sql::{Database, SqlPeopleStore},
    store::{PeopleError, PersonId},
};
use database::{schema::SchemaError, sqlite::out_of_transaction};

/// The number of connections.
const CONNECTIONS: u32 = 4;

/// How often the write-ahead log is truncated before that fails, and the pause in between.
const CHECKPOINT_ATTEMPTS: u32 = 3;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(20);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/sqlite/people");

/// The people store in a SQLite file.
pub type SqlitePeople = SqlPeopleStore<Sqlite>;

impl SqlitePeople {
    /// Opens the file, or creates it, and runs the migrations.
    pub async fn open(path: &Path) -> Result<Self, PeopleError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // with a lost key, the texts under it are lost
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            // what is deleted is overwritten: a destroyed key must not lie in a free page
            .pragma("secure_delete", "on");
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(out_of_transaction)
            .connect_with(options)
            .await?;
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(|error| SchemaError::new(path.display(), &MIGRATIONS, error))?;
        Ok(Self { pool, listener: None })
    }
}

impl Database for Sqlite {
    const SHARED: bool = false;

    /// The write-ahead log may still contain the key: it is checkpointed into the file, and truncated. A
    /// reader or another checkpoint may prevent that for a moment.
    async fn remove_copies(pool: &SqlitePool) -> Result<(), PeopleError> {
        for _ in 0..CHECKPOINT_ATTEMPTS {
            let (is_busy, ..): (i64, i64, i64) = sqlx::query_as("pragma wal_checkpoint(truncate)")
                .fetch_one(pool)
                .await?;
            if is_busy == 0 {
                return Ok(());
            }
            tokio::time::sleep(CHECKPOINT_PAUSE).await;
        }
        let reason = "its write-ahead log is in use, and may have copies of what was deleted";
        Err(PeopleError::Unavailable(reason.to_owned()))
    }

    /// There are no other servers to notify.
    async fn notify_servers(_: &SqlitePool, _: PersonId) -> Result<(), PeopleError> {
        Ok(())
    }
}
