//! The read model in a PostgreSQL database, which may be the event store's: the two have a schema each.
//!
//! Who writes a view of a workspace holds the view's row in `generations` for the whole transaction, so that lanes of
//! different partitions never fold into one document at the same time, and none writes a generation that is being
//! retired. A query is one statement, and so sees one moment.

mod generations;
mod parking;
mod purging;
mod query;
#[cfg(test)]
mod tests;
mod write;

use async_trait::async_trait;
use domain::id::WorkspaceId;
use sqlx::PgPool;

use super::{
    Everything, Fold, LaneId, Moment, PageRequest, ReadModel, ReadModelError, Scope, StoredCheckpoint,
    StoredDocument, StoredRow, Updated,
};
use database::postgres::{Database, OpenError};

/// How many connections write: lanes of different views do so at the same time.
const WRITERS: u32 = 4;

/// How many connections read.
const READERS: u32 = 8;

/// See the module.
#[derive(Debug, Clone)]
pub struct PostgresReadModel {
    writers: PgPool,
    readers: PgPool,
}

impl PostgresReadModel {
    /// Opens the database that a URL names, as in `postgres://user:password@host/database`, and brings the tables of one of
    /// its schemas up to date.
    pub(super) async fn open(url: &str, schema: &'static str) -> Result<Self, ReadModelError> {
        let database = Database::new(url, schema)?;
        database
            .migrate(sqlx::migrate!("../../../migrations/postgres/views"))
            .await?;
        Ok(Self {
            writers: database.writers(WRITERS).await?,
            readers: database.readers(READERS).await?,
        })
    }

    /// Opens a database that has the tables in one of its schemas, to read from it and no more.
    pub(super) async fn open_to_read(url: &str, schema: &'static str) -> Result<Self, ReadModelError> {
        let readers = Database::new(url, schema)?.readers(READERS).await?;
        Ok(Self {
            writers: readers.clone(),
            readers,
        })
    }
}

impl From<OpenError> for ReadModelError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Schema(error) => error.into(),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

#[async_trait]
impl ReadModel for PostgresReadModel {
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, ReadModelError> {
        query::checkpoints(&self.readers).await
    }

    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, ReadModelError> {
        query::checkpoint(&self.readers, lane).await
    }

    async fn update(
        &self,
        lane: &LaneId,
        from: u64,
        to: u64,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<Updated, ReadModelError> {
        write::update(&self.writers, lane, from, to, keys, fold).await
    }

    async fn amend(&self, scope: &Scope, keys: &[String], fold: &mut Fold<'_>) -> Result<(), ReadModelError> {
        write::amend(&self.writers, scope, keys, fold).await
    }

    async fn document(
        &self,
        workspace: WorkspaceId,
        view: &str,
        key: &str,
    ) -> Result<Moment<Option<StoredDocument>>, ReadModelError> {
        query::document(&self.readers, workspace, view, key).await
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, ReadModelError> {
        query::page(&self.readers, workspace, view, page).await
    }

    async fn everything(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<Everything>, ReadModelError> {
        query::everything(&self.readers, workspace, view).await
    }

    async fn ping(&self) -> Result<(), ReadModelError> {
        sqlx::query("select 1").execute(&self.readers).await?;
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}
