//! The session_queue of a session: a bounded queue of changes that wait for a client, and what else it is to be told.
//!
//! A client that does not take its changes is not waited for: they are dropped, and the subscriptions concerned get a
//! fresh snapshot when the client comes back to read.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use domain::{token::ConsistencyToken, wire::ServerFrame};
use tokio::sync::Notify;

use super::frame::{ChangeFrame, plain};

/// The most changes that wait for a client.
pub const CAPACITY: usize = 512;

/// Where a subscription stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It wants a snapshot.
    Wanting,
    /// Its snapshot is being read; changes wait.
    Reading,
    /// It follows.
    Following,
}

/// What a subscription is to be told besides changes; the newest replaces an older one.
#[derive(Debug, Clone)]
pub(super) enum Status {
    /// The view has folded everything.
    CaughtUp(Arc<ConsistencyToken>),
    /// It has not.
    Behind {
        as_of: Arc<ConsistencyToken>,
        behind: u64,
        behind_ms: u64,
    },
}

#[derive(Debug)]
struct Followed {
    /// The client's name for it.
    id: u64,
    phase: Phase,
    /// Changes up to here are in the snapshot; absent once the changes have passed it.
    floor: Option<ConsistencyToken>,
    /// The moment of the last thing that was put into the queue.
    told: Option<Arc<ConsistencyToken>>,
    /// The client believes the view to be behind, or has not heard yet that it is not.
    expects_caught_up: bool,
    status: Option<Status>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(u64, Arc<ChangeFrame>)>,
    followed: HashMap<u64, Followed>,
    /// Subscriptions that want a snapshot, or whose snapshot is being read.
    unsettled: usize,
    /// Subscriptions with a status to tell.
    statuses: usize,
}

/// See the module. Subscriptions have numbers here, since a client may use an id again.
#[derive(Debug, Default)]
pub(super) struct SessionQueue {
    state: Mutex<State>,
    arrived: Notify,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Frame(Bytes),
    /// A subscription needs a snapshot.
    Snapshot(u64),
    Nothing,
}

