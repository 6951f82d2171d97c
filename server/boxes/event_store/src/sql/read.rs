//! Reading streams, partitions and the log. Every statement reads one snapshot of the database, which
//! contains a commit as a whole or not at all; so a reader of a partition never sees a gap.

use domain::{
    event::StoredEvent,
    id::{StreamName, WorkspaceId},
    token::ConsistencyToken,
    wire::{Page, StreamInfo},
};
use sqlx::Pool;
use uuid::Uuid;

use super::{Database, type_pages};
use database::engine::statement;

use crate::{
    AuditedEvent, ChainHead, Direction, EventFilter, StoreError,
    columns::{self, AFTER_ALL_NAMES, EventColumns, integer, natural, small},
};

/// Implements [`EventStore::read_stream`](crate::EventStore::read_stream).
pub(super) async fn stream<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    stream: &StreamName,
    from: u64,
    direction: Direction,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    let sql = match direction {
        Direction::Forwards => D::STREAM_FORWARDS,
        Direction::Backwards => D::STREAM_BACKWARDS,
    };
    let rows = statement::<D>(sql)
        .bind(workspace.0)
        .bind(stream.as_str())
        .bind(integer(from))
        .bind(i64::from(limit))
        .all(&mut *readers.acquire().await?)
        .await?;
    columns::events(workspace, rows)
}

/// Implements [`EventStore::read_tail`](crate::EventStore::read_tail).
pub(super) async fn tail<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    stream: &StreamName,
    snapshot_schema_version: u32,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows = statement::<D>(D::STREAM_TAIL)
        .bind(workspace.0)
        .bind(stream.as_str())
        .bind(i64::from(snapshot_schema_version))
        .bind(i64::from(limit))
        .all(&mut *readers.acquire().await?)
        .await?;
    columns::events(workspace, rows)
}

