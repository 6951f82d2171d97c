//! Reading streams, partitions and the log. Every statement reads one snapshot of the database; and since a partition's
//! row is locked from the first write of an append to its commit, a snapshot that has a position has all below it.

use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::{Page, StreamInfo},
};
use sqlx::{PgConnection, PgPool};

use super::row::select_events;
use crate::{
    Direction, EventFilter, StoreError,
    columns::{self, BEHIND_ALL_NAMES, EventColumns, integer, natural, small},
};

/// See [`EventStore::read_stream`](crate::EventStore::read_stream).
pub(super) async fn stream(
    readers: &PgPool,
    workspace: WorkspaceId,
    stream: &StreamName,
    from: u64,
    direction: Direction,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    // The partition as a value of its own: so only the one table of the eight is looked into.
    let sql = match direction {
        Direction::Forwards => select_events!(
            "where e.partition_no = (
                select partition_no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and e.stream_no = (
                select no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and e.version >= $3 order by e.version limit $4"
        ),
        Direction::Backwards => select_events!(
            "where e.partition_no = (
                select partition_no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and e.stream_no = (
                select no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and e.version <= $3 order by e.version desc limit $4"
        ),
    };
    let rows = sqlx::query_as(sql)
        .bind(workspace.0)
        .bind(stream.as_str())
        .bind(integer(from))
        .bind(i64::from(limit))
        .fetch_all(readers)
        .await?;
    columns::events(workspace, rows)
}

/// See [`EventStore::read_tail`](crate::EventStore::read_tail).
pub(super) async fn tail(
    readers: &PgPool,
    workspace: WorkspaceId,
    stream: &StreamName,
    snapshot_schema_version: u32,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = sqlx::query_as(select_events!(
        "where e.partition_no = (
            select partition_no from streams
            where workspace_no = (select no from open_workspaces where id = $1) and name = $2
        ) and e.stream_no = (
            select no from streams
            where workspace_no = (select no from open_workspaces where id = $1) and name = $2
        ) and e.version >= coalesce((
            select version from snapshots
            where stream_no = (
                select no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and schema_version = $3
        ), 1) order by e.version limit $4"
    ))
    .bind(workspace.0)
    .bind(stream.as_str())
    .bind(i64::from(snapshot_schema_version))
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?;
    columns::events(workspace, rows)
}

/// The rows of [`EventStore::read_partition`](crate::EventStore::read_partition).
pub(super) async fn partition(
    connection: &mut PgConnection,
    workspace: WorkspaceId,
    partition: u32,
    after: u64,
    limit: u32,
) -> Result<Vec<EventColumns>, sqlx::Error> {
    sqlx::query_as(select_events!(
        "where e.partition_no = (
            select no from partitions
            where workspace_no = (select no from open_workspaces where id = $1) and partition = $2
        ) and e.position > $3 order by e.position limit $4"
    ))
    .bind(workspace.0)
    .bind(i64::from(partition))
    .bind(integer(after))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
}

/// See [`EventStore::read_events`](crate::EventStore::read_events).
pub(super) async fn events(
    readers: &PgPool,
    workspace: WorkspaceId,
    filter: &EventFilter,
    after: &ConsistencyToken,
    limit: u32,
) -> Result<(Vec<StoredEvent>, ConsistencyToken), StoreError> {
    let mut token = after.clone();
    let mut events = Vec::new();
    // The heads first: what lies behind them is another page's, so that a page that is not full has seen everything up
    // to the head, and the token may say so even where no event was wanted.
    for (no, partition, head) in partitions(readers, workspace).await? {
        let wanted = limit as usize - events.len().min(limit as usize);
        if wanted == 0 {
            break;
        }
        let range = (integer(after.position(partition)), integer(head));
        let rows = page(readers, filter, no, range, wanted).await?;
        let found = columns::events(workspace, rows)?;
        let seen = if found.len() < wanted {
            Some(head)
        } else {
            found.last().map(|event| event.position)
        };
        token.advance(partition, seen.unwrap_or(0));
        events.extend(found);
    }
    Ok((events, token))
}

/// The wanted events of a range of positions. A correlation has few events and a type has an index that lies in the order
/// of positions; a category is tested event by event, since its streams lie all over the log.
async fn page(
    readers: &PgPool,
    filter: &EventFilter,
    partition_no: i64,
    (behind, until): (i64, i64),
    limit: usize,
) -> Result<Vec<EventColumns>, StoreError> {
    let sql = if filter.correlation_id.is_some() {
        select_events!(
            "where e.correlation_id = $4 and e.partition_no = $1 and e.position > $2 and e.position <= $3
               and ($5::text is null or t.name = $5)
               and ($6::text is null or s.name >= $6 and s.name < $7)
             order by e.position limit $8"
        )
    } else if filter.event_type.is_some() {
        select_events!(
            "where e.type_no = any (array(select no from event_types where name = $5))
               and e.partition_no = $1 and e.position > $2 and e.position <= $3 and $4::uuid is null
               and ($6::text is null or s.name >= $6 and s.name < $7)
             order by e.position limit $8"
        )
    } else {
        select_events!(
            "where e.partition_no = $1 and e.position > $2 and e.position <= $3
               and $4::uuid is null and $5::text is null
               and ($6::text is null or s.name >= $6 and s.name < $7)
             order by e.position limit $8"
        )
    };
    let first = filter.category.as_ref().map(|category| format!("{category}-"));
    let last = first.as_ref().map(|first| format!("{first}{BEHIND_ALL_NAMES}"));
    let rows = sqlx::query_as(sql)
        .bind(partition_no)
        .bind(behind)
        .bind(until)
        .bind(filter.correlation_id)
        .bind(filter.event_type.as_deref())
        .bind(first)
        .bind(last)
        .bind(integer(limit as u64))
        .fetch_all(readers)
        .await?;
    Ok(rows)
}

/// The partitions of a workspace: number, partition, head.
async fn partitions(readers: &PgPool, workspace: WorkspaceId) -> Result<Vec<(i64, u32, u64)>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "select no, partition, head from partitions
         where workspace_no = (select no from open_workspaces where id = $1) order by partition",
    )
    .bind(workspace.0)
    .fetch_all(readers)
    .await?;
    rows.into_iter()
        .map(|(no, partition, head)| Ok((no, small(partition)?, natural(head)?)))
        .collect()
}

