//! Folds a batch: each document is read once, folded as often as events touch it, and written once.
//!
//! If a client follows the view, the result of each event is kept as well. Pure: from documents and events to
//! writes and changes; the transaction around it belongs to the read model.

use std::{
    any::Any,
    cell::Cell,
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use domain::{event::TypedEvent, timestamp::Timestamp, view::AnyView};

use uuid::Uuid;

use super::{
    document_fold::DocumentFold,
    fold_result::{ChangeEvent, DocumentChange, FoldResult},
};
use broker::PublishedEvent;
use documents::{FoldFault, FoldInput, ParkedEvent, ParkedState, Scope, StoredDocument};

/// The reason of a dead letter whose documents a database refuses. The database's own message is only in the
/// log, because people see a dead letter.
pub(super) const REFUSED: &str = "the database refuses the documents that the view makes of it";

/// The reason of a dead letter that a dial of the lab has made.
pub(super) const POISONED: &str = "an educator has poisoned events of this type here";

/// The events of one batch, each with the keys that it touches.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Absent for a handler without documents.
    view: Option<&'static dyn AnyView>,
    events: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    event: &'a Arc<PublishedEvent>,
    /// The decoded event and its keys, or why it cannot be applied.
    readable: Result<(&'a TypedEvent, Vec<String>), String>,
}

/// An event that has used up its attempts: the lane passes it as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonEvent {
    /// Its position.
    pub position: u64,
    /// Why it cannot be applied.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// The scope, time and options of a fold.
#[derive(Debug, Clone, Copy)]
pub struct FoldContext<'a> {
    /// The workspace, view and generation of the documents.
    pub scope: &'a Scope,
    /// The time of parking.
    pub now: Timestamp,
    /// Events to pass as dead letters.
    pub poison: &'a [PoisonEvent],
    /// Whether to record what each event did.
    pub track_changes: bool,
    /// Events of this type cannot be folded into documents. Where there are none, the delivery has decided.
    pub poisoned_type: Option<&'a str>,
}

