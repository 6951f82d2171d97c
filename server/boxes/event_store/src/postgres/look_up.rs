//! What a group has to know, read from the database: either the little that is not remembered, or everything, with the
//! partitions locked.
//!
//! A stream that is to have its first event now is not looked up where remembering will do: if it is there already, the
//! write finds out, and the group is judged again.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use domain::id::WorkspaceId;
use sqlx::{Executor as _, PgConnection, Postgres};
use uuid::Uuid;

use super::purge::TOMBSTONE;
use crate::{
    Append, StreamAppend,
    appender::{AppendCache, CachedPartition, CachedStream, CachedWorkspace, MissingStream},
    sql::directory::recorded,
};

/// A number that is no version, no position and no partition.
fn corrupt(what: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(what.to_string().into())
}

fn natural(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(corrupt)
}

/// The most streams that a group can begin.
fn new_streams(appends: &[&Append]) -> usize {
    appends.iter().map(|append| append.streams.len()).sum()
}

fn has_numbers(known: &AppendCache, appends: &[&Append]) -> bool {
    let left = known.stream_nos.end - known.stream_nos.start;
    usize::try_from(left).is_ok_and(|left| left >= new_streams(appends))
}

/// Whether something has to be asked before a group can be judged by what is remembered.
pub(super) fn is_needed(known: &AppendCache, appends: &[&Append]) -> bool {
    !has_numbers(known, appends)
        || !known.missing_workspaces(appends).is_empty()
        || !known
            .missing_streams(appends, StreamAppend::must_be_known)
            .is_empty()
}

/// Looks up what is not remembered. `false`: what was remembered is no longer so.
pub(super) async fn remembered(
    connection: &mut PgConnection,
    known: &mut AppendCache,
    appends: &[&Append],
) -> Result<bool, sqlx::Error> {
    number_streams(connection, known, appends).await?;
    load_workspaces(connection, known, appends).await?;
    let missing = known.missing_streams(appends, StreamAppend::must_be_known);
    load_streams(connection, known, &missing).await
}

/// Begins a transaction, and looks up everything with the partitions locked. Always `true`.
pub(super) async fn certain(
    connection: &mut PgConnection,
    known: &mut AppendCache,
    appends: &[&Append],
) -> Result<bool, sqlx::Error> {
    number_streams(connection, known, appends).await?;
    connection.execute("begin").await?;
    load_workspaces(connection, known, appends).await?;
    lock_partitions(connection, known, appends).await?;
    // behind the locks: a statement sees what was committed before it began
    let missing = known.missing_streams(appends, |_| true);
    load_streams(connection, known, &missing).await?;
    load_commands(connection, known, appends).await?;
    Ok(true)
}

/// Takes blocks of numbers until there are enough for the group.
async fn number_streams(
    connection: &mut PgConnection,
    known: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    while !has_numbers(known, appends) {
        known.stream_nos = stream_numbers(connection).await?;
        let size = known.stream_nos.end - known.stream_nos.start;
        // more new streams than a block has numbers: judged one by one, they fit
        if new_streams(appends) > usize::try_from(size).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(())
}

/// Name, number and version of those of these streams that are there.
pub(super) async fn streams(
    connection: &mut PgConnection,
    workspace_no: i64,
    names: &[&str],
) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
    sqlx::query_as("select name, no, version from streams where workspace_no = $1 and name = any ($2)")
        .bind(workspace_no)
        .bind(names)
        .fetch_all(connection)
        .await
}

/// A block of numbers that no stream has.
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
    known: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = known
        .missing_workspaces(appends)
        .into_iter()
        .map(|id| id.0)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, i64, i64, i64, Vec<u8>)> = sqlx::query_as(
        "select w.id, w.no, p.no, p.head, p.head_hash
         from open_workspaces w join partitions p on p.workspace_no = w.no
         where w.id = any ($1) order by w.no, p.partition",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    for (id, workspace_no, no, head, head_hash) in rows {
        let workspace = known
            .workspaces
            .entry(WorkspaceId(id))
            .or_insert_with(|| CachedWorkspace {
                no: workspace_no,
                partitions: Vec::new(),
            });
        workspace.partitions.push(CachedPartition {
            no,
            head: natural(head)?,
            head_hash: hex::encode(head_hash),
            streams: HashMap::new(),
        });
    }
    Ok(())
}

