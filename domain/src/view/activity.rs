//! The view `activity`, one document per event: the feed of a workspace. Not for customers.
//!
//! Every event writes one document, which has only what the feed shows; the rest is in the log.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{access::Role, event::TypedEvent, timestamp::Timestamp};

/// An entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityDocument {
    /// The key: the event's id.
    pub event_id: Uuid,
    /// The time of the event.
    pub at: Timestamp,
    /// The event's type.
    pub event: String,
    /// The event's stream.
    pub stream: String,
    /// The role of the actor.
    pub by: Role,
    /// The actor: the subject of the token, the id of a process manager, or the workspace for its template.
    pub actor: Uuid,
    /// Shared by all events of one intention.
    pub correlation_id: Uuid,
}

/// The view `activity`.
#[derive(Debug)]
pub struct ActivityView;

impl View for ActivityView {
    const NAME: &'static str = "activity";
    const LISTINGS: &'static [&'static str] = &["recent"];
    type Document = ActivityDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        vec![event.event_id.to_string()]
    }

    fn fold(_: Option<ActivityDocument>, event: &TypedEvent) -> Option<ActivityDocument> {
        Some(ActivityDocument {
            event_id: event.event_id,
            at: event.recorded_at,
            event: event.event_type.clone(),
            stream: event.stream.to_string(),
            by: event.metadata.actor.role,
            actor: event.metadata.actor.id,
            correlation_id: event.metadata.correlation_id,
        })
    }

    fn listings(activity: &ActivityDocument) -> Vec<ListingEntry> {
        vec![ListingEntry::new("recent", activity.at.to_string())]
    }
}
