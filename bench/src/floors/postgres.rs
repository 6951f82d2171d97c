//! The bare log on PostgreSQL. A group is one statement, and so one round trip and one commit.

use anyhow::{Result, ensure};
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::Row;

/// Creates and writes the bare log.
pub(crate) struct PostgresLog;

impl PostgresLog {
    /// Creates the table.
    pub(crate) async fn make(url: &str) -> Result<()> {
        let mut connection = PgConnection::connect(url).await?;
        connection
            .execute(
                "create table log (
                    position bigint generated always as identity primary key,
                    stream text collate \"C\" not null,
                    version bigint not null,
                    event_id uuid not null,
                    type text not null,
                    payload text not null,
                    metadata text not null,
                    recorded_at bigint not null,
                    unique (stream, version)
                )",
            )
            .await?;
        connection.close().await?;
        Ok(())
    }

    /// Opens a pool that does not test its connections.
    pub(crate) async fn connect(url: &str, connections: u32) -> Result<PgPool> {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .test_before_acquire(false)
            .connect_with(url.parse::<PgConnectOptions>()?)
            .await?;
        Ok(pool)
    }

    /// Stores rows, one or many, in one statement.
    pub(crate) async fn insert(connection: &mut PgConnection, rows: &[Row]) -> Result<()> {
        let inserted = sqlx::query(
            "insert into log (stream, version, event_id, type, payload, metadata, recorded_at)
             select * from unnest(
                 $1::text[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[]
             )",
        )
        .bind(each(rows, |row| row.stream.as_str()))
        .bind(each(rows, |row| row.version))
        .bind(each(rows, |row| row.event_id))
        .bind(each(rows, |row| row.event_type))
        .bind(each(rows, |row| &*row.payload))
        .bind(each(rows, |row| &*row.metadata))
        .bind(each(rows, |row| row.recorded_at))
        .execute(connection)
        .await?;
        ensure!(inserted.rows_affected() == rows.len() as u64, "rows are missing");
        Ok(())
    }

    /// Stores one row.
    pub(crate) async fn insert_one(connection: &mut PgConnection, row: &Row) -> Result<()> {
        let inserted = sqlx::query(
            "insert into log (stream, version, event_id, type, payload, metadata, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&row.stream)
        .bind(row.version)
        .bind(row.event_id)
        .bind(row.event_type)
        .bind(&*row.payload)
        .bind(&*row.metadata)
        .bind(row.recorded_at)
        .execute(connection)
        .await?;
        ensure!(inserted.rows_affected() == 1, "the row is missing");
        Ok(())
    }
}

/// The values of a column.
fn each<'a, T>(rows: &'a [Row], column: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}
