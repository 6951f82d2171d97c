//! Purging: see [`Purging`].

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::id::WorkspaceId;
use uuid::Uuid;

use super::PostgresReadModel;
use crate::{Purging, ReadModelError, purging::WORKSPACES};

const PIECES: [&str; 5] = [
    "
    delete from listings where (workspace, view, generation, listing, group_key, sort_key, key) in (
        select workspace, view, generation, listing, group_key, sort_key, key from listings
        where workspace = $1 limit $2
    )
    ",
    "
    delete from documents where (workspace, view, generation, key) in (
        select workspace, view, generation, key from documents where workspace = $1 limit $2
    )
    ",
    "
    delete from parked where (workspace, view, generation, partition, position) in (
        select workspace, view, generation, partition, position from parked where workspace = $1 limit $2
    )
    ",
    "
    delete from checkpoints where (workspace, view, generation, partition) in (
        select workspace, view, generation, partition from checkpoints where workspace = $1 limit $2
    )
    ",
    "
    delete from generations where (workspace, view) in (
        select workspace, view from generations where workspace = $1 limit $2
    )
    ",
];

#[async_trait]
impl Purging for PostgresReadModel {
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, ReadModelError> {
        let mut known = BTreeSet::new();
        for statement in WORKSPACES {
            let ids: Vec<Uuid> = sqlx::query_scalar(statement).fetch_all(&self.readers).await?;
            known.extend(ids);
        }
        Ok(known.into_iter().map(WorkspaceId).collect())
    }

    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<bool, ReadModelError> {
        let mut transaction = self.writers.begin().await?;
        let mut removed = 0;
        for statement in PIECES {
            removed += sqlx::query(statement)
                .bind(workspace.0)
                .bind(i64::from(limit))
                .execute(&mut *transaction)
                .await?
                .rows_affected();
        }
        transaction.commit().await?;
        Ok(removed > 0)
    }
}
