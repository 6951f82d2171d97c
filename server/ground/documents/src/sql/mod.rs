//! The read model on a database that speaks SQL, whichever of the two: everything but what [`Database`] asks of each. A query
//! is one statement, and so sees one moment.
//!
//! | module | what it holds |
//! |---|---|
//! | `database` | what differs between the databases |
//! | `query` | documents and listings of one moment |
//! | `write` | a lane's transaction |
//! | `generations` | the generations of views |
//! | `parking` | events that a lane has passed without applying them |
//! | `purging` | the end of workspaces |

mod database;
mod generations;
mod lane;
mod parking;
mod purging;
mod query;
mod write;

use std::fmt;

use async_trait::async_trait;
use domain::id::WorkspaceId;
use sqlx::Pool;

pub(super) use database::Database;
pub(super) use generations::ViewGenerations;
pub(super) use lane::of_scope;
pub(super) use write::every;

use super::{
    Everything, Fold, LaneId, Moment, PageRequest, ReadModel, ReadModelError, Scope, StoredCheckpoint,
    StoredDocument, StoredRow, Updated,
};
use ::database::engine::statement;

/// A read model on a database that speaks SQL.
pub struct SqlReadModel<D: sqlx::Database> {
    pub(super) writers: Pool<D>,
    pub(super) readers: Pool<D>,
}

impl<D: sqlx::Database> fmt::Debug for SqlReadModel<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlReadModel")
            .field("database", &D::NAME)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<D: Database> ReadModel for SqlReadModel<D> {
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, ReadModelError> {
        query::checkpoints(&self.readers).await
    }

    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, ReadModelError> {
        query::checkpoint::<D>(&mut *self.readers.acquire().await?, lane).await
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
        statement::<D>("select 1")
            .execute(&mut *self.readers.acquire().await?)
            .await?;
        Ok(())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}
