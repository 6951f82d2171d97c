//! The transaction of an import, on a connection of its own. Servers on the same database go on meanwhile: nobody else
//! has the workspace's partitions.

use std::ops::Range;

use async_trait::async_trait;
use domain::timestamp::Timestamp;
use sqlx::{Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use super::{directory, look_up, notice::Notice, write};
use crate::{
    StoreError, Workspace,
    appender::{Judged, KnownStream},
    columns::{self, natural},
    import::ImportDatabase,
};

pub(super) struct PostgresImport {
    connection: PgConnection,
}

impl PostgresImport {
    pub(super) fn new(connection: PgConnection) -> Self {
        Self { connection }
    }
}

#[async_trait]
impl ImportDatabase for PostgresImport {
    async fn begin(
        &mut self,
        workspace: &Workspace,
        now: Timestamp,
    ) -> Result<Option<(i64, Vec<i64>)>, StoreError> {
        self.connection.execute("begin").await?;
        // what is imported may come slowly, and holds nobody up
        self.connection
            .execute("set local idle_in_transaction_session_timeout = 0")
            .await?;
        let template = columns::template(workspace)?;
        let inserted = directory::insert_workspace(&mut self.connection, workspace, &template, now).await?;
        let Some(no) = inserted else {
            self.connection.execute("rollback").await?;
            return Ok(None);
        };
        let partitions =
            sqlx::query_scalar("select no from partitions where workspace_no = $1 order by partition")
                .bind(no)
                .fetch_all(&mut self.connection)
                .await?;
        Ok(Some((no, partitions)))
    }

    async fn streams(
        &mut self,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, KnownStream)>, StoreError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "select name, no, version from streams where workspace_no = $1 and name = any ($2)",
        )
        .bind(workspace_no)
        .bind(names)
        .fetch_all(&mut self.connection)
        .await?;
        rows.into_iter()
            .map(|(name, no, version)| {
                let version = natural(version)?;
                Ok((name, KnownStream { no, version }))
            })
            .collect()
    }

    async fn stream_numbers(&mut self) -> Result<Range<i64>, StoreError> {
        Ok(look_up::stream_numbers(&mut self.connection).await?)
    }

    async fn type_no(&mut self, name: &str, schema_version: u32) -> Result<i64, StoreError> {
        let (no, _) = directory::register_type(&mut self.connection, name, schema_version, None).await?;
        Ok(no)
    }

    async fn write(&mut self, judged: &Judged) -> Result<(), StoreError> {
        // heard by every server when the import is committed: none of them is called nil
        let notice = Notice::of(Uuid::nil(), judged);
        write::Group::new(judged)?
            .run(&mut self.connection, &notice)
            .await?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.connection.execute("commit").await?;
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.connection.execute("rollback").await?;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}
