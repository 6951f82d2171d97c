//! A channel: one view of one workspace, with at least one subscription now or recently.
//!
//! It distributes each change to the subscriptions that show the document, and keeps the newest changes in a
//! ring, so that a reconnecting client gets only what it missed. Subscriptions and commits take the same
//! lock, and commits arrive in order, so a subscription misses nothing after its registration.

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
    fold_result::{DocumentChange, DocumentState},
};

/// Limits of the ring: the number of changes, and the bytes of the documents that they hold.
const RING: usize = 512;
const RING_BYTES: usize = 512 * 1024;

/// What a subscription shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SubscriptionTarget {
    /// One document.
    Document(String),
    /// One group of a listing.
    Group(&'static str, String),
}

/// A registered subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) number: u64,
    pub(super) view: &'static str,
    pub(super) target: SubscriptionTarget,
    pub(super) actor: Arc<Actor>,
    pub(super) session_queue: Arc<SessionQueue>,
}

/// A change in the ring.
#[derive(Debug)]
struct RingEntry {
    change: DocumentChange,
    partition: u32,
    as_of: Arc<ConsistencyToken>,
    bytes: usize,
}

#[derive(Debug)]
struct State {
    subscriptions: HashMap<SubscriptionTarget, Vec<Arc<Subscription>>>,
    count: usize,
    /// The position of the newest commit that this channel got.
    as_of: Arc<ConsistencyToken>,
    generation: u64,
    ring: VecDeque<RingEntry>,
    ring_bytes: usize,
    /// The ring holds every change after this token.
    ring_floor: ConsistencyToken,
    /// Released parked events have changed documents at these positions without the token moving, so a client
    /// can resume in these partitions only from later positions.
    release_positions: ConsistencyToken,
    /// When the last subscription left.
    idle_since: Instant,
    /// No longer in the hub: a new subscription needs another channel.
    retired: bool,
    /// The last status that was sent to all subscriptions.
    last_status: LastStatus,
}

#[derive(Debug, Default)]
struct LastStatus {
    caught_up: Option<ConsistencyToken>,
    behind_at: Option<Instant>,
}

/// Distributes one view's changes to its subscriptions.
#[derive(Debug)]
pub(super) struct Channel {
    state: Mutex<State>,
}

/// The result of registering a subscription.
pub(super) enum JoinOutcome {
    /// It begins with a snapshot.
    Fresh,
    /// It continues with the changes that the client has missed.
    Resumed,
    /// The channel is retired, and the subscription needs another.
    Retired,
}

