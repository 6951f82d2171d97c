//! The first floor: every caller commits its own row. On PostgreSQL each has a connection, up to a number beyond which more
//! only get in each other's way; SQLite has one writer, and callers take turns at it.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use sqlx::{PgPool, SqliteConnection};
use tokio::sync::Mutex;

use super::{PostgresLog, Rows, SqliteLog};
use crate::{
    callers::{Caller, Target},
    grounds::{Database, Grounds},
};

/// The most connections.
const CONNECTIONS: usize = 64;

#[derive(Clone)]
enum Log {
    Postgres(PgPool),
    Sqlite(Arc<Mutex<SqliteConnection>>),
}

/// See the module.
pub(crate) struct OneRow(Log);

impl OneRow {
    pub(crate) const NAME: &'static str = "one-row commits";

    pub(crate) async fn new(database: Database, grounds: &Grounds, callers: usize) -> Result<Self> {
        Ok(Self(match database {
            Database::Sqlite => {
                let connection = SqliteLog::make(&grounds.file("one_row")).await?;
                Log::Sqlite(Arc::new(Mutex::new(connection)))
            }
            Database::Postgres => {
                let url = grounds.database("one_row").await?;
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
        Ok(Box::new(Committing {
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

struct Committing {
    log: Log,
    rows: Rows,
}

#[async_trait]
impl Caller for Committing {
    async fn call(&mut self) -> Result<()> {
        let row = self.rows.next()?;
        match &self.log {
            Log::Postgres(pool) => PostgresLog::insert_one(&mut *pool.acquire().await?, &row).await,
            Log::Sqlite(connection) => SqliteLog::insert(&mut *connection.lock().await, &[row]).await,
        }
    }
}
