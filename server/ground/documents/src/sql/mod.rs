//! The document store on a database that speaks SQL: everything except the differences that [`Database`]
//! covers. A query is one statement, and so reads one snapshot.
//!
//! | module | what it holds |
//! |---|---|
//! | `database` | the differences between the databases |
//! | `query` | documents and listings of one snapshot |
//! | `write` | a lane's transaction |
//! | `generations` | the generations of views |
//! | `parking` | events that a lane has parked |
//! | `purging` | the purge of workspaces |

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
pub(super) use write::require_all;

use super::{
    DocumentStore, DocumentStoreError, Fold, LaneId, Moment, PageRequest, Scope, StoredCheckpoint,
    StoredDocument, StoredRow, UpdateOutcome, ViewContents,
};
use ::database::engine::statement;

/// A document store on a database that speaks SQL.
pub struct SqlDocumentStore<D: sqlx::Database> {
    pub(super) writers: Pool<D>,
    pub(super) readers: Pool<D>,
}

impl<D: sqlx::Database> fmt::Debug for SqlDocumentStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlDocumentStore")
            .field("database", &D::NAME)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<D: Database> DocumentStore for SqlDocumentStore<D> {
    async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, DocumentStoreError> {
        query::checkpoints(&self.readers).await
    }

    async fn checkpoint(&self, lane: &LaneId) -> Result<u64, DocumentStoreError> {
        query::checkpoint::<D>(&mut *self.readers.acquire().await?, lane).await
    }

    async fn update(
        &self,
        lane: &LaneId,
        from: u64,
        to: u64,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<UpdateOutcome, DocumentStoreError> {
        write::update(&self.writers, lane, from, to, keys, fold).await
    }

    async fn amend(
        &self,
        scope: &Scope,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<(), DocumentStoreError> {
        write::amend(&self.writers, scope, keys, fold).await
    }

    async fn document(
        &self,
        workspace: WorkspaceId,
        view: &str,
        key: &str,
    ) -> Result<Moment<Option<StoredDocument>>, DocumentStoreError> {
        query::document(&self.readers, workspace, view, key).await
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, DocumentStoreError> {
        query::page(&self.readers, workspace, view, page).await
    }

    async fn contents(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<ViewContents>, DocumentStoreError> {
        query::contents(&self.readers, workspace, view).await
    }

    async fn ping(&self) -> Result<(), DocumentStoreError> {
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
