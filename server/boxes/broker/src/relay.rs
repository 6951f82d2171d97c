//! The relay: publishes the committed events of the event store to the broker, complete and in order.
//!
//! The store notifies it of each commit of this server (fast). After an overflow, at start, and after commits
//! of another server it reads from the store (complete). It knows the last published position of each
//! partition, so a repetition is dropped, a gap is read, and every committed event is published.
//!
//! It passes an event that cannot be read, and publishes those after it: the lanes of this partition find the
//! gap, and stop before it. Those of other partitions go on.
//!
//! A database that was restored under a running server has a log that ends before what was published. That
//! shows when the server listens again, or when a commit has a position that is known already; then it
//! publishes from where the log ends, and tells the lanes to compare their checkpoints with it.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{event::StoredEvent, id::WorkspaceId, wire::hops::Arrow};
use telemetry::{
    hop_span,
    hops::{self, HopSpan as _},
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Span};

use super::{Broker, Events, Heard, PartitionId, ServerMessage, decode, read_next};
use event_store::{CommitObserver, EventStore, StoreError};

/// How many commits wait for the relay before it falls back to reading.
const QUEUE: usize = 4_096;

/// How many events it reads at a time.
const PAGE: u32 = 512;

/// How many queued commits it relays at most before it catches up the partitions that must be read.
const MAX_COMMITS_IN_A_ROW: usize = 64;

/// The most messages of other servers that wait for the relay.
const MAX_HEARD: usize = 256;

/// How long it waits before it reads again from a store that does not answer.
const RETRY: Duration = Duration::from_millis(200);

type Commit = Arc<[StoredEvent]>;

/// The newest known position of each partition: the relay reports what is stored, and asks how far to read.
pub trait Heads: Send + Sync + Debug {
    /// Events of the partition up to `position` are stored.
    fn stored(&self, partition: PartitionId, position: u64);

    /// The newest reported position; 0 if nothing is stored or the workspace has ended.
    fn head(&self, partition: PartitionId) -> u64;

    /// The event at this position cannot be read: the partition stops before it. Reported once or more.
    fn unreadable(&self, _partition: PartitionId, _position: u64) {}
}

/// The inbox of the relay, to which the event store reports its commits. It is created before the store is
/// opened.
#[derive(Debug)]
pub struct RelayInbox {
    commits: mpsc::Sender<Commit>,
    missed: Mutex<HashSet<PartitionId>>,
    ended: Mutex<Vec<WorkspaceId>>,
    heard: Mutex<Vec<Heard>>,
    /// Whether a commit has come with a position that was known before: it may be a repetition, or the log
    /// was restored from a backup.
    may_have_fallen: AtomicBool,
    catch_up_requested: Notify,
    heads: Arc<dyn Heads>,
}

impl RelayInbox {
    /// Marks a partition to be read from the store, up to its known head.
    fn miss(&self, partition: PartitionId) {
        self.missed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(partition);
        self.catch_up_requested.notify_one();
    }

    /// Forgets a purged workspace.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(workspace);
        self.catch_up_requested.notify_one();
    }
}

impl CommitObserver for RelayInbox {
    fn committed(&self, events: Commit) {
        let Some(last) = events.last() else { return };
        let partition = PartitionId {
            workspace: last.workspace,
            partition: last.partition,
        };
        if last.position <= self.heads.head(partition) {
            self.may_have_fallen.store(true, Ordering::Relaxed);
            self.catch_up_requested.notify_one();
        }
        self.heads.stored(partition, last.position);
        if self.commits.try_send(events).is_err() {
            metrics::counter!("foldline_broker_relay_overflows_total").increment(1);
            self.miss(partition);
        }
    }

    fn head_advanced(&self, workspace: WorkspaceId, partition: u32, head: u64) {
        let partition = PartitionId { workspace, partition };
        if head <= self.heads.head(partition) {
            return;
        }
        self.heads.stored(partition, head);
        // A workspace that has ended has no head.
        if head <= self.heads.head(partition) {
            metrics::counter!("foldline_broker_relay_heard_total").increment(1);
            self.miss(partition);
        }
    }

