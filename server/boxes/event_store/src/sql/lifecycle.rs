//! The statements of [`Lifecycle`](crate::Lifecycle).

use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::{Connection as _, Pool};
use uuid::Uuid;

use super::Database;
use database::engine::statement;

use crate::{AdmissionOutcome, PurgeProgress, StoreError, Successor, Workspace};

/// How long it is known which workspace has the place of one that was reset, in microseconds: two days,
/// several times as long as a token is valid.
const MOVE_IS_KNOWN_FOR: i64 = 2 * 24 * 60 * 60 * 1_000_000;

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

pub(super) async fn replace<D: Database>(
    connection: &mut D::Connection,
    old: &Workspace,
    new: WorkspaceId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    // No join code begins like that, so the code is free for the other workspace.
    let ended: Option<(i64, i64, i64)> = statement::<D>(
        "update workspaces set purging_since = $3, join_code = '-' || no
         where id = $1 and join_code = $2 and purging_since is null returning no, people, shards",
    )
    .bind(old.id.0)
    .bind(old.join_code.as_str())
    .bind(now.as_micros())
    .optional(&mut transaction)
    .await?;
    let Some((no, people, _)) = ended else {
        transaction.rollback().await?;
        return Ok(false);
    };
    let opened = statement::<D>(
        "update workspaces set join_code = $2, people = $3 where id = $1 and purging_since is null",
    )
    .bind(new.0)
    .bind(old.join_code.as_str())
    .bind(people)
    .execute(&mut transaction)
    .await?;
    if opened != 1 {
        transaction.rollback().await?;
        return Ok(false);
    }
    // Any number: those that were reset before, each of whose people go on in the newest one.
    statement::<D>("update moved_workspaces set successor = $2 where successor = $1")
        .bind(old.id.0)
        .bind(new.0)
        .execute(&mut transaction)
        .await?;
    // Any number: no token is valid any more for those.
    statement::<D>("delete from moved_workspaces where moved_at < $1")
        .bind(now.as_micros().saturating_sub(MOVE_IS_KNOWN_FOR))
        .execute(&mut transaction)
        .await?;
    let noted = statement::<D>(
        "insert into moved_workspaces (id, successor, moved_at) values ($1, $2, $3)
         on conflict (id) do update set successor = excluded.successor, moved_at = excluded.moved_at",
    )
    .bind(old.id.0)
    .bind(new.0)
    .bind(now.as_micros())
    .execute(&mut transaction)
    .await?;
    if noted != 1 {
        let error = StoreError::Corrupt("the successor of a workspace was not noted".to_owned());
        return Err(sqlx::Error::Decode(error.into()));
    }
    D::invalidate_heads(&mut transaction, no).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) async fn successor<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
) -> Result<Option<Successor>, StoreError> {
    let found: Option<(Uuid, i64)> =
        statement::<D>("select successor, moved_at from moved_workspaces where id = $1")
            .bind(workspace.0)
            .optional(&mut *readers.acquire().await?)
            .await?;
    Ok(found.map(|(successor, moved_at)| Successor {
        workspace: WorkspaceId(successor),
        moved_at: Timestamp::from_micros(moved_at),
    }))
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
