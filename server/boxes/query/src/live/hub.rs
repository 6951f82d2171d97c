//! The hub, one per process. It knows the channels, receives the lanes' commits, and tells clients from one
//! timer whether their view is caught up or behind. The timer sleeps while nothing happens.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{id::WorkspaceId, token::ConsistencyToken};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    channel::{Channel, JoinOutcome, Subscription},
    session_queue::SessionQueue,
};
use documents::Scope;
use projection::{
    Commit, Followers,
    progress::{HandlerProgress, Progress},
};

use crate::QueryError;

/// How long progress is collected before clients are told.
const TICK: Duration = Duration::from_millis(50);

/// A view that has been behind for less than this is not reported.
const BEHIND_AFTER: Duration = Duration::from_millis(100);

/// How often a view that stays behind is reported.
const BEHIND_INTERVAL: Duration = Duration::from_millis(250);

/// How long a channel without subscriptions keeps its ring for clients that reconnect.
const CHANNEL_IDLE_LIMIT: Duration = Duration::from_mins(2);

type ChannelId = (WorkspaceId, &'static str);

/// Owns the channels of live subscriptions.
#[derive(Debug)]
pub struct Hub {
    channels: RwLock<HashMap<ChannelId, Arc<Channel>>>,
    /// Held while a channel is opened.
    opening_lock: tokio::sync::Mutex<()>,
    progress: Arc<Progress>,
    numbers: AtomicU64,
    followed: Notify,
    sessions: Mutex<Sessions>,
    /// The number of subscriptions of each workspace, and the most that a sandbox may have.
    subscription_counts: Mutex<HashMap<WorkspaceId, u32>>,
    quota: Option<u32>,
}

/// The open sessions, so that each hears when the server stops.
#[derive(Debug, Default)]
struct Sessions {
    open: HashMap<u64, Arc<SessionQueue>>,
    closed: bool,
}

/// Counts as one of the subscriptions that a sandbox may have, until it is dropped.
#[derive(Debug)]
pub struct SubscriptionPermit {
    hub: Arc<Hub>,
    workspace: WorkspaceId,
}

impl Drop for SubscriptionPermit {
    fn drop(&mut self) {
        let mut counts = self
            .hub
            .subscription_counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(self.workspace) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Hub {
    /// A hub without channels.
    pub fn new(progress: Arc<Progress>) -> Self {
        Self {
            channels: RwLock::default(),
            opening_lock: tokio::sync::Mutex::default(),
            progress,
            numbers: AtomicU64::new(0),
            followed: Notify::new(),
            sessions: Mutex::default(),
            subscription_counts: Mutex::default(),
            quota: None,
        }
    }

    /// Limits the subscriptions that a sandbox may have at a time.
    #[must_use]
    pub fn with_quota(self, quota: Option<u32>) -> Self {
        Self { quota, ..self }
    }

    /// A permit for a subscription, if the quota is not used up.
    pub(super) fn acquire(
        self: &Arc<Self>,
        workspace: WorkspaceId,
    ) -> Result<SubscriptionPermit, QueryError> {
        let mut counts = self
            .subscription_counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(workspace).or_insert(0);
        if let Some(quota) = self.quota.filter(|quota| *count >= *quota) {
            return Err(QueryError::Full(quota));
        }
        *count += 1;
        Ok(SubscriptionPermit {
            hub: self.clone(),
            workspace,
        })
    }

    /// Forgets a purged workspace.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|(of, _), _| *of != workspace);
    }

    /// A number for a subscription or a session, never used before.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session begins; its queue is closed when the server stops. Returns the session's number.
    pub(super) fn enter(&self, session_queue: &Arc<SessionQueue>) -> u64 {
        let number = self.number();
        let mut sessions = self.sessions();
        if sessions.closed {
            session_queue.close();
        }
        sessions.open.insert(number, session_queue.clone());
        report_sessions(sessions.open.len());
        number
    }

    /// A session ends.
    pub(super) fn leave(&self, session: u64) {
        let mut sessions = self.sessions();
        sessions.open.remove(&session);
        report_sessions(sessions.open.len());
    }

    /// The server stops.
    fn close_sessions(&self) {
        let mut sessions = self.sessions();
        sessions.closed = true;
        for session_queue in sessions.open.values() {
            session_queue.close();
        }
    }

    /// Registers a subscription with its channel; `true`: it continues where the client left off.
    pub(super) async fn join(
        &self,
        workspace: WorkspaceId,
        subscription: &Arc<Subscription>,
        progress: &HandlerProgress,
        resume: Option<(&ConsistencyToken, Option<u64>)>,
    ) -> (Arc<Channel>, bool) {
        loop {
            let channel = self.channel((workspace, subscription.view), progress).await;
            let resumed = match channel.join(subscription, resume) {
                JoinOutcome::Retired => continue,
                JoinOutcome::Fresh => false,
                JoinOutcome::Resumed => true,
            };
            self.followed.notify_one();
            return (channel, resumed);
        }
    }

    async fn channel(&self, id: ChannelId, progress: &HandlerProgress) -> Arc<Channel> {
        if let Some(channel) = self.find(&id) {
            return channel;
        }
        let _opening = self.opening_lock.lock().await;
        if let Some(channel) = self.find(&id) {
            return channel;
        }
        // Holds the lock of the view's lanes, so that no commit is between what is published and what the
        // channel will get.
        let _turn = progress.turn().await;
        let channel = Arc::new(Channel::new(
            progress.folded(),
            progress.generation(),
            progress.release_positions(),
        ));
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.insert(id, channel.clone());
        channel
    }

    fn find(&self, id: &ChannelId) -> Option<Arc<Channel>> {
        self.channels
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    fn all(&self) -> Vec<(ChannelId, Arc<Channel>)> {
        let channels = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        channels
            .iter()
            .map(|(id, channel)| (*id, channel.clone()))
            .collect()
    }

    /// Reports progress to clients until it is cancelled.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.tick_forever() => {}
        }
        self.close_sessions();
    }

    async fn tick_forever(&self) {
        loop {
            let changed = self.progress.changed();
            let (busy, expiry) = self.tick();
            if busy {
                tokio::time::sleep(TICK).await;
                continue;
            }
            tokio::select! {
                () = changed => tokio::time::sleep(TICK).await,
                () = self.followed.notified() => {}
                () = sleep_until(expiry) => {}
            }
        }
    }

    /// Tells each channel the status of its view. Returns whether a view is behind, so that the timer must go
    /// on, and when the next channel may be retired.
    fn tick(&self) -> (bool, Option<Instant>) {
        let now = Instant::now();
        let mut busy = false;
        let mut expiry: Option<Instant> = None;
        for (id, channel) in self.all() {
            if let Some(idle_since) = channel.idle_since() {
                if now.duration_since(idle_since) >= CHANNEL_IDLE_LIMIT {
                    self.retire(&id, now);
                } else {
                    let expires = idle_since + CHANNEL_IDLE_LIMIT;
                    expiry = Some(expiry.map_or(expires, |earlier| earlier.min(expires)));
                }
                continue;
            }
            let Some(progress) = self.progress.of(id.0, id.1) else {
                continue;
            };
            busy |= !tell(&channel, &progress);
        }
        self.progress.report();
        (busy, expiry)
    }

    fn retire(&self, id: &ChannelId, now: Instant) {
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let idle = |channel: &Arc<Channel>| {
            now.checked_sub(CHANNEL_IDLE_LIMIT)
                .is_some_and(|then| channel.retire_if_idle_since(then))
        };
        if channels.get(id).is_some_and(idle) {
            channels.remove(id);
        }
    }
}

/// Tells a channel the status of its view. Returns whether it is caught up.
fn tell(channel: &Channel, progress: &HandlerProgress) -> bool {
    let head = progress.head();
    let as_of = channel.as_of();
    if as_of.covers(&head) {
        channel.tell_caught_up();
        return true;
    }
    if let Some(behind_for) = progress
        .behind_for()
        .filter(|behind_for| *behind_for > BEHIND_AFTER)
    {
        let behind_ms = u64::try_from(behind_for.as_millis()).unwrap_or(u64::MAX);
        let paused = progress.controls().is_paused();
        channel.tell_behind(as_of.behind(&head), behind_ms, paused, BEHIND_INTERVAL);
    }
    false
}

fn report_sessions(sessions: usize) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; there are far fewer than 2^53 sessions"
    )]
    metrics::gauge!("foldline_live_sessions").set(sessions as f64);
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

impl Followers for Hub {
    fn follow(&self, scope: &Scope) -> bool {
        self.find(&(scope.workspace, scope.view)).is_some()
    }

    fn set_back(&self, scope: &Scope, as_of: &ConsistencyToken) {
        if let Some(channel) = self.find(&(scope.workspace, scope.view)) {
            channel.set_back(as_of);
        }
    }

    fn committed(&self, commit: Commit) {
        if let Some(channel) = self.find(&(commit.scope.workspace, commit.scope.view)) {
            channel.committed(commit);
        }
    }
}
