//! Folding a batch: each document is read once, folded as often as events touch it, and written once.
//!
//! Where somebody follows the view, what each event did is kept as well. Pure: from documents and events to writes and
//! changes; the transaction around it is the read model's.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use domain::{
    event::TypedEvent,
    view::{AnyView, DocumentError, Folding, ListingEntry},
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    broker::PublishedEvent,
    cache::Topic,
    read_model::{DocumentWrite, Scope, StoredDocument},
};

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

/// Events of one batch, each with the keys that it touches.
#[derive(Debug)]
pub struct Batch<'a> {
    view: &'static dyn AnyView,
    events: Vec<(&'a Arc<PublishedEvent>, &'a TypedEvent, Vec<String>)>,
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub struct Folded {
    /// To be written.
    pub writes: Vec<DocumentWrite>,
    /// What each event did; empty where that was not asked for.
    pub changes: Vec<DocumentChange>,
    /// What answers are no longer true.
    pub topics: Vec<Topic>,
}

/// A document while the batch is folded into it.
struct Working {
    folding: Box<dyn Folding>,
    stored: Option<Arc<DocumentState>>,
    current: Option<Arc<DocumentState>>,
}

impl<'a> Batch<'a> {
    /// The events of `events` that could be decoded, up to the first that could not.
    pub fn new(view: &'static dyn AnyView, events: &'a [Arc<PublishedEvent>]) -> Self {
        let events = events
            .iter()
            .map_while(|event| event.decoded.as_ref().ok().map(|typed| (event, typed)))
            .map(|(event, typed)| {
                let mut keys = view.keys(typed);
                let mut seen = HashSet::new();
                keys.retain(|key| seen.insert(key.clone()));
                (event, typed, keys)
            })
            .collect();
        Self { view, events }
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The keys of the documents to read, each once.
    pub fn keys(&self) -> Vec<String> {
        let keys: HashSet<&String> = self.events.iter().flat_map(|(_, _, keys)| keys).collect();
        keys.into_iter().cloned().collect()
    }

    /// Folds into the documents that exist. `closely`: what each event did is wanted.
    pub fn fold(
        &self,
        scope: &Scope,
        documents: Vec<StoredDocument>,
        closely: bool,
    ) -> Result<Folded, DocumentError> {
        let mut stored: HashMap<String, StoredDocument> = documents
            .into_iter()
            .map(|document| (document.key.clone(), document))
            .collect();
        let mut working: BTreeMap<&str, Working> = BTreeMap::new();
        let mut folded = Folded::default();
        for (event, typed, keys) in &self.events {
            for key in keys {
                if !working.contains_key(key.as_str()) {
                    working.insert(key, Working::load(self.view, stored.remove(key))?);
                }
                let Some(document) = working.get_mut(key.as_str()) else {
                    continue;
                };
                document.folding.fold(typed);
                if closely {
                    let before = document.current.clone();
                    if document.refresh()? {
                        folded.changes.push(DocumentChange {
                            key: key.as_str().into(),
                            event: (*event).clone(),
                            last_of_event: true,
                            before,
                            after: document.current.clone(),
                        });
                    }
                }
            }
        }
        mark_last_of_events(&mut folded.changes);
        for (key, mut document) in working {
            document.refresh()?;
            document.finish(scope, key, &mut folded);
        }
        Ok(folded)
    }
}

/// Only the last change of an event completes the event's position.
fn mark_last_of_events(changes: &mut [DocumentChange]) {
    let mut later = None;
    for change in changes.iter_mut().rev() {
        change.last_of_event = later != Some(change.event.position);
        later = Some(change.event.position);
    }
}

impl Working {
    fn load(view: &'static dyn AnyView, document: Option<StoredDocument>) -> Result<Self, DocumentError> {
        let folding = view.load(document.as_ref().map(|document| &*document.data))?;
        let stored = document.map(|document| {
            Arc::new(DocumentState {
                data: document.data.into(),
                owner: document.owner,
                listings: unique(folding.listings()),
            })
        });
        Ok(Self {
            folding,
            current: stored.clone(),
            stored,
        })
    }

    /// Brings `current` up to what was folded; whether that changed anything.
    fn refresh(&mut self) -> Result<bool, DocumentError> {
        let data = self.folding.document()?;
        let same = match (&self.current, &data) {
            (Some(current), Some(data)) => current.data.get() == data.get(),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(false);
        }
        self.current = data.map(|data| {
            Arc::new(DocumentState {
                data: data.into(),
                owner: self.folding.owner(),
                listings: unique(self.folding.listings()),
            })
        });
        Ok(true)
    }

    fn finish(self, scope: &Scope, key: &str, folded: &mut Folded) {
        let (before, after) = (self.stored, self.current);
        let unchanged = match (&before, &after) {
            (Some(before), Some(after)) => before.data.get() == after.data.get(),
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            return;
        }
        let listed = |state: &Option<Arc<DocumentState>>| -> Vec<ListingEntry> {
            state
                .as_ref()
                .map(|state| state.listings.clone())
                .unwrap_or_default()
        };
        let (was, is) = (listed(&before), listed(&after));
        let groups: HashSet<_> = was
            .iter()
            .chain(&is)
            .map(|entry| (entry.listing, entry.group.clone()))
            .collect();
        folded.topics.push(Topic::Document {
            workspace: scope.workspace,
            view: scope.view,
            key: key.to_owned(),
        });
        folded
            .topics
            .extend(groups.into_iter().map(|(listing, group)| Topic::Group {
                workspace: scope.workspace,
                view: scope.view,
                listing,
                group,
            }));
        folded.writes.push(DocumentWrite {
            key: key.to_owned(),
            data: after.as_ref().map(|state| state.data.clone()),
            owner: after.as_ref().and_then(|state| state.owner),
            left: was.iter().filter(|entry| !is.contains(entry)).cloned().collect(),
            entered: is.iter().filter(|entry| !was.contains(entry)).cloned().collect(),
        });
    }
}

/// A document stands once in a group, wherever its view puts it twice.
fn unique(mut entries: Vec<ListingEntry>) -> Vec<ListingEntry> {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert((entry.listing, entry.group.clone())));
    entries
}