impl SessionQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a subscription that wants a snapshot.
    pub(super) fn add(&self, number: u64, id: u64) {
        let followed = Followed {
            id,
            phase: Phase::Wanting,
            floor: None,
            told: None,
            expects_caught_up: true,
            status: None,
        };
        let mut state = self.lock();
        state.followed.insert(number, followed);
        state.unsettled += 1;
    }

    /// Forgets a subscription and everything that waits for it.
    pub(super) fn remove(&self, number: u64) {
        let mut state = self.lock();
        let Some(followed) = state.followed.remove(&number) else {
            return;
        };
        state.unsettled -= usize::from(followed.phase != Phase::Following);
        state.statuses -= usize::from(followed.status.is_some());
        state.queue.retain(|(of, _)| *of != number);
    }

    /// A subscription that continues where a client left off: it needs no snapshot, only what it has missed.
    pub(super) fn resume(&self, number: u64, at: &Arc<ConsistencyToken>) {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(followed) = state.followed.get_mut(&number)
            && followed.phase == Phase::Wanting
        {
            followed.phase = Phase::Following;
            followed.told = Some(at.clone());
            state.unsettled -= 1;
        }
    }

    /// Puts a change into the queue; where that is full, everything in it is dropped in favour of snapshots.
    pub(super) fn offer(&self, number: u64, change: &Arc<ChangeFrame>) {
        {
            let mut state = self.lock();
            let state = &mut *state;
            let Some(followed) = state.followed.get_mut(&number) else {
                return;
            };
            if followed.phase == Phase::Wanting {
                return;
            }
            if let Some(floor) = &followed.floor {
                if change.position <= floor.position(change.partition) {
                    return;
                }
                // Commits are published in order: what comes after the snapshot comes after all that is in it.
                followed.floor = None;
            }
            followed.told = Some(change.as_of.clone());
            if let Some(Status::CaughtUp(_)) = followed.status {
                // No longer the newest moment, and it would come behind this change. The hub will say it again.
                followed.status = None;
                followed.expects_caught_up = true;
                state.statuses -= 1;
            }
            state.queue.push_back((number, change.clone()));
            if state.queue.len() > CAPACITY {
                metrics::counter!("foldline_live_overflows_total").increment(1);
                state.drop_changes();
            }
        }
        self.arrived.notify_one();
    }

    /// Changes up to `to` were not told one by one: whoever does not have them in a snapshot needs one.
    pub(super) fn lose(&self, number: u64, partition: u32, to: u64) {
        {
            let mut state = self.lock();
            let Some(followed) = state.followed.get(&number) else {
                return;
            };
            if followed
                .floor
                .as_ref()
                .is_some_and(|floor| floor.position(partition) >= to)
            {
                return;
            }
            state.want_snapshot(number);
        }
        self.arrived.notify_one();
    }

    /// What a subscription shows, or is reading, is not true any more: it needs a snapshot.
    pub(super) fn begin_again(&self, number: u64) {
        self.lock().want_snapshot(number);
        self.arrived.notify_one();
    }

    /// Tells a subscription how the view stands, when everything before has been told.
    pub(super) fn tell(&self, number: u64, status: &Status) {
        {
            let mut state = self.lock();
            let state = &mut *state;
            let Some(followed) = state.followed.get_mut(&number) else {
                return;
            };
            let ahead = followed
                .floor
                .as_ref()
                .is_some_and(|floor| !status.token().covers(floor));
            if followed.phase != Phase::Following || ahead {
                return;
            }
            if let Status::CaughtUp(as_of) = status {
                let heard = followed.told.as_ref().is_some_and(|told| told.covers(as_of));
                if heard && !followed.expects_caught_up && followed.status.is_none() {
                    return;
                }
            }
            followed.expects_caught_up = matches!(status, Status::Behind { .. });
            state.statuses += usize::from(followed.status.is_none());
            followed.status = Some(status.clone());
        }
        self.arrived.notify_one();
    }

    /// Begins a snapshot: from here on, changes wait. `false`: the subscription is gone.
    pub(super) fn begin_snapshot(&self, number: u64) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(followed) = state.followed.get_mut(&number) else {
            return false;
        };
        followed.phase = Phase::Reading;
        followed.floor = None;
        state.queue.retain(|(of, _)| *of != number);
        true
    }

    /// The snapshot was read: what waits and is in it is dropped. `false`: the subscription is gone, or has lost changes
    /// in the meantime and needs another snapshot.
    pub(super) fn end_snapshot(&self, number: u64, as_of: &Arc<ConsistencyToken>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(followed) = state.followed.get_mut(&number) else {
            return false;
        };
        if followed.phase != Phase::Reading {
            return false;
        }
        followed.phase = Phase::Following;
        state.unsettled -= 1;
        state
            .queue
            .retain(|(of, change)| *of != number || change.position > as_of.position(change.partition));
        let newer = state.queue.iter().rfind(|(of, _)| *of == number);
        followed.told = Some(newer.map_or_else(|| as_of.clone(), |(_, change)| change.as_of.clone()));
        // With a newer change in the queue, the changes have passed the snapshot.
        followed.floor = newer.is_none().then(|| (**as_of).clone());
        followed.expects_caught_up = true;
        if followed.status.take().is_some() {
            state.statuses -= 1;
        }
        true
    }

    /// What comes next, in this order: snapshots, changes, statuses.
    pub(super) fn next(&self) -> Next {
        let mut state = self.lock();
        let state = &mut *state;
        if state.unsettled > 0 {
            let wanting = state
                .followed
                .iter()
                .find(|(_, followed)| followed.phase != Phase::Following);
            if let Some((number, _)) = wanting {
                return Next::Snapshot(*number);
            }
        }
        while let Some((number, change)) = state.queue.pop_front() {
            if state.queue.is_empty() && state.queue.capacity() > 64 {
                state.queue.shrink_to_fit();
            }
            if let Some(followed) = state.followed.get(&number) {
                return Next::Frame(change.bytes(followed.id));
            }
        }
        if state.statuses > 0
            && let Some(followed) = state
                .followed
                .values_mut()
                .find(|followed| followed.status.is_some())
            && let Some(status) = followed.status.take()
        {
            state.statuses -= 1;
            let told = followed.told.as_ref().filter(|told| told.covers(status.token()));
            let as_of = told.unwrap_or_else(|| status.token()).clone();
            followed.told = Some(as_of.clone());
            return Next::Frame(status.bytes(followed.id, &as_of));
        }
        Next::Nothing
    }

    /// Waits for something to come. One reader at a time.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
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
        if let Some(followed) = self.followed.get_mut(&number) {
            self.unsettled += usize::from(followed.phase == Phase::Following);
            followed.phase = Phase::Wanting;
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

    /// The frame, for a subscription that has been told everything up to `as_of`.
    fn bytes(&self, id: u64, as_of: &ConsistencyToken) -> Bytes {
        let as_of = as_of.clone();
        plain(&match self {
            Self::CaughtUp(_) => ServerFrame::CaughtUp { id, as_of },
            Self::Behind {
                behind, behind_ms, ..
            } => ServerFrame::Behind {
                id,
                as_of,
                behind: *behind,
                behind_ms: *behind_ms,
            },
        })
    }
}
