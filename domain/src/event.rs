//! The recorded event, and the decoding of its payload to a typed domain event.
//!
//! | module | content |
//! |---|---|
//! | `registry` | all event types, decoding, and the state of any aggregate, event by event |
//! | [`personal`] | the personal fields of events, and the form of sealed texts |
//! | [`validation`] | the rules of an event that comes from a file |
//!
//! The declaration of one aggregate's events is below the aggregates, in [`crate::event_type`].

pub mod personal;
mod registry;
pub mod validation;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use crate::{access::ActorRef, event_type::EventType};
pub use registry::{AnyAggregate, DomainEvent, EventPayload, before_first_event};

use crate::{
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};

/// The origin of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// Shared by all events of one intention.
    pub correlation_id: Uuid,
    /// The event that caused this one; absent if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The command that was decided.
    pub command_id: Uuid,
    /// The sender of the command.
    pub actor: ActorRef,
    /// W3C trace context of the request, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event in the store. `P` is its payload: raw JSON as stored ([`StoredEvent`]), or typed
/// ([`TypedEvent`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordedEvent<P> {
    /// The workspace of its stream.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The partition of its stream.
    pub partition: u32,
    /// Its position in the partition: dense, from 1, in commit order.
    pub position: u64,
    /// Its stream.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "order-0198c1a2"))]
    pub stream: StreamName,
    /// Its version in the stream: dense, from 1.
    pub version: u64,
    /// UUIDv7.
    pub event_id: Uuid,
    /// The name of its type, as in `OrderCreated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its type's schema, as it was written.
    pub schema_version: u32,
    /// The payload.
    pub payload: P,
    /// Actor, cause and origin.
    pub metadata: Metadata,
    /// The time of the append, by the workspace's clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub recorded_at: Timestamp,
    /// SHA-256, in hexadecimal, over this event and its predecessor's hash in the partition.
    pub hash: String,
}

/// An event as it is stored: the payload's bytes are exactly those that were hashed.
pub type StoredEvent = RecordedEvent<Box<RawValue>>;

/// An event with a decoded payload, for deciders and views.
pub type TypedEvent = RecordedEvent<DomainEvent>;

/// The hash before the first event of a partition.
pub const GENESIS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The reason why a stored event cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The code has no such type.
    #[error("event type {0} is unknown")]
    UnknownType(String),
    /// A newer version of the code wrote it.
    #[error("event type {name} has schema version {found}; {known} is the newest known")]
    UnknownVersion {
        /// The event's type.
        name: String,
        /// The stored version.
        found: u32,
        /// The code's version.
        known: u32,
    },
    /// The code has no upcaster from the stored version.
    #[error("event type {name} has schema version {found}, from which no upcaster leads to version {known}")]
    NoUpcaster {
        /// The event's type.
        name: String,
        /// The stored version.
        found: u32,
        /// The code's version.
        known: u32,
    },
    /// The payload does not fit its type.
    #[error("the payload of a {name} of schema version {version} cannot be read: {source}")]
    Payload {
        /// The event's type.
        name: String,
        /// The stored version.
        version: u32,
        /// The error of the JSON parser.
        source: serde_json::Error,
    },
}

/// The time at which an id was made, by the machine's clock: a UUIDv7 has it, in milliseconds.
pub fn time_of_id(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    let micros = seconds
        .checked_mul(1_000_000)?
        .checked_add(i64::from(nanos / 1_000))?;
    Some(Timestamp::from_micros(micros))
}

impl<P> RecordedEvent<P> {
    /// Whether the template of its workspace wrote it: the actor of a template's events is the workspace.
    pub fn is_of_template(&self) -> bool {
        self.metadata.actor.id == self.workspace.0
    }

    /// The time at which it was made, by the machine's clock: its id has it, in milliseconds. An id without a
    /// time leaves the time of the append.
    pub fn made_at(&self) -> Timestamp {
        time_of_id(self.event_id).unwrap_or(self.recorded_at)
    }

    /// The same event with another payload.
    fn with_payload<Q>(self, payload: Q) -> RecordedEvent<Q> {
        RecordedEvent {
            workspace: self.workspace,
            partition: self.partition,
            position: self.position,
            stream: self.stream,
            version: self.version,
            event_id: self.event_id,
            event_type: self.event_type,
            schema_version: self.schema_version,
            payload,
            metadata: self.metadata,
            recorded_at: self.recorded_at,
            hash: self.hash,
        }
    }
}

impl StoredEvent {
    /// Decodes the payload, upcast to the newest version. All other fields stay as they are stored, including
    /// the schema version.
    pub fn decode(&self) -> Result<TypedEvent, DecodeError> {
        let payload = DomainEvent::decode(&self.event_type, self.schema_version, &self.payload)?;
        Ok(self.clone().with_payload(payload))
    }

    /// The hash that this event must have after the hash `previous`, in hexadecimal.
    ///
    /// SHA-256 over every field in the order of the type, each preceded by its length in bytes (64 bits, big
    /// endian), so that no two different events have the same input. Part of the stored format.
    pub fn chain_hash(&self, previous: &str) -> String {
        let mut hasher = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(previous.as_bytes());
        field(self.workspace.0.as_bytes());
        field(&self.partition.to_be_bytes());
        field(&self.position.to_be_bytes());
        field(self.stream.as_str().as_bytes());
        field(&self.version.to_be_bytes());
        field(self.event_id.as_bytes());
        field(self.event_type.as_bytes());
        field(&self.schema_version.to_be_bytes());
        field(self.payload.get().as_bytes());
        field(self.metadata.correlation_id.as_bytes());
        field(
            self.metadata
                .causation_id
                .as_ref()
                .map_or(&[][..], |id| id.as_bytes()),
        );
        field(self.metadata.command_id.as_bytes());
        field(self.metadata.actor.id.as_bytes());
        field(self.metadata.actor.role.as_str().as_bytes());
        field(self.metadata.traceparent.as_deref().unwrap_or("").as_bytes());
        field(&self.recorded_at.as_micros().to_be_bytes());
        hex::encode(hasher.finalize())
    }
}

#[cfg(test)]
mod tests;
