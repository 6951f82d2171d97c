//! One event with what led to it, what it led to, and what each handler of events has done with it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::HandledBy;
use crate::event::RecordedEvent;

/// The answer of `GET /api/v1/events/{id}`. `P` is the payload of the events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventAnswer<P = Value> {
    /// The event.
    pub event: RecordedEvent<P>,
    /// The events that led to it, the first cause first.
    pub causes: Vec<RecordedEvent<P>>,
    /// The events that it led to, directly or by others, each after its cause.
    pub effects: Vec<RecordedEvent<P>>,
    /// Whether its intention has more events than were read, so that effects may be missing.
    pub more: bool,
    /// What each view, process manager and consumer has done with it.
    pub handlers: Vec<HandledBy>,
}

/// An [`EventAnswer`] with the payloads as they are stored.
pub type StoredEventAnswer = EventAnswer<Box<RawValue>>;
