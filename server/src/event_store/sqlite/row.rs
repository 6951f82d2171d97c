//! How a row becomes an event, and a place a partition and a position.

use domain::{
    event::{ActorRef, Metadata, StoredEvent},
    id::WorkspaceId,
    timestamp::Timestamp,
};
use serde_json::value::RawValue;
use sqlx::{Row as _, sqlite::SqliteRow};
use uuid::Uuid;

use crate::event_store::StoreError;

/// Positions have 40 bits of a place, partitions the 23 above.
const POSITION_BITS: u32 = 40;

/// The highest position in a partition.
pub(super) const MAX_POSITION: u64 = (1 << POSITION_BITS) - 1;

/// The place of a position in a partition.
pub(super) fn place(partition_no: i64, position: u64) -> i64 {
    (partition_no << POSITION_BITS) | integer(position.min(MAX_POSITION))
}

/// A number as SQLite keeps it. Versions, positions and limits beyond 63 bits do not exist; a reader that asks for one
/// means "the end".
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that SQLite kept.
pub(super) fn natural(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is not a version or a position")))
}

/// A small number that SQLite kept.
pub(super) fn small(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number)
        .map_err(|_| StoreError::Corrupt(format!("{number} is not a partition or a schema version")))
}

/// The columns of an event, in the order that [`event`] reads them, and their tables; `e` leads, so that its order is
/// the order of the rows.
macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "select p.partition, e.place, s.name, e.version, e.event_id, t.name, t.schema_version, e.payload, \
             e.correlation_id, e.causation_id, e.command_id, e.actor_id, e.actor_role, e.traceparent, \
             e.recorded_at, e.hash ",
            $rest
        )
    };
}
pub(super) use select_events;

/// The tables beside `events e`.
macro_rules! joined_tables {
    () => {
        "cross join partitions p on p.no = e.place >> 40 \
         cross join streams s on s.no = e.stream_no \
         cross join event_types t on t.no = e.type_no "
    };
}
pub(super) use joined_tables;

/// The event of a row.
pub(super) fn event(workspace: WorkspaceId, row: &SqliteRow) -> Result<StoredEvent, StoreError> {
    let stream: &str = row.try_get(2)?;
    let payload: String = row.try_get(7)?;
    let role: &str = row.try_get(12)?;
    let corrupt = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Corrupt(format!("the {what} of an event of {stream}: {error}"))
    };
    Ok(StoredEvent {
        workspace,
        partition: small(row.try_get(0)?)?,
        position: natural(row.try_get(1)?)? & MAX_POSITION,
        version: natural(row.try_get(3)?)?,
        event_id: row.try_get(4)?,
        event_type: row.try_get(5)?,
        schema_version: small(row.try_get(6)?)?,
        payload: RawValue::from_string(payload).map_err(|error| corrupt("payload", &error))?,
        metadata: Metadata {
            correlation_id: row.try_get(8)?,
            causation_id: row.try_get::<Option<Uuid>, _>(9)?,
            command_id: row.try_get(10)?,
            actor: ActorRef {
                id: row.try_get(11)?,
                role: serde_json::from_value(serde_json::Value::String(role.to_owned()))
                    .map_err(|error| corrupt("actor", &error))?,
            },
            traceparent: row.try_get(13)?,
        },
        recorded_at: Timestamp::from_micros(row.try_get(14)?),
        hash: hex::encode(row.try_get::<&[u8], _>(15)?),
        stream: stream.parse().map_err(|error| corrupt("stream", &error))?,
    })
}
