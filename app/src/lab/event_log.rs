//! The events of a workspace in one order, and how they belong together.
//!
//! The order of events is that of their recorded times, and that of positions within a partition. A *count*
//! of events is a place in this order: the events with a smaller index.

use domain::{event::StoredEvent, timestamp::Timestamp, token::ConsistencyToken};
use uuid::Uuid;

use crate::sorted::{SortedMap, sort_by_key};

/// The maximum number of events; later ones are left out, and counted.
pub const MOST_EVENTS: usize = 20_000;
/// The maximum length of a chain of causes.
pub(super) const MOST_CAUSES: usize = 100;

/// The events of a workspace, or of a part of its log.
#[derive(Debug, Default)]
pub struct EventLog {
    events: Vec<Logged>,
    indexes: SortedMap<Uuid, usize>,
    from: ConsistencyToken,
    token: ConsistencyToken,
    /// The order of the newest event of each partition.
    newest: SortedMap<u32, Timestamp>,
}

/// An event with its place in time.
#[derive(Debug)]
struct Logged {
    stored: StoredEvent,
    /// Its recorded time, or that of an earlier event of its partition if that is later.
    at: Timestamp,
}

impl Logged {
    fn order(&self) -> (Timestamp, u32, u64) {
        (self.at, self.stored.partition, self.stored.position)
    }
}

/// What [`EventLog::extend`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extension {
    /// The number of events that are new.
    pub added: usize,
    /// The number of events that were not taken because earlier ones of their partition are missing: the
    /// caller reads on from [`EventLog::token`].
    pub missing_before: usize,
    /// The number of events beyond [`MOST_EVENTS`].
    pub left_out: usize,
}

impl EventLog {
    /// Begins after a place in the log, as a recording does.
    pub fn after(from: ConsistencyToken) -> Self {
        Self {
            token: from.clone(),
            from,
            ..Self::default()
        }
    }

    /// Takes events, in order within each partition. Those that it has already have no effect.
    pub fn extend(&mut self, events: Vec<StoredEvent>) -> Extension {
        self.insert(events).0
    }

    /// The same; also returns the smallest index that has another event than before.
    pub(super) fn insert(&mut self, events: Vec<StoredEvent>) -> (Extension, usize) {
        let mut extension = Extension::default();
        let length = self.events.len();
        for stored in events {
            let (partition, position) = (stored.partition, stored.position);
            let known = self.token.position(partition);
            if position <= known {
                continue;
            }
            if self.events.len() >= MOST_EVENTS {
                extension.left_out += 1;
            } else if position > known + 1 {
                extension.missing_before += 1;
            } else {
                self.token.advance(partition, position);
                let newest = self.newest.or_default(partition);
                *newest = (*newest).max(stored.recorded_at);
                let at = *newest;
                self.events.push(Logged { stored, at });
            }
        }
        extension.added = self.events.len() - length;
        let (before, new) = self.events.split_at(length);
        let first = new.iter().map(Logged::order).min();
        let first = first.map_or(length, |first| {
            before.partition_point(|event| event.order() < first)
        });
        // An event of another partition may belong before those that are there.
        sort_by_key(&mut self.events[first..], |event| {
            let (at, partition, position) = event.order();
            (at.as_micros(), i64::from(partition), position)
        });
        for (index, event) in self.events.iter().enumerate().skip(first) {
            self.indexes.insert(event.stored.event_id, index);
        }
        (extension, first)
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The place in the log after which it begins.
    pub const fn from(&self) -> &ConsistencyToken {
        &self.from
    }

    /// The newest event of each partition: the parameter `after` of the next page.
    pub const fn token(&self) -> &ConsistencyToken {
        &self.token
    }

    /// The event with this index, in order: the newest one of `index + 1` events.
    pub fn event(&self, index: usize) -> Option<&StoredEvent> {
        self.events.get(index).map(|event| &event.stored)
    }

    /// All events, in order.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &StoredEvent> {
        self.events.iter().map(|event| &event.stored)
    }

    /// The index of an event.
    pub fn index_of(&self, event: Uuid) -> Option<usize> {
        self.indexes.get(&event).copied()
    }

    /// The events of one intention, in order.
    pub fn of_correlation(&self, correlation: Uuid) -> Vec<&StoredEvent> {
        let own = |event: &&StoredEvent| event.metadata.correlation_id == correlation;
        self.events().filter(own).collect()
    }

    /// The token after `count` events.
    pub fn token_at(&self, count: usize) -> ConsistencyToken {
        let mut token = self.from.clone();
        for event in self.events().take(count) {
            token.advance(event.partition, event.position);
        }
        token
    }

    /// The largest count whose events are all covered by a token.
    pub fn count_covered(&self, token: &ConsistencyToken) -> usize {
        let uncovered = self.events().position(|event| !covers(token, event));
        uncovered.unwrap_or(self.events.len())
    }

    /// The number of events that were recorded at or before an instant.
    pub fn count_recorded_by(&self, at: Timestamp) -> usize {
        self.events.partition_point(|event| event.at <= at)
    }

    /// The events that led to an event, the first cause first, and without itself.
    pub fn causes_of(&self, event: Uuid) -> Vec<&StoredEvent> {
        let mut causes = Vec::new();
        let mut cause = self.index_of(event).and_then(|index| self.event(index));
        while let Some(event) = cause.filter(|_| causes.len() <= MOST_CAUSES) {
            causes.push(event);
            cause = event
                .metadata
                .causation_id
                .and_then(|cause| self.index_of(cause))
                .and_then(|index| self.event(index));
        }
        causes.reverse();
        causes.pop();
        causes
    }

    /// The events that an event led to, directly or by others, in order.
    pub fn effects_of(&self, event: Uuid) -> Vec<&StoredEvent> {
        let mut causes = vec![event];
        let mut effects = Vec::new();
        for candidate in self.events() {
            let cause = candidate.metadata.causation_id;
            if cause.is_some_and(|cause| causes.contains(&cause)) && !causes.contains(&candidate.event_id) {
                causes.push(candidate.event_id);
                effects.push(candidate);
            }
        }
        effects
    }
}

/// Whether a token covers an event.
pub(crate) fn covers(token: &ConsistencyToken, event: &StoredEvent) -> bool {
    event.position <= token.position(event.partition)
}
