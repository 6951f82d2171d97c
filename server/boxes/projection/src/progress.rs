//! Tracks in memory what is stored and what is folded, and lets callers wait for it. The relay reports heads,
//! the lanes report checkpoints. `behind`, read-your-writes and the lag metrics come from here; nothing is
//! polled.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    token::ConsistencyToken,
    view::{
        self, AnyView,
        own::{OwnViewPlan, SLOTS, SlotView},
    },
};
use tokio::{
    sync::{Notify, futures::OwnedNotified, watch},
    time::Instant,
};

use super::{
    handler::{EventHandler, Projection},
    lane_controls::{LaneControls, LaneDials},
    own_views::{DefinedView, OwnViews, SlotDefinitions, SlotInterest},
};
use broker::{Interest, PartitionId, relay::Heads};
use documents::FIRST_GENERATION;
use uuid::Uuid;

/// Counts the events that cannot be read.
const UNREADABLE: &str = "foldline_broker_unreadable_events_total";

/// How far one view of a workspace has folded.
#[derive(Debug)]
pub struct ViewProgress {
    folded: watch::Sender<ConsistencyToken>,
    /// Counts the changes of `folded`; a change is counted before it can be read.
    folded_version: AtomicU64,
    /// Since when the view is behind.
    behind_since: Mutex<Option<Instant>>,
    /// Held by a lane from before its commit until the commit is published, so that commits of a view are
    /// published in their order even if several partitions feed it.
    order: tokio::sync::Mutex<()>,
    generation: AtomicU64,
    controls: LaneControls,
    /// The positions of partitions when parked events of theirs were last applied.
    release_positions: Mutex<ConsistencyToken>,
    /// Up to where the lanes read the log by themselves, also what is delivered meanwhile.
    history: Mutex<ConsistencyToken>,
    /// Whether the view is not there any more.
    has_ended: AtomicBool,
}

