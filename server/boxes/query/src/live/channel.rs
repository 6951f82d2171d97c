//! A channel: one view of one workspace, followed by at least one subscription now or not long ago.
//!
//! It hands each change to the subscriptions that show the document, and keeps the newest changes in a ring, so that a
//! client that was cut off gets only what it missed. Subscriptions and commits go through one lock, and commits arrive in
//! their order; so between a subscription's registration and its changes nothing is missed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{access::Actor, token::ConsistencyToken};
use tokio::time::Instant;

use super::{
    frame::ChangeFrame,
    session_queue::{CAPACITY, SessionQueue, Status},
};
use documents::FIRST_GENERATION;
use projection::{
    Changes, Commit,
    folded::{DocumentChange, DocumentState},
};

/// The most changes of the ring, and the most bytes of documents that they hold on to.
const RING: usize = 512;
const RING_BYTES: usize = 512 * 1024;

/// What a subscription shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Shown {
    /// One document.
    Document(String),
    /// One group of a listing.
    Group(&'static str, String),
}

/// A subscription as the channel knows it.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u64,
    pub(super) view: &'static str,
    pub(super) shown: Shown,
    pub(super) actor: Arc<Actor>,
    pub(super) session_queue: Arc<SessionQueue>,
}

/// A change in the ring.
#[derive(Debug)]
struct Recent {
    change: DocumentChange,
    partition: u32,
    as_of: Arc<ConsistencyToken>,
    bytes: usize,
}

#[derive(Debug)]
struct State {
    subscriptions: HashMap<Shown, Vec<Arc<Subscription>>>,
    count: usize,
    /// How far the changes have come that this channel was told of.
    as_of: Arc<ConsistencyToken>,
    generation: u64,
    ring: VecDeque<Recent>,
    ring_bytes: usize,
    /// Everything after this moment is in the ring.
    ring_floor: ConsistencyToken,
    /// Documents have changed at this moment without it moving: only a later one proves anything. Of the partitions that
    /// it names.
    released: ConsistencyToken,
    /// Since when nobody follows.
    idle_since: Instant,
    /// No longer in the hub: a newcomer has to look for another.
    retired: bool,
    /// What was last told about how the view stands.
    told: Told,
}

