//! Converts columns into the types of the trait: numbers, workspaces, events. The databases store signed
//! 64-bit numbers.

use domain::{
    event::{ActorRef, DomainEvent, Metadata, StoredEvent},
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::{EventSchema, Page, StreamInfo},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{AuditedEvent, Snapshot, StoreError, TypeBlockEntry, Workspace};

/// Sorts after every character of a stream name: names are ASCII.
pub(super) const AFTER_ALL_NAMES: char = '\u{10ffff}';

/// A number as it is stored. There are no versions, positions and limits beyond 63 bits; a reader that asks
/// for one means "the end".
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A version or a position that was stored.
pub(super) fn natural(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is not a version or a position")))
}

/// A partition or a schema version that was stored.
pub(super) fn small(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number)
        .map_err(|_| StoreError::Corrupt(format!("{number} is not a partition or a schema version")))
}

/// The bytes of a hash.
pub(super) fn bytes_of_hash(hash: &str) -> Result<Vec<u8>, StoreError> {
    hex::decode(hash).map_err(|error| StoreError::Corrupt(format!("a hash is not hexadecimal: {error}")))
}

/// Id, name, template, shards, join code, creation.
pub(super) type WorkspaceColumns = (Uuid, String, String, i64, String, i64);

/// A workspace that was stored.
pub(super) fn workspace(columns: WorkspaceColumns) -> Result<Workspace, StoreError> {
    let (id, name, template, shards, join_code, created_at) = columns;
    Ok(Workspace {
        id: WorkspaceId(id),
        name,
        template: serde_json::from_value(serde_json::Value::String(template))
            .map_err(|error| StoreError::Corrupt(format!("the template of workspace {id}: {error}")))?,
        shards: small(shards)?,
        join_code,
        created_at: Timestamp::from_micros(created_at),
    })
}

/// The template of a workspace, as it is stored.
pub(super) fn template(workspace: &Workspace) -> Result<String, StoreError> {
    match serde_json::to_value(workspace.template) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        other => Err(StoreError::Corrupt(format!(
            "a template is not a name: {other:?}"
        ))),
    }
}

/// Version, schema version, state.
pub(super) type SnapshotColumns = (i64, i64, String);

/// A snapshot that was stored.
pub(super) fn snapshot(columns: SnapshotColumns) -> Result<Snapshot, StoreError> {
    let (version, schema_version, state) = columns;
    Ok(Snapshot {
        version: natural(version)?,
        schema_version: small(schema_version)?,
        state: RawValue::from_string(state)
            .map_err(|error| StoreError::Corrupt(format!("a snapshot: {error}")))?,
    })
}

/// Name, version and partition of a stream; version, schema version and state of its snapshot.
pub(super) type ListedSnapshotColumns = (String, i64, i64, i64, i64, String);

/// A snapshot that was stored, with its stream.
pub(super) fn listed_snapshot(columns: ListedSnapshotColumns) -> Result<(StreamInfo, Snapshot), StoreError> {
    let (stream, stream_version, partition, version, schema_version, state) = columns;
    let stream = StreamInfo {
        stream,
        version: natural(stream_version)?,
        partition: small(partition)?,
    };
    Ok((stream, snapshot((version, schema_version, state))?))
}

/// Block, type, schema version.
pub(super) type TypeBlockColumns = (i64, String, i64);

/// A block of a type that was stored.
pub(super) fn type_block(
    (block, event_type, schema_version): TypeBlockColumns,
) -> Result<TypeBlockEntry, StoreError> {
    Ok(TypeBlockEntry {
        block: natural(block)?,
        event_type,
        schema_version: small(schema_version)?,
    })
}

/// Partition, position, stream, version, event id, type, schema version, payload, correlation id, causation
/// id, command id, actor's id, actor's role, trace context, time, hash.
pub(super) type EventColumns = (
    i64,
    i64,
    String,
    i64,
    Uuid,
    String,
    i64,
    String,
    Uuid,
    Option<Uuid>,
    Uuid,
    Uuid,
    String,
    Option<String>,
    i64,
    Vec<u8>,
);

