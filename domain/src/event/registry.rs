//! The registry of events: all types of all aggregates, the decoding of stored payloads, and the state of any
//! aggregate, event by event. An aggregate adds its events with a line in `domain_events!`.

use serde_json::{Value, value::RawValue};

use super::DecodeError;
use crate::{
    aggregate::{
        email::Email, inbox::Inbox, inventory::Inventory, order::Order, payment::Payment,
        prediction::Prediction, product::Product, question::Question, user::User,
    },
    decider::Decider,
    event_type::{AggregateEvent, EventType, upcast::Upcaster},
};

/// Converts between the events of one aggregate and [`DomainEvent`].
pub trait EventPayload: AggregateEvent {
    /// The event of this aggregate; `None` if `event` belongs to another.
    fn from_domain(event: &DomainEvent) -> Option<&Self>;

    /// The event as a [`DomainEvent`].
    fn into_domain(self) -> DomainEvent;
}

/// The state of any aggregate, event by event, for readers that make no decisions.
pub trait AnyAggregate: Send {
    /// Applies an event. An event of another aggregate has no effect.
    fn evolve(&mut self, event: &DomainEvent);
    /// The current state.
    fn state(&self) -> serde_json::Result<Value>;
    /// The version of the state's JSON: a snapshot of another version is ignored.
    fn snapshot_version(&self) -> u32;
    /// Whether the JSON of a snapshot of that version is the current state.
    fn is_state(&self, snapshot: &str) -> serde_json::Result<bool>;
}

struct ErasedAggregate<D: Decider>(D::State);

impl<D: Decider<Event: EventPayload>> AnyAggregate for ErasedAggregate<D> {
    fn evolve(&mut self, event: &DomainEvent) {
        if let Some(event) = D::Event::from_domain(event) {
            self.0 = D::evolve(std::mem::take(&mut self.0), event);
        }
    }

    fn state(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.0)
    }

    fn snapshot_version(&self) -> u32 {
        D::SNAPSHOT_VERSION
    }

    fn is_state(&self, snapshot: &str) -> serde_json::Result<bool> {
        let stored: D::State = serde_json::from_str(snapshot)?;
        Ok(serde_json::to_value(&stored)? == self.state()?)
    }
}

/// Declares the registry of aggregates' events: one line for each aggregate.
macro_rules! domain_events {
    ($($family:ident),* $(,)?) => {
        /// Any event of the domain.
        #[derive(Debug, Clone, PartialEq)]
        pub enum DomainEvent {
            $(
                #[doc = concat!("An event of the aggregate [`", stringify!($family), "`].")]
                $family(<$family as Decider>::Event),
            )*
        }

        $(
            impl EventPayload for <$family as Decider>::Event {
                fn from_domain(event: &DomainEvent) -> Option<&Self> {
                    match event {
                        DomainEvent::$family(event) => Some(event),
                        _ => None,
                    }
                }

                fn into_domain(self) -> DomainEvent {
                    DomainEvent::$family(self)
                }
            }
        )*

        /// The aggregate of a category before its first event; `None` if there is no such category.
        pub fn before_first_event(category: &str) -> Option<Box<dyn AnyAggregate>> {
            $(
                if category == <$family as Decider>::CATEGORY {
                    return Some(Box::new(ErasedAggregate::<$family>(Default::default())));
                }
            )*
            None
        }

        impl DomainEvent {
            /// All event types of the code.
            pub fn types() -> impl Iterator<Item = EventType> {
                [$(<<$family as Decider>::Event as AggregateEvent>::TYPES),*].into_iter().flatten().copied()
            }

            /// The category of the streams that have events of a type; `None`: no aggregate has the type.
            pub fn category_of_type(name: &str) -> Option<&'static str> {
                $(
                    let types = <<$family as Decider>::Event as AggregateEvent>::TYPES;
                    if types.iter().any(|known| known.name == name) {
                        return Some(<$family as Decider>::CATEGORY);
                    }
                )*
                None
            }

            /// The type of this event.
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$family(event) => event.event_type(),)*
                }
            }

            /// The payload as JSON, in the newest version.
            pub fn encode(&self) -> serde_json::Result<Box<RawValue>> {
                match self {
                    $(Self::$family(event) => event.encode(),)*
                }
            }

            /// All upcasters, each from one version to the next.
            pub fn upcasters() -> impl Iterator<Item = &'static Upcaster> {
                [$(<<$family as Decider>::Event as AggregateEvent>::UPCASTERS),*].into_iter().flatten()
            }

            /// The schemas of all versions of all types, sorted by name and version.
            #[cfg(feature = "schema")]
            pub fn schemas() -> Vec<crate::event_type::EventSchema> {
                let mut schemas = Vec::new();
                $(schemas.append(&mut <<$family as Decider>::Event as AggregateEvent>::schemas());)*
                schemas.sort_by(|a, b| (&a.event_type, a.version).cmp(&(&b.event_type, b.version)));
                schemas
            }

            /// Decodes a payload of the newest version; `None` if no aggregate has the type.
            fn decode_newest(name: &str, payload: &RawValue) -> Option<serde_json::Result<Self>> {
                $(
                    if let Some(event) =
                        <<$family as Decider>::Event as AggregateEvent>::decode(name, payload)
                    {
                        return Some(event.map(Self::$family));
                    }
                )*
                None
            }

            /// The payload of any version as that version writes it; `None` if no aggregate has the type and
            /// version.
            pub(super) fn rewritten(
                name: &str,
                version: u32,
                payload: &RawValue,
            ) -> Option<serde_json::Result<Box<RawValue>>> {
                $(
                    let rewritten =
                        <<$family as Decider>::Event as AggregateEvent>::rewritten(name, version, payload);
                    if rewritten.is_some() {
                        return rewritten;
                    }
                )*
                None
            }
        }
    };
}

impl DomainEvent {
    /// The upcasters from a stored version to the newest; empty if it is the newest.
    pub fn path(name: &str, schema_version: u32) -> Result<Vec<&'static Upcaster>, DecodeError> {
        let Some(known) = Self::types().find(|known| known.name == name) else {
            return Err(DecodeError::UnknownType(name.to_owned()));
        };
        if schema_version > known.schema_version {
            return Err(DecodeError::UnknownVersion {
                name: name.to_owned(),
                found: schema_version,
                known: known.schema_version,
            });
        }
        let step = |from| Self::upcasters().find(|step| step.event == name && step.from == from);
        let path: Option<Vec<_>> = (schema_version..known.schema_version).map(step).collect();
        path.ok_or_else(|| DecodeError::NoUpcaster {
            name: name.to_owned(),
            found: schema_version,
            known: known.schema_version,
        })
    }

    /// Decodes a stored payload of any version.
    pub fn decode(name: &str, schema_version: u32, payload: &RawValue) -> Result<Self, DecodeError> {
        let unreadable = |source| DecodeError::Payload {
            name: name.to_owned(),
            version: schema_version,
            source,
        };
        let mut upcast: Option<Box<RawValue>> = None;
        for step in Self::path(name, schema_version)? {
            let newer = step.upcast(upcast.as_deref().unwrap_or(payload));
            upcast = Some(newer.map_err(unreadable)?);
        }
        Self::decode_newest(name, upcast.as_deref().unwrap_or(payload))
            .ok_or_else(|| DecodeError::UnknownType(name.to_owned()))?
            .map_err(unreadable)
    }
}

domain_events! {
    Email,
    Inbox,
    Inventory,
    Order,
    Payment,
    Prediction,
    Product,
    Question,
    User,
}