    fn heard(&self, message: Option<&str>) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let message = if heard.len() < MAX_HEARD {
            Heard::parse(message)
        } else {
            heard.clear();
            Heard::Missed
        };
        heard.push(message);
        self.catch_up_requested.notify_one();
    }
}

/// The relay before it has a store to read from and a broker to publish to.
#[derive(Debug)]
pub struct Relay {
    inbox: Arc<RelayInbox>,
    commits: mpsc::Receiver<Commit>,
}

impl Relay {
    /// A relay that keeps `heads` up to date.
    pub fn new(heads: Arc<dyn Heads>) -> Self {
        Self::with_queue(heads, QUEUE)
    }

    /// A relay whose queue holds this many commits.
    pub(super) fn with_queue(heads: Arc<dyn Heads>, queue: usize) -> Self {
        let (sender, commits) = mpsc::channel(queue);
        let inbox = RelayInbox {
            commits: sender,
            missed: Mutex::default(),
            ended: Mutex::default(),
            heard: Mutex::default(),
            may_have_fallen: AtomicBool::new(false),
            catch_up_requested: Notify::new(),
            heads,
        };
        Self {
            inbox: Arc::new(inbox),
            commits,
        }
    }

    /// The observer for the event store.
    pub fn inbox(&self) -> Arc<RelayInbox> {
        self.inbox.clone()
    }

    /// Publishes until it is cancelled. `published` holds the heads at start, which subscribers treat as
    /// history.
    pub async fn run(
        self,
        store: Arc<dyn EventStore>,
        broker: Arc<dyn Broker>,
        published: HashMap<PartitionId, u64>,
        cancelled: CancellationToken,
    ) {
        let Self { inbox, commits } = self;
        let task = RelayTask {
            inbox,
            store,
            broker,
            published,
        };
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = task.run(commits) => {}
        }
    }
}

struct RelayTask {
    inbox: Arc<RelayInbox>,
    store: Arc<dyn EventStore>,
    broker: Arc<dyn Broker>,
    published: HashMap<PartitionId, u64>,
}

impl RelayTask {
    async fn run(mut self, mut commits: mpsc::Receiver<Commit>) {
        let mut relayed = 0;
        loop {
            tokio::select! {
                biased;
                commit = commits.recv() => match commit {
                    Some(commit) => {
                        self.relay(&commit).await;
                        relayed += 1;
                    }
                    None => return,
                },
                () = self.inbox.catch_up_requested.notified() => {}
            }
            if commits.is_empty() || relayed >= MAX_COMMITS_IN_A_ROW {
                relayed = 0;
                self.catch_up().await;
            }
        }
    }

    /// Publishes a commit, after the events between it and the last published one.
    async fn relay(&mut self, commit: &[StoredEvent]) {
        let (Some(first), Some(last)) = (commit.first(), commit.last()) else {
            return;
        };
        let partition = PartitionId {
            workspace: first.workspace,
            partition: first.partition,
        };
        let published = self.published.get(&partition).copied().unwrap_or(0);
        if last.position <= published {
            return;
        }
        if first.position > published + 1 {
            self.read(partition, last.position).await;
            return;
        }
        let new = commit
            .iter()
            .position(|event| event.position > published)
            .unwrap_or(0);
        self.publish(partition, &commit[new..]).await;
    }

