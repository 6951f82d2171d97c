//! Loads the state that a group needs: either what the cache lacks, or everything, with the partitions
//! locked.
//!
//! With the cache, a stream that gets its first event now is not looked up: if it exists already, the write
//! fails, and the group is validated again.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use domain::{id::WorkspaceId, timestamp::Timestamp};
use sqlx::{Executor as _, PgConnection, Postgres};
use uuid::Uuid;

use super::{commands::WANTED, purge::TOMBSTONE, row::version_of_stream};
use crate::{
    Append, StreamAppend,
    answer::CommandColumns,
    appender::{AppendCache, CachedPartition, CachedStream, CachedWorkspace, MissingStream},
    sql::directory::recorded,
};

/// The error for a value that no column should hold.
fn corrupt(what: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(what.to_string().into())
}

fn natural(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(corrupt)
}

/// The most new streams that a group can have.
fn new_streams(appends: &[&Append]) -> usize {
    appends.iter().map(|append| append.streams.len()).sum()
}

fn has_numbers(cache: &AppendCache, appends: &[&Append]) -> bool {
    let left = cache.stream_nos.end - cache.stream_nos.start;
    usize::try_from(left).is_ok_and(|left| left >= new_streams(appends))
}

/// Whether the cache lacks something that a group needs.
pub(super) fn is_needed(cache: &AppendCache, appends: &[&Append]) -> bool {
    !has_numbers(cache, appends)
        || !cache.missing_workspaces(appends).is_empty()
        || !cache
            .missing_streams(appends, StreamAppend::must_be_loaded)
            .is_empty()
}

/// Loads what the cache lacks. `false`: the cache is out of date.
pub(super) async fn load_missing(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<bool, sqlx::Error> {
    number_streams(connection, cache, appends).await?;
    load_workspaces(connection, cache, appends).await?;
    let missing = cache.missing_streams(appends, StreamAppend::must_be_loaded);
    load_streams(connection, cache, &missing).await
}

/// Begins a transaction, and loads everything with the partitions locked. Always `true`.
pub(super) async fn load_all(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<bool, sqlx::Error> {
    number_streams(connection, cache, appends).await?;
    connection.execute("begin").await?;
    load_workspaces(connection, cache, appends).await?;
    lock_partitions(connection, cache, appends).await?;
    // after the locks: a statement sees what was committed before it began
    let missing = cache.missing_streams(appends, |_| true);
    load_streams(connection, cache, &missing).await?;
    load_commands(connection, cache, appends).await?;
    Ok(true)
}

/// Takes blocks of stream numbers until there are enough for the group.
async fn number_streams(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    while !has_numbers(cache, appends) {
        cache.stream_nos = stream_numbers(connection).await?;
        let size = cache.stream_nos.end - cache.stream_nos.start;
        // more new streams than a block has numbers: validated one by one, they fit
        if new_streams(appends) > usize::try_from(size).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(())
}

/// Name, number and version of those of these streams that exist.
pub(super) async fn streams(
    connection: &mut PgConnection,
    workspace_no: i64,
    names: &[&str],
) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select s.name, s.no, ",
        version_of_stream!(),
        " from streams s where s.workspace_no = $1 and s.name = any ($2)"
    ))
    .bind(workspace_no)
    .bind(names)
    .fetch_all(connection)
    .await
}

/// A partition with its workspace: the workspace's id, its number, whether all answers are in rows, and
/// whether it has commands of earlier versions; the partition's number, its head, and the hash and the time
/// of the event there.
type PartitionColumns = (Uuid, i64, bool, bool, i64, i64, Vec<u8>, Option<i64>);

/// A block of unused stream numbers.
pub(super) async fn stream_numbers(connection: &mut PgConnection) -> Result<Range<i64>, sqlx::Error> {
    let (first, size): (i64, i64) = sqlx::query_as(
        "select nextval('stream_nos'), increment_by from pg_sequences
         where schemaname = current_schema() and sequencename = 'stream_nos'",
    )
    .fetch_one(connection)
    .await?;
    Ok(first..first + size)
}

async fn load_workspaces(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = cache
        .missing_workspaces(appends)
        .into_iter()
        .map(|id| id.0)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<PartitionColumns> = sqlx::query_as(
        "select w.id, w.no, w.answers_in_rows, w.has_earlier_commands, p.no, p.head, p.head_hash,
             (select e.recorded_at from events e where e.partition_no = p.no and e.position = p.head)
         from open_workspaces w join partitions p on p.workspace_no = w.no
         where w.id = any ($1) order by w.no, p.partition",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    for (id, workspace_no, answers_in_rows, has_earlier_commands, no, head, head_hash, recorded_at) in rows {
        let workspace = cache
            .workspaces
            .entry(WorkspaceId(id))
            .or_insert_with(|| CachedWorkspace {
                no: workspace_no,
                answers_in_rows,
                has_earlier_commands,
                partitions: Vec::new(),
            });
        workspace.partitions.push(CachedPartition::new(
            no,
            natural(head)?,
            hex::encode(head_hash),
            recorded_at.map(Timestamp::from_micros),
        ));
    }
    Ok(())
}

