//! Workspaces, snapshots, event types and recorded commands.

use domain::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    wire::{EventSchema, StreamInfo},
};
use sqlx::{Connection as _, Pool};
use uuid::Uuid;

use super::Database;
use database::engine::statement;

use crate::{
    AnsweredCommand, AuditedCommand, AuditedSnapshot, AuditedWorkspace, RecordedCommand, Snapshot,
    StoreError, Workspace,
    answer::{CommandColumns, StoredCommand},
    columns::{self, ListedSnapshotColumns, SchemaColumns, WorkspaceColumns, integer},
};

/// The head hash of a partition without events: zeros.
const NO_HASH: [u8; 32] = [0; 32];

/// Creates a workspace with its partitions; `false`: the join code is taken.
pub(super) async fn create_workspace<D: Database>(
    connection: &mut D::Connection,
    workspace: &Workspace,
    template: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin_with(D::BEGIN).await?;
    if insert_workspace::<D>(&mut transaction, workspace, template, now)
        .await?
        .is_none()
    {
        transaction.rollback().await?;
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// The same within a transaction; returns the workspace's number.
pub(super) async fn insert_workspace<D: Database>(
    connection: &mut D::Connection,
    workspace: &Workspace,
    template: &str,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    let inserted = statement::<D>(
        "insert into workspaces (id, name, template, shards, join_code, created_at, active_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (join_code) do nothing returning no",
    )
    .bind(workspace.id.0)
    .bind(workspace.name.as_str())
    .bind(template)
    .bind(i64::from(workspace.shards))
    .bind(workspace.join_code.as_str())
    .bind(workspace.created_at.as_micros())
    .bind(now.as_micros())
    .optional(connection)
    .await?;
    let Some((workspace_no,)) = inserted else {
        return Ok(None);
    };
    let opened = statement::<D>(D::OPEN_PARTITIONS)
        .bind(workspace_no)
        .bind(i64::from(workspace.shards))
        .bind(&NO_HASH[..])
        .execute(connection)
        .await?;
    if opened != u64::from(workspace.shards) {
        return Err(sqlx::Error::Protocol("a partition was not created".to_owned()));
    }
    Ok(Some(workspace_no))
}

pub(super) async fn workspace<D: Database>(
    readers: &Pool<D>,
    id: WorkspaceId,
) -> Result<Option<Workspace>, StoreError> {
    let row = statement::<D>(
        "select id, name, template, shards, join_code, created_at from open_workspaces where id = $1",
    )
    .bind(id.0)
    .optional(&mut *readers.acquire().await?)
    .await?;
    row.map(columns::workspace).transpose()
}

pub(super) async fn workspace_by_code<D: Database>(
    readers: &Pool<D>,
    join_code: &str,
) -> Result<Option<Workspace>, StoreError> {
    let row = statement::<D>(
        "select id, name, template, shards, join_code, created_at from open_workspaces where join_code = $1",
    )
    .bind(join_code)
    .optional(&mut *readers.acquire().await?)
    .await?;
    row.map(columns::workspace).transpose()
}

pub(super) async fn workspaces<D: Database>(
    readers: &Pool<D>,
    after: Option<WorkspaceId>,
    limit: u32,
) -> Result<Vec<Workspace>, StoreError> {
    let rows = workspace_rows(readers, after, limit).await?;
    rows.into_iter().map(columns::workspace).collect()
}

/// Implements [`Audit::audit_workspaces`](crate::Audit::audit_workspaces).
pub(super) async fn audit_workspaces<D: Database>(
    readers: &Pool<D>,
    after: Option<WorkspaceId>,
    limit: u32,
) -> Result<Vec<AuditedWorkspace>, StoreError> {
    let rows = workspace_rows(readers, after, limit).await?;
    let one = |row: WorkspaceColumns| (WorkspaceId(row.0), columns::workspace(row));
    Ok(rows.into_iter().map(one).collect())
}

async fn workspace_rows<D: Database>(
    readers: &Pool<D>,
    after: Option<WorkspaceId>,
    limit: u32,
) -> Result<Vec<WorkspaceColumns>, StoreError> {
    let rows = statement::<D>(
        "select id, name, template, shards, join_code, created_at from open_workspaces
         where id > $1 order by id limit $2",
    )
    // no workspace has the nil id
    .bind(after.map_or_else(Uuid::nil, |id| id.0))
    .bind(i64::from(limit))
    .all(&mut *readers.acquire().await?)
    .await?;
    Ok(rows)
}

/// The answer that a command got when it was appended.
pub(super) async fn recorded_command<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    command_id: Uuid,
) -> Result<Option<RecordedCommand>, StoreError> {
    let mut connection = readers.acquire().await?;
    let row: Option<CommandColumns> = statement::<D>(D::RECORDED_COMMAND)
        .bind(workspace.0)
        .bind(command_id)
        .optional(&mut connection)
        .await?;
    let Some(columns) = row else {
        return Ok(None);
    };
    Ok(Some(recorded::<D>(&mut connection, columns).await?))
}

/// Implements [`EventStore::commands`](crate::EventStore::commands).
pub(super) async fn commands<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<AnsweredCommand>, StoreError> {
    let rows = command_rows(readers, workspace, after, limit).await?;
    rows.into_iter()
        .map(|columns| StoredCommand::new(columns)?.into_answered())
        .collect()
}

/// Implements [`Audit::audit_commands`](crate::Audit::audit_commands).
pub(super) async fn audit_commands<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<AuditedCommand>, StoreError> {
    let rows = command_rows(readers, workspace, after, limit).await?;
    let one = |columns: CommandColumns| {
        let id = columns.1;
        (
            id,
            StoredCommand::new(columns).and_then(StoredCommand::into_answered),
        )
    };
    Ok(rows.into_iter().map(one).collect())
}

async fn command_rows<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<CommandColumns>, StoreError> {
    // a command may have the nil id
    let sql = if after.is_some() {
        D::COMMANDS_AFTER
    } else {
        D::COMMANDS_FROM
    };
    let rows = statement::<D>(sql)
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit))
        .all(&mut *readers.acquire().await?)
        .await?;
    Ok(rows)
}

