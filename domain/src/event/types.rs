//! The registry of events: every type, the version of its schema that the code writes, and how a stored payload becomes
//! a typed event. An aggregate adds its events with [`event_types!`](crate::event_types) and a line in `domain_events!`.

use serde_json::value::RawValue;

use super::{DecodeError, upcast::Upcaster};
use crate::aggregate::{
    email::EmailEvent, inbox::InboxEvent, inventory::InventoryEvent, order::OrderEvent,
    payment::PaymentEvent, product::ProductEvent, user::UserEvent,
};

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

    /// Every step from an older version to the next.
    const UPCASTERS: &'static [Upcaster];

    /// The schema of every version of every type.
    #[cfg(feature = "schema")]
    fn schemas() -> Vec<crate::wire::EventSchema>;

    /// The type of this event.
    fn event_type(&self) -> EventType;

    /// The payload as JSON.
    fn encode(&self) -> serde_json::Result<Box<RawValue>>;

    /// The payload of a known type, in the version that the code writes.
    fn decode(name: &str, payload: &RawValue) -> Option<serde_json::Result<Self>>;

    /// This aggregate's event, if `event` is one.
    fn from_domain(event: &DomainEvent) -> Option<&Self>;

    /// The event among all events of the domain.
    fn into_domain(self) -> DomainEvent;
}

/// Declares the enum of an aggregate's events: `event_types! { /// … pub enum OrderEvent in Order { OrderCreated: 1 } }`.
/// Each variant wraps the struct of the same name; the number is the version of its schema.
///
/// A version that is no longer written stays readable: `StockReservationFailed: 2 from [StockReservationFailedV1: 1 =>
/// StockReservationFailed]` names the struct of every older version and the next one that it becomes, by `From`.
#[macro_export]
macro_rules! event_types {
    ($(#[$meta:meta])* pub enum $name:ident in $family:ident {
        $(
            $event:ident: $version:literal
            $(from [$($old:ident: $from:literal => $next:ident),+ $(,)?])?
        ),* $(,)?
    }) => {
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

            const UPCASTERS: &'static [$crate::event::upcast::Upcaster] = &[
                $($($($crate::event::upcast::Upcaster::new::<$old, $next>(stringify!($event), $from),)+)?)*
            ];

            #[cfg(feature = "schema")]
            fn schemas() -> Vec<$crate::wire::EventSchema> {
                vec![$(
                    $($($crate::event::schema::of::<$old>(stringify!($event), $from),)+)?
                    $crate::event::schema::of::<$event>(stringify!($event), $version),
                )*]
            }

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

            /// The payload as JSON, in the version that the code writes.
            pub fn encode(&self) -> serde_json::Result<Box<RawValue>> {
                match self {
                    $(Self::$family(event) => event.encode(),)*
                }
            }

            /// Every step from an older version of a type to the next.
            pub fn upcasters() -> impl Iterator<Item = &'static Upcaster> {
                [$(<$events as EventPayload>::UPCASTERS),*].into_iter().flatten()
            }

            /// The schema of every version of every type, by name and version.
            #[cfg(feature = "schema")]
            pub fn schemas() -> Vec<crate::wire::EventSchema> {
                let mut schemas = Vec::new();
                $(schemas.append(&mut <$events as EventPayload>::schemas());)*
                schemas.sort_by(|a, b| (&a.event_type, a.version).cmp(&(&b.event_type, b.version)));
                schemas
            }

            /// A payload in the version that the code writes, typed; `None` where no aggregate knows the type.
            fn decode_newest(name: &str, payload: &RawValue) -> Option<serde_json::Result<Self>> {
                $(
                    if let Some(event) = <$events as EventPayload>::decode(name, payload) {
                        return Some(event.map(Self::$family));
                    }
                )*
                None
            }
        }
    };
}

impl DomainEvent {
    /// The steps by which a stored version becomes the one that the code writes; none where it is that one.
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

    /// A stored payload of any version, typed.
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
    Email(EmailEvent),
    Inbox(InboxEvent),
    Inventory(InventoryEvent),
    Order(OrderEvent),
    Payment(PaymentEvent),
    Product(ProductEvent),
    User(UserEvent),
}