impl ViewProgress {
    /// A view that has folded nothing.
    pub(super) fn new() -> Self {
        Self {
            folded: watch::Sender::new(ConsistencyToken::default()),
            folded_version: AtomicU64::new(0),
            behind_since: Mutex::new(None),
            order: tokio::sync::Mutex::default(),
            generation: AtomicU64::new(FIRST_GENERATION),
            controls: LaneControls::default(),
            release_positions: Mutex::default(),
            history: Mutex::default(),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Notes that more is stored than before, of which so many events are new to the view.
    fn note_stored(&self, partition: u32, (before, position): (u64, u64), lag: &AtomicU64) {
        let folded = self.folded.borrow().position(partition);
        let new = position.saturating_sub(before.max(folded));
        if new > 0 {
            lag.fetch_add(new, Ordering::Relaxed);
            let mut since = self.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
            since.get_or_insert_with(Instant::now);
        }
    }

    /// Ends the view: its lanes do not wait any more, nor do those that wait for what it folds.
    fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.controls.bend(None);
        self.folded.send_modify(|_| {});
    }

    /// Whether it is a view of one's own that is not there any more.
    pub(super) fn is_over(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Notes up to where the lanes read the log by themselves.
    pub(super) fn note_history(&self, to: ConsistencyToken) {
        *self.history.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// Up to which position of a partition the lanes have read the log by themselves, so that a delivery of
    /// it is none that a fault has repeated.
    pub(super) fn history(&self, partition: u32) -> u64 {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.position(partition)
    }

    /// The generation that is read, and that live lanes fold.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Notes the generation that is read from now on.
    pub fn set_generation(&self, generation: u64) {
        *self
            .release_positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = ConsistencyToken::default();
        self.generation.store(generation, Ordering::Release);
    }

    /// The positions of partitions when parked events of theirs were last applied. Documents have changed
    /// there without the token moving, so a client that has seen no more than this may have missed a change.
    pub fn release_positions(&self) -> ConsistencyToken {
        self.release_positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes that parked events were applied while the partition was at `position`.
    pub fn note_release(&self, partition: u32, position: u64) {
        let mut positions = self
            .release_positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        positions.advance(partition, position);
    }

    /// How far the view has folded and published.
    pub fn folded(&self) -> ConsistencyToken {
        self.folded.borrow().clone()
    }

    /// Waits until the view has folded as far as `token`, or is not there any more.
    pub async fn reaches(&self, token: &ConsistencyToken) {
        let is_over = |folded: &ConsistencyToken| folded.covers(token) || self.is_over();
        // The sender lives as long as this progress: it cannot be closed while it is borrowed.
        let _ = self.folded.subscribe().wait_for(is_over).await;
    }

    /// For how long the view has been behind; `None`: it is caught up.
    pub fn behind_for(&self) -> Option<Duration> {
        let since = *self.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }

    /// The lab's controls of its lanes.
    pub fn controls(&self) -> &LaneControls {
        &self.controls
    }

    /// Locks the view's lanes: see `order`.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.order.lock().await
    }
}

/// One workspace: its heads, and how far each view is.
#[derive(Debug)]
pub struct WorkspaceProgress {
    head: Mutex<ConsistencyToken>,
    /// Counts the changes of `head`; a change is counted before it can be read.
    head_version: AtomicU64,
    views: Box<[ViewProgress]>,
    /// The positions of events that cannot be read, by partition: the last that was met.
    unreadable: Mutex<BTreeMap<u32, u64>>,
    /// Wakes the tasks that wait for [`Progress::work_changed`].
    work: Arc<Notify>,
}

impl WorkspaceProgress {
    fn new(views: usize) -> Self {
        Self {
            head: Mutex::default(),
            head_version: AtomicU64::new(0),
            views: (0..views).map(|_| ViewProgress::new()).collect(),
            unreadable: Mutex::default(),
            work: Arc::default(),
        }
    }

    /// The newest position of each partition.
    pub fn head(&self) -> ConsistencyToken {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Prepares the progress of event handlers before their lanes start: what it does there holds from their
/// first transaction on.
pub trait LaneSetup: Send + Sync + Debug {
    /// Prepares the progress of handlers that start after this.
    fn prepare(&self, progress: &Arc<Progress>);
}

/// What is stored and what is folded, in all workspaces.
#[derive(Debug)]
pub struct Progress {
    /// `None`: the workspace was purged, and later reports about it are ignored.
    workspaces: RwLock<HashMap<WorkspaceId, Option<Arc<WorkspaceProgress>>>>,
    /// Those that every workspace has, then the slots of views of one's own, if there are any.
    handlers: Box<[Arc<dyn EventHandler>]>,
    /// How many of them every workspace has.
    shared: usize,
    /// The views that workspaces have in slots.
    own: Arc<OwnViews>,
    /// Events that each view has not folded, over all workspaces.
    lag: Box<[AtomicU64]>,
    changed: Notify,
    /// The progress of handlers with other lanes, which is told the same heads.
    others: RwLock<Vec<Arc<Self>>>,
}

impl Progress {
    /// The progress of these handlers, with nothing stored.
    pub fn new(handlers: impl Into<Box<[Arc<dyn EventHandler>]>>) -> Self {
        let handlers = handlers.into();
        Self {
            workspaces: RwLock::default(),
            lag: handlers.iter().map(|_| AtomicU64::new(0)).collect(),
            shared: handlers.len(),
            own: Arc::default(),
            handlers,
            changed: Notify::new(),
            others: RwLock::default(),
        }
    }

    /// The same, and slots in which workspaces can have views of their own. Nothing may be stored yet.
    #[must_use]
    pub fn with_own_views(self) -> Self {
        let mut handlers = self.handlers.into_vec();
        for slot in 0..SLOTS.len() {
            if let Some(view) = SlotView::new(slot, Arc::new(SlotDefinitions(Arc::downgrade(&self.own)))) {
                // It lives as long as the process, as the program's own views do: ten for each server.
                handlers.push(Arc::new(Projection(Box::leak(Box::new(view)))));
            }
        }
        Self {
            lag: handlers.iter().map(|_| AtomicU64::new(0)).collect(),
            handlers: handlers.into(),
            ..self
        }
    }

    /// Tells the progress of handlers with other lanes of everything that is stored from now on, because the
    /// relay reports to this one alone.
    pub fn share_heads(&self, other: &Arc<Self>) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        others.push(Arc::clone(other));
    }

    /// The progress of the projections of these views, with nothing stored.
    pub fn of_views(views: &[&'static dyn AnyView]) -> Self {
        let handler = |view: &&'static dyn AnyView| Arc::new(Projection(*view)) as Arc<dyn EventHandler>;
        Self::new(views.iter().map(handler).collect::<Vec<_>>())
    }

    /// The handlers.
    pub fn handlers(&self) -> &[Arc<dyn EventHandler>] {
        &self.handlers
    }

    /// The workspace of this id; empty if nothing was stored yet.
    pub fn workspace(&self, id: WorkspaceId) -> Arc<WorkspaceProgress> {
        let known = self
            .workspaces
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        let nothing = || Arc::new(WorkspaceProgress::new(self.shared));
        let known = known.unwrap_or_else(|| {
            let mut workspaces = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
            workspaces.entry(id).or_insert_with(|| Some(nothing())).clone()
        });
        known.unwrap_or_else(nothing)
    }

    /// The workspaces with reported heads or checkpoints.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        let known = workspaces.iter().filter(|(_, progress)| progress.is_some());
        known.map(|(id, _)| *id).collect()
    }

    /// Whether the workspace was purged.
    pub fn has_ended(&self, id: WorkspaceId) -> bool {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        matches!(workspaces.get(&id), Some(None))
    }

    /// Ends a purged workspace: later reports about it are ignored. When this returns, no lane is in the
    /// middle of a transaction there, and none begins one.
    pub async fn end(&self, id: WorkspaceId) {
        let ended = self
            .workspaces
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, None)
            .flatten();
        let Some(ended) = ended else { return };
        let own = {
            let head = ended.head.lock().unwrap_or_else(PoisonError::into_inner);
            let own = self.own.end(id);
            for (view, lag) in ended.views.iter().zip(&self.lag) {
                lag.fetch_sub(view.folded.borrow().behind(&head), Ordering::Relaxed);
                view.controls.bend(None);
            }
            for view in &own {
                self.forget_lag(view, &head);
            }
            own
        };
        for view in &ended.views {
            drop(view.turn().await);
        }
        for view in &own {
            drop(view.progress.turn().await);
        }
        ended.work.notify_waiters();
        self.changed.notify_waiters();
    }

    /// The newest position of each partition of a workspace.
    pub fn head(&self, workspace: WorkspaceId) -> ConsistencyToken {
        self.workspace(workspace).head()
    }

    /// Notes that events up to `position` are stored.
    pub fn stored(&self, partition: PartitionId, position: u64) {
        let workspace = self.workspace(partition.workspace);
        let mut head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        let before = head.position(partition.partition);
        if position <= before || self.has_ended(partition.workspace) {
            return;
        }
        head.advance(partition.partition, position);
        workspace.head_version.fetch_add(1, Ordering::Release);
        for (view, lag) in workspace.views.iter().zip(&self.lag) {
            view.note_stored(partition.partition, (before, position), lag);
        }
        for view in self.own.of(partition.workspace).iter().flat_map(|own| own.iter()) {
            if let Some(lag) = self.lag.get(self.shared + view.slot) {
                view.progress
                    .note_stored(partition.partition, (before, position), lag);
            }
        }
        drop(head);
        self.changed.notify_waiters();
    }

    /// Notes that the event at a position cannot be read, so that its partition stops before it. Counts it
    /// the first time.
    pub fn note_unreadable(&self, partition: PartitionId, position: u64) {
        if self.has_ended(partition.workspace) {
            return;
        }
        let workspace = self.workspace(partition.workspace);
        let mut unreadable = workspace
            .unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if unreadable.insert(partition.partition, position) != Some(position) {
            metrics::counter!(UNREADABLE).increment(1);
        }
    }

    /// Notes that a view has folded a partition up to `position`, after the cache and the followers were
    /// notified.
    pub fn folded(&self, view: &str, partition: PartitionId, position: u64) {
        let Some(progress) = self.of(partition.workspace, view) else {
            return;
        };
        let workspace = &progress.workspace;
        let head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = head.position(partition.partition);
        let before = progress.folded.borrow().position(partition.partition);
        if position <= before || progress.is_over() || self.has_ended(partition.workspace) {
            return;
        }
        let less = position.min(stored).saturating_sub(before);
        self.lag[progress.index].fetch_sub(less, Ordering::Relaxed);
        progress.folded.send_modify(|folded| {
            folded.advance(partition.partition, position);
            progress.folded_version.fetch_add(1, Ordering::Release);
        });
        if progress.folded.borrow().covers(&head) {
            *progress
                .behind_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
        drop(head);
        self.changed.notify_waiters();
    }

    /// Notes that a view begins again at a token, which does not cover what it had folded: that was of
    /// another history than the log.
    pub fn set_back(&self, view: &str, id: WorkspaceId, as_of: &ConsistencyToken) {
        let Some(progress) = self.of(id, view) else { return };
        let workspace = &progress.workspace;
        let head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_ended(id) || progress.is_over() {
            return;
        }
        let before = progress.folded.borrow().behind(&head);
        self.change_lag(progress.index, before, as_of.behind(&head));
        progress.folded.send_modify(|folded| {
            folded.clone_from(as_of);
            progress.folded_version.fetch_add(1, Ordering::Release);
        });
        let mut since = progress
            .behind_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if as_of.covers(&head) {
            *since = None;
        } else {
            since.get_or_insert_with(Instant::now);
        }
        drop(since);
        drop(head);
        self.changed.notify_waiters();
    }

    /// Notes that the log of a workspace ends at these heads, though more was known to be stored: it was
    /// restored from a backup.
    pub fn note_restored(&self, id: WorkspaceId, heads: &ConsistencyToken) {
        let workspace = self.workspace(id);
        let mut head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_ended(id) {
            return;
        }
        let restored: ConsistencyToken = head
            .iter()
            .map(|(partition, position)| (partition, position.min(heads.position(partition))))
            .collect();
        for (index, view) in workspace.views.iter().enumerate() {
            let folded = view.folded.borrow();
            self.change_lag(index, folded.behind(&head), folded.behind(&restored));
        }
        for view in self.own.of(id).iter().flat_map(|own| own.iter()) {
            let folded = view.progress.folded.borrow();
            let index = self.shared + view.slot;
            self.change_lag(index, folded.behind(&head), folded.behind(&restored));
        }
        *head = restored;
        workspace.head_version.fetch_add(1, Ordering::Release);
        drop(head);
        self.changed.notify_waiters();
    }

    fn change_lag(&self, index: usize, before: u64, after: u64) {
        let lag = &self.lag[index];
        lag.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        lag.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
    }

    /// Wakes the tasks that wait for [`work_changed`](Self::work_changed) of this workspace or for
    /// [`changed`](Self::changed): parked events were applied or discarded, or processes have changed.
    pub fn wake_waiting(&self, workspace: WorkspaceId) {
        self.workspace(workspace).work.notify_waiters();
        self.changed.notify_waiters();
    }

    /// Wakes at [`wake_waiting`](Self::wake_waiting) of this workspace after the call, and when it ends:
    /// other workspaces do not wake it, and neither do events that are stored or folded.
    pub fn work_changed(&self, workspace: WorkspaceId) -> OwnedNotified {
        Arc::clone(&self.workspace(workspace).work).notified_owned()
    }

    /// The handler of this name.
    pub fn handler(&self, name: &str) -> Option<&Arc<dyn EventHandler>> {
        self.handlers.iter().find(|handler| handler.name() == name)
    }

    /// The view of this name.
    pub fn view(&self, name: &str) -> Option<&'static dyn AnyView> {
        self.handler(name)?.documents()
    }

    /// The index of a handler in the registry.
    pub fn index(&self, handler: &str) -> Option<usize> {
        self.handlers.iter().position(|known| known.name() == handler)
    }

    /// One view of a workspace, by the name of its lanes; `None`: the workspace has no such view.
    pub fn of(&self, workspace: WorkspaceId, view: &str) -> Option<HandlerProgress> {
        let index = self.index(view)?;
        let own = match index.checked_sub(self.shared) {
            None => None,
            Some(slot) => Some(Arc::clone(&self.own.in_slot(workspace, slot)?.progress)),
        };
        Some(HandlerProgress {
            workspace: self.workspace(workspace),
            index,
            own,
        })
    }

    /// Whether a workspace has a handler, by the name of its lanes.
    pub fn has(&self, workspace: WorkspaceId, handler: &str) -> bool {
        let slot = self.index(handler).map(|index| index.checked_sub(self.shared));
        slot.is_some_and(|slot| slot.is_none_or(|slot| self.own.in_slot(workspace, slot).is_some()))
    }

    /// The views that workspaces have defined for themselves.
    pub fn own_views(&self) -> &Arc<OwnViews> {
        &self.own
    }

    /// What a subscriber of the broker is interested in; `None`: in every workspace.
    pub(super) fn interest(&self, handler: &str) -> Option<Arc<dyn Interest>> {
        let slot = self.index(handler)?.checked_sub(self.shared)?;
        Some(Arc::new(SlotInterest::new(Arc::clone(&self.own), slot)))
    }

    /// The name of the lanes of a handler that people of a workspace know by a name; `None`: there is none of
    /// it.
    pub fn lane_name(&self, workspace: WorkspaceId, name: &str) -> Option<&'static str> {
        let shared = self.handlers.iter().take(self.shared);
        let known = shared.map(|handler| handler.name()).find(|known| *known == name);
        known.or_else(|| SLOTS.get(self.own.named(workspace, name)?.slot).copied())
    }

    /// The name that people of a workspace know a handler by, which has lanes of this name.
    pub fn name_in<'a>(&self, workspace: WorkspaceId, lane: &'a str) -> Cow<'a, str> {
        match view::own::slot(lane).and_then(|slot| self.own.in_slot(workspace, slot)) {
            Some(own) => Cow::Owned(own.plan.definition().name.clone()),
            None => Cow::Borrowed(lane),
        }
    }

