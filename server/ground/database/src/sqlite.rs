//! What holds for every SQLite file, whatever is in it: how it is copied while others have it open, and when a connection
//! can be used again.

use std::{path::Path, time::Duration};

use futures::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection, pool::PoolConnectionMetadata,
    sqlite::SqliteConnectOptions,
};

/// How long a copy waits for a lock, as while the file is being made or migrated.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Copies what a file holds at one moment into a new file. Whoever writes to it goes on meanwhile.
pub async fn copy(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(from)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await?;
    // one read transaction over the whole file: later commits are not in the copy, and are not held up by it
    sqlx::query("vacuum into ?1")
        .bind(to.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// What SQLite finds wrong with a file; nothing, where it is sound.
pub async fn complaints(file: &Path) -> Result<Vec<String>, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = options.connect().await?;
    let mut said: Vec<String> = sqlx::query_scalar("pragma integrity_check")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    said.retain(|line| line != "ok");
    Ok(said)
}

/// Whether a connection that comes back to its pool can be used again: see `before_acquire` of the pool.
///
/// Where a disk is full, SQLite rolls back by itself, and the library believes for ever that the transaction is still
/// there. Another connection has to do then. The ping comes behind a rollback that is still on its way.
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
