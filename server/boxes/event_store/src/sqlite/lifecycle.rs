//! The life of a workspace in the file: see [`Lifecycle`](crate::Lifecycle).

use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use uuid::Uuid;

use crate::{Admitted, Purged, StoreError};

pub(super) async fn admit(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    most: Option<u32>,
) -> Result<Admitted, StoreError> {
    let counted = sqlx::query(
        "update workspaces set people = people + 1
         where id = ?1 and purging_since is null and (?2 is null or people < ?2)",
    )
    .bind(workspace.0)
    .bind(most)
    .execute(&mut *connection)
    .await?;
    if counted.rows_affected() == 1 {
        return Ok(Admitted::Yes);
    }
    let known: Option<i64> = sqlx::query_scalar("select no from open_workspaces where id = ?")
        .bind(workspace.0)
        .fetch_optional(connection)
        .await?;
    Ok(known.map_or(Admitted::Unknown, |_| Admitted::Full))
}

pub(super) async fn note_activity(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let noted = sqlx::query(
        "update workspaces set active_at = max(active_at, ?2) where id = ?1 and purging_since is null",
    )
    .bind(workspace.0)
    .bind(at.as_micros())
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() == 1)
}

pub(super) async fn idle_since(
    readers: &SqlitePool,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<WorkspaceId>, StoreError> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from open_workspaces where active_at < ? order by no limit ?")
            .bind(since.as_micros())
            .bind(limit)
            .fetch_all(readers)
            .await?;
    Ok(ids.into_iter().map(WorkspaceId).collect())
}

pub(super) async fn begin_purge(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    idle_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let marked = sqlx::query(
        "update workspaces set purging_since = ?3
         where id = ?1 and purging_since is null and (?2 is null or active_at < ?2)",
    )
    .bind(workspace.0)
    .bind(idle_since.map(Timestamp::as_micros))
    .bind(now.as_micros())
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() == 1)
}

pub(super) async fn purging(readers: &SqlitePool) -> Result<Vec<WorkspaceId>, StoreError> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from workspaces where purging_since is not null order by no")
            .fetch_all(readers)
            .await?;
    Ok(ids.into_iter().map(WorkspaceId).collect())
}

pub(super) async fn was_purged(readers: &SqlitePool, workspace: WorkspaceId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (select 1 from workspaces where id = ?1 and purging_since is not null)
             -- one that was imported again is in use
             or exists (select 1 from purged_workspaces where id = ?1)
                 and not exists (select 1 from workspaces where id = ?1)",
    )
    .bind(workspace.0)
    .fetch_one(readers)
    .await?)
}

/// In this order: nothing is left that refers to what is gone. Snapshots and streams are taken by name, so that one batch
/// takes the snapshots of the streams that it takes.
const PIECES: [&[&str]; 4] = [
    // of each partition, a range of places
    &["delete from events where place in (
        select e.place from partitions p cross join events e
            on e.place between p.no << 40 and (p.no << 40) + 1099511627775
        where p.workspace_no = ?1 limit ?2)"],
    &["delete from commands where workspace_no = ?1 and command_id in (
        select command_id from commands where workspace_no = ?1 limit ?2)"],
    &[
        "delete from snapshots where stream_no in (
            select no from streams where workspace_no = ?1 order by name limit ?2)",
        "delete from streams where no in (
            select no from streams where workspace_no = ?1 order by name limit ?2)",
    ],
    // one at a time: SQLite looks through all streams for one that refers to it
    &["delete from partitions where no in (
        select no from partitions where workspace_no = ?1 limit min(1, ?2))"],
];

pub(super) async fn purge(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    limit: u32,
) -> Result<Purged, StoreError> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let no: Option<i64> =
        sqlx::query_scalar("select no from workspaces where id = ? and purging_since is not null")
            .bind(workspace.0)
            .fetch_optional(&mut *transaction)
            .await?;
    let Some(no) = no else {
        transaction.rollback().await?;
        return Ok(Purged::Whole);
    };
    for piece in PIECES {
        let mut deleted = 0;
        for statement in piece {
            let result = sqlx::query(*statement)
                .bind(no)
                .bind(limit)
                .execute(&mut *transaction)
                .await?;
            deleted += result.rows_affected();
        }
        if deleted > 0 {
            transaction.commit().await?;
            return Ok(Purged::Piece);
        }
    }
    let deleted = sqlx::query("delete from workspaces where no = ?")
        .bind(no)
        .execute(&mut *transaction)
        .await?;
    if deleted.rows_affected() != 1 {
        return Err(StoreError::Corrupt(
            "the row of a workspace was not deleted".to_owned(),
        ));
    }
    transaction.commit().await?;
    Ok(Purged::Whole)
}