/// Implements [`Audit::audit_partition`](crate::Audit::audit_partition). A column that cannot be decoded
/// fails the whole page: then fewer events are read, down to the one that fails.
pub(super) async fn audit_partition<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    partition: u32,
    after: u64,
    mut limit: u32,
) -> Result<Vec<AuditedEvent>, StoreError> {
    let mut connection = readers.acquire().await?;
    loop {
        let rows = D::partition(&mut connection, workspace, partition, after, limit).await;
        match rows.map_err(StoreError::from) {
            Ok(rows) => return columns::audited(workspace, rows),
            Err(StoreError::Corrupt(_)) if limit > 1 => limit /= 2,
            Err(StoreError::Corrupt(reason)) => {
                return Ok(vec![AuditedEvent {
                    position: after.saturating_add(1),
                    event: Err(StoreError::Corrupt(reason)),
                    is_padded: false,
                }]);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Implements [`EventStore::read_events`](crate::EventStore::read_events).
pub(super) async fn events<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    filter: &EventFilter,
    after: &ConsistencyToken,
    limit: u32,
) -> Result<(Vec<StoredEvent>, ConsistencyToken), StoreError> {
    let mut connection = readers.acquire().await?;
    let mut token = after.clone();
    let mut events = Vec::new();
    // The heads first: a later event belongs to another page. So a page that is not full has seen everything
    // up to the head, and its token may say so even if no event matched.
    for (no, partition, head) in partitions::<D>(&mut connection, workspace).await? {
        let wanted = limit as usize - events.len().min(limit as usize);
        if wanted == 0 {
            break;
        }
        let rows = match &filter.event_type {
            Some(event_type) if filter.correlation_id.is_none() => {
                let category = filter.category.as_deref();
                let range = (after.position(partition), head);
                type_pages::page::<D>(
                    &mut connection,
                    (event_type.as_str(), category),
                    no,
                    range,
                    wanted,
                )
                .await?
            }
            _ => {
                let bounds = D::bounds(no, after.position(partition), head);
                page::<D>(&mut connection, filter, no, bounds, wanted).await?
            }
        };
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

/// The matching events of a range of positions. A correlation has few events; a category is tested event by
/// event, since its streams are spread over the log.
async fn page<D: Database>(
    connection: &mut D::Connection,
    filter: &EventFilter,
    partition_no: i64,
    (after, until): (i64, i64),
    limit: usize,
) -> Result<Vec<EventColumns>, sqlx::Error> {
    let (first, last) = streams_of(filter.category.as_deref());
    statement::<D>(D::page(filter))
        .bind(partition_no)
        .bind(after)
        .bind(until)
        .bind(filter.correlation_id)
        .bind(filter.event_type.as_deref())
        .bind(first)
        .bind(last)
        .bind(integer(limit as u64))
        .all(connection)
        .await
}

/// The names before and after those of a category's streams.
pub(super) fn streams_of(category: Option<&str>) -> (Option<String>, Option<String>) {
    let first = category.map(|category| format!("{category}-"));
    let last = first.as_ref().map(|first| format!("{first}{AFTER_ALL_NAMES}"));
    (first, last)
}

/// The partitions of a workspace: number, partition, head.
async fn partitions<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
) -> Result<Vec<(i64, u32, u64)>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = statement::<D>(
        "select no, partition, head from partitions
         where workspace_no = (select no from open_workspaces where id = $1) order by partition",
    )
    .bind(workspace.0)
    .all(connection)
    .await?;
    rows.into_iter()
        .map(|(no, partition, head)| Ok((no, small(partition)?, natural(head)?)))
        .collect()
}

/// Implements [`EventStore::streams`](crate::EventStore::streams).
pub(super) async fn streams<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<StreamInfo>, StoreError> {
    let end = format!("{prefix}{AFTER_ALL_NAMES}");
    let rows = statement::<D>(D::STREAMS)
        .bind(workspace.0)
        .bind(prefix)
        .bind(end.as_str())
        .bind(after.unwrap_or_default())
        // one row more than the limit tells whether there is another page
        .bind(i64::from(limit) + 1)
        .all(&mut *readers.acquire().await?)
        .await?;
    columns::streams(rows, limit)
}

/// Implements [`EventStore::head`](crate::EventStore::head).
pub(super) async fn head<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
) -> Result<ConsistencyToken, StoreError> {
    let partitions = partitions::<D>(&mut *readers.acquire().await?, workspace).await?;
    Ok(partitions
        .into_iter()
        .map(|(_, partition, head)| (partition, head))
        .collect())
}

/// Implements [`EventStore::chain_heads`](crate::EventStore::chain_heads).
pub(super) async fn chain_heads<D: Database>(
    readers: &Pool<D>,
    workspace: Option<WorkspaceId>,
) -> Result<Vec<(WorkspaceId, u32, ChainHead)>, StoreError> {
    let rows: Vec<(Uuid, i64, i64, Vec<u8>)> = statement::<D>(
        "select w.id, p.partition, p.head, p.head_hash
         from partitions p join open_workspaces w on w.no = p.workspace_no
         where $1 is null or w.id = $1 order by w.id, p.partition",
    )
    .bind(workspace.map(|workspace| workspace.0))
    .all(&mut *readers.acquire().await?)
    .await?;
    rows.into_iter()
        .map(|(id, partition, head, hash)| {
            let head = ChainHead {
                position: natural(head)?,
                hash: hex::encode(hash),
            };
            Ok((WorkspaceId(id), small(partition)?, head))
        })
        .collect()
}

/// Implements [`EventStore::heads`](crate::EventStore::heads).
pub(crate) async fn heads<D: Database>(
    readers: &Pool<D>,
) -> Result<Vec<(WorkspaceId, u32, u64)>, StoreError> {
    let rows: Vec<(Uuid, i64, i64)> = statement::<D>(
        "select w.id, p.partition, p.head
         from partitions p join open_workspaces w on w.no = p.workspace_no
         where p.head > 0 order by w.id, p.partition",
    )
    .all(&mut *readers.acquire().await?)
    .await?;
    rows.into_iter()
        .map(|(id, partition, head)| Ok((WorkspaceId(id), small(partition)?, natural(head)?)))
        .collect()
}
