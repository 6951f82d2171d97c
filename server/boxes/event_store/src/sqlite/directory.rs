//! What lies beside the events: workspaces, snapshots, event types, and the commands that were answered.

use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    wire::EventSchema,
};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::row::{MAX_POSITION, place};
use crate::{
    AnsweredCommand, RecordedCommand, Snapshot, StoreError, Workspace,
    answer::{CommandColumns, StoredAnswer},
    columns::{self, SchemaColumns, integer},
};

/// Opens a workspace with its partitions; `false` where the join code is taken.
pub(super) async fn create_workspace(
    connection: &mut SqliteConnection,
    workspace: &Workspace,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    if insert_workspace(&mut transaction, workspace, now)
        .await?
        .is_none()
    {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// The same in a transaction that has begun; the workspace's number.
pub(super) async fn insert_workspace(
    connection: &mut SqliteConnection,
    workspace: &Workspace,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let inserted = sqlx::query(
        "insert into workspaces (id, name, template, shards, join_code, created_at, active_at)
         values (?, ?, ?, ?, ?, ?, ?) on conflict (join_code) do nothing",
    )
    .bind(workspace.id.0)
    .bind(&workspace.name)
    .bind(columns::template(workspace)?)
    .bind(workspace.shards)
    .bind(&workspace.join_code)
    .bind(workspace.created_at.as_micros())
    .bind(now.as_micros())
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(None);
    }
    let workspace_no = inserted.last_insert_rowid();
    for partition in 0..workspace.shards {
        // before the first event: position 0, and a hash of zeros
        let inserted = sqlx::query(
            "insert into partitions (workspace_no, partition, head, head_hash) values (?, ?, 0, zeroblob(32))",
        )
        .bind(workspace_no)
        .bind(partition)
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() != 1 {
            return Err(StoreError::Unavailable("a partition was not opened".to_owned()));
        }
    }
    Ok(Some(workspace_no))
}

const WORKSPACE: &str =
    "select id, name, template, shards, join_code, created_at from open_workspaces where id = ?";
const WORKSPACE_BY_CODE: &str =
    "select id, name, template, shards, join_code, created_at from open_workspaces where join_code = ?";
const WORKSPACES: &str = "select id, name, template, shards, join_code, created_at from open_workspaces
                          where id > ? order by id limit ?";

pub(super) async fn workspace(
    readers: &SqlitePool,
    id: WorkspaceId,
) -> Result<Option<Workspace>, StoreError> {
    let row = sqlx::query_as(WORKSPACE)
        .bind(id.0)
        .fetch_optional(readers)
        .await?;
    row.map(columns::workspace).transpose()
}

pub(super) async fn workspace_by_code(
    readers: &SqlitePool,
    join_code: &str,
) -> Result<Option<Workspace>, StoreError> {
    let row = sqlx::query_as(WORKSPACE_BY_CODE)
        .bind(join_code)
        .fetch_optional(readers)
        .await?;
    row.map(columns::workspace).transpose()
}

pub(super) async fn workspaces(
    readers: &SqlitePool,
    after: Option<WorkspaceId>,
    limit: u32,
) -> Result<Vec<Workspace>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.0.as_bytes().to_vec());
    let rows = sqlx::query_as(WORKSPACES)
        .bind(after)
        .bind(limit)
        .fetch_all(readers)
        .await?;
    rows.into_iter().map(columns::workspace).collect()
}

