//! The queue of a session: a bounded number of changes that wait for a client, and statuses to tell it.
//!
//! The server does not wait for a slow client: its changes are dropped, and the subscriptions concerned get a
//! new snapshot when the client reads again.
//!
//! A queue allocates as changes arrive and gives the memory back once they are read, because most sessions
//! have an empty queue at most times.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use domain::{token::ConsistencyToken, wire::ServerFrame};
use futures::task::AtomicWaker;

use super::frame::{ChangeFrame, plain};

/// The most changes that wait for a client.
pub const CAPACITY: usize = 512;

/// The changes that an empty queue keeps memory for.
const IDLE_CAPACITY: usize = 16;

/// The phase of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It needs a snapshot.
    NeedsSnapshot,
    /// Its snapshot is being read; changes wait.
    ReadsSnapshot,
    /// It gets changes.
    Live,
}

/// A status to tell a subscription besides changes; a newer one replaces an older one.
#[derive(Debug, Clone)]
pub(super) enum Status {
    /// The view is caught up.
    CaughtUp(Arc<ConsistencyToken>),
    /// The view is behind.
    Behind {
        as_of: Arc<ConsistencyToken>,
        behind: u64,
        behind_ms: u64,
        paused: bool,
    },
}

#[derive(Debug)]
struct QueuedSubscription {
    /// The client's name for it.
    id: u64,
    phase: Phase,
    /// The snapshot contains changes up to here; absent once the changes have passed it.
    floor: Option<Arc<ConsistencyToken>>,
    /// The token of the newest queued item.
    last_token: Option<Arc<ConsistencyToken>>,
    /// The client believes that the view is behind, or does not know yet that it is not.
    expects_caught_up: bool,
    status: Option<Status>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(u64, Arc<ChangeFrame>)>,
    subscriptions: HashMap<u64, QueuedSubscription>,
    /// Subscriptions that need a snapshot or whose snapshot is being read.
    unsettled: usize,
    /// Subscriptions with a status to tell.
    statuses: usize,
    /// The server stops.
    closed: bool,
}

/// Queues changes and statuses for one client. Subscriptions have numbers here, because a client may use an
/// id again.
#[derive(Debug, Default)]
pub(super) struct SessionQueue {
    state: Mutex<State>,
    reader: AtomicWaker,
}

/// The next item for the client.
#[derive(Debug)]
pub(super) enum Next {
    Frame(Bytes),
    /// A subscription needs a snapshot.
    Snapshot(u64),
    /// The server stops.
    Closed,
}

