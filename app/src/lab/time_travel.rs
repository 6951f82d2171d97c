//! The documents of every view as of any moment, folded by the domain's own code from the events of the
//! workspace.
//!
//! A document depends only on the events that touch it. So each document has the list of these, and its JSON
//! after every [`SNAPSHOT_EVERY`] of them: a document of any moment costs one JSON and a few folds, however
//! long the log is.
//!
//! The order of events is that of their recorded times, and that of positions within a partition. A *count*
//! of events is a place in this order: the events with a smaller index.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{
    event::{StoredEvent, TypedEvent},
    timestamp::Timestamp,
    token::ConsistencyToken,
    view,
};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

/// The maximum number of events; later ones are left out, and counted.
pub const MOST_EVENTS: usize = 20_000;
/// A document has its JSON after every so many events that touch it.
pub const SNAPSHOT_EVERY: usize = 32;
/// The maximum length of a chain of causes.
const MOST_CAUSES: usize = 100;

/// The events of a workspace, and the documents that they fold to.
#[derive(Debug, Default)]
pub struct TimeTravel {
    events: Vec<Recorded>,
    /// The documents of each view, by key, in the order of [`view::all`].
    documents: Vec<BTreeMap<Arc<str>, History>>,
    indexes: BTreeMap<Uuid, usize>,
    from: ConsistencyToken,
    token: ConsistencyToken,
    /// The order of the newest event of each partition.
    newest: BTreeMap<u32, Timestamp>,
}

/// An event with what is known about it.
#[derive(Debug)]
struct Recorded {
    stored: StoredEvent,
    /// `None` if this code cannot read it.
    typed: Option<TypedEvent>,
    /// Its recorded time, or that of an earlier event of its partition if that is later.
    at: Timestamp,
    /// The documents that it touches: the index of the view, and the key.
    touches: Vec<(usize, Arc<str>)>,
}

impl Recorded {
    fn order(&self) -> (Timestamp, u32, u64) {
        (self.at, self.stored.partition, self.stored.position)
    }
}

/// The history of one document.
#[derive(Debug, Default)]
struct History {
    /// The indexes of the events that touch it.
    touches: Vec<usize>,
    /// The document after every [`SNAPSHOT_EVERY`] of them; `None` if there was none.
    snapshots: Vec<Option<Box<RawValue>>>,
}

/// What [`TimeTravel::extend`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extension {
    /// The number of events that are new.
    pub added: usize,
    /// The number of events that were not taken because earlier ones of their partition are missing: the
    /// caller reads on from [`TimeTravel::token`].
    pub missing_before: usize,
    /// The number of events beyond [`MOST_EVENTS`].
    pub left_out: usize,
}

/// A document that an event touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The view.
    pub view: &'static str,
    /// The document's key.
    pub key: Arc<str>,
}

/// A document before and after one event.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentStep {
    /// The view.
    pub view: &'static str,
    /// The document's key.
    pub key: Arc<str>,
    /// The document before the event.
    pub before: Option<Value>,
    /// The document after it.
    pub after: Option<Value>,
}

impl TimeTravel {
    /// Begins after a place in the log, as a recording does; its documents have only what its events say.
    pub fn after(from: ConsistencyToken) -> Self {
        Self {
            token: from.clone(),
            from,
            ..Self::default()
        }
    }

    /// Takes events, in order within each partition. Those that it has already have no effect. Several pages
    /// at once cost less than one after the other, because an event of another partition may belong before
    /// those that are there.
    pub fn extend(&mut self, events: Vec<StoredEvent>) -> Extension {
        let mut extension = Extension::default();
        let mut new: Vec<Recorded> = Vec::new();
        for stored in events {
            let (partition, position) = (stored.partition, stored.position);
            let known = self.token.position(partition);
            if position <= known {
                continue;
            }
            if self.events.len() + new.len() >= MOST_EVENTS {
                extension.left_out += 1;
            } else if position > known + 1 {
                extension.missing_before += 1;
            } else {
                self.token.advance(partition, position);
                new.push(self.recorded(stored));
            }
        }
        extension.added = new.len();
        new.sort_by_key(Recorded::order);
        if let Some(first) = new.first() {
            let first = first.order();
            let index = self.events.partition_point(|before| before.order() < first);
            let mut later = self.take_from(index);
            later.append(&mut new);
            later.sort_by_key(Recorded::order);
            for event in later {
                self.push(event);
            }
        }
        extension
    }

    fn recorded(&mut self, stored: StoredEvent) -> Recorded {
        let newest = self.newest.entry(stored.partition).or_default();
        *newest = (*newest).max(stored.recorded_at);
        let at = *newest;
        let typed = stored.decode().ok();
        let touches = typed.as_ref().map(touches_of).unwrap_or_default();
        Recorded {
            stored,
            typed,
            at,
            touches,
        }
    }

    /// Takes the events with this index and later ones out again.
    fn take_from(&mut self, index: usize) -> Vec<Recorded> {
        let taken = self.events.split_off(index);
        for (view, key) in taken.iter().flat_map(|event| &event.touches) {
            if let Some(history) = self.documents[*view].get_mut(key) {
                let kept = history.touches.partition_point(|touch| *touch < index);
                history.touches.truncate(kept);
                history.snapshots.truncate(kept / SNAPSHOT_EVERY);
                if kept == 0 {
                    self.documents[*view].remove(key);
                }
            }
        }
        taken
    }

