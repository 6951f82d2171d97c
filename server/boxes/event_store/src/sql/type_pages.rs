//! Reading the events of a type: the blocks that have some, a few at a time, and in them the events, see
//! [`type_block`](crate::type_block).

use std::collections::BTreeSet;

use domain::id::WorkspaceId;
use sqlx::Pool;

use super::{Database, read::streams_of};
use database::engine::statement;

use crate::{
    StoreError,
    columns::{self, EventColumns, TypeBlockColumns, integer},
    type_block::{TypeBlockEntry, block_of},
};

/// The most blocks that are looked through by one statement, which reads all their events.
const BLOCKS: usize = 16;

/// The first events of a partition with a type, and perhaps a category, in a range of positions: after the
/// first and up to the second.
pub(super) async fn page<D: Database>(
    connection: &mut D::Connection,
    (event_type, category): (&str, Option<&str>),
    partition_no: i64,
    (after, until): (u64, u64),
    limit: usize,
) -> Result<Vec<EventColumns>, sqlx::Error> {
    let (first_name, last_name) = streams_of(category);
    let (lower, upper) = D::bounds(partition_no, after, until);
    // one for each schema version
    let type_nos: Vec<(i64,)> = statement::<D>("select no from event_types where name = $1")
        .bind(event_type)
        .all(connection)
        .await?;
    let last = integer(block_of(until));
    let mut next = integer(block_of(after.saturating_add(1)));
    let mut found = Vec::new();
    while found.len() < limit {
        let mut blocks = BTreeSet::new();
        for (type_no,) in &type_nos {
            let of_version: Vec<(i64,)> = statement::<D>(
                "select block from type_blocks
                 where type_no = $1 and partition_no = $2 and block >= $3 and block <= $4
                 order by block limit $5",
            )
            .bind(*type_no)
            .bind(partition_no)
            .bind(next)
            .bind(last)
            .bind(integer(BLOCKS as u64))
            .all(connection)
            .await?;
            blocks.extend(of_version.into_iter().map(|(block,)| block));
        }
        let (Some(from), Some(to)) = (blocks.first(), blocks.iter().take(BLOCKS).next_back()) else {
            break;
        };
        let rows: Vec<EventColumns> = statement::<D>(D::PAGE_OF_TYPE)
            .bind(partition_no)
            .bind(lower)
            .bind(upper)
            .bind(event_type)
            .bind(first_name.as_deref())
            .bind(last_name.as_deref())
            .bind(*from)
            .bind(*to)
            .bind(integer((limit - found.len()) as u64))
            .all(connection)
            .await?;
        found.extend(rows);
        next = to + 1;
    }
    Ok(found)
}

/// Implements [`EventStore::type_blocks`](crate::EventStore::type_blocks): one range of the table's key for
/// each type.
pub(super) async fn entries<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    partition: u32,
    (first, last): (u64, u64),
) -> Result<Vec<TypeBlockEntry>, StoreError> {
    let rows: Vec<TypeBlockColumns> = statement::<D>(
        "select b.block, t.name, t.schema_version
         from event_types t cross join type_blocks b
         where b.type_no = t.no and b.partition_no = (
             select no from partitions
             where workspace_no = (select no from open_workspaces where id = $1) and partition = $2
         ) and b.block >= $3 and b.block <= $4",
    )
    .bind(workspace.0)
    .bind(i64::from(partition))
    .bind(integer(first))
    .bind(integer(last))
    .all(&mut *readers.acquire().await?)
    .await?;
    rows.into_iter().map(columns::type_block).collect()
}
