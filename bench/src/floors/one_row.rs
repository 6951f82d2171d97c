//! The first floor: every caller commits its own row. On PostgreSQL each has a connection, up to the number
//! beyond which more do not help; on SQLite the callers share the only writer.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use sqlx::{PgPool, SqliteConnection};
use tokio::sync::Mutex;

use super::{PostgresLog, Rows, SqliteLog};
use crate::{
    callers::{Caller, Target},
    databases::{BenchDatabases, Database},
};

/// The most connections.
const CONNECTIONS: usize = 64;

#[derive(Clone)]
enum Log {
    Postgres(PgPool),
    Sqlite(Arc<Mutex<SqliteConnection>>),
}

/// A log with one commit for each row.
pub(crate) struct OneRow(Log);

impl OneRow {
    pub(crate) const NAME: &'static str = "one-row commits";

    pub(crate) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        callers: usize,
    ) -> Result<Self> {
        Ok(Self(match database {
            Database::Sqlite => {
                let connection = SqliteLog::make(&bench_databases.file("one_row")).await?;
                Log::Sqlite(Arc::new(Mutex::new(connection)))
            }
            Database::Postgres => {
                let url = bench_databases.database("one_row").await?;
                PostgresLog::make(&url).await?;
                let connections = u32::try_from(callers.min(CONNECTIONS))?;
                Log::Postgres(PostgresLog::connect(&url, connections).await?)
            }
        }))
    }
}

#[async_trait]
impl Target for OneRow {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>> {
        Ok(Box::new(OneRowCaller {
            log: self.0.clone(),
            rows: Rows::of_caller(number)?,
        }))
    }

    async fn close(&self) -> Result<()> {
        if let Log::Postgres(pool) = &self.0 {
            pool.close().await;
        }
        Ok(())
    }
}

struct OneRowCaller {
    log: Log,
    rows: Rows,
}

#[async_trait]
impl Caller for OneRowCaller {
    async fn call(&mut self) -> Result<()> {
        let row = self.rows.next()?;
        match &self.log {
            Log::Postgres(pool) => PostgresLog::insert_one(&mut *pool.acquire().await?, &row).await,
            Log::Sqlite(connection) => SqliteLog::insert(&mut *connection.lock().await, &[row]).await,
        }
    }
}