/// Events that were stored.
pub(super) fn events(
    workspace: WorkspaceId,
    rows: Vec<EventColumns>,
) -> Result<Vec<StoredEvent>, StoreError> {
    rows.into_iter().map(|row| event(workspace, row)).collect()
}

fn event(workspace: WorkspaceId, columns: EventColumns) -> Result<StoredEvent, StoreError> {
    let (partition, position, stream, version, event_id, event_type, schema_version, payload, ..) = columns;
    let (.., correlation_id, causation_id, command_id, actor_id, role, traceparent, recorded_at, hash) =
        columns;
    let corrupt = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Corrupt(format!(
            "the {what} of event {position} of partition {partition} of workspace {workspace}: {error}"
        ))
    };
    Ok(StoredEvent {
        workspace,
        partition: small(partition)?,
        position: natural(position)?,
        version: natural(version)?,
        event_id,
        event_type,
        schema_version: small(schema_version)?,
        payload: RawValue::from_string(payload).map_err(|error| corrupt("payload", &error))?,
        metadata: Metadata {
            correlation_id,
            causation_id,
            command_id,
            actor: ActorRef {
                id: actor_id,
                role: serde_json::from_value(serde_json::Value::String(role))
                    .map_err(|error| corrupt("actor", &error))?,
            },
            traceparent,
        },
        recorded_at: Timestamp::from_micros(recorded_at),
        hash: hex::encode(hash),
        stream: stream.parse().map_err(|error| corrupt("stream", &error))?,
    })
}

/// The white space that JSON allows around a value.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Events that were stored, each on its own.
pub(super) fn audited(
    workspace: WorkspaceId,
    rows: Vec<EventColumns>,
) -> Result<Vec<AuditedEvent>, StoreError> {
    let one = |columns: EventColumns| {
        let payload = &columns.7;
        Ok(AuditedEvent {
            position: natural(columns.1)?,
            is_padded: payload.trim_matches(WHITE_SPACE).len() != payload.len(),
            event: event(workspace, columns),
        })
    };
    rows.into_iter().map(one).collect()
}

/// Name, version, partition.
pub(super) type StreamColumns = (String, i64, i64);

/// A page of streams. One row more than the limit was read: it tells whether there is another page.
pub(super) fn streams(rows: Vec<StreamColumns>, limit: u32) -> Result<Page<StreamInfo>, StoreError> {
    let more = rows.len() > limit as usize;
    let mut data = Vec::with_capacity(rows.len());
    for (stream, version, partition) in rows.into_iter().take(limit as usize) {
        data.push(StreamInfo {
            stream,
            version: natural(version)?,
            partition: small(partition)?,
        });
    }
    let next = data
        .last()
        .filter(|_| more)
        .map(|last: &StreamInfo| last.stream.clone());
    Ok(Page { data, next })
}

/// The stored types, by name and schema version, that this program cannot read, and why.
pub(super) fn unreadable(stored: Vec<(String, i64)>) -> Result<Vec<String>, StoreError> {
    let mut unreadable = Vec::new();
    for (name, version) in stored {
        if let Err(error) = DomainEvent::path(&name, small(version)?) {
            unreadable.push(format!("{name} version {version}: {error}"));
        }
    }
    Ok(unreadable)
}

/// Name, schema version, schema.
pub(super) type SchemaColumns = (String, i64, String);

/// A schema that was stored.
pub(super) fn schema((event_type, version, schema): SchemaColumns) -> Result<EventSchema, StoreError> {
    let schema = serde_json::from_str(&schema).map_err(|error| {
        StoreError::Corrupt(format!("the schema of {event_type} version {version}: {error}"))
    })?;
    Ok(EventSchema {
        version: small(version)?,
        event_type,
        schema,
    })
}