/// Locks the partitions of a group in the order of their numbers, and loads their heads.
async fn lock_partitions(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    let mut wanted = BTreeSet::new();
    for append in appends {
        if let Some(workspace) = cache.workspaces.get(&append.workspace) {
            let partitions = append
                .streams
                .iter()
                .filter_map(|part| workspace.partition(&part.stream));
            wanted.extend(partitions.map(|partition| partition.no));
            // the number of a workspace's events depends on all of them, and a command without events has
            // `append_commands` lock them
            if append.max_events.is_some() || (append.is_without_events() && !workspace.answers_in_rows) {
                wanted.extend(workspace.partitions.iter().map(|partition| partition.no));
            }
        }
    }
    let wanted: Vec<i64> = wanted.into_iter().collect();
    let locked = wanted.clone();
    let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "select no, head, head_hash from partitions where no = any ($1) order by no for no key update",
    )
    .bind(wanted)
    .fetch_all(&mut *connection)
    .await?;
    let heads: HashMap<i64, (i64, String)> = rows
        .into_iter()
        .filter(|(_, _, hash)| *hash != TOMBSTONE)
        .map(|(no, head, hash)| (no, (head, hex::encode(hash))))
        .collect();
    let recorded_at = head_times(connection, &locked).await?;
    // a workspace with a missing or tombstoned partition is purged, or about to be
    cache.workspaces.retain(|_, workspace| {
        let partitions = &workspace.partitions;
        !partitions.iter().any(|partition| {
            locked.binary_search(&partition.no).is_ok() && !heads.contains_key(&partition.no)
        })
    });
    let partitions = cache
        .workspaces
        .values_mut()
        .flat_map(|workspace| &mut workspace.partitions);
    for partition in partitions {
        let Some((head, head_hash)) = heads.get(&partition.no) else {
            continue;
        };
        if partition.head_hash != *head_hash {
            let recorded_at = recorded_at.get(&partition.no).copied();
            partition.reset(natural(*head)?, head_hash, recorded_at);
        }
    }
    Ok(())
}

/// When the newest events of locked partitions were recorded, by the numbers of the partitions. A statement
/// of its own: one that waits for a lock does not see the events of the transaction that it has waited for.
async fn head_times(
    connection: &mut PgConnection,
    partition_nos: &[i64],
) -> Result<HashMap<i64, Timestamp>, sqlx::Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select p.no, e.recorded_at
         from partitions p join events e on e.partition_no = p.no and e.position = p.head
         where p.no = any ($1)",
    )
    .bind(partition_nos)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(no, recorded_at)| (no, Timestamp::from_micros(recorded_at)))
        .collect())
}

/// Loads streams. `false`: one of their partitions is no longer at its cached head.
async fn load_streams(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    missing: &[MissingStream],
) -> Result<bool, sqlx::Error> {
    if missing.is_empty() {
        return Ok(true);
    }
    let workspace_nos: Vec<i64> = missing.iter().map(|stream| stream.workspace_no).collect();
    let names: Vec<&str> = missing.iter().map(|stream| stream.name.as_str()).collect();
    // one statement reads one snapshot: the versions belong to the heads beside them
    let rows: Vec<(i64, i64, i64, Vec<u8>)> = sqlx::query_as(concat!(
        "select wanted.n, s.no, ",
        version_of_stream!(),
        ", p.head_hash
         from unnest($1::bigint[], $2::text[]) with ordinality wanted (workspace_no, name, n)
             join streams s on s.workspace_no = wanted.workspace_no and s.name = wanted.name
             join partitions p on p.no = s.partition_no"
    ))
    .bind(workspace_nos)
    .bind(names)
    .fetch_all(connection)
    .await?;
    for (n, no, version, head_hash) in rows {
        let stream = usize::try_from(n - 1)
            .ok()
            .and_then(|n| missing.get(n))
            .ok_or_else(|| corrupt("a stream that was not asked for"))?;
        let is_current = cache
            .partition_mut(stream.workspace, &stream.name)
            .is_some_and(|partition| partition.head_hash == hex::encode(head_hash));
        if !is_current {
            return Ok(false);
        }
        let version = natural(version)?;
        cache.note_stream(stream.workspace, &stream.name, CachedStream { no, version });
    }
    Ok(true)
}

async fn load_commands(
    connection: &mut PgConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    let (workspace_nos, ids): (Vec<i64>, Vec<Uuid>) = cache.command_keys(appends).into_iter().unzip();
    let rows: Vec<CommandColumns> = sqlx::query_as(WANTED)
        .bind(workspace_nos)
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
    for columns in rows {
        let key = (columns.0, columns.1);
        let recorded = recorded::<Postgres>(connection, columns).await?;
        cache.commands.insert(key, recorded);
    }
    Ok(())
}
