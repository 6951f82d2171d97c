//! Which workspaces are observed: each for a minute after it was asked for, and as long as a subscription
//! lasts, at every server.

use std::{
    collections::{HashMap, hash_map::Entry},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clock::SharedClock;
use domain::{
    id::WorkspaceId,
    wire::{Hop, HopPage},
};
use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use telemetry::hops::Watch;
use tokio::{
    sync::{Notify, broadcast, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    exchange,
    reader::{HopReader, RecordedHops},
    ring::HopBatch,
};
use crate::due::sleep_until_some;
use broker::{Broker, Heard, ServerMessage};

/// For how long a workspace is observed after it was asked for.
pub const ARMED: Duration = Duration::from_mins(1);

/// The most workspaces that are observed at a time at one server.
pub const MAX_OBSERVED: usize = 16;

/// How many hops are kept of an observed workspace.
const CAPACITY: usize = 10_000;

/// How many hops wait at most to be sent to other servers, of each workspace.
const OUTGOING: usize = 2_000;

/// The most hops in the first batch of a subscription.
const NEWEST: usize = 200;

/// How often the other servers are told that a workspace is still observed: a message may be lost.
const RENEWAL: Duration = Duration::from_secs(20);

/// Why hops cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObservatoryError {
    /// As many workspaces are observed as may be.
    #[error(
        "{MAX_OBSERVED} workspaces are observed at a time on a server, and all are; each is for a minute \
         after it was last looked at"
    )]
    Full,
    /// The cursor has not the form of one.
    #[error("is not a cursor that this list gave as `next`")]
    BadCursor,
}

/// A place in the hops of a workspace, as clients have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HopCursor {
    /// The observation whose hops it is a place of: one that begins anew has others.
    observation: Uuid,
    place: u64,
}

impl HopCursor {
    fn text(self) -> String {
        format!("{}.{}", self.observation.simple(), self.place)
    }
}

impl FromStr for HopCursor {
    type Err = ObservatoryError;

    fn from_str(text: &str) -> Result<Self, ObservatoryError> {
        let (observation, place) = text.split_once('.').ok_or(ObservatoryError::BadCursor)?;
        let cursor = Self {
            observation: observation.parse().map_err(|_| ObservatoryError::BadCursor)?,
            place: place.parse().map_err(|_| ObservatoryError::BadCursor)?,
        };
        // There is one text for each place.
        Some(cursor)
            .filter(|cursor| cursor.text() == text)
            .ok_or(ObservatoryError::BadCursor)
    }
}

/// A workspace that is observed here.
#[derive(Debug)]
struct Observation {
    id: Uuid,
    hops: Arc<RecordedHops>,
    armed_until: Instant,
    subscriptions: usize,
    /// When the other servers were last told.
    told_at: Option<Instant>,
    _watch: Watch,
}

impl Observation {
    fn is_over(&self, now: Instant) -> bool {
        self.subscriptions == 0 && self.armed_until <= now
    }
}

/// Observes workspaces.
#[derive(Debug)]
pub struct Observatory {
    broker: Arc<dyn Broker>,
    clock: SharedClock,
    observed: Mutex<HashMap<WorkspaceId, Observation>>,
    /// Wakes [`run`](Self::run).
    changed: Notify,
}

