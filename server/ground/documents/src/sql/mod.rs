//! The document store on a database that speaks SQL: everything except the differences that [`Database`]
//! covers. A query is one statement, and so reads one snapshot.
//!
//! | module | what it holds |
//! |---|---|
//! | `database` | the differences between the databases |
//! | `query` | documents and listings of one snapshot |
//! | `snapshot` | all of a view in one snapshot |
//! | `queue` | the updates that wait, and the caller's side of a group |
//! | `write` | a group's transaction |
//! | `group`, `rows` | what a group reads and writes |
//! | `generations` | the generations of views |
//! | `parking` | events that a lane has parked |
//! | `purging` | the purge of workspaces |

mod database;
mod generations;
mod group;
mod lane;
mod parking;
mod purging;
mod query;
mod queue;
mod rows;
mod snapshot;
mod write;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::id::WorkspaceId;
use sqlx::Pool;

pub(super) use database::Database;
pub(super) use generations::ViewGenerations;
pub(super) use group::{Change, Failure, Loaded, Request};
pub(super) use rows::{Entry, Rows, ScopeColumns};
pub(super) use write::require_all;

use super::{
    Checkpoint, DocumentStore, DocumentStoreError, DocumentUsage, Fold, LaneId, Moment, PageRequest, Scope,
    Sharing, StoredCheckpoint, StoredDocument, StoredRow, UpdateOutcome, ViewSnapshot,
};
use ::database::engine::statement;
use group::Advance;
use queue::Queue;

/// A document store on a database that speaks SQL.
pub struct SqlDocumentStore<D: sqlx::Database> {
    pub(super) writers: Pool<D>,
    pub(super) readers: Pool<D>,
    updates: Arc<Queue>,
}

impl<D: sqlx::Database> SqlDocumentStore<D> {
    /// A store on these connections, that commits at most so many groups of updates at the same time.
    pub(super) fn new(writers: Pool<D>, readers: Pool<D>, groups: usize) -> Self {
        Self {
            writers,
            readers,
            updates: Queue::new(groups),
        }
    }
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
        to: &Checkpoint,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<UpdateOutcome, DocumentStoreError> {
        let request = Request {
            scope: lane.scope,
            advance: Some(Advance {
                partition: lane.partition,
                from,
                to: to.clone(),
            }),
            keys: keys.to_vec(),
        };
        queue::submit(&self.updates, &self.writers, request, fold).await
    }

    async fn amend(
        &self,
        scope: &Scope,
        keys: &[String],
        fold: &mut Fold<'_>,
    ) -> Result<(), DocumentStoreError> {
        let request = Request {
            scope: *scope,
            advance: None,
            keys: keys.to_vec(),
        };
        queue::submit(&self.updates, &self.writers, request, fold).await?;
        Ok(())
    }

    async fn document(
        &self,
        workspace: WorkspaceId,
        view: &str,
        key: &str,
    ) -> Result<Moment<Option<StoredDocument>>, DocumentStoreError> {
        query::document(&self.readers, workspace, view, key).await
    }

    async fn documents(
        &self,
        workspace: WorkspaceId,
        view: &'static str,
        keys: &[String],
    ) -> Result<Vec<StoredDocument>, DocumentStoreError> {
        query::documents(&self.readers, workspace, view, keys).await
    }

    async fn usage(&self, workspace: WorkspaceId) -> Result<DocumentUsage, DocumentStoreError> {
        query::usage(&self.readers, workspace).await
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        view: &str,
        page: &PageRequest<'_>,
    ) -> Result<Moment<Vec<StoredRow>>, DocumentStoreError> {
        query::page(&self.readers, workspace, view, page).await
    }

    async fn workspaces_listed(
        &self,
        view: &'static str,
        listing: &'static str,
    ) -> Result<Vec<WorkspaceId>, DocumentStoreError> {
        query::workspaces_listed(&self.readers, view, listing).await
    }

    async fn snapshot(
        &self,
        workspace: WorkspaceId,
        view: &str,
    ) -> Result<Moment<Box<dyn ViewSnapshot>>, DocumentStoreError> {
        snapshot::begin(&self.readers, workspace, view).await
    }

    fn sharing(&self) -> Option<Arc<dyn Sharing>> {
        D::sharing(&self.writers, &self.readers)
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
