//! The transaction of an import, on a connection of its own. It has the file's lock, so no server runs meanwhile.

use std::ops::Range;

use async_trait::async_trait;
use domain::timestamp::Timestamp;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    directory,
    open::{Lock, Opened},
    write,
};
use crate::{
    StoreError, Workspace,
    appender::{Judged, KnownStream},
    columns::natural,
    import::ImportDatabase,
};

pub(super) struct SqliteImport {
    connection: SqliteConnection,
    _lock: Lock,
}

impl SqliteImport {
    pub(super) async fn new(opened: Opened) -> Result<Self, StoreError> {
        opened.readers.close().await;
        Ok(Self {
            connection: opened.writer.connect().await?,
            _lock: opened.lock,
        })
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut self.connection).await?;
        Ok(())
    }
}

#[async_trait]
impl ImportDatabase for SqliteImport {
    async fn begin(
        &mut self,
        workspace: &Workspace,
        now: Timestamp,
    ) -> Result<Option<(i64, Vec<i64>)>, StoreError> {
        self.run("begin immediate").await?;
        let Some(no) = directory::insert_workspace(&mut self.connection, workspace, now).await? else {
            self.run("rollback").await?;
            return Ok(None);
        };
        let partitions =
            sqlx::query_scalar("select no from partitions where workspace_no = ? order by partition")
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
        let mut known = Vec::new();
        for name in names {
            let stream: Option<(i64, i64)> =
                sqlx::query_as("select no, version from streams where workspace_no = ? and name = ?")
                    .bind(workspace_no)
                    .bind(*name)
                    .fetch_optional(&mut self.connection)
                    .await?;
            if let Some((no, version)) = stream {
                let version = natural(version)?;
                known.push(((*name).to_owned(), KnownStream { no, version }));
            }
        }
        Ok(known)
    }

    async fn stream_numbers(&mut self) -> Result<Range<i64>, StoreError> {
        let highest: Option<i64> = sqlx::query_scalar("select max(no) from streams")
            .fetch_one(&mut self.connection)
            .await?;
        Ok(highest.unwrap_or(0) + 1..i64::MAX)
    }

    async fn type_no(&mut self, name: &str, schema_version: u32) -> Result<i64, StoreError> {
        let (no, _) = directory::register_type(&mut self.connection, name, schema_version, None).await?;
        Ok(no)
    }

    async fn write(&mut self, judged: &Judged) -> Result<(), StoreError> {
        write::rows(judged)?.run(&mut self.connection).await?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("commit").await
    }

    async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.run("rollback").await
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        // the last one to close a file brings what was written from its log into it
        Ok(self.connection.close().await?)
    }
}
