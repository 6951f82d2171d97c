//! The statements that read events, and the one that deletes them: a partition is a range of the column
//! `place`, see `row`.

use domain::id::WorkspaceId;
use sqlx::SqliteConnection;

use super::row::{MAX_POSITION, joined_tables, place, select_events};
use crate::{
    EventFilter,
    answer::AnswerColumns,
    columns::{EventColumns, integer},
};

/// The events of a stream.
macro_rules! select_stream {
    ($rest:literal) => {
        concat!(
            select_events!("from events e "),
            joined_tables!(),
            "where e.stream_no = (
                select no from streams
                where workspace_no = (select no from open_workspaces where id = $1) and name = $2
            ) and ",
            $rest
        )
    };
}

/// Implements [`Database::STREAMS`](crate::sql::Database::STREAMS).
pub(super) const STREAMS: &str =
    "select s.name, (select coalesce(max(version), 0) from events where stream_no = s.no), p.partition
     from streams s join partitions p on p.no = s.partition_no
     where s.workspace_no = (select no from open_workspaces where id = $1)
       and s.name >= $2 and s.name < $3 and s.name > $4
     order by s.name limit $5";

/// Implements [`Database::SNAPSHOTS`](crate::sql::Database::SNAPSHOTS).
pub(super) const SNAPSHOTS: &str =
    "select s.name, (select coalesce(max(version), 0) from events where stream_no = s.no), p.partition,
         k.version, k.schema_version, k.state
     from streams s
         cross join snapshots k on k.stream_no = s.no
         cross join partitions p on p.no = s.partition_no
     where s.workspace_no = (select no from open_workspaces where id = $1) and s.name > $2
     order by s.name limit $3";

pub(super) const STREAM_FORWARDS: &str = select_stream!("e.version >= $3 order by e.version limit $4");

pub(super) const STREAM_BACKWARDS: &str = select_stream!("e.version <= $3 order by e.version desc limit $4");

pub(super) const STREAM_TAIL: &str = select_stream!(
    // a snapshot that is ahead of its stream is of another history
    "e.version >= coalesce((
        select k.version from snapshots k
        where k.stream_no = (
            select no from streams
            where workspace_no = (select no from open_workspaces where id = $1) and name = $2
        ) and k.schema_version = $3
          and exists (select 1 from events x where x.stream_no = k.stream_no and x.version = k.version)
    ), 1) order by e.version limit $4"
);

/// Implements [`Database::partition`](crate::sql::Database::partition).
pub(super) async fn partition(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    partition: u32,
    after: u64,
    limit: u32,
) -> Result<Vec<EventColumns>, sqlx::Error> {
    // the number of the partition first: it never changes, and the planner then sees a simple range of
    // `place`
    let no: Option<i64> = sqlx::query_scalar(
        "select no from partitions
         where workspace_no = (select no from open_workspaces where id = $1) and partition = $2",
    )
    .bind(workspace.0)
    .bind(partition)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(no) = no else {
        return Ok(Vec::new());
    };
    sqlx::query_as(concat!(
        select_events!("from events e "),
        joined_tables!(),
        "where e.place > $1 and e.place <= $2 order by e.place limit $3"
    ))
    .bind(place(no, after))
    .bind(place(no, MAX_POSITION))
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// Implements [`Database::page`](crate::sql::Database::page). A `place` includes the partition.
pub(super) const fn page(filter: &EventFilter) -> &'static str {
    if filter.correlation_id.is_some() {
        concat!(
            select_events!("from events e indexed by events_by_correlation "),
            joined_tables!(),
            "where e.correlation_id = $4 and e.place > $2 and e.place <= $3
               and ($5 is null or t.name = $5) and ($6 is null or s.name between $6 and $7)
             order by e.place limit $8"
        )
    } else {
        concat!(
            select_events!("from events e "),
            joined_tables!(),
            "where e.place > $2 and e.place <= $3 and ($6 is null or s.name between $6 and $7)
             order by e.place limit $8"
        )
    }
}

/// Implements [`Database::PAGE_OF_TYPE`](crate::sql::Database::PAGE_OF_TYPE). A sign keeps the planner from
/// reading all between the bounds for each block.
pub(super) const PAGE_OF_TYPE: &str = concat!(
    select_events!(
        "from type_blocks b cross join events e
             on e.place >= (b.partition_no << 40) + (b.block << 6)
                 and e.place < (b.partition_no << 40) + ((b.block + 1) << 6) and e.type_no = b.type_no "
    ),
    joined_tables!(),
    "where b.type_no in (select no from event_types where name = $4)
       and b.partition_no = $1 and b.block >= $7 and b.block <= $8
       and +e.place > $2 and +e.place <= $3 and ($5 is null or s.name between $5 and $6)
     order by e.place limit $9"
);

/// Implements [`Database::answer_events`](crate::sql::Database::answer_events).
pub(super) async fn answer_events(
    connection: &mut SqliteConnection,
    workspace_no: i64,
    partition: u32,
    position: u64,
    count: u64,
) -> Result<Vec<AnswerColumns>, sqlx::Error> {
    let partition_no: i64 =
        sqlx::query_scalar("select no from partitions where workspace_no = $1 and partition = $2")
            .bind(workspace_no)
            .bind(partition)
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query_as(
        "select e.event_id, t.name, e.version, e.place & $3
         from events e cross join event_types t on t.no = e.type_no
         where e.place >= $1 and e.place < $2 order by e.place",
    )
    .bind(place(partition_no, position))
    .bind(place(partition_no, position + count))
    .bind(integer(MAX_POSITION))
    .fetch_all(connection)
    .await
}

/// Deletes events: a range of `place` in each partition.
pub(super) async fn purge_events(
    connection: &mut SqliteConnection,
    workspace_no: i64,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "delete from events where place in (
            select e.place from partitions p cross join events e
                on e.place between p.no << 40 and (p.no << 40) + 1099511627775
            where p.workspace_no = $1 limit $2)",
    )
    .bind(workspace_no)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}