#[derive(Debug, Default)]
struct Told {
    caught_up: Option<ConsistencyToken>,
    behind_at: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Channel {
    state: Mutex<State>,
}

/// How a subscription begins.
pub(super) enum Joined {
    /// With a snapshot.
    Fresh,
    /// With what the client has missed.
    Resumed,
    /// Not here: the channel is retired.
    Retired,
}

impl Channel {
    /// Of a view that has published everything up to `as_of`, with parked events last applied at `released`.
    pub(super) fn new(as_of: ConsistencyToken, generation: u64, released: ConsistencyToken) -> Self {
        let state = State {
            released,
            subscriptions: HashMap::new(),
            count: 0,
            ring_floor: as_of.clone(),
            as_of: Arc::new(as_of),
            generation,
            ring: VecDeque::new(),
            ring_bytes: 0,
            idle_since: Instant::now(),
            retired: false,
            told: Told::default(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a subscription; where the ring proves that the client can continue from `resume`, what it missed is put
    /// into its session_queue.
    pub(super) fn join(
        &self,
        subscription: &Arc<Subscription>,
        resume: Option<(&ConsistencyToken, Option<u64>)>,
    ) -> Joined {
        let mut state = self.lock();
        if state.retired {
            return Joined::Retired;
        }
        state.count += 1;
        state
            .subscriptions
            .entry(subscription.shown.clone())
            .or_default()
            .push(subscription.clone());
        let Some((token, generation)) = resume else {
            return Joined::Fresh;
        };
        if generation.unwrap_or(FIRST_GENERATION) != state.generation || !state.continues(token) {
            return Joined::Fresh;
        }
        let missed: Vec<_> = state
            .ring
            .iter()
            .filter(|recent| recent.change.event.position > token.position(recent.partition))
            .filter_map(|recent| recent.frame_for(subscription))
            .collect();
        if missed.len() > CAPACITY {
            return Joined::Fresh;
        }
        subscription
            .session_queue
            .resume(subscription.number, &Arc::new(token.clone()));
        for change in missed {
            subscription.session_queue.offer(subscription.number, &change);
        }
        Joined::Resumed
    }

    /// Removes a subscription.
    pub(super) fn leave(&self, subscription: &Subscription) {
        let mut state = self.lock();
        let Some(group) = state.subscriptions.get_mut(&subscription.shown) else {
            return;
        };
        group.retain(|other| other.number != subscription.number);
        if group.is_empty() {
            state.subscriptions.remove(&subscription.shown);
        }
        state.count -= 1;
        state.idle_since = Instant::now();
    }

    /// Hands a commit to those who follow.
    pub(super) fn committed(&self, commit: Commit) {
        let mut state = self.lock();
        let changes = match commit.changes {
            Changes::Each(changes) => changes,
            Changes::Unknown => {
                state.lose(commit.partition, commit.to);
                return;
            }
            Changes::Everything => {
                state.begin_again(commit.partition, commit.to, commit.scope.generation);
                return;
            }
        };
        for change in changes {
            let seen = if change.last_of_event {
                change.event.position
            } else {
                change.event.position - 1
            };
            let mut as_of = (*state.as_of).clone();
            as_of.advance(commit.partition, seen);
            let as_of = Arc::new(as_of);
            state.as_of = as_of.clone();
            let bytes = change.after.as_ref().map_or(0, |after| after.data.get().len()) + change.key.len();
            let recent = Recent {
                change,
                partition: commit.partition,
                as_of,
                bytes,
            };
            state.hand_out(&recent);
            state.remember(recent);
        }
        let mut as_of = (*state.as_of).clone();
        as_of.advance(commit.partition, commit.to);
        state.as_of = Arc::new(as_of);
    }

    /// How far everything is that subscriptions were told of.
    pub(super) fn as_of(&self) -> Arc<ConsistencyToken> {
        self.lock().as_of.clone()
    }

    /// Whether it was without subscriptions since before `instant`; if so it takes no more.
    pub(super) fn retire_if_idle_since(&self, instant: Instant) -> bool {
        let mut state = self.lock();
        state.retired = state.retired || (state.count == 0 && state.idle_since <= instant);
        state.retired
    }

    /// When it was left by the last subscription; `None` while there are any.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.count == 0).then_some(state.idle_since)
    }

    /// Tells everybody that the view has folded everything, unless that was told before.
    pub(super) fn tell_caught_up(&self) {
        let mut state = self.lock();
        let as_of = state.as_of.clone();
        state.told.behind_at = None;
        if state.told.caught_up.as_ref() == Some(&*as_of) {
            return;
        }
        state.told.caught_up = Some((*as_of).clone());
        state.tell(&Status::CaughtUp(as_of));
    }

    /// Tells everybody that the view is behind, unless that was told less than `pause` ago.
    pub(super) fn tell_behind(&self, behind: u64, behind_ms: u64, pause: std::time::Duration) {
        let mut state = self.lock();
        if state.told.behind_at.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        state.told = Told {
            caught_up: None,
            behind_at: Some(Instant::now()),
        };
        let as_of = state.as_of.clone();
        state.tell(&Status::Behind {
            as_of,
            behind,
            behind_ms,
        });
    }
}

impl State {
    /// Whether the ring holds everything after a token.
    fn continues(&self, token: &ConsistencyToken) -> bool {
        let later = |(partition, position)| token.position(partition) > position;
        token.covers(&self.ring_floor) && self.as_of.covers(token) && self.released.iter().all(later)
    }

    fn hand_out(&self, recent: &Recent) {
        let change = &recent.change;
        let mut topics = vec![Shown::Document(change.key.to_string())];
        for state in [&change.before, &change.after].into_iter().flatten() {
            for entry in &state.listings {
                let group = Shown::Group(entry.listing, entry.group.clone());
                if !topics.contains(&group) {
                    topics.push(group);
                }
            }
        }
        for topic in &topics {
            let Some(subscriptions) = self.subscriptions.get(topic) else {
                continue;
            };
            let mut frames = Frames {
                recent,
                topic,
                now: None,
                left: None,
            };
            for subscription in subscriptions {
                if let Some(frame) = frames.seen_by(subscription) {
                    subscription.session_queue.offer(subscription.number, &frame);
                }
            }
        }
    }

    fn remember(&mut self, recent: Recent) {
        self.ring_bytes += recent.bytes;
        self.ring.push_back(recent);
        while self.ring.len() > RING || self.ring_bytes > RING_BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                return;
            };
            self.ring_bytes -= oldest.bytes;
            self.ring_floor
                .advance(oldest.partition, oldest.change.event.position);
        }
    }