    /// Whether the log ends before what was published, because it was restored from a backup; then what
    /// follows there is published. What was published is read before the heads, so it must be in them.
    async fn has_fallen(&mut self) -> bool {
        let heads: HashMap<PartitionId, u64> = match self.store.heads().await {
            Ok(heads) => heads
                .into_iter()
                .map(|(workspace, partition, head)| (PartitionId { workspace, partition }, head))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "the heads of the log could not be compared with what was published");
                return false;
            }
        };
        let mut fallen = Vec::new();
        for (partition, published) in &self.published {
            let head = heads.get(partition).copied().unwrap_or(0);
            if head < *published {
                fallen.push((*partition, head, *published));
            }
        }
        let mut has_fallen = false;
        for (partition, head, published) in fallen {
            // A purged workspace has no head either.
            if let Ok(Some(_)) = self.store.workspace(partition.workspace).await {
                tracing::error!(
                    %partition, head, published,
                    "the log ends before what was published: it was restored from a backup"
                );
                self.published.insert(partition, head);
                has_fallen = true;
            }
        }
        has_fallen
    }

    /// Passes on what other servers have told. One that may have missed messages asks them.
    async fn pass_on_messages(&mut self) {
        let mut heard = std::mem::take(&mut *self.inbox.heard.lock().unwrap_or_else(PoisonError::into_inner));
        let suspects = self.inbox.may_have_fallen.swap(false, Ordering::Relaxed);
        if suspects || heard.contains(&Heard::Missed) {
            let has_fallen = self.has_fallen().await;
            if has_fallen && !heard.contains(&Heard::Missed) {
                heard.push(Heard::Missed);
            }
        }
        for heard in heard {
            if heard == Heard::Missed {
                let broker = Arc::clone(&self.broker);
                tokio::spawn(async move { broker.tell(&ServerMessage::Hello).await });
            }
            self.broker.heard(heard);
        }
    }

    /// Reads the partitions of commits that did not fit into the queue, and those of other servers. A later
    /// overflow marks its partition again.
    async fn catch_up(&mut self) {
        self.pass_on_messages().await;
        let missed = std::mem::take(&mut *self.inbox.missed.lock().unwrap_or_else(PoisonError::into_inner));
        for partition in missed {
            let head = self.inbox.heads.head(partition);
            self.read(partition, head).await;
        }
        let ended = std::mem::take(&mut *self.inbox.ended.lock().unwrap_or_else(PoisonError::into_inner));
        if !ended.is_empty() {
            self.published
                .retain(|partition, _| !ended.contains(&partition.workspace));
        }
    }

    /// Publishes from the store until `up_to` is published; a store that does not answer is asked again after
    /// a pause.
    async fn read(&mut self, partition: PartitionId, up_to: u64) {
        loop {
            let published = self.published.get(&partition).copied().unwrap_or(0);
            if published >= up_to {
                return;
            }
            match self.page(partition, published).await {
                Ok(events) if events.is_empty() => {
                    // Another server may have purged the workspace.
                    if let Ok(None) = self.store.workspace(partition.workspace).await {
                        self.published.remove(&partition);
                    } else {
                        tracing::error!(
                            %partition, published, up_to, "a committed event is not in the store"
                        );
                    }
                    return;
                }
                Ok(events) => self.publish(partition, &events).await,
                Err(StoreError::Corrupt(error)) => {
                    let position = published + 1;
                    tracing::error!(
                        %partition, position, error, "an event cannot be read, and its partition stops there"
                    );
                    self.inbox.heads.unreadable(partition, position);
                    self.published.insert(partition, position);
                }
                Err(error) => {
                    tracing::warn!(%partition, %error, "the relay could not read; the read will be retried");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn page(&self, partition: PartitionId, after: u64) -> Result<Vec<StoredEvent>, StoreError> {
        read_next(&*self.store, partition, after, PAGE).await
    }

    async fn publish(&mut self, partition: PartitionId, events: &[StoredEvent]) {
        let Some(last) = events.last() else { return };
        let events = decode(events);
        let published = published_spans(partition, &events);
        let count = events.len();
        self.broker.publish(partition, events).await;
        drop(published);
        self.published.insert(partition, last.position);
        metrics::counter!("foldline_broker_published_total").increment(count as u64);
    }
}

/// The spans of events that are published, below the commands that caused them. They last until every group
/// has them.
fn published_spans(partition: PartitionId, events: &Events) -> Vec<Span> {
    let PartitionId { workspace, partition } = partition;
    let is_watched = hops::is_watched(workspace);
    let mut spans = Vec::new();
    for (event, span) in telemetry::spans_of(
        events,
        is_watched,
        |_| hop_span!(parent: None, Level::DEBUG, "Message Broker"),
    ) {
        let hop_event = event.hop_event(partition);
        span.event(&hop_event)
            .hop(workspace, Arrow::PublishedDomainEvents);
        let producer = Arrow::of_producer(event.stream.as_str()).filter(|_| is_watched);
        let from_producer = producer.map(|arrow| {
            let span = hop_span!(parent: &span, Level::DEBUG, "Event Bus");
            span.event(&hop_event).hop(workspace, arrow);
            span
        });
        spans.push(span);
        spans.extend(from_producer);
    }
    spans
}
