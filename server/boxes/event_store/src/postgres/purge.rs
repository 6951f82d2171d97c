//! The purge of a workspace where several servers append, and where the events are in eight tables, one for
//! each group of partitions. One server at a time deletes: the one that holds the workspace's row.

use sqlx::PgConnection;

/// The head hash of a workspace that is being purged; no event has it.
pub(super) const TOMBSTONE: [u8; 32] = [0xff; 32];

pub(super) const CLAIM_PURGE: &str =
    "select no from workspaces where id = $1 and purging_since is not null for update skip locked";

/// The `offset` makes the planner look for each type of each partition, as the key is.
pub(super) const PURGE_TYPE_BLOCKS: &str = "delete from type_blocks
    where (type_no, partition_no, block) in (
        select b.type_no, b.partition_no, b.block
        from partitions p cross join event_types t
            cross join lateral (
                select * from type_blocks b where b.type_no = t.no and b.partition_no = p.no offset 0
            ) b
        where p.workspace_no = $1 limit $2)";

pub(super) const PURGE_COMMANDS: [&str; 2] = [
    "delete from answers where workspace_no = $1 and command_id in (
        select command_id from answers where workspace_no = $1 limit $2)",
    "delete from earlier_commands where workspace_no = $1 and command_id in (
        select command_id from earlier_commands where workspace_no = $1 limit $2)",
];

pub(super) const PURGE_PARTITIONS: &str = "delete from partitions where no in (
    select no from partitions where workspace_no = $1 order by no limit $2)";

/// Implements [`Database::invalidate_heads`](crate::sql::Database::invalidate_heads).
pub(super) async fn invalidate_heads(
    transaction: &mut PgConnection,
    workspace_no: i64,
) -> Result<(), sqlx::Error> {
    // in the order in which a group locks them; waits for a group that is being written
    sqlx::query("select no from partitions where workspace_no = $1 order by no for no key update")
        .bind(workspace_no)
        .execute(&mut *transaction)
        .await?;
    // every cached head is out of date from now on
    sqlx::query("update partitions set head_hash = $2 where workspace_no = $1")
        .bind(workspace_no)
        .bind(&TOMBSTONE[..])
        .execute(transaction)
        .await?;
    Ok(())
}

/// Deletes a range of events of one partition, so that only one of the eight tables is read.
pub(super) async fn events(
    transaction: &mut PgConnection,
    workspace_no: i64,
    limit: u32,
) -> Result<u64, sqlx::Error> {
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
