//! What lies beside the events: workspaces, snapshots, event types, and the commands that were answered.

use domain::{
    event::DomainEvent,
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::AppendedEvent,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

use super::row::{MAX_POSITION, integer, natural, place, small};
use crate::event_store::{Appended, RecordedCommand, Snapshot, StoreError, StreamAppended, Workspace};

/// An answer as it is kept with its command: what the events themselves do not say.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    /// How far a reader must have seen.
    pub(super) token: ConsistencyToken,
    /// Name, version afterwards, partition, position of the first new event, number of new events.
    pub(super) streams: Vec<(StreamName, u64, u32, u64, u64)>,
}

impl StoredAnswer {
    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::Corrupt(format!("an answer: {error}")))
    }
}

/// Opens a workspace with its partitions; `false` where the join code is taken.
pub(super) async fn create_workspace(
    connection: &mut SqliteConnection,
    workspace: &Workspace,
) -> Result<bool, StoreError> {
    let template = serde_json::to_string(&workspace.template)
        .map_err(|error| StoreError::Corrupt(format!("a template: {error}")))?;
    let mut transaction = connection.begin_with("begin immediate").await?;
    let inserted = sqlx::query(
        "insert into workspaces (id, name, template, shards, join_code, created_at)
         values (?, ?, ?, ?, ?, ?) on conflict (join_code) do nothing",
    )
    .bind(workspace.id.0)
    .bind(&workspace.name)
    .bind(template.trim_matches('"'))
    .bind(workspace.shards)
    .bind(&workspace.join_code)
    .bind(workspace.created_at.as_micros())
    .execute(&mut *transaction)
    .await?;
    if inserted.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    let workspace_no = inserted.last_insert_rowid();
    for partition in 0..workspace.shards {
        // before the first event: position 0, and a hash of zeros
        let inserted = sqlx::query(
            "insert into partitions (workspace_no, partition, head, head_hash) values (?, ?, 0, zeroblob(32))",
        )
        .bind(workspace_no)
        .bind(partition)
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() != 1 {
            return Err(StoreError::Unavailable("a partition was not opened".to_owned()));
        }
    }
    transaction.commit().await?;
    Ok(true)
}

const WORKSPACE: &str =
    "select id, name, template, shards, join_code, created_at from workspaces where id = ?";
const WORKSPACE_BY_CODE: &str =
    "select id, name, template, shards, join_code, created_at from workspaces where join_code = ?";
const WORKSPACES: &str = "select id, name, template, shards, join_code, created_at from workspaces
                          where id > ? order by id limit ?";

fn workspace_of(row: &SqliteRow) -> Result<Workspace, StoreError> {
    let template: String = row.try_get(2)?;
    Ok(Workspace {
        id: WorkspaceId(row.try_get(0)?),
        name: row.try_get(1)?,
        template: serde_json::from_value(serde_json::Value::String(template))
            .map_err(|error| StoreError::Corrupt(format!("the template of a workspace: {error}")))?,
        shards: small(row.try_get(3)?)?,
        join_code: row.try_get(4)?,
        created_at: Timestamp::from_micros(row.try_get(5)?),
    })
}

pub(super) async fn workspace(
    readers: &SqlitePool,
    id: WorkspaceId,
) -> Result<Option<Workspace>, StoreError> {
    let row = sqlx::query(WORKSPACE).bind(id.0).fetch_optional(readers).await?;
    row.as_ref().map(workspace_of).transpose()
}

pub(super) async fn workspace_by_code(
    readers: &SqlitePool,
    join_code: &str,
) -> Result<Option<Workspace>, StoreError> {
    let row = sqlx::query(WORKSPACE_BY_CODE)
        .bind(join_code)
        .fetch_optional(readers)
        .await?;
    row.as_ref().map(workspace_of).transpose()
}

pub(super) async fn workspaces(
    readers: &SqlitePool,
    after: Option<WorkspaceId>,
    limit: u32,
) -> Result<Vec<Workspace>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.0.as_bytes().to_vec());
    let rows = sqlx::query(WORKSPACES)
        .bind(after)
        .bind(limit)
        .fetch_all(readers)
        .await?;
    rows.iter().map(workspace_of).collect()
}