impl Channel {
    /// A channel of a view that has published everything up to `as_of`, with parked events last released at
    /// `release_positions`.
    pub(super) fn new(as_of: ConsistencyToken, generation: u64, release_positions: ConsistencyToken) -> Self {
        let state = State {
            release_positions,
            subscriptions: HashMap::new(),
            count: 0,
            ring_floor: as_of.clone(),
            as_of: Arc::new(as_of),
            generation,
            ring: VecDeque::new(),
            ring_bytes: 0,
            idle_since: Instant::now(),
            retired: false,
            last_status: LastStatus::default(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a subscription. If the ring holds everything after `resume`, the missed changes are put into
    /// its session queue.
    pub(super) fn join(
        &self,
        subscription: &Arc<Subscription>,
        resume: Option<(&ConsistencyToken, Option<u64>)>,
    ) -> JoinOutcome {
        let mut state = self.lock();
        if state.retired {
            return JoinOutcome::Retired;
        }
        state.count += 1;
        state
            .subscriptions
            .entry(subscription.target.clone())
            .or_default()
            .push(subscription.clone());
        let Some((token, generation)) = resume else {
            return JoinOutcome::Fresh;
        };
        if generation.unwrap_or(FIRST_GENERATION) != state.generation || !state.continues(token) {
            return JoinOutcome::Fresh;
        }
        let missed: Vec<_> = state
            .ring
            .iter()
            .filter(|entry| entry.change.event.position > token.position(entry.partition))
            .filter_map(|entry| entry.frame_for(subscription))
            .collect();
        if missed.len() > CAPACITY {
            return JoinOutcome::Fresh;
        }
        subscription
            .session_queue
            .resume(subscription.number, &Arc::new(token.clone()));
        for change in missed {
            subscription.session_queue.offer(subscription.number, &change);
        }
        JoinOutcome::Resumed
    }

    /// Removes a subscription.
    pub(super) fn leave(&self, subscription: &Subscription) {
        let mut state = self.lock();
        let Some(group) = state.subscriptions.get_mut(&subscription.target) else {
            return;
        };
        group.retain(|other| other.number != subscription.number);
        if group.is_empty() {
            state.subscriptions.remove(&subscription.target);
        }
        state.count -= 1;
        state.idle_since = Instant::now();
    }

    /// Distributes a commit to the subscriptions.
    pub(super) fn committed(&self, commit: Commit) {
        let mut state = self.lock();
        let changes = match commit.changes {
            Changes::Each(changes) => changes,
            Changes::Unknown => {
                state.lose(commit.partition, commit.to);
                return;
            }
            Changes::Everything => {
                state.invalidate(commit.partition, commit.to, commit.scope.generation);
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
            let entry = RingEntry {
                change,
                partition: commit.partition,
                as_of,
                bytes,
            };
            state.distribute(&entry);
            state.remember(entry);
        }
        let mut as_of = (*state.as_of).clone();
        as_of.advance(commit.partition, commit.to);
        state.as_of = Arc::new(as_of);
    }

    /// The view has begun again at this token: what subscriptions got after it is of another history. A
    /// commit that makes them read a snapshot follows.
    pub(super) fn set_back(&self, as_of: &ConsistencyToken) {
        let mut state = self.lock();
        state.as_of = Arc::new(as_of.clone());
        state.release_positions = ConsistencyToken::default();
        state.last_status = LastStatus::default();
    }

    /// The position of the newest change that subscriptions got.
    pub(super) fn as_of(&self) -> Arc<ConsistencyToken> {
        self.lock().as_of.clone()
    }

    /// Retires the channel if it has had no subscription since `instant`. Returns whether it is retired.
    pub(super) fn retire_if_idle_since(&self, instant: Instant) -> bool {
        let mut state = self.lock();
        state.retired = state.retired || (state.count == 0 && state.idle_since <= instant);
        state.retired
    }

    /// When the last subscription left; `None` while there are any.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.count == 0).then_some(state.idle_since)
    }

    /// Tells all subscriptions that the view is caught up, unless they know.
    pub(super) fn tell_caught_up(&self) {
        let mut state = self.lock();
        let as_of = state.as_of.clone();
        state.last_status.behind_at = None;
        if state.last_status.caught_up.as_ref() == Some(&*as_of) {
            return;
        }
        state.last_status.caught_up = Some((*as_of).clone());
        state.tell(&Status::CaughtUp(as_of));
    }

    /// Tells all subscriptions that the view is behind, and whether that is because it is paused, unless they
    /// were told less than `interval` ago.
    pub(super) fn tell_behind(
        &self,
        behind: u64,
        behind_ms: u64,
        paused: bool,
        interval: std::time::Duration,
    ) {
        let mut state = self.lock();
        if state
            .last_status
            .behind_at
            .is_some_and(|at| at.elapsed() < interval)
        {
            return;
        }
        state.last_status = LastStatus {
            caught_up: None,
            behind_at: Some(Instant::now()),
        };
        let as_of = state.as_of.clone();
        state.tell(&Status::Behind {
            as_of,
            behind,
            behind_ms,
            paused,
        });
    }
}

impl State {
    /// Whether the ring holds everything after a token.
    fn continues(&self, token: &ConsistencyToken) -> bool {
        let later = |(partition, position)| token.position(partition) > position;
        token.covers(&self.ring_floor) && self.as_of.covers(token) && self.release_positions.iter().all(later)
    }

    fn distribute(&self, entry: &RingEntry) {
        let change = &entry.change;
        let mut topics = vec![SubscriptionTarget::Document(change.key.to_string())];
        for state in [&change.before, &change.after].into_iter().flatten() {
            for listed in &state.listings {
                let group = SubscriptionTarget::Group(listed.listing, listed.group.clone());
                if !topics.contains(&group) {
                    topics.push(group);
                }
            }
        }
        for topic in &topics {
            let Some(subscriptions) = self.subscriptions.get(topic) else {
                continue;
            };
            let mut frames = Frames::new(entry, topic);
            for subscription in subscriptions {
                if let Some(frame) = frames.frame_for(subscription) {
                    subscription.session_queue.offer(subscription.number, &frame);
                }
            }
        }
    }

    fn remember(&mut self, entry: RingEntry) {
        self.ring_bytes += entry.bytes;
        self.ring.push_back(entry);
        while self.ring.len() > RING || self.ring_bytes > RING_BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                return;
            };
            self.ring_bytes -= oldest.bytes;
            self.ring_floor
                .advance(oldest.partition, oldest.change.event.position);
        }
    }

    /// Handles a commit without known changes: no client can resume across it.
    fn lose(&mut self, partition: u32, to: u64) {
        self.empty_ring(partition, to);
        for subscription in self.subscriptions.values().flatten() {
            subscription
                .session_queue
                .lose(subscription.number, partition, to);
        }
    }

    /// Handles changes that no token shows: every client needs a snapshot, no matter what it has seen.
    fn invalidate(&mut self, partition: u32, to: u64, generation: u64) {
        self.empty_ring(partition, to);
        if self.generation == generation {
            self.release_positions.advance(partition, to);
        } else {
            self.generation = generation;
            self.release_positions = ConsistencyToken::default();
        }
        for subscription in self.subscriptions.values().flatten() {
            subscription.session_queue.invalidate(subscription.number);
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

impl RingEntry {
    fn frame_for(&self, subscription: &Subscription) -> Option<Arc<ChangeFrame>> {
        Frames::new(self, &subscription.target).frame_for(subscription)
    }
}

/// The two frames that a change can be for subscriptions of one target: the document's current state, or that
/// it has left. Each is serialised once, when the first subscription needs it.
struct Frames<'a> {
    entry: &'a RingEntry,
    target: &'a SubscriptionTarget,
    /// The document before and after the change, where the target shows it.
    before: Option<&'a DocumentState>,
    after: Option<&'a DocumentState>,
    current: Option<Arc<ChangeFrame>>,
    left: Option<Arc<ChangeFrame>>,
}

impl<'a> Frames<'a> {
    fn new(entry: &'a RingEntry, target: &'a SubscriptionTarget) -> Self {
        let DocumentChange {
            key, before, after, ..
        } = &entry.change;
        let held = |state: &'a Option<Arc<DocumentState>>| -> Option<&'a DocumentState> {
            state.as_deref().filter(|state| target.holds(key, state))
        };
        Self {
            entry,
            target,
            before: held(before),
            after: held(after),
            current: None,
            left: None,
        }
    }

    /// The frame for a subscription; `None` where it shows the document neither before nor after.
    fn frame_for(&mut self, subscription: &Subscription) -> Option<Arc<ChangeFrame>> {
        let RingEntry {
            change,
            partition,
            as_of,
            ..
        } = self.entry;
        let may_read = |state: &DocumentState| {
            subscription
                .actor
                .may_read_document(subscription.view, state.owner)
        };
        let was = self.before.is_some_and(may_read);
        let after = self.after.filter(|state| may_read(state));
        if !was && after.is_none() {
            return None;
        }
        let target = self.target;
        let slot = if after.is_some() {
            &mut self.current
        } else {
            &mut self.left
        };
        let frame = slot.get_or_insert_with(|| {
            let shown = after.map(|after| (after, target.sort(after)));
            Arc::new(ChangeFrame::new(change, *partition, as_of, shown))
        });
        Some(frame.clone())
    }
}

impl SubscriptionTarget {
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
