//! The declaration of an aggregate's events: their types, schema versions and JSON.
//!
//! It is below the aggregates and knows none of them; the registry of all events is [`crate::event`].
//!
//! | module | content |
//! |---|---|
//! | [`upcast`] | upcasters from an older version of a payload to the newest |
//! | `schema` | the JSON Schemas of all versions; only the server uses it |

#[cfg(feature = "schema")]
pub mod schema;
pub mod upcast;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use upcast::Upcaster;

/// A type of event, as the registry lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// The name, as in `OrderCreated`.
    pub name: &'static str,
    /// The newest version, which the code writes.
    pub schema_version: u32,
}

/// The schema of one version of an event's payload; `GET /api/v1/schemas` lists them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventSchema {
    /// The event's type, as in `OrderCreated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version.
    pub version: u32,
    /// JSON Schema 2020-12 of the payload.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub schema: serde_json::Value,
}

/// The events of one aggregate, with their types, versions and JSON. Implemented by
/// [`event_types!`](crate::event_types).
pub trait AggregateEvent: Sized + Send + Sync + 'static {
    /// All types of this aggregate.
    const TYPES: &'static [EventType];

    /// All upcasters, each from one version to the next.
    const UPCASTERS: &'static [Upcaster];

    /// The schemas of all versions of all types.
    #[cfg(feature = "schema")]
    fn schemas() -> Vec<EventSchema>;

    /// The type of this event.
    fn event_type(&self) -> EventType;

    /// The payload as JSON.
    fn encode(&self) -> serde_json::Result<Box<RawValue>>;

    /// Decodes a payload of the newest version; `None` if the aggregate has no such type.
    fn decode(name: &str, payload: &RawValue) -> Option<serde_json::Result<Self>>;

    /// The payload of any version as that version writes it, without members that it does not have; `None` if
    /// the aggregate has no such type or version.
    fn rewritten(name: &str, version: u32, payload: &RawValue) -> Option<serde_json::Result<Box<RawValue>>>;
}

/// A payload as its struct writes it.
pub fn rewritten<T: Serialize + DeserializeOwned>(payload: &RawValue) -> serde_json::Result<Box<RawValue>> {
    let payload: T = serde_json::from_str(payload.get())?;
    serde_json::value::to_raw_value(&payload)
}

/// Declares the enum of an aggregate's events: `event_types! { /// … pub enum OrderEvent { OrderCreated: 1 }
/// }`. Each variant wraps the struct of the same name; the number is the version of its schema.
///
/// A version that is no longer written stays readable: `StockReservationFailed: 2 from
/// [StockReservationFailedV1: 1 => StockReservationFailed]` names the struct of every older version and the
/// next one that it becomes, by `From`.
#[macro_export]
macro_rules! event_types {
    ($(#[$meta:meta])* pub enum $name:ident {
        $(
            $event:ident: $version:literal
            $(from [$($old:ident: $from:literal => $next:ident),+ $(,)?])?
        ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(
                #[doc = concat!("A [`", stringify!($event), "`] happened.")]
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

        impl $crate::event_type::AggregateEvent for $name {
            const TYPES: &'static [$crate::event_type::EventType] =
                &[$($crate::event_type::EventType { name: stringify!($event), schema_version: $version }),*];

            const UPCASTERS: &'static [$crate::event_type::upcast::Upcaster] = &[
                $($($(
                    $crate::event_type::upcast::Upcaster::new::<$old, $next>(stringify!($event), $from),
                )+)?)*
            ];

            #[cfg(feature = "schema")]
            fn schemas() -> Vec<$crate::event_type::EventSchema> {
                vec![$(
                    $($($crate::event_type::schema::of::<$old>(stringify!($event), $from),)+)?
                    $crate::event_type::schema::of::<$event>(stringify!($event), $version),
                )*]
            }

            fn event_type(&self) -> $crate::event_type::EventType {
                match self {
                    $(Self::$event(_) => $crate::event_type::EventType {
                        name: stringify!($event),
                        schema_version: $version,
                    },)*
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

            fn rewritten(
                name: &str,
                version: u32,
                payload: &serde_json::value::RawValue,
            ) -> Option<serde_json::Result<Box<serde_json::value::RawValue>>> {
                match (name, version) {
                    $(
                        $($((stringify!($event), $from) => {
                            Some($crate::event_type::rewritten::<$old>(payload))
                        })+)?
                        (stringify!($event), $version) => {
                            Some($crate::event_type::rewritten::<$event>(payload))
                        }
                    )*
                    _ => None,
                }
            }
        }
    };
}
