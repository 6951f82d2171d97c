//! What a batch comes to: what is written, what is parked, and what each event did.

use std::sync::Arc;

use domain::view::ListingEntry;
use serde_json::value::RawValue;
use uuid::Uuid;

use broker::PublishedEvent;
use cache::Topic;
use documents::{DocumentWrite, Effect, ParkedEvent};

/// What one event did to one document.
#[derive(Debug, Clone)]
pub struct DocumentChange {
    /// The document's key.
    pub key: Arc<str>,
    /// The event.
    pub event: Arc<PublishedEvent>,
    /// Whether the event changes no further document of the view after this one.
    pub last_of_event: bool,
    /// The document before; absent where there was none.
    pub before: Option<Arc<DocumentState>>,
    /// The document after; absent where there is none.
    pub after: Option<Arc<DocumentState>>,
}

/// A document at one moment.
#[derive(Debug)]
pub struct DocumentState {
    /// Its JSON.
    pub data: Arc<RawValue>,
    /// Whose it is.
    pub owner: Option<Uuid>,
    /// Where it is listed.
    pub listings: Vec<ListingEntry>,
}

impl DocumentState {
    /// Its sort key in a group of a listing, if it is there.
    pub fn sort_in(&self, listing: &str, group: &str) -> Option<&str> {
        let entry = self
            .listings
            .iter()
            .find(|entry| entry.listing == listing && entry.group == group);
        entry.map(|entry| entry.sort.as_str())
    }
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub struct Folded {
    /// To be written.
    pub writes: Vec<DocumentWrite>,
    /// Events that are passed without being applied.
    pub parked: Vec<ParkedEvent>,
    /// What each event did; empty where that was not asked for.
    pub changes: Vec<DocumentChange>,
    /// What answers are no longer true.
    pub topics: Vec<Topic>,
}

impl Folded {
    /// What the transaction writes. What is parked stays here as well, to be counted.
    pub(super) fn effect(&mut self) -> Effect {
        Effect {
            writes: std::mem::take(&mut self.writes),
            parked: self.parked.clone(),
        }
    }
}
