//! The documents of every view as of any moment, folded by the domain's own code from the events of the
//! workspace.
//!
//! A document depends only on the events that touch it. So each document has the list of these, and its JSON
//! after every [`SNAPSHOT_EVERY`] of them: a document of any moment costs one JSON and a few folds, however
//! long the log is.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use domain::{
    event::{StoredEvent, TypedEvent},
    token::ConsistencyToken,
    view,
};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::{
    event_log::{EventLog, Extension, covers},
    folding::DocumentStep,
};

/// A document has its JSON after every so many events that touch it.
pub const SNAPSHOT_EVERY: usize = 32;

/// The events of a workspace, and the documents that they fold to.
#[derive(Debug, Default)]
pub struct TimeTravel {
    log: EventLog,
    /// What is known of each event, in the order of the log.
    folded: Vec<Folded>,
    /// The documents of each view, by key, in the order of [`view::all`].
    documents: Vec<BTreeMap<Arc<str>, History>>,
}

/// An event as views take it.
#[derive(Debug)]
struct Folded {
    id: Uuid,
    /// `None` if this code cannot read it.
    typed: Option<TypedEvent>,
    /// The documents that it touches: the index of the view, and the key.
    touches: Vec<(usize, Arc<str>)>,
}

impl Folded {
    fn of(event: &StoredEvent) -> Self {
        let typed = event.decode().ok();
        Self {
            id: event.event_id,
            touches: typed.as_ref().map(touches_of).unwrap_or_default(),
            typed,
        }
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

/// A document that an event touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The view.
    pub view: &'static str,
    /// The document's key.
    pub key: Arc<str>,
}

impl Deref for TimeTravel {
    type Target = EventLog;

    fn deref(&self) -> &EventLog {
        &self.log
    }
}

impl TimeTravel {
    /// Begins after a place in the log, as a recording does; its documents have only what its events say.
    pub fn after(from: ConsistencyToken) -> Self {
        Self {
            log: EventLog::after(from),
            ..Self::default()
        }
    }

    /// Takes events as [`EventLog::extend`] does. Several pages at once cost less than one after the other,
    /// because an event of another partition may belong before those that are there.
    pub fn extend(&mut self, events: Vec<StoredEvent>) -> Extension {
        let (extension, first) = self.log.insert(events);
        let mut known: BTreeMap<Uuid, Folded> = self.take_from(first);
        while let Some(event) = self.log.event(self.folded.len()) {
            let folded = known.remove(&event.event_id).unwrap_or_else(|| Folded::of(event));
            self.push(folded);
        }
        extension
    }

    /// Takes what is known of the events with this index and later ones out again, by id.
    fn take_from(&mut self, index: usize) -> BTreeMap<Uuid, Folded> {
        let taken = self.folded.split_off(index);
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
        taken.into_iter().map(|event| (event.id, event)).collect()
    }

    fn push(&mut self, event: Folded) {
        let index = self.folded.len();
        let touches = event.touches.clone();
        self.folded.push(event);
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

    /// The number of events that this code cannot read, such as those of a newer server; they fold to
    /// nothing.
    pub fn unreadable(&self) -> usize {
        self.folded.iter().filter(|event| event.typed.is_none()).count()
    }

    /// The documents that an event touches.
    pub fn touched(&self, index: usize) -> Vec<Touch> {
        let touches = self.folded.get(index).map(|event| event.touches.as_slice());
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
        let is_covered = |touch: &usize| self.log.event(*touch).is_some_and(|event| covers(token, event));
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
        let events = &self.folded[..count.min(self.folded.len())];
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
            view: view.to_owned(),
            key: key.to_string(),
        };
        self.touched(index).into_iter().map(step).collect()
    }

    /// The documents that the events of a stream touch up to a version, those that were touched last first,
    /// at most `limit`: each after the event before this version, and after this version. `None`: the log
    /// does not have this version.
    pub fn stream_step(&self, stream: &str, version: u64, limit: usize) -> Option<Vec<DocumentStep>> {
        let own = self
            .log
            .events()
            .enumerate()
            .filter(|(_, event)| event.stream.as_str() == stream && event.version <= version);
        let own: Vec<(usize, u64)> = own.map(|(index, event)| (index, event.version)).collect();
        let (newest, _) = own.last().filter(|(_, newest)| *newest == version)?;
        let before = match own.iter().rev().nth(1) {
            Some((index, _)) => index + 1,
            None => *newest,
        };
        let mut touches: Vec<Touch> = Vec::new();
        for touch in own.iter().rev().flat_map(|(index, _)| self.touched(*index)) {
            if touches.len() >= limit {
                break;
            }
            if !touches.contains(&touch) {
                touches.push(touch);
            }
        }
        let step = |Touch { view, key }| DocumentStep {
            before: self.document_at(view, &key, before),
            after: self.document_at(view, &key, newest + 1),
            view: view.to_owned(),
            key: key.to_string(),
        };
        Some(touches.into_iter().map(step).collect())
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
            if let Some(event) = &self.folded[*touch].typed {
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

fn json(document: &RawValue) -> Option<Value> {
    serde_json::from_str(document.get()).ok()
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
