//! Tracks in memory what is stored and what is folded, and lets callers wait for it. The relay reports heads,
//! the lanes report checkpoints. `behind`, read-your-writes and the lag metrics come from here; nothing is
//! polled.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    token::ConsistencyToken,
    view::{self, AnyView},
};
use tokio::{
    sync::{Notify, futures::OwnedNotified, watch},
    time::Instant,
};

use super::{
    handler::{EventHandler, Projection},
    lane_controls::{LaneControls, LaneDials},
};
use broker::{PartitionId, relay::Heads};
use documents::FIRST_GENERATION;

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
}

impl ViewProgress {
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

    /// Waits until the view has folded as far as `token`.
    pub async fn reaches(&self, token: &ConsistencyToken) {
        // The sender lives as long as this progress: it cannot be closed while it is borrowed.
        let _ = self
            .folded
            .subscribe()
            .wait_for(|folded| folded.covers(token))
            .await;
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
        let view = || ViewProgress {
            folded: watch::Sender::new(ConsistencyToken::default()),
            folded_version: AtomicU64::new(0),
            behind_since: Mutex::new(None),
            order: tokio::sync::Mutex::default(),
            generation: AtomicU64::new(FIRST_GENERATION),
            controls: LaneControls::default(),
            release_positions: Mutex::default(),
        };
        Self {
            head: Mutex::default(),
            head_version: AtomicU64::new(0),
            views: (0..views).map(|_| view()).collect(),
            unreadable: Mutex::default(),
            work: Arc::default(),
        }
    }

    /// The newest position of each partition.
    pub fn head(&self) -> ConsistencyToken {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is stored and what is folded, in all workspaces.
#[derive(Debug)]
pub struct Progress {
    /// `None`: the workspace was purged, and later reports about it are ignored.
    workspaces: RwLock<HashMap<WorkspaceId, Option<Arc<WorkspaceProgress>>>>,
    handlers: Box<[Arc<dyn EventHandler>]>,
    /// Events that each view has not folded, over all workspaces.
    lag: Box<[AtomicU64]>,
    changed: Notify,
}

impl Progress {
    /// The progress of these handlers, with nothing stored.
    pub fn new(handlers: impl Into<Box<[Arc<dyn EventHandler>]>>) -> Self {
        let handlers = handlers.into();
        Self {
            workspaces: RwLock::default(),
            lag: handlers.iter().map(|_| AtomicU64::new(0)).collect(),
            handlers,
            changed: Notify::new(),
        }
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
        let nothing = || Arc::new(WorkspaceProgress::new(self.handlers.len()));
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
        {
            let head = ended.head.lock().unwrap_or_else(PoisonError::into_inner);
            for (view, lag) in ended.views.iter().zip(&self.lag) {
                lag.fetch_sub(view.folded.borrow().behind(&head), Ordering::Relaxed);
                view.controls.bend(None);
            }
        }
        for view in &ended.views {
            drop(view.turn().await);
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
            let folded = view.folded.borrow().position(partition.partition);
            let new = position.saturating_sub(before.max(folded));
            if new > 0 {
                lag.fetch_add(new, Ordering::Relaxed);
                let mut since = view.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
                since.get_or_insert_with(Instant::now);
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
        let Some(index) = self.index(view) else { return };
        let workspace = self.workspace(partition.workspace);
        let progress = &workspace.views[index];
        let head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = head.position(partition.partition);
        let before = progress.folded.borrow().position(partition.partition);
        if position <= before || self.has_ended(partition.workspace) {
            return;
        }
        let less = position.min(stored).saturating_sub(before);
        self.lag[index].fetch_sub(less, Ordering::Relaxed);
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
        let Some(index) = self.index(view) else { return };
        let workspace = self.workspace(id);
        let progress = &workspace.views[index];
        let head = workspace.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_ended(id) {
            return;
        }
        let before = progress.folded.borrow().behind(&head);
        self.change_lag(index, before, as_of.behind(&head));
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

    /// One view of a workspace; `None`: there is no such view.
    pub fn of(&self, workspace: WorkspaceId, view: &str) -> Option<HandlerProgress> {
        let index = self.index(view)?;
        Some(HandlerProgress {
            workspace: self.workspace(workspace),
            index,
        })
    }

    /// Bends the lanes of a view in a workspace, also those that start later, or puts their dials to rest.
    /// `false`: there is no such view.
    pub fn bend(&self, workspace: WorkspaceId, view: &str, dials: Option<LaneDials>) -> bool {
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
        &self.workspace.views[self.index]
    }
}
