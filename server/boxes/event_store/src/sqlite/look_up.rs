//! Loads the state that a group needs from the file: once, because no other process writes to it while the
//! appender runs (see the lock in `open`).
//!
//! Mostly there is nothing to read. If a command was answered before, or a stream exists already, the
//! constraints refuse the write, and the group is validated again with the complete state. Only the commands
//! of appends that may be refused or have no events are looked up before.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
};

use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use sqlx::{FromRow as _, Row as _, Sqlite, SqliteConnection};

use super::{
    commands::WANTED,
    write::{Script, placeholders},
};
use crate::{
    Append, StoreError, StreamAppend,
    answer::CommandColumns,
    appender::{AppendCache, CachedPartition, CachedStream, CachedWorkspace, LookUpMode, MissingStream},
    columns::natural,
    sql::directory::recorded,
};

/// Loads the state that the appends of a group need.
pub(super) async fn look_up(
    connection: &mut SqliteConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
    mode: LookUpMode,
) -> Result<(), StoreError> {
    if cache.stream_nos.is_empty() {
        cache.stream_nos = stream_numbers(connection).await?;
    }
    for id in cache.missing_workspaces(appends) {
        if let Some(workspace) = load_workspace(connection, id).await? {
            cache.workspaces.insert(id, workspace);
        }
    }
    match mode {
        LookUpMode::Complete => {
            let streams = cache.missing_streams(appends, |_| true);
            load_streams(connection, cache, &streams).await?;
            load_commands(connection, cache, appends).await
        }
        LookUpMode::Cached => {
            let streams = cache.missing_streams(appends, StreamAppend::must_be_loaded);
            load_streams(connection, cache, &streams).await?;
            load_commands(connection, cache, &cache.possible_repetitions(appends)).await
        }
    }
}

/// Unused stream numbers.
pub(super) async fn stream_numbers(connection: &mut SqliteConnection) -> Result<Range<i64>, sqlx::Error> {
    let highest: Option<i64> = sqlx::query_scalar("select max(no) from streams")
        .fetch_one(connection)
        .await?;
    Ok(highest.unwrap_or(0) + 1..i64::MAX)
}

/// Name, number and version of those of these streams that exist.
pub(super) async fn streams(
    connection: &mut SqliteConnection,
    workspace_no: i64,
    names: &[&str],
) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
    let mut streams = Vec::new();
    for name in names {
        let stream: Option<(String, i64, i64)> = sqlx::query_as(
            "select s.name, s.no, (select coalesce(max(version), 0) from events where stream_no = s.no)
                 from streams s where s.workspace_no = ? and s.name = ?",
        )
        .bind(workspace_no)
        .bind(*name)
        .fetch_optional(&mut *connection)
        .await?;
        streams.extend(stream);
    }
    Ok(streams)
}

async fn load_streams(
    connection: &mut SqliteConnection,
    cache: &mut AppendCache,
    streams: &[MissingStream],
) -> Result<(), StoreError> {
    let mut script = Script::new(streams.len());
    wanted_rows(
        &mut script,
        streams,
        "select s.workspace_no, s.name, s.no,
             (select coalesce(max(version), 0) from events where stream_no = s.no)
         from wanted cross join streams s on s.workspace_no = wanted.a and s.name = wanted.b",
        |script, stream| {
            script.bind(stream.workspace_no)?;
            script.bind(stream.name.as_str())
        },
    )?;
    let workspaces: HashMap<_, _> = streams
        .iter()
        .map(|stream| (stream.workspace_no, stream.workspace))
        .collect();
    for row in script.run(connection).await?.into_iter().flatten() {
        let name: StreamName = row
            .try_get::<&str, _>(1)?
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("the name of a stream: {error}")))?;
        let stream = CachedStream {
            no: row.try_get(2)?,
            version: natural(row.try_get(3)?)?,
        };
        if let Some(workspace) = workspaces.get(&row.try_get(0)?) {
            cache.note_stream(*workspace, &name, stream);
        }
    }
    Ok(())
}

async fn load_commands(
    connection: &mut SqliteConnection,
    cache: &mut AppendCache,
    appends: &[&Append],
) -> Result<(), StoreError> {
    let commands = cache.command_keys(appends);
    let mut script = Script::new(commands.len());
    wanted_rows(
        &mut script,
        &commands,
        WANTED,
        |script, (workspace_no, command_id)| {
            script.bind(*workspace_no)?;
            script.bind(*command_id)
        },
    )?;
    for row in script.run(connection).await?.into_iter().flatten() {
        let columns = CommandColumns::from_row(&row)?;
        let key = (columns.0, columns.1);
        if let Entry::Vacant(entry) = cache.commands.entry(key) {
            entry.insert(recorded::<Sqlite>(connection, columns).await?);
        }
    }
    Ok(())
}

/// Selects rows by their two-part keys. The number of keys is rounded up to a power of two by repeating the
/// last one, so that few statements serve every group.
fn wanted_rows<K>(
    script: &mut Script,
    keys: &[K],
    select: &str,
    mut bind: impl FnMut(&mut Script, &K) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for chunk in keys.chunks(256) {
        let size = chunk.len().next_power_of_two();
        let sql = format!(
            "with wanted (a, b) as (values {}) {select}",
            placeholders(size, 2)
        );
        script.statement(&sql, None);
        for n in 0..size {
            bind(script, &chunk[n.min(chunk.len() - 1)])?;
        }
    }
    Ok(())
}

/// A partition with its workspace's number: both numbers, its index, its head, the head's hash and time.
type PartitionColumns = (i64, i64, i64, i64, Vec<u8>, Option<i64>);

async fn load_workspace(
    connection: &mut SqliteConnection,
    id: WorkspaceId,
) -> Result<Option<CachedWorkspace>, StoreError> {
    let rows: Vec<PartitionColumns> = sqlx::query_as(
        "select w.no, p.no, p.partition, p.head, p.head_hash,
             (select recorded_at from events where place = (p.no << 40) + p.head)
         from open_workspaces w join partitions p on p.workspace_no = w.no
         where w.id = ? order by p.partition",
    )
    .bind(id.0)
    .fetch_all(connection)
    .await?;
    let Some(&(workspace_no, ..)) = rows.first() else {
        return Ok(None);
    };
    let mut partitions = Vec::with_capacity(rows.len());
    for (_, no, _, head, head_hash, recorded_at) in rows {
        partitions.push(CachedPartition::new(
            no,
            natural(head)?,
            hex::encode(head_hash),
            recorded_at.map(Timestamp::from_micros),
        ));
    }
    Ok(Some(CachedWorkspace {
        no: workspace_no,
        // one index knows the events of all partitions, and one table all rows of commands
        answers_in_rows: false,
        has_earlier_commands: false,
        partitions,
    }))
}
