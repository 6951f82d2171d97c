//! The statements of [`Lifecycle`](crate::Lifecycle).

use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::{Connection as _, Pool};

use super::Database;
use database::engine::statement;

use crate::{AdmissionOutcome, PurgeProgress, StoreError};

pub(super) async fn admit<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    most: Option<u32>,
) -> Result<AdmissionOutcome, sqlx::Error> {
    let counted = statement::<D>(
        "update workspaces set people = people + 1
         where id = $1 and purging_since is null and ($2 is null or people < $2)",
    )
    .bind(workspace.0)
    .bind(most.map(i64::from))
    .execute(connection)
    .await?;
    if counted == 1 {
        return Ok(AdmissionOutcome::Yes);
    }
    let open: Option<(i64,)> = statement::<D>("select no from open_workspaces where id = $1")
        .bind(workspace.0)
        .optional(connection)
        .await?;
    Ok(open.map_or(AdmissionOutcome::Unknown, |_| AdmissionOutcome::Full))
}

pub(super) async fn release<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    people: u32,
) -> Result<bool, sqlx::Error> {
    // The person who opened the workspace stays counted.
    let released = statement::<D>(
        "update workspaces set people = people - $2
         where id = $1 and purging_since is null and people > $2",
    )
    .bind(workspace.0)
    .bind(i64::from(people))
    .execute(connection)
    .await?;
    Ok(released == 1)
}

pub(super) async fn note_activity<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let noted = statement::<D>(
        "update workspaces set active_at = case when active_at < $2 then $2 else active_at end
         where id = $1 and purging_since is null",
    )
    .bind(workspace.0)
    .bind(at.as_micros())
    .execute(connection)
    .await?;
    Ok(noted == 1)
}

pub(super) async fn idle_since<D: Database>(
    readers: &Pool<D>,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<WorkspaceId>, StoreError> {
    let ids = statement::<D>("select id from open_workspaces where active_at < $1 order by no limit $2")
        .bind(since.as_micros())
        .bind(i64::from(limit))
        .all(&mut *readers.acquire().await?)
        .await?;
    Ok(ids.into_iter().map(|(id,)| WorkspaceId(id)).collect())
}

pub(super) async fn begin_purge<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    idle_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    let marked = statement::<D>(
        "update workspaces set purging_since = $3
         where id = $1 and purging_since is null and ($2 is null or active_at < $2) returning no",
    )
    .bind(workspace.0)
    .bind(idle_since.map(Timestamp::as_micros))
    .bind(now.as_micros())
    .optional(&mut transaction)
    .await?;
    let Some((no,)) = marked else {
        transaction.rollback().await?;
        return Ok(false);
    };
    D::invalidate_heads(&mut transaction, no).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn purging<D: Database>(readers: &Pool<D>) -> Result<Vec<WorkspaceId>, StoreError> {
    let ids = statement::<D>("select id from workspaces where purging_since is not null order by no")
        .all(&mut *readers.acquire().await?)
        .await?;
    Ok(ids.into_iter().map(|(id,)| WorkspaceId(id)).collect())
}

pub(super) async fn was_purged<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
) -> Result<bool, StoreError> {
    let purged: Option<(i64,)> = statement::<D>(
        "select cast(1 as bigint) from workspaces where id = $1 and purging_since is not null
         union all
         -- one that was imported again is in use
         select cast(1 as bigint) from purged_workspaces
         where id = $1 and not exists (select 1 from workspaces where id = $1)",
    )
    .bind(workspace.0)
    .optional(&mut *readers.acquire().await?)
    .await?;
    Ok(purged.is_some())
}

/// Run after the events and before the partitions, so that no row refers to a deleted one. Snapshots and
/// streams are selected by name, so that a batch deletes the snapshots of the streams that it deletes.
const PURGE_STREAMS: &[&str] = &[
    "delete from snapshots where stream_no in (
        select no from streams where workspace_no = $1 order by name limit $2)",
    "delete from streams where no in (
        select no from streams where workspace_no = $1 order by name limit $2)",
];

pub(super) async fn purge<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    limit: u32,
) -> Result<PurgeProgress, sqlx::Error> {
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    let claimed = statement::<D>(D::CLAIM_PURGE)
        .bind(workspace.0)
        .optional(&mut transaction)
        .await?;
    let Some((no,)) = claimed else {
        let left: Option<(i64,)> =
            statement::<D>("select no from workspaces where id = $1 and purging_since is not null")
                .bind(workspace.0)
                .optional(&mut transaction)
                .await?;
        transaction.rollback().await?;
        return Ok(left.map_or(PurgeProgress::Complete, |_| PurgeProgress::HeldElsewhere));
    };
    if delete_batch::<D>(&mut transaction, no, limit).await? {
        transaction.commit().await?;
        return Ok(PurgeProgress::Batch);
    }
    let deleted = statement::<D>("delete from workspaces where no = $1")
        .bind(no)
        .execute(&mut transaction)
        .await?;
    if deleted != 1 {
        let error = StoreError::Corrupt("the row of a workspace was not deleted".to_owned());
        return Err(sqlx::Error::Decode(error.into()));
    }
    transaction.commit().await?;
    Ok(PurgeProgress::Complete)
}

/// Deletes one batch; `false`: only the workspace's own row is left.
async fn delete_batch<D: Database>(
    connection: &mut D::Connection,
    workspace_no: i64,
    limit: u32,
) -> Result<bool, sqlx::Error> {
    if D::purge_events(connection, workspace_no, limit).await? > 0 {
        return Ok(true);
    }
    for batch in [
        &[D::PURGE_TYPE_BLOCKS],
        D::PURGE_COMMANDS,
        PURGE_STREAMS,
        &[D::PURGE_PARTITIONS],
    ] {
        let mut deleted = 0;
        for sql in batch {
            deleted += statement::<D>(sql)
                .bind(workspace_no)
                .bind(i64::from(limit))
                .execute(connection)
                .await?;
        }
        if deleted > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