impl<'a> Batch<'a> {
    /// A batch of events of one partition, in order.
    pub fn new(view: Option<&'static dyn AnyView>, events: &'a [Arc<PublishedEvent>]) -> Self {
        let entry = |event: &'a Arc<PublishedEvent>| Entry {
            event,
            readable: match &event.decoded {
                Ok(typed) => keys(view, typed).map(|keys| (typed, keys)),
                Err(error) => Err(error.to_string()),
            },
        };
        Self {
            view,
            events: events.iter().map(entry).collect(),
        }
    }

    /// The keys of the documents to read, each once; none of poison events or of those behind them, because
    /// the database may refuse the key itself.
    pub fn keys(&self, poison: &[PoisonEvent]) -> Vec<String> {
        let mut held: HashSet<&str> = HashSet::new();
        let mut keys: HashSet<&String> = HashSet::new();
        for entry in &self.events {
            let stream = entry.event.stream.as_str();
            if poison.iter().any(|it| it.position == entry.event.position) {
                held.insert(stream);
            }
            if !held.contains(stream)
                && let Ok((_, touched)) = &entry.readable
            {
                keys.extend(touched);
            }
        }
        keys.into_iter().cloned().collect()
    }

    /// Folds into the loaded documents, and parks events that are poison or held back. A panic of the view is
    /// a fault of the event.
    pub fn fold(&self, how: FoldContext<'_>, loaded: FoldInput) -> Result<FoldResult, FoldFault> {
        let at = Cell::new(0);
        // Half-folded documents are dropped.
        let folded = catch_unwind(AssertUnwindSafe(|| self.fold_each(how, loaded, &at)));
        let fault = |reason| FoldFault {
            position: at.get(),
            reason,
        };
        match folded {
            Ok(Ok(folded)) => Ok(folded),
            Ok(Err(reason)) => Err(fault(reason)),
            Err(panic) => Err(fault(format!("the view panicked: {}", panic_message(&*panic)))),
        }
    }

    fn fold_each(
        &self,
        how: FoldContext<'_>,
        loaded: FoldInput,
        at: &Cell<u64>,
    ) -> Result<FoldResult, String> {
        let mut stored: HashMap<String, StoredDocument> = loaded
            .documents
            .into_iter()
            .map(|document| (document.key.clone(), document))
            .collect();
        let mut documents: BTreeMap<&str, DocumentFold> = BTreeMap::new();
        let mut held: HashSet<String> = loaded.held_streams.into_iter().collect();
        let mut folded = FoldResult::default();
        for Entry { event, readable } in &self.events {
            at.set(event.position);
            let poison = how.poison.iter().find(|it| it.position == event.position);
            if held.contains(event.stream.as_str()) || poison.is_some() {
                held.insert(event.stream.to_string());
                folded.parked.push(parked(event, poison, how));
                continue;
            }
            if self.view.is_some() && how.poisoned_type == Some(event.event_type.as_str()) {
                return Err(POISONED.to_owned());
            }
            let (typed, keys) = readable.as_ref().map_err(Clone::clone)?;
            let Some(view) = self.view else { continue };
            let mut cause: Option<Arc<ChangeEvent>> = None;
            for key in keys {
                if !documents.contains_key(key.as_str()) {
                    let document = DocumentFold::load(view, key, stored.remove(key));
                    documents.insert(key, document.map_err(|error| error.to_string())?);
                }
                let Some(document) = documents.get_mut(key.as_str()) else {
                    continue;
                };
                let change = document.fold(event, typed, how.track_changes);
                if let Some((before, after)) = change.map_err(|error| error.to_string())? {
                    let cause = cause.get_or_insert_with(|| Arc::new(ChangeEvent::from(&***event)));
                    folded.changes.push(DocumentChange {
                        key: key.as_str().into(),
                        event: Arc::clone(cause),
                        last_of_event: true,
                        before,
                        after,
                    });
                }
            }
        }
        mark_last_of_events(&mut folded.changes);
        for (key, mut document) in documents {
            at.set(document.position());
            document.refresh().map_err(|error| error.to_string())?;
            document.finish(how.scope, key, &mut folded);
        }
        Ok(folded)
    }
}

/// The keys of an event, each once, or why the view cannot name them.
fn keys(view: Option<&'static dyn AnyView>, event: &TypedEvent) -> Result<Vec<String>, String> {
    let Some(view) = view else { return Ok(Vec::new()) };
    let mut keys = catch_unwind(AssertUnwindSafe(|| view.keys(event)))
        .map_err(|panic| format!("the view panicked: {}", panic_message(&*panic)))?;
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    Ok(keys)
}

fn parked(event: &PublishedEvent, poison: Option<&PoisonEvent>, how: FoldContext<'_>) -> ParkedEvent {
    ParkedEvent {
        position: event.position,
        id: letter_id(how.scope, event.event_id),
        stream: event.stream.clone(),
        version: event.version,
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        correlation_id: event.correlation_id,
        state: poison.map_or(ParkedState::Waiting, |poison| ParkedState::Dead {
            reason: poison.reason.clone(),
            attempts: poison.attempts,
        }),
        parked_at: how.now,
    }
}

/// The id of a parked event: the same on every server.
fn letter_id(scope: &Scope, event_id: Uuid) -> Uuid {
    let name = format!(
        "{}/{}/{}/{event_id}",
        scope.workspace, scope.view, scope.generation
    );
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// The message of a panic.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Marks the last change of each event: only that one completes the event's position.
fn mark_last_of_events(changes: &mut [DocumentChange]) {
    let mut later = None;
    for change in changes.iter_mut().rev() {
        change.last_of_event = later != Some(change.event.position);
        later = Some(change.event.position);
    }
}
