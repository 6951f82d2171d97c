//! Common functions for SQLite files: copying a file that is in use, checking its integrity, and the reuse of
//! pooled connections.

use std::{path::Path, time::Duration};

use futures::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, pool::PoolConnectionMetadata,
    sqlite::SqliteConnectOptions,
};

/// How long a copy waits for a lock, such as during a migration.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Copies a snapshot of a file into a new file, while other connections write to it.
pub async fn copy(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(from)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await?;
    // one read transaction over the whole file: it does not block later commits, which are not in the copy
    sqlx::query("vacuum into ?1")
        .bind(to.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// The errors that SQLite's integrity check finds in a file.
pub async fn integrity_errors(file: &Path) -> Result<Vec<String>, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await?;
    let mut errors: Vec<String> = sqlx::query_scalar("pragma integrity_check")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    errors.retain(|line| line != "ok");
    Ok(errors)
}

/// Whether a pooled connection can be used again: for `before_acquire` of the pool.
///
/// On a full disk SQLite rolls back by itself, and the library still takes the connection for one in a
/// transaction. Such a connection is replaced. The ping waits for a rollback that has not finished yet.
pub fn out_of_transaction(
    connection: &mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    Box::pin(async move {
        if connection.is_in_transaction() {
            connection.ping().await?;
        }
        Ok(!connection.is_in_transaction())
    })
}