/// What a command answered when it was appended.
pub(super) async fn recorded_command(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    command_id: Uuid,
) -> Result<Option<RecordedCommand>, StoreError> {
    let mut connection = readers.acquire().await?;
    let row = sqlx::query(
        "select workspace_no, body_digest, correlation_id, answer from commands
         where workspace_no = (select no from workspaces where id = ?) and command_id = ?",
    )
    .bind(workspace.0)
    .bind(command_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    recorded(&mut connection, row.try_get(0)?, &row, 1)
        .await
        .map(Some)
}

/// The command of a row whose columns, from `first` on, are digest, correlation id and answer. Ids and types come from
/// the events, which never change.
pub(super) async fn recorded(
    connection: &mut SqliteConnection,
    workspace_no: i64,
    row: &SqliteRow,
    first: usize,
) -> Result<RecordedCommand, StoreError> {
    let corrupt =
        |error: &dyn std::fmt::Display| StoreError::Corrupt(format!("the answer of a command: {error}"));
    let body_digest: &[u8] = row.try_get(first)?;
    let stored: StoredAnswer =
        serde_json::from_str(row.try_get(first + 2)?).map_err(|error| corrupt(&error))?;
    let mut streams = Vec::with_capacity(stored.streams.len());
    for (stream, version, partition, position, count) in stored.streams {
        let partition_no: i64 =
            sqlx::query_scalar("select no from partitions where workspace_no = ? and partition = ?")
                .bind(workspace_no)
                .bind(partition)
                .fetch_one(&mut *connection)
                .await?;
        let rows: Vec<(Uuid, String, i64, i64)> = sqlx::query_as(
            "select e.event_id, t.name, e.version, e.place
             from events e cross join event_types t on t.no = e.type_no
             where e.place >= ? and e.place < ? order by e.place",
        )
        .bind(place(partition_no, position))
        .bind(place(partition_no, position + count))
        .fetch_all(&mut *connection)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for (event_id, event_type, version, place) in rows {
            let (version, position) = (natural(version)?, natural(place)? & MAX_POSITION);
            events.push(AppendedEvent {
                event_id,
                event_type,
                version,
                position,
                partition,
            });
        }
        streams.push(StreamAppended {
            stream,
            version,
            events,
        });
    }
    Ok(RecordedCommand {
        body_digest: body_digest.try_into().map_err(|error| corrupt(&error))?,
        answer: Appended {
            correlation_id: row.try_get(first + 1)?,
            streams,
            token: stored.token,
        },
    })
}

pub(super) async fn snapshot(
    readers: &SqlitePool,
    workspace: WorkspaceId,
    stream: &StreamName,
) -> Result<Option<Snapshot>, StoreError> {
    let row: Option<(i64, i64, String)> = sqlx::query_as(
        "select version, schema_version, state from snapshots
         where stream_no = (
            select no from streams where workspace_no = (select no from workspaces where id = ?) and name = ?
         )",
    )
    .bind(workspace.0)
    .bind(stream.as_str())
    .fetch_optional(readers)
    .await?;
    let Some((version, schema_version, state)) = row else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        version: natural(version)?,
        schema_version: small(schema_version)?,
        state: RawValue::from_string(state)
            .map_err(|error| StoreError::Corrupt(format!("the snapshot of {stream}: {error}")))?,
    }))
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
         where workspace_no = (select no from workspaces where id = ?1) and name = ?2
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

/// The number of an event type, which it gets if it has none.
pub(super) async fn register_type(
    connection: &mut SqliteConnection,
    name: &str,
    schema_version: u32,
) -> Result<i64, StoreError> {
    sqlx::query("insert into event_types (name, schema_version) values (?, ?) on conflict do nothing")
        .bind(name)
        .bind(schema_version)
        .execute(&mut *connection)
        .await?;
    let no = sqlx::query_scalar("select no from event_types where name = ? and schema_version = ?")
        .bind(name)
        .bind(schema_version)
        .fetch_one(connection)
        .await?;
    Ok(no)
}

/// The types and versions that some event has and that this program cannot read.
pub(super) async fn unreadable_types(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let stored: Vec<(String, i64)> = sqlx::query_as(
        "select name, schema_version from event_types t
         where exists (select 1 from events where type_no = t.no) order by name, schema_version",
    )
    .fetch_all(connection)
    .await?;
    let known = |name: &str, version: i64| {
        DomainEvent::types().any(|known| known.name == name && i64::from(known.schema_version) == version)
    };
    let unreadable = stored
        .into_iter()
        .filter(|(name, version)| !known(name, *version));
    Ok(unreadable
        .map(|(name, version)| format!("{name} version {version}"))
        .collect())
}
