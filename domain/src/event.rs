//! The recorded event: what the event store keeps for ever, and how its payload becomes a typed domain event.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    access::Role,
    aggregate::{inventory::InventoryEvent, order::OrderEvent, product::ProductEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};

/// Who caused an event. No name and no address: the log keeps no personal data of actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActorRef {
    /// The subject of the access token.
    pub id: Uuid,
    /// The role in which they acted.
    pub role: Role,
}

/// Where an event comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// Shared by everything that one intention caused.
    pub correlation_id: Uuid,
    /// The event that caused this one; absent where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The command that was decided.
    pub command_id: Uuid,
    /// Who sent the command.
    pub actor: ActorRef,
    /// W3C trace context of the request, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event in the store. `P` is its payload: raw JSON as stored ([`StoredEvent`]), or typed ([`TypedEvent`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordedEvent<P> {
    /// The workspace it happened in.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The partition of its stream.
    pub partition: u32,
    /// Its place in the partition: dense, from 1, in the order of commits.
    pub position: u64,
    /// The stream it belongs to.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "order-0198c1a2"))]
    pub stream: StreamName,
    /// Its place in the stream: dense, from 1.
    pub version: u64,
    /// UUIDv7.
    pub event_id: Uuid,
    /// The name of its type, as in `OrderCreated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its type's schema.
    pub schema_version: u32,
    /// What happened.
    pub payload: P,
    /// Who, why and from where.
    pub metadata: Metadata,
    /// When it was appended.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub recorded_at: Timestamp,
    /// SHA-256, in hexadecimal, over this event and its predecessor's hash in the partition.
    pub hash: String,
}

/// An event as the store keeps it: the payload's bytes are exactly those that were hashed.
pub type StoredEvent = RecordedEvent<Box<RawValue>>;

/// An event with its payload decoded; what deciders and views fold.
pub type TypedEvent = RecordedEvent<DomainEvent>;

/// The hash before the first event of a partition.
pub const GENESIS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Why a stored event cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The code does not know the type.
    #[error("event type {0} is unknown")]
    UnknownType(String),
    /// The code does not know this version of the type.
    #[error("event type {name} has schema version {found}; {known} is the newest known")]
    UnknownVersion {
        /// The event's type.
        name: String,
        /// The stored version.
        found: u32,
        /// The code's version.
        known: u32,
    },
    /// The payload does not fit its type.
    #[error("the payload of a {name} cannot be read: {source}")]
    Payload {
        /// The event's type.
        name: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl<P> RecordedEvent<P> {
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
    /// The event with its payload typed.
    pub fn decode(&self) -> Result<TypedEvent, DecodeError> {
        let payload = DomainEvent::decode(&self.event_type, self.schema_version, &self.payload)?;
        Ok(self.clone().with_payload(payload))
    }

    /// The hash that this event must carry behind `previous`, in hexadecimal.
    ///
    /// SHA-256 over every field in the order of the type, each preceded by its length in bytes (64 bits, big endian), so
    /// that no two different events have the same input. Part of the stored format.
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

/// A type of event, as the registry lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// The name, as in `OrderCreated`.
    pub name: &'static str,
    /// The version that the code writes.
    pub schema_version: u32,
}

/// The events of one aggregate: named, versioned, and JSON inside. Implemented by [`event_types!`](crate::event_types).
pub trait EventPayload: Sized + Send + Sync + 'static {
    /// Every type of this aggregate.
    const TYPES: &'static [EventType];

    /// The type of this event.
    fn event_type(&self) -> EventType;

    /// The payload as JSON.
    fn encode(&self) -> serde_json::Result<Box<RawValue>>;

    /// The payload of a known type.
    fn decode(name: &str, payload: &RawValue) -> Option<serde_json::Result<Self>>;

    /// This aggregate's event, if `event` is one.
    fn from_domain(event: &DomainEvent) -> Option<&Self>;

    /// The event among all events of the domain.
    fn into_domain(self) -> DomainEvent;
}

/// Declares the enum of an aggregate's events: `event_types! { /// … pub enum OrderEvent in Order { OrderCreated: 1 } }`.
/// Each variant wraps the struct of the same name; the number is the version of its schema.
#[macro_export]
macro_rules! event_types {
    ($(#[$meta:meta])* pub enum $name:ident in $family:ident { $($event:ident: $version:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(
                #[doc = concat!("See [`", stringify!($event), "`].")]
                $event($event),
            )*
        }

        $(
            impl From<$event> for $name {
                fn from(event: $event) -> Self {
                    Self::$event(event)
                }
            }
        )*

        impl $crate::event::EventPayload for $name {
            const TYPES: &'static [$crate::event::EventType] =
                &[$($crate::event::EventType { name: stringify!($event), schema_version: $version }),*];

            fn event_type(&self) -> $crate::event::EventType {
                match self {
                    $(Self::$event(_) =>
                        $crate::event::EventType { name: stringify!($event), schema_version: $version },)*
                }
            }

            fn encode(&self) -> serde_json::Result<Box<serde_json::value::RawValue>> {
                match self {
                    $(Self::$event(event) => serde_json::value::to_raw_value(event),)*
                }
            }

            fn decode(name: &str, payload: &serde_json::value::RawValue) -> Option<serde_json::Result<Self>> {
                match name {
                    $(stringify!($event) => Some(serde_json::from_str(payload.get()).map(Self::$event)),)*
                    _ => None,
                }
            }

            fn from_domain(event: &$crate::event::DomainEvent) -> Option<&Self> {
                match event {
                    $crate::event::DomainEvent::$family(event) => Some(event),
                    _ => None,
                }
            }

            fn into_domain(self) -> $crate::event::DomainEvent {
                $crate::event::DomainEvent::$family(self)
            }
        }
    };
}

/// Declares the registry of aggregates' events: one line an aggregate.
macro_rules! domain_events {
    ($($family:ident($events:ident)),* $(,)?) => {
        /// Any event of the domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum DomainEvent {
            $(
                #[doc = concat!("See [`", stringify!($events), "`].")]
                $family($events),
            )*
        }

        impl DomainEvent {
            /// Every type of event that the code knows.
            pub fn types() -> impl Iterator<Item = EventType> {
                [$(<$events as EventPayload>::TYPES),*].into_iter().flatten().copied()
            }

            /// The type of this event.
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$family(event) => event.event_type(),)*
                }
            }

            /// A stored payload, typed.
            pub fn decode(name: &str, schema_version: u32, payload: &RawValue) -> Result<Self, DecodeError> {
                let Some(known) = Self::types().find(|known| known.name == name) else {
                    return Err(DecodeError::UnknownType(name.to_owned()));
                };
                if known.schema_version != schema_version {
                    return Err(DecodeError::UnknownVersion {
                        name: name.to_owned(),
                        found: schema_version,
                        known: known.schema_version,
                    });
                }
                $(
                    if let Some(event) = <$events as EventPayload>::decode(name, payload) {
                        return event
                            .map(Self::$family)
                            .map_err(|source| DecodeError::Payload { name: name.to_owned(), source });
                    }
                )*
                Err(DecodeError::UnknownType(name.to_owned()))
            }
        }
    };
}

domain_events! {
    Inventory(InventoryEvent),
    Order(OrderEvent),
    Product(ProductEvent),
}