    /// The view that people of a workspace know by a name.
    pub fn view_in(&self, workspace: WorkspaceId, name: &str) -> Option<&'static dyn AnyView> {
        let mut shared = self.handlers.iter().take(self.shared);
        match shared.find(|handler| handler.name() == name) {
            Some(handler) => handler.documents(),
            None => self.view(SLOTS.get(self.own.named(workspace, name)?.slot).copied()?),
        }
    }

    /// The views that a workspace has: those of the program, and its own.
    pub fn views_in(&self, workspace: WorkspaceId) -> Vec<&'static dyn AnyView> {
        let handlers = self.handlers.iter().filter(|handler| handler.is_rebuildable());
        let views = handlers.filter_map(|handler| handler.documents());
        views.filter(|view| self.has(workspace, view.name())).collect()
    }

    /// Puts a view of its own into a slot of a workspace. It has folded nothing. `false`: the slot is not
    /// free, there is none, or the workspace was purged.
    pub fn define(&self, id: WorkspaceId, slot: usize, view: Uuid, plan: Arc<OwnViewPlan>) -> bool {
        let Some(lag) = self.lag.get(self.shared + slot) else {
            return false;
        };
        let workspace = self.workspace(id);
        let head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_ended(id) {
            return false;
        }
        let defined = DefinedView {
            slot,
            id: view,
            progress: Arc::new(ViewProgress::new()),
            plan,
        };
        // Under the lock of the head: an event is either counted here or where it is stored.
        let progress = Arc::clone(&defined.progress);
        progress.controls.bend(Self::own_dials(&defined.plan, None));
        let behind = progress.folded.borrow().behind(&head);
        if behind > 0 {
            let mut since = progress
                .behind_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *since = Some(Instant::now());
        }
        if !self.own.add(id, defined) {
            return false;
        }
        lag.fetch_add(behind, Ordering::Relaxed);
        drop(head);
        self.changed.notify_waiters();
        true
    }

    /// Takes a view of its own out of a slot of a workspace. Its lanes begin no transaction from then on, and
    /// those that wait for it do not wait any more. `None`: there was none.
    pub fn undefine(&self, id: WorkspaceId, slot: usize) -> Option<Arc<DefinedView>> {
        let workspace = self.workspace(id);
        let head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = self.own.remove(id, slot)?;
        self.forget_lag(&removed, &head);
        drop(head);
        self.wake_waiting(id);
        Some(removed)
    }

    /// Ends a view that was taken out of its slot, and counts what it has not folded no more. Called with the
    /// lock of the head.
    fn forget_lag(&self, own: &DefinedView, head: &ConsistencyToken) {
        if let Some(lag) = self.lag.get(self.shared + own.slot) {
            lag.fetch_sub(own.progress.folded.borrow().behind(head), Ordering::Relaxed);
        }
        own.progress.end();
    }

    /// The dials of a view of one's own: one that detects no duplicates never does.
    fn own_dials(plan: &OwnViewPlan, dials: Option<LaneDials>) -> Option<LaneDials> {
        if plan.definition().detect_duplicates {
            return dials;
        }
        Some(LaneDials {
            detects_duplicates: false,
            ..dials.unwrap_or_default()
        })
    }

    /// Bends the lanes of a view in a workspace, also those that start later, or puts their dials to rest.
    /// `false`: there is no such view.
    pub fn bend(&self, workspace: WorkspaceId, view: &str, dials: Option<LaneDials>) -> bool {
        let slot = self.index(view).and_then(|index| index.checked_sub(self.shared));
        let own = slot.and_then(|slot| self.own.in_slot(workspace, slot));
        let dials = match own {
            Some(own) => Self::own_dials(&own.plan, dials),
            None => dials,
        };
        let progress = self.of(workspace, view);
        progress.is_some_and(|progress| {
            progress.controls().bend(dials);
            true
        })
    }

    /// Events that a view has not folded, over all workspaces.
    pub fn lag(&self, view: &str) -> u64 {
        self.index(view)
            .map_or(0, |index| self.lag[index].load(Ordering::Relaxed))
    }

    /// Wakes when an event is stored or folded after the call, or by [`wake_waiting`](Self::wake_waiting).
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Publishes the lag metrics, and the counter of unreadable events before the first one.
    pub fn report(&self) {
        metrics::counter!(UNREADABLE).increment(0);
        for (handler, lag) in self.handlers.iter().zip(&self.lag) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge is a float; a lag has far less than 2^53 events"
            )]
            metrics::gauge!("foldline_projection_lag_events", "view" => handler.name())
                .set(lag.load(Ordering::Relaxed) as f64);
        }
    }
}