    fn push(&mut self, event: Recorded) {
        let index = self.events.len();
        let touches = event.touches.clone();
        self.indexes.insert(event.stored.event_id, index);
        self.events.push(event);
        self.documents.resize_with(view::all().len(), BTreeMap::new);
        for (view, key) in touches {
            let history = self.documents[view].entry(key.clone()).or_default();
            history.touches.push(index);
            let count = history.touches.len();
            if count.is_multiple_of(SNAPSHOT_EVERY) {
                let snapshot = self.history(view, &key).and_then(|history| {
                    let before = history.snapshots.last().and_then(Option::as_deref);
                    self.fold(view, &key, before, &history.touches[count - SNAPSHOT_EVERY..])
                });
                if let Some(history) = self.documents[view].get_mut(&key) {
                    history.snapshots.push(snapshot);
                }
            }
        }
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The number of events that this code cannot read, such as those of a newer server; they fold to
    /// nothing.
    pub fn unreadable(&self) -> usize {
        self.events.iter().filter(|event| event.typed.is_none()).count()
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

    /// The documents that an event touches.
    pub fn touched(&self, index: usize) -> Vec<Touch> {
        let touches = self.events.get(index).map(|event| event.touches.as_slice());
        let touch = |(view, key): &(usize, Arc<str>)| Touch {
            view: view::all()[*view].name(),
            key: key.clone(),
        };
        touches.unwrap_or_default().iter().map(touch).collect()
    }

    /// A document after `count` events.
    pub fn document_at(&self, view: &str, key: &str, count: usize) -> Option<Value> {
        let view = index_of_view(view)?;
        let history = self.history(view, key)?;
        let touches = history.touches.partition_point(|touch| *touch < count);
        let (base, from) = history.snapshot(touches);
        json(&self.fold(view, key, base, &history.touches[from..touches])?)
    }

    /// A document as a view at this position shows it: folded from the events that the token covers, which
    /// are no prefix of the order if there are several partitions.
    pub fn document_as_of(&self, view: &str, key: &str, token: &ConsistencyToken) -> Option<Value> {
        let view = index_of_view(view)?;
        let history = self.history(view, key)?;
        let is_covered = |touch: &usize| covers(token, &self.events[*touch].stored);
        let uncovered = history.touches.iter().position(|touch| !is_covered(touch));
        let (base, from) = history.snapshot(uncovered.unwrap_or(history.touches.len()));
        let touches = history.touches[from..].iter().copied().filter(is_covered);
        json(&self.fold(view, key, base, &touches.collect::<Vec<_>>())?)
    }

    /// The keys of a view that the first `count` events touch, sorted.
    pub fn keys_at(&self, view: &str, count: usize) -> impl Iterator<Item = &str> {
        let documents = index_of_view(view).and_then(|view| self.documents.get(view));
        documents
            .into_iter()
            .flatten()
            .filter(move |(_, history)| history.touches.first().is_some_and(|first| *first < count))
            .map(|(key, _)| &**key)
    }

    /// The keys of a view that were touched last by the first `count` events, newest first, at most `limit`.
    pub fn recent_keys(&self, view: &str, count: usize, limit: usize) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = Vec::new();
        let Some(view) = index_of_view(view) else {
            return keys;
        };
        let events = &self.events[..count.min(self.events.len())];
        for (of, key) in events.iter().rev().flat_map(|event| &event.touches) {
            if keys.len() >= limit {
                break;
            }
            if *of == view && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// What the newest of `count` events did: each document that it touches, before and after.
    pub fn step(&self, count: usize) -> Vec<DocumentStep> {
        let Some(index) = count.checked_sub(1) else {
            return Vec::new();
        };
        let step = |Touch { view, key }| DocumentStep {
            before: self.document_at(view, &key, index),
            after: self.document_at(view, &key, count),
            view,
            key,
        };
        self.touched(index).into_iter().map(step).collect()
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
        let mut causes = BTreeSet::from([event]);
        let mut effects = Vec::new();
        for candidate in self.events() {
            let cause = candidate.metadata.causation_id;
            if cause.is_some_and(|cause| causes.contains(&cause)) && causes.insert(candidate.event_id) {
                effects.push(candidate);
            }
        }
        effects
    }

    fn history(&self, view: usize, key: &str) -> Option<&History> {
        self.documents.get(view)?.get(key)
    }

    /// The document after the events with these indexes; `None` if there is none, or the base is not
    /// readable.
    fn fold(
        &self,
        view: usize,
        key: &str,
        base: Option<&RawValue>,
        touches: &[usize],
    ) -> Option<Box<RawValue>> {
        let mut document = view::all()[view].load(key, base).ok()?;
        for touch in touches {
            if let Some(event) = &self.events[*touch].typed {
                document.fold(event);
            }
        }
        document.document().ok()?
    }
}

impl History {
    /// The newest snapshot after at most `touches` touches, and the number of touches in it.
    fn snapshot(&self, touches: usize) -> (Option<&RawValue>, usize) {
        let count = (touches / SNAPSHOT_EVERY).min(self.snapshots.len());
        let snapshot = count
            .checked_sub(1)
            .and_then(|last| self.snapshots[last].as_deref());
        (snapshot, count * SNAPSHOT_EVERY)
    }
}

fn touches_of(event: &TypedEvent) -> Vec<(usize, Arc<str>)> {
    let mut touches = Vec::new();
    for (index, view) in view::all().iter().enumerate() {
        for key in view.keys(event) {
            touches.push((index, key.into()));
        }
    }
    touches
}

fn index_of_view(name: &str) -> Option<usize> {
    view::all().iter().position(|view| view.name() == name)
}

fn covers(token: &ConsistencyToken, event: &StoredEvent) -> bool {
    event.position <= token.position(event.partition)
}

fn json(document: &RawValue) -> Option<Value> {
    serde_json::from_str(document.get()).ok()
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
