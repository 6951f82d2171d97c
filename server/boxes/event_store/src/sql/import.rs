//! The transaction of an import, on its own connection. On PostgreSQL servers may run meanwhile, and none of
//! them has the partitions of the imported workspace; on SQLite no server runs, because the import holds the
//! lock, or the server imports itself, between two groups of appends.

use std::ops::Range;

use async_trait::async_trait;
use domain::timestamp::Timestamp;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{Database, directory};
use database::engine::statement;

use crate::{
    StoreError, Workspace,
    appender::{CachedStream, ValidatedGroup},
    columns::{self, natural},
    import::ImportDatabase,
};

/// An [`ImportDatabase`] on a database that speaks SQL.
pub(crate) struct SqlImport<D: Database> {
    connection: D::Connection,
    /// Whether the transaction was begun.
    begun: bool,
    /// Absent where the server itself imports, which has it.
    _lock: Option<D::Lock>,
}

impl<D: Database> SqlImport<D> {
    pub(crate) fn new(connection: D::Connection, lock: D::Lock) -> Self {
        Self {
            connection,
            begun: false,
            _lock: Some(lock),
        }
    }

    /// An import of the server that writes to the database, which does nothing else meanwhile.
    pub(crate) fn beside_writer(connection: D::Connection) -> Self {
        Self {
            connection,
            begun: false,
            _lock: None,
        }
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        statement::<D>(sql).execute(&mut self.connection).await?;
        Ok(())
    }
}

#[async_trait]
impl<D: Database> ImportDatabase for SqlImport<D> {
    async fn begin(
        &mut self,
        workspace: &Workspace,
        now: Timestamp,
    ) -> Result<Option<(i64, Vec<i64>)>, StoreError> {
        if !self.begun {
            for sql in D::BEGIN_IMPORT {
                self.run(sql).await?;
            }
            self.begun = true;
        }
        let template = columns::template(workspace)?;
        let inserted =
            directory::insert_workspace::<D>(&mut self.connection, workspace, &template, now).await?;
        // Nothing was written for it.
        let Some(no) = inserted else {
            return Ok(None);
        };
        let partitions =
            statement::<D>("select no from partitions where workspace_no = $1 order by partition")
                .bind(no)
                .all(&mut self.connection)
                .await?;
        Ok(Some((no, partitions.into_iter().map(|(no,)| no).collect())))
    }

    async fn streams(
        &mut self,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, CachedStream)>, StoreError> {
        let rows = D::streams(&mut self.connection, workspace_no, names).await?;
        rows.into_iter()
            .map(|(name, no, version)| {
                let version = natural(version)?;
                Ok((name, CachedStream { no, version }))
            })
            .collect()
    }

    async fn stream_numbers(&mut self) -> Result<Range<i64>, StoreError> {
        Ok(D::stream_numbers(&mut self.connection).await?)
    }

    async fn type_no(&mut self, name: &str, schema_version: u32) -> Result<i64, StoreError> {
        let (no, _) = directory::register_type::<D>(&mut self.connection, name, schema_version, None).await?;
        Ok(no)
    }

    async fn write(&mut self, validated: &ValidatedGroup) -> Result<(), StoreError> {
        D::write_rows(&mut self.connection, validated).await
    }

    async fn repeated_event_id(&mut self, workspace_no: i64) -> Result<Option<Uuid>, StoreError> {
        let repeated = statement::<D>(D::REPEATED_EVENT_ID)
            .bind(workspace_no)
            .optional::<(Uuid,)>(&mut self.connection)
            .await?;
        Ok(repeated.map(|(id,)| id))
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.begun) {
            self.run("commit").await?;
        }
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.begun) {
            self.run("rollback").await?;
        }
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        // closing the last connection checkpoints SQLite's write-ahead log
        Ok(self.connection.close().await?)
    }
}
