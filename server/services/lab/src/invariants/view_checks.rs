//! The views, folded beside the lanes by the same functions, and compared with what is shown.
//!
//! A document is compared once its view is as far as the newest event of the document: no later event changes
//! it then, up to where the log was checked. It is compared again for a while, because a delivery may come
//! twice, and until it is right.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use documents::{DocumentStore, StoredDocument};
use domain::{
    event::TypedEvent,
    id::WorkspaceId,
    token::ConsistencyToken,
    view::{AnyView, FoldTarget},
};
use event_store::EventStore;
use projection::progress::Progress;
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

use super::{InvariantError, lights::is_covered};

/// The most documents that are folded beside; further ones are not compared.
const MAX_DOCUMENTS: usize = 50_000;

/// The most documents of a view that are compared in a pass.
const BATCH: usize = 200;

/// The most documents of a view that are looked at in a pass, to find those that can be compared.
const LOOKED_AT: usize = 2_000;

/// For how long after its newest event a document is compared again.
const WINDOW: Duration = Duration::from_mins(3);

/// The pause before a document is compared for the second time; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(400);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(6);

/// The most events of a document whose places are remembered: the newest. The older half is forgotten at
/// once.
const MAX_TOUCHES: usize = 64;

/// Half of them.
const HALF: usize = MAX_TOUCHES / 2;

/// A document, folded beside.
struct FoldedDocument {
    target: Box<dyn FoldTarget>,
    /// The places of its newest events, as they were read.
    touches: Vec<(u32, u64)>,
    /// The document before the first of them.
    base: Option<Box<RawValue>>,
    /// The document before the second half of them.
    next_base: Option<Box<RawValue>>,
    /// Where its newest events are.
    to: ConsistencyToken,
}

/// One view.
struct CheckedView {
    view: &'static dyn AnyView,
    documents: HashMap<String, FoldedDocument>,
    /// The keys that are to be compared.
    queue: VecDeque<String>,
    /// Those in the queue.
    queued: HashMap<String, Turn>,
}

/// When a document is compared.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// The next time.
    next: Instant,
    /// The pause after that.
    pause: Duration,
    /// Until when it is compared again.
    until: Instant,
}

impl Turn {
    /// At once, and again for a while.
    fn new(now: Instant) -> Self {
        Self {
            next: now,
            pause: FIRST_PAUSE,
            until: now + WINDOW,
        }
    }
}

/// A document that was compared.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) view: &'static dyn AnyView,
    pub(super) key: String,
    /// Its fold, as JSON.
    pub(super) expected: Option<Value>,
    /// What is shown.
    pub(super) found: Option<Value>,
    /// The places of its newest events.
    pub(super) touches: Vec<(u32, u64)>,
    /// The document before these.
    pub(super) base: Option<Box<RawValue>>,
}

impl Comparison {
    /// Whether it is shown as it is folded.
    pub(super) fn is_right(&self) -> bool {
        self.expected == self.found
    }
}

/// What is compared with what.
pub(super) struct Compared<'a> {
    pub(super) events: &'a dyn EventStore,
    pub(super) read_model: &'a dyn DocumentStore,
    pub(super) progress: &'a Progress,
    pub(super) workspace: WorkspaceId,
    /// How far the log was folded here.
    pub(super) checked_to: &'a ConsistencyToken,
}

/// All views of a workspace.
pub(super) struct ViewChecks {
    views: Vec<CheckedView>,
    documents: usize,
}

impl ViewChecks {
    /// Nothing is folded yet of these views.
    pub(super) fn new(views: &[&'static dyn AnyView]) -> Self {
        let checked = |view: &&'static dyn AnyView| CheckedView {
            view: *view,
            documents: HashMap::new(),
            queue: VecDeque::new(),
            queued: HashMap::new(),
        };
        Self {
            views: views.iter().map(checked).collect(),
            documents: 0,
        }
    }

    /// Folds the next event of its partition.
    pub(super) fn fold(&mut self, event: &TypedEvent, now: Instant) {
        for checked in &mut self.views {
            for key in checked.view.keys(event) {
                let is_known = checked.documents.contains_key(&key);
                if !is_known {
                    let Ok(target) = checked.view.load(&key, None) else {
                        continue;
                    };
                    if self.documents >= MAX_DOCUMENTS {
                        continue;
                    }
                    self.documents += 1;
                    let folded = FoldedDocument {
                        target,
                        touches: Vec::new(),
                        base: None,
                        next_base: None,
                        to: ConsistencyToken::default(),
                    };
                    checked.documents.insert(key.clone(), folded);
                }
                if let Some(folded) = checked.documents.get_mut(&key) {
                    folded.apply(event);
                }
                checked.want(key, now);
            }
        }
    }

    /// Has the documents compared that an event changes which was published, and which the log does not have.
    pub(super) fn suspect(&mut self, event: &TypedEvent, now: Instant) {
        for checked in &mut self.views {
            let are_all_folded = self.documents < MAX_DOCUMENTS;
            for key in checked.view.keys(event) {
                if are_all_folded || checked.documents.contains_key(&key) {
                    checked.want(key, now);
                }
            }
        }
    }