/// What a command answered when it was appended.
pub(super) async fn recorded_command(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    command_id: Uuid,
) -> Result<Option<RecordedCommand>, StoreError> {
    let mut connection = readers.acquire().await?;
    let row: Option<(i64, Vec<u8>, Uuid, String)> = sqlx::query_as(
        "select workspace_no, body_digest, correlation_id, answer from commands
         where workspace_no = (select no from open_workspaces where id = ?) and command_id = ?",
    )
    .bind(workspace.0)
    .bind(command_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((workspace_no, digest, correlation_id, answer)) = row else {
        return Ok(None);
    };
    recorded(&mut connection, workspace_no, (digest, correlation_id, answer))
        .await
        .map(Some)
}

/// See [`EventStore::commands`](crate::EventStore::commands).
pub(super) async fn commands(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<AnsweredCommand>, StoreError> {
    let rows = sqlx::query_as(
        "select command_id, body_digest, correlation_id, answer from commands
         where workspace_no = (select no from workspaces where id = ?1) and command_id > ?2
         order by command_id limit ?3",
    )
    .bind(workspace.0)
    .bind(after.map_or_else(Vec::new, |id| id.as_bytes().to_vec()))
    .bind(limit)
    .fetch_all(readers)
    .await?;
    rows.into_iter().map(columns::command).collect()
}

/// A command with its answer. Ids and types come from the events, which never change.
pub(super) async fn recorded(
    connection: &mut SqliteConnection,
    workspace_no: i64,
    command: CommandColumns,
) -> Result<RecordedCommand, StoreError> {
    let answer = StoredAnswer::from_json(&command.2)?;
    let mut events = Vec::with_capacity(answer.streams.len());
    for (_, _, partition, position, count) in &answer.streams {
        let partition_no: i64 =
            sqlx::query_scalar("select no from partitions where workspace_no = ? and partition = ?")
                .bind(workspace_no)
                .bind(partition)
                .fetch_one(&mut *connection)
                .await?;
        let rows = sqlx::query_as(
            "select e.event_id, t.name, e.version, e.place & ?3
             from events e cross join event_types t on t.no = e.type_no
             where e.place >= ?1 and e.place < ?2 order by e.place",
        )
        .bind(place(partition_no, *position))
        .bind(place(partition_no, position + count))
        .bind(integer(MAX_POSITION))
        .fetch_all(&mut *connection)
        .await?;
        events.push(rows);
    }
    answer.whole(&command, events)
}

pub(super) async fn snapshot(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    stream: &StreamName,
) -> Result<Option<Snapshot>, StoreError> {
    let row = sqlx::query_as(
        "select version, schema_version, state from snapshots
         where stream_no = (
            select no from streams where workspace_no = (select no from open_workspaces where id = ?) and name = ?
         )",
    )
    .bind(workspace.0)
    .bind(stream.as_str())
    .fetch_optional(readers)
    .await?;
    row.map(columns::snapshot).transpose()
}

/// Keeps a snapshot, unless there is a newer one of the same schema, or no such stream.
pub(super) async fn save_snapshot(
    connection: &mut SqliteConnection,
    workspace: WorkspaceId,
    stream: &StreamName,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    let written = sqlx::query(
        "insert into snapshots (stream_no, version, schema_version, state)
         select no, ?3, ?4, ?5 from streams
         where workspace_no = (select no from open_workspaces where id = ?1) and name = ?2
         on conflict (stream_no) do update
         set version = excluded.version, schema_version = excluded.schema_version, state = excluded.state
         where excluded.version > version or excluded.schema_version > schema_version",
    )
    .bind(workspace.0)
    .bind(stream.as_str())
    .bind(integer(snapshot.version))
    .bind(snapshot.schema_version)
    .bind(snapshot.state.get())
    .execute(connection)
    .await?;
    if written.rows_affected() == 0 {
        tracing::debug!(%stream, snapshot.version, "a snapshot was not newer than the one that is kept");
    }
    Ok(())
}

/// The number of an event type, which it gets if it has none, and its schema, which is kept if there was none.
pub(super) async fn register_type(
    connection: &mut SqliteConnection,
    name: &str,
    schema_version: u32,
    schema: Option<&str>,
) -> Result<(i64, Option<String>), StoreError> {
    sqlx::query(
        "insert into event_types (name, schema_version, schema) values (?1, ?2, ?3)
         on conflict (name, schema_version) do update set schema = excluded.schema where schema is null",
    )
    .bind(name)
    .bind(schema_version)
    .bind(schema)
    .execute(&mut *connection)
    .await?;
    let registered =
        sqlx::query_as("select no, schema from event_types where name = ?1 and schema_version = ?2")
            .bind(name)
            .bind(schema_version)
            .fetch_one(connection)
            .await?;
    Ok(registered)
}

/// See [`EventStore::schemas`](crate::EventStore::schemas).
pub(super) async fn schemas(readers: &SqlitePool) -> Result<Vec<EventSchema>, StoreError> {
    let rows: Vec<SchemaColumns> = sqlx::query_as(
        "select name, schema_version, schema from event_types where schema is not null
         order by name, schema_version",
    )
    .fetch_all(readers)
    .await?;
    rows.into_iter().map(columns::schema).collect()
}

/// The types and versions that some event has.
pub(super) async fn stored_types(
    connection: &mut SqliteConnection,
) -> Result<Vec<(String, i64)>, StoreError> {
    let stored = sqlx::query_as(
        "select name, schema_version from event_types t
         where exists (select 1 from events where type_no = t.no) order by name, schema_version",
    )
    .fetch_all(connection)
    .await?;
    Ok(stored)
}