    /// A commit whose changes are not known: nobody can continue over it.
    fn lose(&mut self, partition: u32, to: u64) {
        self.empty_ring(partition, to);
        for subscription in self.subscriptions.values().flatten() {
            subscription
                .session_queue
                .lose(subscription.number, partition, to);
        }
    }

    /// Documents are not what they were, whatever somebody has seen, and in whichever generation.
    fn begin_again(&mut self, partition: u32, to: u64, generation: u64) {
        self.empty_ring(partition, to);
        if self.generation == generation {
            self.released.advance(partition, to);
        } else {
            self.generation = generation;
            self.released = ConsistencyToken::default();
        }
        for subscription in self.subscriptions.values().flatten() {
            subscription.session_queue.begin_again(subscription.number);
        }
    }

    fn empty_ring(&mut self, partition: u32, to: u64) {
        let mut as_of = (*self.as_of).clone();
        as_of.advance(partition, to);
        self.ring.clear();
        self.ring_bytes = 0;
        self.ring_floor = as_of.clone();
        self.as_of = Arc::new(as_of);
    }

    fn tell(&self, status: &Status) {
        for subscription in self.subscriptions.values().flatten() {
            subscription.session_queue.tell(subscription.number, status);
        }
    }
}

impl Recent {
    fn frame_for(&self, subscription: &Subscription) -> Option<Arc<ChangeFrame>> {
        Frames {
            recent: self,
            topic: &subscription.shown,
            now: None,
            left: None,
        }
        .seen_by(subscription)
    }
}

/// The two frames that a change can be to those who show the same: how the document is now, or that it has left.
struct Frames<'a> {
    recent: &'a Recent,
    topic: &'a Shown,
    now: Option<Arc<ChangeFrame>>,
    left: Option<Arc<ChangeFrame>>,
}

impl Frames<'_> {
    /// The frame for a subscription; `None` where it shows the document neither before nor after.
    fn seen_by(&mut self, subscription: &Subscription) -> Option<Arc<ChangeFrame>> {
        let Recent {
            change,
            partition,
            as_of,
            ..
        } = self.recent;
        let visible = |state: &Option<Arc<DocumentState>>| -> bool {
            state.as_ref().is_some_and(|state| {
                self.topic.holds(&change.key, state)
                    && subscription
                        .actor
                        .may_read_document(subscription.view, state.owner)
            })
        };
        let (was, is) = (visible(&change.before), visible(&change.after));
        if !was && !is {
            return None;
        }
        let after = change.after.as_deref().filter(|_| is);
        let slot = if after.is_some() {
            &mut self.now
        } else {
            &mut self.left
        };
        let frame = slot.get_or_insert_with(|| {
            let shown = after.map(|after| (after, self.topic.sort(after)));
            Arc::new(ChangeFrame::new(change, *partition, as_of, shown))
        });
        Some(frame.clone())
    }
}

impl Shown {
    fn holds(&self, changed: &str, state: &DocumentState) -> bool {
        match self {
            Self::Document(key) => key == changed,
            Self::Group(listing, group) => state.sort_in(listing, group).is_some(),
        }
    }

    fn sort<'a>(&self, state: &'a DocumentState) -> Option<&'a str> {
        match self {
            Self::Document(_) => None,
            Self::Group(listing, group) => state.sort_in(listing, group),
        }
    }
}
