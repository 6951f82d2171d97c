//! The bare log in an SQLite file. A group is one statement for all its rows, and so one commit; statements
//! stay prepared, one for each number of rows.

use std::path::Path;

use anyhow::{Result, ensure};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::Row;
use crate::durability;

/// The most rows of a statement.
const MAX_ROWS: usize = 512;

/// Creates and writes the bare log.
pub(crate) struct SqliteLog;

impl SqliteLog {
    /// Creates the file and the table, with our connection settings.
    pub(crate) async fn make(file: &Path) -> Result<SqliteConnection> {
        let mut connection = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(MAX_ROWS + 8)
            .pragma("wal_autocheckpoint", "4000")
            .pragma("cache_size", "-65536")
            .connect()
            .await?;
        let settings = sqlx::query("select * from pragma_journal_mode, pragma_synchronous")
            .fetch_one(&mut connection)
            .await?;
        durability::of_sqlite("the floor", settings.try_get(0)?, settings.try_get(1)?)?;
        connection
            .execute(
                "create table log (
                    position integer primary key,
                    stream text not null,
                    version integer not null,
                    event_id blob not null,
                    type text not null,
                    payload text not null,
                    metadata text not null,
                    recorded_at integer not null,
                    unique (stream, version)
                ) strict",
            )
            .await?;
        Ok(connection)
    }

    /// Stores rows: in one statement, or in one transaction if there are too many.
    pub(crate) async fn insert(connection: &mut SqliteConnection, rows: &[Row]) -> Result<()> {
        let alone = rows.len() <= MAX_ROWS;
        if !alone {
            connection.execute("begin immediate").await?;
        }
        for chunk in rows.chunks(MAX_ROWS) {
            let mut sql = String::from(
                "insert into log (stream, version, event_id, type, payload, metadata, recorded_at) \
                 values (?,?,?,?,?,?,?)",
            );
            for _ in 1..chunk.len() {
                sql.push_str(",(?,?,?,?,?,?,?)");
            }
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for row in chunk {
                query = query
                    .bind(&row.stream)
                    .bind(row.version)
                    .bind(row.event_id)
                    .bind(row.event_type)
                    .bind(&*row.payload)
                    .bind(&*row.metadata)
                    .bind(row.recorded_at);
            }
            let inserted = query.execute(&mut *connection).await?;
            ensure!(inserted.rows_affected() == chunk.len() as u64, "rows are missing");
        }
        if !alone {
            connection.execute("commit").await?;
        }
        Ok(())
    }
}