impl SessionQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscription that needs a snapshot.
    pub(super) fn add(&self, number: u64, id: u64) {
        let subscription = QueuedSubscription {
            id,
            phase: Phase::NeedsSnapshot,
            floor: None,
            last_token: None,
            expects_caught_up: true,
            status: None,
        };
        let mut state = self.lock();
        state.subscriptions.insert(number, subscription);
        state.unsettled += 1;
    }

    /// Forgets a subscription and everything that waits for it.
    pub(super) fn remove(&self, number: u64) {
        let mut state = self.lock();
        let Some(subscription) = state.subscriptions.remove(&number) else {
            return;
        };
        state.unsettled -= usize::from(subscription.phase != Phase::Live);
        state.statuses -= usize::from(subscription.status.is_some());
        state.queue.retain(|(of, _)| *of != number);
    }

    /// Resumes a subscription where the client left off: it needs no snapshot, only the changes that it has
    /// missed.
    pub(super) fn resume(&self, number: u64, at: &Arc<ConsistencyToken>) {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(subscription) = state.subscriptions.get_mut(&number)
            && subscription.phase == Phase::NeedsSnapshot
        {
            subscription.phase = Phase::Live;
            subscription.last_token = Some(at.clone());
            state.unsettled -= 1;
        }
    }

    /// Queues a change. If the queue is full, all its changes are dropped in favour of snapshots.
    pub(super) fn offer(&self, number: u64, change: &Arc<ChangeFrame>) {
        {
            let mut state = self.lock();
            let state = &mut *state;
            let Some(subscription) = state.subscriptions.get_mut(&number) else {
                return;
            };
            if subscription.phase == Phase::NeedsSnapshot {
                return;
            }
            if let Some(floor) = &subscription.floor {
                if change.position <= floor.position(change.partition) {
                    return;
                }
                // Commits are published in order: what comes after the snapshot comes after all that is in
                // it.
                subscription.floor = None;
            }
            subscription.last_token = Some(change.as_of.clone());
            if let Some(Status::CaughtUp(_)) = subscription.status {
                // No longer the newest token, and it would come after this change. The hub will repeat it.
                subscription.status = None;
                subscription.expects_caught_up = true;
                state.statuses -= 1;
            }
            state.queue.push_back((number, change.clone()));
            if state.queue.len() > CAPACITY {
                metrics::counter!("foldline_live_overflows_total").increment(1);
                state.drop_changes();
            }
        }
        self.reader.wake();
    }

    /// Changes up to `to` are not known one by one: a subscription without a snapshot that contains them
    /// needs one.
    pub(super) fn lose(&self, number: u64, partition: u32, to: u64) {
        {
            let mut state = self.lock();
            let Some(subscription) = state.subscriptions.get(&number) else {
                return;
            };
            if subscription
                .floor
                .as_ref()
                .is_some_and(|floor| floor.position(partition) >= to)
            {
                return;
            }
            state.want_snapshot(number);
        }
        self.reader.wake();
    }

    /// Documents have changed without the subscription's token moving: it needs a snapshot.
    pub(super) fn invalidate(&self, number: u64) {
        self.lock().want_snapshot(number);
        self.reader.wake();
    }

    /// Queues a status for a subscription, after its changes.
    pub(super) fn tell(&self, number: u64, status: &Status) {
        {
            let mut state = self.lock();
            let state = &mut *state;
            let Some(subscription) = state.subscriptions.get_mut(&number) else {
                return;
            };
            let ahead = subscription
                .floor
                .as_ref()
                .is_some_and(|floor| !status.token().covers(floor));
            if subscription.phase != Phase::Live || ahead {
                return;
            }
            if let Status::CaughtUp(as_of) = status {
                let knows = subscription
                    .last_token
                    .as_ref()
                    .is_some_and(|last_token| last_token.covers(as_of));
                if knows && !subscription.expects_caught_up && subscription.status.is_none() {
                    return;
                }
            }
            subscription.expects_caught_up = matches!(status, Status::Behind { .. });
            state.statuses += usize::from(subscription.status.is_none());
            subscription.status = Some(status.clone());
        }
        self.reader.wake();
    }

    /// Begins a snapshot: from here on, changes wait. `false`: the subscription is gone.
    pub(super) fn begin_snapshot(&self, number: u64) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(subscription) = state.subscriptions.get_mut(&number) else {
            return false;
        };
        subscription.phase = Phase::ReadsSnapshot;
        subscription.floor = None;
        state.queue.retain(|(of, _)| *of != number);
        true
    }

    /// Ends a snapshot: waiting changes that it contains are dropped. `false`: the subscription is gone, or
    /// has lost changes in the meantime and needs another snapshot.
    pub(super) fn end_snapshot(&self, number: u64, as_of: &Arc<ConsistencyToken>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(subscription) = state.subscriptions.get_mut(&number) else {
            return false;
        };
        if subscription.phase != Phase::ReadsSnapshot {
            return false;
        }
        subscription.phase = Phase::Live;
        state.unsettled -= 1;
        state
            .queue
            .retain(|(of, change)| *of != number || change.position > as_of.position(change.partition));
        let newer = state.queue.iter().rfind(|(of, _)| *of == number);
        subscription.last_token =
            Some(newer.map_or_else(|| as_of.clone(), |(_, change)| change.as_of.clone()));
        // With a newer change in the queue, the changes have passed the snapshot.
        subscription.floor = newer.is_none().then(|| as_of.clone());
        subscription.expects_caught_up = true;
        if subscription.status.take().is_some() {
            state.statuses -= 1;
        }
        true
    }

    /// Closes the queue: nothing that waits in it is read any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.reader.wake();
    }

    /// The next item, if there is one: snapshots first, then changes, then statuses.
    pub(super) fn next(&self) -> Option<Next> {
        let mut state = self.lock();
        let state = &mut *state;
        if state.closed {
            return Some(Next::Closed);
        }
        if state.unsettled > 0 {
            let unsettled = state
                .subscriptions
                .iter()
                .find(|(_, subscription)| subscription.phase != Phase::Live);
            if let Some((number, _)) = unsettled {
                return Some(Next::Snapshot(*number));
            }
        }
        while let Some((number, change)) = state.queue.pop_front() {
            if state.queue.is_empty() && state.queue.capacity() > IDLE_CAPACITY {
                state.queue.shrink_to_fit();
            }
            if let Some(subscription) = state.subscriptions.get(&number) {
                return Some(Next::Frame(change.bytes(subscription.id)));
            }
        }
        if state.statuses > 0
            && let Some(subscription) = state
                .subscriptions
                .values_mut()
                .find(|subscription| subscription.status.is_some())
            && let Some(status) = subscription.status.take()
        {
            state.statuses -= 1;
            let last_token = subscription
                .last_token
                .as_ref()
                .filter(|last_token| last_token.covers(status.token()));
            let as_of = last_token.unwrap_or_else(|| status.token()).clone();
            subscription.last_token = Some(as_of.clone());
            return Some(Next::Frame(status.bytes(subscription.id, &as_of)));
        }
        None
    }

    /// The next item; where there is none, the reader's task is woken once there is. One reader at a time.
    pub(super) fn poll_next(&self, context: &Context<'_>) -> Poll<Next> {
        if let Some(next) = self.next() {
            return Poll::Ready(next);
        }
        self.reader.register(context.waker());
        // It may have arrived before the registration.
        self.next().map_or(Poll::Pending, Poll::Ready)
    }
}

impl State {
    fn drop_changes(&mut self) {
        let numbers: Vec<u64> = self.queue.drain(..).map(|(number, _)| number).collect();
        for number in numbers {
            self.want_snapshot(number);
        }
    }

    fn want_snapshot(&mut self, number: u64) {
        if let Some(subscription) = self.subscriptions.get_mut(&number) {
            self.unsettled += usize::from(subscription.phase == Phase::Live);
            subscription.phase = Phase::NeedsSnapshot;
        }
        self.queue.retain(|(of, _)| *of != number);
    }
}

impl Status {
    fn token(&self) -> &Arc<ConsistencyToken> {
        match self {
            Self::CaughtUp(as_of) | Self::Behind { as_of, .. } => as_of,
        }
    }

    /// The frame for a subscription that has got everything up to `as_of`.
    fn bytes(&self, id: u64, as_of: &ConsistencyToken) -> Bytes {
        let as_of = as_of.clone();
        plain(&match self {
            Self::CaughtUp(_) => ServerFrame::CaughtUp { id, as_of },
            Self::Behind {
                behind,
                behind_ms,
                paused,
                ..
            } => ServerFrame::Behind {
                id,
                as_of,
                behind: *behind,
                behind_ms: *behind_ms,
                paused: *paused,
            },
        })
    }
}
