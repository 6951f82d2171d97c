//! The purge of workspaces.

use std::collections::BTreeSet;

use domain::id::WorkspaceId;
use sqlx::Pool;
use uuid::Uuid;

use super::Database;
use database::engine::statement;

use crate::store::PeopleError;

const WORKSPACES: [&str; 6] = [
    "select distinct workspace from person_keys",
    "select distinct workspace from credentials",
    "select distinct workspace from logins",
    "select distinct workspace from refresh_tokens",
    "select distinct workspace from password_resets",
    "select distinct workspace from password_changes",
];

const BATCH: [&str; 7] = [
    "
    delete from person_keys where (workspace, person) in (
        select workspace, person from person_keys where workspace = $1 limit $2
    )
    ",
    "
    delete from credentials where (workspace, person, command_id) in (
        select workspace, person, command_id from credentials where workspace = $1 limit $2
    )
    ",
    "
    delete from logins where (login, workspace, person) in (
        select login, workspace, person from logins where workspace = $1 limit $2
    )
    ",
    "
    delete from refresh_tokens where hash in (
        select hash from refresh_tokens where workspace = $1 limit $2
    )
    ",
    "
    delete from password_resets where hash in (
        select hash from password_resets where workspace = $1 limit $2
    )
    ",
    "
    delete from password_changes where (workspace, person, command_id) in (
        select workspace, person, command_id from password_changes where workspace = $1 limit $2
    )
    ",
    "
    delete from erasures where (workspace, person) in (
        select workspace, person from erasures where workspace = $1 limit $2
    )
    ",
];

pub(super) async fn workspaces<D: Database>(pool: &Pool<D>) -> Result<Vec<WorkspaceId>, PeopleError> {
    let mut connection = pool.acquire().await?;
    let mut workspaces = BTreeSet::new();
    for sql in WORKSPACES {
        let ids: Vec<(Uuid,)> = statement::<D>(sql).all(&mut connection).await?;
        workspaces.extend(ids);
    }
    Ok(workspaces.into_iter().map(|(id,)| WorkspaceId(id)).collect())
}

pub(super) async fn purge<D: Database>(
    pool: &Pool<D>,
    workspace: WorkspaceId,
    limit: u32,
) -> Result<bool, PeopleError> {
    let mut transaction = pool.begin_with(D::BEGIN).await?;
    let mut removed = 0;
    for sql in BATCH {
        removed += statement::<D>(sql)
            .bind(workspace.0)
            .bind(i64::from(limit))
            .execute(&mut transaction)
            .await?;
    }
    transaction.commit().await?;
    if removed == 0 {
        // After the last batch, whose call is repeated until it succeeds.
        D::remove_copies(pool).await?;
    }
    Ok(removed > 0)
}