/// Locks the partitions of a group in the order of their numbers, and learns their heads.
async fn lock_partitions(
    connection: &mut PgConnection,
    known: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    let mut wanted = BTreeSet::new();
    for append in appends {
        if let Some(workspace) = known.workspaces.get(&append.workspace) {
            let partitions = append
                .streams
                .iter()
                .filter_map(|part| workspace.partition(&part.stream));
            wanted.extend(partitions.map(|partition| partition.no));
            // how many events a workspace has is known from all of them
            if append.max_events.is_some() {
                wanted.extend(workspace.partitions.iter().map(|partition| partition.no));
            }
        }
    }
    let wanted: Vec<i64> = wanted.into_iter().collect();
    let asked = wanted.clone();
    let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "select no, head, head_hash from partitions where no = any ($1) order by no for no key update",
    )
    .bind(wanted)
    .fetch_all(connection)
    .await?;
    let heads: HashMap<i64, (i64, String)> = rows
        .into_iter()
        .filter(|(_, _, hash)| *hash != TOMBSTONE)
        .map(|(no, head, hash)| (no, (head, hex::encode(hash))))
        .collect();
    // a workspace of which a partition is gone, or is about to go, is gone
    known.workspaces.retain(|_, workspace| {
        let partitions = &workspace.partitions;
        !partitions
            .iter()
            .any(|partition| asked.binary_search(&partition.no).is_ok() && !heads.contains_key(&partition.no))
    });
    let partitions = known
        .workspaces
        .values_mut()
        .flat_map(|workspace| &mut workspace.partitions);
    for partition in partitions {
        let Some((head, head_hash)) = heads.get(&partition.no) else {
            continue;
        };
        if partition.head_hash != *head_hash {
            partition.head = natural(*head)?;
            partition.head_hash.clone_from(head_hash);
            // their versions were those of another moment
            partition.streams.clear();
        }
    }
    Ok(())
}

/// Looks up streams. `false`: one of their partitions is no longer at the head that is remembered.
async fn load_streams(
    connection: &mut PgConnection,
    known: &mut AppendCache,
    missing: &[MissingStream],
) -> Result<bool, sqlx::Error> {
    if missing.is_empty() {
        return Ok(true);
    }
    let workspace_nos: Vec<i64> = missing.iter().map(|stream| stream.workspace_no).collect();
    let names: Vec<&str> = missing.iter().map(|stream| stream.name.as_str()).collect();
    // one statement, and so one moment: the versions are those of the heads beside them
    let rows: Vec<(i64, i64, i64, Vec<u8>)> = sqlx::query_as(
        "select wanted.n, s.no, s.version, p.head_hash
         from unnest($1::bigint[], $2::text[]) with ordinality wanted (workspace_no, name, n)
             join streams s on s.workspace_no = wanted.workspace_no and s.name = wanted.name
             join partitions p on p.no = s.partition_no",
    )
    .bind(workspace_nos)
    .bind(names)
    .fetch_all(connection)
    .await?;
    for (n, no, version, head_hash) in rows {
        let stream = usize::try_from(n - 1)
            .ok()
            .and_then(|n| missing.get(n))
            .ok_or_else(|| corrupt("a stream that nobody asked for"))?;
        let is_true = known
            .partition_mut(stream.workspace, &stream.name)
            .is_some_and(|partition| partition.head_hash == hex::encode(head_hash));
        if !is_true {
            return Ok(false);
        }
        let version = natural(version)?;
        known.note_stream(stream.workspace, &stream.name, CachedStream { no, version });
    }
    Ok(true)
}

async fn load_commands(
    connection: &mut PgConnection,
    known: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), sqlx::Error> {
    let (workspace_nos, ids): (Vec<i64>, Vec<Uuid>) = known.wanted_commands(appends).into_iter().unzip();
    let rows: Vec<(i64, Uuid, Vec<u8>, Uuid, String)> = sqlx::query_as(
        "select c.workspace_no, c.command_id, c.body_digest, c.correlation_id, c.answer
         from unnest($1::bigint[], $2::uuid[]) wanted (workspace_no, command_id)
             join commands c on c.workspace_no = wanted.workspace_no and c.command_id = wanted.command_id",
    )
    .bind(workspace_nos)
    .bind(ids)
    .fetch_all(&mut *connection)
    .await?;
    for (workspace_no, command_id, digest, correlation_id, answer) in rows {
        let command = (digest, correlation_id, answer);
        let recorded = recorded::<Postgres>(connection, workspace_no, command).await?;
        known.commands.insert((workspace_no, command_id), recorded);
    }
    Ok(())
}