impl Heads for Progress {
    fn stored(&self, partition: PartitionId, position: u64) {
        Progress::stored(self, partition, position);
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        for other in &*others {
            other.stored(partition, position);
        }
    }

    fn head(&self, partition: PartitionId) -> u64 {
        Progress::head(self, partition.workspace).position(partition.partition)
    }

    fn unreadable(&self, partition: PartitionId, position: u64) {
        self.note_unreadable(partition, position);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::of_views(view::all())
    }
}

/// The progress of one view of one workspace, with the workspace's heads.
#[derive(Debug, Clone)]
pub struct HandlerProgress {
    workspace: Arc<WorkspaceProgress>,
    index: usize,
    /// That of a view of one's own.
    own: Option<Arc<ViewProgress>>,
}

impl HandlerProgress {
    /// The newest position of each partition.
    pub fn head(&self) -> ConsistencyToken {
        self.workspace.head()
    }

    /// Why a partition stops where the view is in it, if it is because the next event cannot be read.
    pub fn stop_reason(&self, partition: u32) -> Option<String> {
        let next = self.folded().position(partition).saturating_add(1);
        let unreadable = self
            .workspace
            .unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (unreadable.get(&partition) == Some(&next)).then(|| unreadable_event(next))
    }

    /// Changes with every change of the head and of how far the view has folded. What is read of them after
    /// the version is at least as new as the version; and a reader that has seen a newer token, or was woken
    /// by it, gets a newer version.
    pub fn version(&self) -> u64 {
        let head = self.workspace.head_version.load(Ordering::Acquire);
        head.wrapping_add(self.folded_version.load(Ordering::Acquire))
    }
}

/// The reason for which a partition stops before an event.
pub(super) fn unreadable_event(position: u64) -> String {
    format!("the event at position {position} is unreadable in the event store")
}

impl std::ops::Deref for HandlerProgress {
    type Target = ViewProgress;

    fn deref(&self) -> &ViewProgress {
        match &self.own {
            Some(own) => own,
            None => &self.workspace.views[self.index],
        }
    }
}