impl Observatory {
    /// An observatory that hears of other servers through the broker. It needs [`run`](Self::run).
    pub fn new(broker: Arc<dyn Broker>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            broker,
            clock,
            observed: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn observed(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Observation>> {
        // Each change is one step: a panic leaves it whole.
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page of a workspace's hops, oldest first, which is observed from now on for a minute. `after` is the
    /// `next` of another page; where those hops are gone, the page begins with the oldest that there are.
    pub fn page(
        &self,
        workspace: WorkspaceId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<HopPage, ObservatoryError> {
        let after = after.map(str::parse::<HopCursor>).transpose()?;
        let (observation, hops) = self.observe(workspace, false)?;
        let from = after
            .filter(|cursor| cursor.observation == observation)
            .map_or(0, |cursor| cursor.place);
        let (batch, place) = hops.ring().page(from, limit, Instant::now());
        let next = HopCursor { observation, place };
        Ok(HopPage {
            data: batch.data,
            next: next.text(),
            dropped: batch.dropped,
            merged: batch.merged,
        })
    }

    /// Follows a workspace's hops, which is observed as long as the subscription lasts.
    pub fn subscribe(self: &Arc<Self>, workspace: WorkspaceId) -> Result<HopSubscription, ObservatoryError> {
        let (observation, hops) = self.observe(workspace, true)?;
        Ok(HopSubscription {
            reader: hops.reader(NEWEST),
            observatory: Arc::clone(self),
            workspace,
            observation,
        })
    }

    /// The single hops of a workspace that are kept, oldest first; none if it is not observed.
    pub fn recorded(&self, workspace: WorkspaceId) -> Vec<Hop> {
        let hops = self
            .observed()
            .get(&workspace)
            .map(|observation| Arc::clone(&observation.hops));
        hops.map(|hops| hops.ring().singles()).unwrap_or_default()
    }

    /// The workspaces that are observed here.
    pub fn workspaces(&self) -> Vec<WorkspaceId> {
        self.observed().keys().copied().collect()
    }

    /// Forgets a purged workspace.
    pub fn end(&self, workspace: WorkspaceId) {
        let ended = self.observed().remove(&workspace);
        // The end of its watch has every box asked again what it makes; not under the lock.
        drop(ended);
    }

    fn observe(
        &self,
        workspace: WorkspaceId,
        is_subscription: bool,
    ) -> Result<(Uuid, Arc<RecordedHops>), ObservatoryError> {
        let now = Instant::now();
        let mut observed = self.observed();
        let is_full = observed.len() >= MAX_OBSERVED;
        let observation = match observed.entry(workspace) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => return Err(ObservatoryError::Full),
            Entry::Vacant(new) => {
                let hops = RecordedHops::new(CAPACITY);
                new.insert(Observation {
                    id: self.clock.new_id(),
                    _watch: telemetry::hops::watch(workspace, Arc::clone(&hops) as _),
                    hops,
                    armed_until: now,
                    subscriptions: 0,
                    told_at: None,
                })
            }
        };
        observation.armed_until = now + ARMED;
        observation.subscriptions += usize::from(is_subscription);
        let found = (observation.id, Arc::clone(&observation.hops));
        drop(observed);
        self.changed.notify_one();
        Ok(found)
    }

    /// A subscription has ended.
    fn unsubscribe(&self, workspace: WorkspaceId, observation: Uuid) {
        {
            let mut observed = self.observed();
            let known = observed.get_mut(&workspace);
            let Some(known) = known.filter(|known| known.id == observation) else {
                return;
            };
            known.subscriptions = known.subscriptions.saturating_sub(1);
            known.armed_until = Instant::now() + ARMED;
        }
        self.changed.notify_one();
    }

    /// Ends observations that are over, tells the other servers what is observed here, and sends them what
    /// they observe, until it is cancelled. Then nothing is observed any more.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.work() => {}
        }
        let ended = std::mem::take(&mut *self.observed());
        drop(ended);
    }

    async fn work(&self) {
        let mut messages = self.broker.messages();
        let mut outgoing = Outgoing::default();
        loop {
            let (untold, next) = self.upkeep(Instant::now());
            for workspace in untold {
                self.broker.tell(&ServerMessage::HopsWanted { workspace }).await;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until_some(next) => {}
                Some(workspace) = outgoing.sending.next() => outgoing.ended(workspace),
                heard = next_message(&mut messages) => self.hear(heard, &mut outgoing),
            }
        }
    }

    /// Ends what is over. Returns the workspaces of which the other servers are to be told, and when there is
    /// something to do again.
    pub(super) fn upkeep(&self, now: Instant) -> (Vec<WorkspaceId>, Option<Instant>) {
        let mut untold = Vec::new();
        let mut next: Option<Instant> = None;
        let mut observed = self.observed();
        let over: Vec<_> = observed
            .extract_if(|_, observation| observation.is_over(now))
            .collect();
        for (workspace, observation) in observed.iter_mut() {
            let renewal = match observation.told_at.map(|told_at| told_at + RENEWAL) {
                Some(renewal) if renewal > now => renewal,
                _ => {
                    observation.told_at = Some(now);
                    untold.push(*workspace);
                    now + RENEWAL
                }
            };
            let due = if observation.subscriptions > 0 {
                renewal
            } else {
                renewal.min(observation.armed_until)
            };
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        drop(observed);
        // The end of a watch has every box asked again what it makes; not under the lock.
        drop(over);
        (untold, next)
    }

    fn hear(&self, message: ServerMessage, outgoing: &mut Outgoing) {
        match message {
            ServerMessage::HopsWanted { workspace } => outgoing.want(&self.broker, workspace),
            ServerMessage::Hops {
                workspace,
                data,
                merged,
                dropped,
            } => {
                let hops = self
                    .observed()
                    .get(&workspace)
                    .map(|observation| Arc::clone(&observation.hops));
                if let Some(hops) = hops {
                    hops.absorb(data, &merged, dropped);
                }
            }
            // It knows nothing yet.
            ServerMessage::Hello => {
                for observation in self.observed().values_mut() {
                    observation.told_at = None;
                }
            }
            _ => {}
        }
    }
}

/// The next message of another server.
async fn next_message(messages: &mut broadcast::Receiver<Heard>) -> ServerMessage {
    loop {
        // What was missed is told again before long.
        if let Heard::Message(message) = Heard::next(messages).await {
            return message;
        }
    }
}

/// What other servers observe, and the tasks that send it to them.
#[derive(Default)]
struct Outgoing {
    until: HashMap<WorkspaceId, watch::Sender<Instant>>,
    sending: FuturesUnordered<BoxFuture<'static, WorkspaceId>>,
}

impl Outgoing {
    /// Another server observes a workspace.
    fn want(&mut self, broker: &Arc<dyn Broker>, workspace: WorkspaceId) {
        let until = Instant::now() + ARMED;
        if let Some(known) = self.until.get(&workspace)
            && known.send(until).is_ok()
        {
            return;
        }
        if self.until.len() >= MAX_OBSERVED {
            return;
        }
        let (sender, receiver) = watch::channel(until);
        self.until.insert(workspace, sender);
        let sending = send_to_others(Arc::clone(broker), workspace, receiver);
        self.sending.push(Box::pin(sending));
    }

    /// A task has ended, and perhaps another one for the same workspace has begun.
    fn ended(&mut self, workspace: WorkspaceId) {
        if self.until.get(&workspace).is_some_and(watch::Sender::is_closed) {
            self.until.remove(&workspace);
        }
    }
}

/// Sends the hops that this server makes of a workspace to the others, as long as one observes it.
async fn send_to_others(
    broker: Arc<dyn Broker>,
    workspace: WorkspaceId,
    mut until: watch::Receiver<Instant>,
) -> WorkspaceId {
    let hops = RecordedHops::new(OUTGOING);
    let _watch = telemetry::hops::watch(workspace, Arc::clone(&hops) as _);
    let mut reader = hops.reader(0);
    loop {
        let end = *until.borrow_and_update();
        tokio::select! {
            () = sleep_until(end) => return workspace,
            changed = until.changed() => {
                if changed.is_err() {
                    return workspace;
                }
            }
            batch = reader.next() => {
                for message in exchange::messages(workspace, batch) {
                    broker.tell(&message).await;
                }
            }
        }
    }
}

/// Follows the hops of a workspace, which is observed as long as this is there.
#[derive(Debug)]
pub struct HopSubscription {
    reader: HopReader,
    observatory: Arc<Observatory>,
    workspace: WorkspaceId,
    observation: Uuid,
}

impl HopSubscription {
    /// Waits for the next hops: at most one batch in [`FRAME_INTERVAL`](super::FRAME_INTERVAL), with at most
    /// 50 single hops. The first comes at once, with the newest hops that are kept, up to 200. Cancel safe.
    pub async fn next(&mut self) -> HopBatch {
        self.reader.next().await
    }
}

impl Drop for HopSubscription {
    fn drop(&mut self) {
        self.observatory.unsubscribe(self.workspace, self.observation);
    }
}