/// A command with its answer. Ids and types come from the events, which never change.
pub(crate) async fn recorded<D: Database>(
    connection: &mut D::Connection,
    columns: CommandColumns,
) -> Result<RecordedCommand, sqlx::Error> {
    let unreadable = |error: StoreError| sqlx::Error::Decode(error.into());
    let command = StoredCommand::new(columns).map_err(unreadable)?;
    let workspace_no = command.workspace_no;
    let mut events = Vec::with_capacity(command.answer.streams.len());
    for (_, _, partition, position, count) in &command.answer.streams {
        events.push(D::answer_events(connection, workspace_no, *partition, *position, *count).await?);
    }
    command.with_events(events).map_err(unreadable)
}

pub(super) async fn snapshot<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    stream: &StreamName,
) -> Result<Option<Snapshot>, StoreError> {
    let row = statement::<D>(
        "select version, schema_version, state from snapshots
         where stream_no = (
            select no from streams
            where workspace_no = (select no from open_workspaces where id = $1) and name = $2
         )",
    )
    .bind(workspace.0)
    .bind(stream.as_str())
    .optional(&mut *readers.acquire().await?)
    .await?;
    row.map(columns::snapshot).transpose()
}

/// Implements [`EventStore::snapshots`](crate::EventStore::snapshots).
pub(super) async fn snapshots<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<(StreamInfo, Snapshot)>, StoreError> {
    let rows = snapshot_rows(readers, workspace, after, limit).await?;
    rows.into_iter().map(columns::listed_snapshot).collect()
}

/// Implements [`Audit::audit_snapshots`](crate::Audit::audit_snapshots).
pub(super) async fn audit_snapshots<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<AuditedSnapshot>, StoreError> {
    let rows = snapshot_rows(readers, workspace, after, limit).await?;
    let one = |columns: ListedSnapshotColumns| (columns.0.clone(), columns::listed_snapshot(columns));
    Ok(rows.into_iter().map(one).collect())
}

async fn snapshot_rows<D: Database>(
    readers: &Pool<D>,
    workspace: WorkspaceId,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<ListedSnapshotColumns>, StoreError> {
    let rows = statement::<D>(D::SNAPSHOTS)
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit))
        .all(&mut *readers.acquire().await?)
        .await?;
    Ok(rows)
}

/// Stores a snapshot, unless there is a newer one of the same schema, or no such stream.
pub(super) async fn save_snapshot<D: Database>(
    connection: &mut D::Connection,
    workspace: WorkspaceId,
    stream: &StreamName,
    snapshot: &Snapshot,
) -> Result<(), sqlx::Error> {
    let written = statement::<D>(
        "insert into snapshots as kept (stream_no, version, schema_version, state)
         select no, $3, $4, $5 from streams
         where workspace_no = (select no from open_workspaces where id = $1) and name = $2
         on conflict (stream_no) do update
         set version = excluded.version, schema_version = excluded.schema_version, state = excluded.state
         where excluded.version > kept.version or excluded.schema_version > kept.schema_version",
    )
    .bind(workspace.0)
    .bind(stream.as_str())
    .bind(integer(snapshot.version))
    .bind(i64::from(snapshot.schema_version))
    .bind(snapshot.state.get())
    .execute(connection)
    .await?;
    if written == 0 {
        tracing::debug!(%stream, snapshot.version, "a snapshot was not newer than the stored one");
    }
    Ok(())
}

/// Registers an event type; returns its number and its stored schema, which is `schema` if there was none.
pub(super) async fn register_type<D: Database>(
    connection: &mut D::Connection,
    name: &str,
    schema_version: u32,
    schema: Option<&str>,
) -> Result<(i64, Option<String>), sqlx::Error> {
    statement::<D>(
        "insert into event_types as kept (name, schema_version, schema) values ($1, $2, $3)
         on conflict (name, schema_version) do update set schema = excluded.schema where kept.schema is null",
    )
    .bind(name)
    .bind(i64::from(schema_version))
    .bind(schema)
    .execute(connection)
    .await?;
    statement::<D>("select no, schema from event_types where name = $1 and schema_version = $2")
        .bind(name)
        .bind(i64::from(schema_version))
        .one(connection)
        .await
}

/// Implements [`EventStore::schemas`](crate::EventStore::schemas).
pub(super) async fn schemas<D: Database>(readers: &Pool<D>) -> Result<Vec<EventSchema>, StoreError> {
    let rows: Vec<SchemaColumns> = statement::<D>(
        "select name, schema_version, schema from event_types where schema is not null
         order by name, schema_version",
    )
    .all(&mut *readers.acquire().await?)
    .await?;
    rows.into_iter().map(columns::schema).collect()
}

/// Writes a row as it is. A log without a workspace has none, and needs no room either.
pub(super) async fn probe_write<D: Database>(connection: &mut D::Connection) -> Result<(), sqlx::Error> {
    statement::<D>("update workspaces set active_at = active_at where no = (select min(no) from workspaces)")
        .execute(connection)
        .await?;
    Ok(())
}

/// The types and versions of stored events.
pub(super) async fn stored_types<D: Database>(
    connection: &mut D::Connection,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    statement::<D>(
        "select name, schema_version from event_types t
         where exists (select 1 from type_blocks where type_no = t.no) order by name, schema_version",
    )
    .all(connection)
    .await
}
