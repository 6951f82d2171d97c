//! The part of a notification that the inbox and its count read from a document of the view `notifications`.

use domain::{timestamp::Timestamp, wire::Order};
use serde::Deserialize;
use uuid::Uuid;

use crate::backend::ListingQuery;

/// A notification as the inbox shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct NotificationSummary {
    /// The event that it reports.
    pub(super) event_id: Uuid,
    /// The event's type.
    pub(super) event: String,
    /// The id of the order.
    pub(super) order: String,
    /// When it happened.
    pub(super) at: Timestamp,
    /// Whether it was read.
    pub(super) read: bool,
    /// The reason, if the event has one.
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// The query for a person's notifications: unread ones first, newest first.
pub(crate) fn inbox_of(person: Uuid, limit: u32) -> ListingQuery {
    ListingQuery {
        view: "notifications".to_owned(),
        listing: "inbox".to_owned(),
        group: person.to_string(),
        order: Order::Asc,
        limit,
        cursor: None,
    }
}
