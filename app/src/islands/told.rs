//! A notification, as far as it is shown: what the inbox and its count read of a document of the view `notifications`.

use domain::{timestamp::Timestamp, wire::Order};
use serde::Deserialize;
use uuid::Uuid;

use crate::backend::ListingQuery;

/// What somebody was told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Told {
    /// The event that it tells of.
    pub(super) event_id: Uuid,
    /// The event's type.
    pub(super) event: String,
    /// About which order.
    pub(super) order: String,
    /// When it happened.
    pub(super) at: Timestamp,
    /// Whether it was read.
    pub(super) read: bool,
    /// Why, where a reason was given.
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// What a person was told: what was not read first, and of each the newest.
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