/// See [`EventStore::streams`](crate::EventStore::streams).
pub(super) async fn streams(
    readers: &PgPool,
    workspace: WorkspaceId,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<StreamInfo>, StoreError> {
    let rows = sqlx::query_as(
        "select s.name, s.version, p.partition
         from streams s join partitions p on p.no = s.partition_no
         where s.workspace_no = (select no from open_workspaces where id = $1)
           and s.name >= $2 and s.name < $3 and s.name > $4
         order by s.name limit $5",
    )
    .bind(workspace.0)
    .bind(prefix)
    .bind(format!("{prefix}{BEHIND_ALL_NAMES}"))
    .bind(after.unwrap_or_default())
    // one more than asked for tells whether there is another page
    .bind(i64::from(limit) + 1)
    .fetch_all(readers)
    .await?;
    columns::streams(rows, limit)
}

/// See [`EventStore::head`](crate::EventStore::head).
pub(super) async fn head(readers: &PgPool, workspace: WorkspaceId) -> Result<ConsistencyToken, StoreError> {
    let partitions = partitions(readers, workspace).await?;
    Ok(partitions
        .into_iter()
        .map(|(_, partition, head)| (partition, head))
        .collect())
}

/// See [`EventStore::heads`](crate::EventStore::heads).
pub(super) async fn heads(readers: &PgPool) -> Result<Vec<(WorkspaceId, u32, u64)>, StoreError> {
    let rows: Vec<(uuid::Uuid, i64, i64)> = sqlx::query_as(
        "select w.id, p.partition, p.head
         from partitions p join open_workspaces w on w.no = p.workspace_no
         where p.head > 0 order by w.id, p.partition",
    )
    .fetch_all(readers)
    .await?;
    rows.into_iter()
        .map(|(id, partition, head)| Ok((WorkspaceId(id), small(partition)?, natural(head)?)))
        .collect()
}
