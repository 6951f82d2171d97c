//! The statements that read events. A partition's row is locked from the first write of an append to its
//! commit, so a snapshot with a position has all positions below it.

use domain::id::WorkspaceId;
use sqlx::PgConnection;

use super::row::{select_events, version_of_stream};
use crate::{
    EventFilter,
    answer::AnswerColumns,
    columns::{EventColumns, integer},
};

/// The events of a stream. The partition is a separate value, so that only one of the eight tables is read.
macro_rules! select_stream {
    ($rest:literal) => {
        select_events!(
            "where e.partition_no = (
                select partition_no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and e.stream_no = (
                select no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and ",
            $rest
        )
    };
}

/// Implements [`Database::STREAMS`](crate::sql::Database::STREAMS).
pub(super) const STREAMS: &str = concat!(
    "select s.name, ",
    version_of_stream!(),
    ", p.partition
     from streams s join partitions p on p.no = s.partition_no
     where s.workspace_no = (select no from open_workspaces where id = $1)
       and s.name >= $2 and s.name < $3 and s.name > $4
     order by s.name limit $5"
);

/// Implements [`Database::SNAPSHOTS`](crate::sql::Database::SNAPSHOTS).
pub(super) const SNAPSHOTS: &str = concat!(
    "select s.name, ",
    version_of_stream!(),
    ", p.partition, k.version, k.schema_version, k.state
     from streams s
         join snapshots k on k.stream_no = s.no
         join partitions p on p.no = s.partition_no
     where s.workspace_no = (select no from open_workspaces where id = $1) and s.name > $2
     order by s.name limit $3"
);

pub(super) const STREAM_FORWARDS: &str = select_stream!("e.version >= $3 order by e.version limit $4");

pub(super) const STREAM_BACKWARDS: &str = select_stream!("e.version <= $3 order by e.version desc limit $4");

pub(super) const STREAM_TAIL: &str = select_stream!(
    // a snapshot that is ahead of its stream is of another history
    "e.version >= coalesce((
        select k.version from snapshots k join streams s on s.no = k.stream_no
        where s.workspace_no = (select no from open_workspaces where id = $1) and s.name = $2
          and k.schema_version = $3
          and exists (
              select 1 from events x
              where x.partition_no = s.partition_no and x.stream_no = s.no and x.version = k.version
          )
    ), 1) order by e.version limit $4"
);

/// Implements [`Database::partition`](crate::sql::Database::partition).
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

/// Implements [`Database::page`](crate::sql::Database::page).
pub(super) const fn page(filter: &EventFilter) -> &'static str {
    if filter.correlation_id.is_some() {
        select_events!(
            "where e.correlation_id = $4 and e.partition_no = $1 and e.position > $2 and e.position <= $3
               and ($5::text is null or t.name = $5)
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
    }
}

/// Implements [`Database::PAGE_OF_TYPE`](crate::sql::Database::PAGE_OF_TYPE). Order and offset
/// of the inner statement keep the planner from reading all between the bounds for the order of the page, and
/// from looking for positions in another index than their own.
pub(super) const PAGE_OF_TYPE: &str = select_events!(
    from "type_blocks b cross join lateral (
        select * from events e
        where e.partition_no = $1 and e.position >= b.block << 6 and e.position < (b.block + 1) << 6
          and e.position > $2 and e.position <= $3 and e.type_no = b.type_no
        order by e.position offset 0
    ) e",
    "where b.type_no = any (array(select no from event_types where name = $4))
       and b.partition_no = $1 and b.block >= $7 and b.block <= $8
       and ($5::text is null or s.name >= $5 and s.name < $6)
     order by e.position limit $9"
);

/// Implements [`Database::answer_events`](crate::sql::Database::answer_events).
pub(super) async fn answer_events(
    connection: &mut PgConnection,
    workspace_no: i64,
    partition: u32,
    position: u64,
    count: u64,
) -> Result<Vec<AnswerColumns>, sqlx::Error> {
    sqlx::query_as(
        "select e.event_id, t.name, e.version, e.position
         from events e join event_types t on t.no = e.type_no
         where e.partition_no = (select no from partitions where workspace_no = $1 and partition = $2)
           and e.position >= $3 and e.position < $4
         order by e.position",
    )
    .bind(workspace_no)
    .bind(i64::from(partition))
    .bind(integer(position))
    .bind(integer(position + count))
    .fetch_all(connection)
    .await
}
