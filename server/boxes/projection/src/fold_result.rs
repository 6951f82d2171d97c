//! The result of folding a batch: writes, parked events, and what each event did.

use std::sync::Arc;

use domain::view::ListingEntry;
use serde_json::value::RawValue;
use uuid::Uuid;

use broker::PublishedEvent;
use cache::Topic;
use documents::{DocumentWrite, FoldOutput, ParkedEvent, SharedChanges};

/// The event that changed a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEvent {
    /// Its position in the partition.
    pub position: u64,
    /// Its id.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// The command that caused it; `None`: it is not known here.
    pub command_id: Option<Uuid>,
}

impl From<&PublishedEvent> for ChangeEvent {
    fn from(event: &PublishedEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            command_id: event.decoded.as_ref().ok().map(|event| event.metadata.command_id),
        }
    }
}

/// What one event did to one document.
#[derive(Debug, Clone)]
pub struct DocumentChange {
    /// The document's key.
    pub key: Arc<str>,
    /// The event.
    pub event: Arc<ChangeEvent>,
    /// Whether this is the event's last change to a document of the view.
    pub last_of_event: bool,
    /// The document before, if there was one.
    pub before: Option<Arc<DocumentState>>,
    /// The document after, if there is one.
    pub after: Option<Arc<DocumentState>>,
}

/// A document at one moment.
#[derive(Debug)]
pub struct DocumentState {
    /// Its JSON.
    pub data: Arc<RawValue>,
    /// The user that it belongs to.
    pub owner: Option<Uuid>,
    /// The listings and groups that show it.
    pub listings: Vec<ListingEntry>,
}

impl DocumentState {
    /// Its sort key in a group of a listing, if the group shows it.
    pub fn sort_in(&self, listing: &str, group: &str) -> Option<&str> {
        let entry = self
            .listings
            .iter()
            .find(|entry| entry.listing == listing && entry.group == group);
        entry.map(|entry| entry.sort.as_str())
    }
}

/// The result of folding a batch.
#[derive(Debug, Default)]
pub struct FoldResult {
    /// Documents to write.
    pub writes: Vec<DocumentWrite>,
    /// Events to park.
    pub parked: Vec<ParkedEvent>,
    /// What each event did; empty unless that was asked for.
    pub changes: Vec<DocumentChange>,
    /// The topics whose cached answers are out of date.
    pub topics: Vec<Topic>,
}

impl FoldResult {
    /// What the transaction writes. The parked events stay here as well, to be counted.
    pub(super) fn effect(&mut self, shared: Option<SharedChanges>) -> FoldOutput {
        FoldOutput {
            writes: std::mem::take(&mut self.writes),
            parked: self.parked.clone(),
            shared,
        }
    }
}
