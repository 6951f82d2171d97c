//! The statements of [`Purging`].

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::id::WorkspaceId;
use uuid::Uuid;

use super::{Database, SqlDocumentStore};
use database::engine::statement;

use crate::{DocumentStoreError, Purging, purging::WORKSPACES};

const LISTINGS: &str = "
    delete from listings where (workspace, view, generation, listing, group_key, sort_key, key) in (
        select workspace, view, generation, listing, group_key, sort_key, key from listings
        where workspace = $1 limit $2
    )
";

const PARKED: &str = "
    delete from parked where (workspace, view, generation, partition, position) in (
        select workspace, view, generation, partition, position from parked where workspace = $1 limit $2
    )
";

const CHECKPOINTS: &str = "
    delete from checkpoints where (workspace, view, generation, partition) in (
        select workspace, view, generation, partition from checkpoints where workspace = $1 limit $2
    )
";

const GENERATIONS: &str = "
    delete from generations where (workspace, view) in (
        select workspace, view from generations where workspace = $1 limit $2
    )
";

#[async_trait]
impl<D: Database> Purging for SqlDocumentStore<D> {
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, DocumentStoreError> {
        let mut connection = self.readers.acquire().await?;
        let mut workspaces = BTreeSet::new();
        for sql in WORKSPACES {
            let ids: Vec<(Uuid,)> = statement::<D>(sql).all(&mut connection).await?;
            workspaces.extend(ids);
        }
        Ok(workspaces.into_iter().map(|(id,)| WorkspaceId(id)).collect())
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, DocumentStoreError> {
        let mut transaction = self.writers.begin_with(D::BEGIN).await?;
        if let Some(lock) = D::LOCK_WORKSPACE {
            statement::<D>(lock)
                .bind(workspace.0)
                .execute(&mut transaction)
                .await?;
        }
        let mut removed = 0;
        let statements = [LISTINGS, D::PURGE_DOCUMENTS, PARKED, CHECKPOINTS, GENERATIONS];
        for sql in statements.into_iter().chain(D::PURGE_CHANGES) {
            removed += statement::<D>(sql)
                .bind(workspace.0)
                .bind(i64::from(limit))
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(removed > 0)
    }
}
