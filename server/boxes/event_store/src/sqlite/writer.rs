//! Groups on the connection that writes: a transaction that begins, writes and commits in one round trip, see
//! `write`.

use sqlx::Sqlite;

use super::write;
use crate::{
    appender::{Cause, Failure, ValidatedGroup},
    sql::writer::{SqlWriter, failure},
};

/// The cause of an error, by SQLite's extended result code.
pub(super) fn cause(error: &sqlx::Error) -> Cause {
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
    match code {
        // a name, a command or a version exists already
        Some(PRIMARY_KEY | UNIQUE) => Cause::StaleCache,
        // the low byte is the kind
        Some(code) if !matches!(code & 0xff, BUSY | LOCKED | READ_ONLY | IO_ERROR | CANNOT_OPEN) => {
            Cause::OneAppend
        }
        _ => Cause::Database,
    }
}

pub(super) async fn write(writer: &mut SqlWriter<Sqlite>, validated: &ValidatedGroup) -> Result<(), Failure> {
    let open = writer.connect().await?;
    write::transaction(validated)?
        .run(&mut open.connection)
        .await
        .map_err(failure::<Sqlite>)?;
    Ok(())
}

pub(super) async fn roll_back(writer: &mut SqlWriter<Sqlite>) {
    if let Some(open) = &mut writer.open {
        // An error of SQLite itself means that no transaction is open; any other, that the connection is
        // lost.
        match sqlx::query("rollback").execute(&mut open.connection).await {
            Ok(_) | Err(sqlx::Error::Database(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "the event store's writing connection was lost");
                writer.open = None;
            }
        }
    }
}
