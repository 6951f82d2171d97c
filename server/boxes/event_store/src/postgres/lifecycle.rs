//! The life of a workspace in the database: see [`Lifecycle`](crate::Lifecycle). Of several servers, one at a
//! time deletes: the one that holds the workspace's row.

use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

use crate::{Admitted, Purged};

/// The hash of a head of a workspace that is being purged; no event has it.
pub(super) const TOMBSTONE: [u8; 32] = [0xff; 32];

pub(super) async fn admit(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    most: Option<u32>,
) -> Result<Admitted, sqlx::Error> {
    let counted = sqlx::query(
        "update workspaces set people = people + 1
         where id = $1 and purging_since is null and ($2::bigint is null or people < $2)",
    )
    .bind(workspace.0)
    .bind(most.map(i64::from))
    .execute(&mut *connection)
    .await?;
    if counted.rows_affected() == 1 {
        return Ok(Admitted::Yes);
    }
    let known: Option<i64> = sqlx::query_scalar("select no from open_workspaces where id = $1")
        .bind(workspace.0)
        .fetch_optional(connection)
        .await?;
    Ok(known.map_or(Admitted::Unknown, |_| Admitted::Full))
}

pub(super) async fn note_activity(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query(
        "update workspaces set active_at = greatest(active_at, $2) where id = $1 and purging_since is null",
    )
    .bind(workspace.0)
    .bind(at.as_micros())
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() == 1)
}

pub(super) async fn idle_since(
    readers: &PgPool,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<WorkspaceId>, sqlx::Error> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from open_workspaces where active_at < $1 order by no limit $2")
            .bind(since.as_micros())
            .bind(i64::from(limit))
            .fetch_all(readers)
            .await?;
    Ok(ids.into_iter().map(WorkspaceId).collect())
}

pub(super) async fn begin_purge(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    idle_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let no: Option<i64> = sqlx::query_scalar(
        "update workspaces set purging_since = $3
         where id = $1 and purging_since is null and ($2::bigint is null or active_at < $2) returning no",
    )
    .bind(workspace.0)
    .bind(idle_since.map(Timestamp::as_micros))
    .bind(now.as_micros())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(no) = no else {
        transaction.rollback().await?;
        return Ok(false);
    };
    // in the order in which a group takes them; waits for a group that is under way
    sqlx::query("select no from partitions where workspace_no = $1 order by no for no key update")
        .bind(no)
        .execute(&mut *transaction)
        .await?;
    // whatever a server remembers of these heads, it is wrong from now on
    sqlx::query("update partitions set head_hash = $2 where workspace_no = $1")
        .bind(no)
        .bind(&TOMBSTONE[..])
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn purging(readers: &PgPool) -> Result<Vec<WorkspaceId>, sqlx::Error> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select id from workspaces where purging_since is not null order by no")
            .fetch_all(readers)
            .await?;
    Ok(ids.into_iter().map(WorkspaceId).collect())
}

pub(super) async fn was_purged(readers: &PgPool, workspace: WorkspaceId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select 1 from workspaces where id = $1 and purging_since is not null)
             -- one that was imported again is in use
             or exists (select 1 from purged_workspaces where id = $1)
                 and not exists (select 1 from workspaces where id = $1)",
    )
    .bind(workspace.0)
    .fetch_one(readers)
    .await
}

/// In this order: nothing is left that refers to what is gone. Snapshots and streams are taken by name, so that one batch
/// takes the snapshots of the streams that it takes.
const PIECES: [&[&str]; 3] = [
    &["delete from commands where workspace_no = $1 and command_id in (
        select command_id from commands where workspace_no = $1 limit $2)"],
    &[
        "delete from snapshots where stream_no in (
            select no from streams where workspace_no = $1 order by name limit $2)",
        "delete from streams where no in (
            select no from streams where workspace_no = $1 order by name limit $2)",
    ],
    &["delete from partitions where no in (
        select no from partitions where workspace_no = $1 order by no limit $2)"],
];

pub(super) async fn purge(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    limit: u32,
) -> Result<Purged, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let no: Option<i64> = sqlx::query_scalar(
        "select no from workspaces where id = $1 and purging_since is not null for update skip locked",
    )
    .bind(workspace.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(no) = no else {
        let is_left: bool = sqlx::query_scalar(
            "select exists (select 1 from workspaces where id = $1 and purging_since is not null)",
        )
        .bind(workspace.0)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.rollback().await?;
        return Ok(if is_left { Purged::Elsewhere } else { Purged::Whole });
    };
    if events(&mut transaction, no, limit).await? > 0 {
        transaction.commit().await?;
        return Ok(Purged::Piece);
    }
    for piece in PIECES {
        let mut deleted = 0;
        for statement in piece {
            let result = sqlx::query(*statement)
                .bind(no)
                .bind(i64::from(limit))
                .execute(&mut *transaction)
                .await?;
            deleted += result.rows_affected();
        }
        if deleted > 0 {
            transaction.commit().await?;
            return Ok(Purged::Piece);
        }
    }
    let deleted = sqlx::query("delete from workspaces where no = $1")
        .bind(no)
        .execute(&mut *transaction)
        .await?;
    if deleted.rows_affected() != 1 {
        return Err(sqlx::Error::Protocol(
            "the row of a workspace was not deleted".to_owned(),
        ));
    }
    transaction.commit().await?;
    Ok(Purged::Whole)
}

/// A range of one partition that has events: so only one table of the eight is looked into.
async fn events(transaction: &mut PgConnection, workspace_no: i64, limit: u32) -> Result<u64, sqlx::Error> {
    let first: Option<(i64, i64)> = sqlx::query_as(
        "select p.no, e.position
         from partitions p
             cross join lateral (
                 select position from events where partition_no = p.no order by position limit 1
             ) e
         where p.workspace_no = $1 order by p.no limit 1",
    )
    .bind(workspace_no)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((partition_no, position)) = first else {
        return Ok(0);
    };
    let deleted =
        sqlx::query("delete from events where partition_no = $1 and position >= $2 and position < $2 + $3")
            .bind(partition_no)
            .bind(position)
            .bind(i64::from(limit))
            .execute(transaction)
            .await?;
    Ok(deleted.rows_affected())
}