    /// The views that are ahead of what is folded here, each with how far it is.
    pub(super) fn ahead(&self, with: &Compared<'_>) -> Vec<(&'static str, ConsistencyToken)> {
        let views = self.views.iter().map(|checked| checked.view.name());
        views
            .filter_map(|view| Some((view, with.progress.of(with.workspace, view)?.folded())))
            .filter(|(_, folded)| !with.checked_to.covers(folded))
            .collect()
    }

    /// Whether every document was compared since its newest event.
    pub(super) fn is_compared_whole(&self) -> bool {
        let mut turns = self.views.iter().flat_map(|checked| checked.queued.values());
        turns.all(|turn| turn.pause > FIRST_PAUSE)
    }

    /// Compares the documents whose turn it is.
    pub(super) async fn compare(
        &mut self,
        with: &Compared<'_>,
        now: Instant,
    ) -> Result<Vec<Comparison>, InvariantError> {
        let mut compared = Vec::new();
        for checked in &mut self.views {
            let view = checked.view;
            let Some(progress) = with.progress.of(with.workspace, view.name()) else {
                continue;
            };
            let keys = checked.due(&progress.folded(), now);
            if keys.is_empty() {
                continue;
            }
            let read = read(with, view.name(), &keys).await;
            let shown = match read {
                Ok(Some(shown)) => shown,
                // The view is ahead of what is folded here: the next pass is further.
                Ok(None) => {
                    checked.put_back(keys);
                    continue;
                }
                Err(error) => {
                    checked.put_back(keys);
                    return Err(error);
                }
            };
            for key in keys {
                let found = shown.get(&key).cloned();
                let comparison = checked.comparison(&key, found);
                checked.compared(key, !comparison.is_right(), now);
                compared.push(comparison);
            }
        }
        Ok(compared)
    }
}

/// The shown documents of these keys; `None`: the view is ahead of what is folded here.
async fn read(
    with: &Compared<'_>,
    view: &'static str,
    keys: &[String],
) -> Result<Option<HashMap<String, Value>>, InvariantError> {
    let documents = with.read_model.documents(with.workspace, view, keys).await?;
    // No document has this key; the answer has the view's token.
    let read = with.read_model.document(with.workspace, view, "").await?;
    // A view that has folded an event that the log does not have is ahead of the log.
    if !with.checked_to.covers(&read.as_of)
        && !with.checked_to.covers(&with.events.head(with.workspace).await?)
    {
        return Ok(None);
    }
    let parsed = |document: StoredDocument| {
        let value = serde_json::from_str(document.data.get()).unwrap_or(Value::Null);
        (document.key, value)
    };
    Ok(Some(documents.into_iter().map(parsed).collect()))
}

impl FoldedDocument {
    fn apply(&mut self, event: &TypedEvent) {
        if self.touches.len() == MAX_TOUCHES {
            self.touches.drain(..HALF);
            self.base = self.next_base.take();
        }
        if self.touches.len() == HALF {
            self.next_base = self.target.document().ok().flatten();
        }
        self.target.fold(event);
        self.to.advance(event.partition, event.position);
        self.touches.push((event.partition, event.position));
    }
}

impl CheckedView {
    /// Has a document compared, now and for a while.
    fn want(&mut self, key: String, now: Instant) {
        let turn = Turn::new(now);
        if let Some(known) = self.queued.get_mut(&key) {
            *known = turn;
        } else {
            self.queued.insert(key.clone(), turn);
            self.queue.push_back(key);
        }
    }

    /// Takes the next keys out of the queue whose turn it is, and whose documents can be compared, now that
    /// the view is as far as `folded`.
    fn due(&mut self, folded: &ConsistencyToken, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        for _ in 0..self.queue.len().min(LOOKED_AT) {
            if due.len() >= BATCH {
                break;
            }
            let Some(key) = self.queue.pop_front() else {
                break;
            };
            let document = self.documents.get(&key);
            let is_folded =
                document.is_none_or(|document| document.to.iter().all(|place| is_covered(folded, place)));
            if is_folded && self.queued.get(&key).is_none_or(|turn| turn.next <= now) {
                due.push(key);
            } else {
                self.queue.push_back(key);
            }
        }
        due
    }

    /// Keys that could not be compared.
    fn put_back(&mut self, keys: Vec<String>) {
        self.queue.extend(keys);
    }

    /// A document was compared: it is again while it is wrong, and for as long as it was wanted.
    fn compared(&mut self, key: String, is_wrong: bool, now: Instant) {
        let Some(turn) = self.queued.get_mut(&key) else {
            return;
        };
        if !is_wrong && turn.until <= now {
            self.queued.remove(&key);
            return;
        }
        turn.next = now + if is_wrong { FIRST_PAUSE } else { turn.pause };
        turn.pause = (turn.pause * 2).min(LONGEST_PAUSE);
        self.queue.push_back(key);
    }

    fn comparison(&self, key: &str, found: Option<Value>) -> Comparison {
        let folded = self.documents.get(key);
        let document = folded.and_then(|folded| folded.target.document().ok().flatten());
        let expected = document.and_then(|document| serde_json::from_str(document.get()).ok());
        Comparison {
            view: self.view,
            key: key.to_owned(),
            expected,
            found,
            touches: folded.map(|folded| folded.touches.clone()).unwrap_or_default(),
            base: folded.and_then(|folded| folded.base.clone()),
        }
    }
}
