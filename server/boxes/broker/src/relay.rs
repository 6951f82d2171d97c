//! The relay: brings what the event store has committed to the broker, complete and in order.
//!
//! The store tells it of each commit of this server (fast); where it was told too much at once, at start, or where another
//! server has committed, it reads from the store (complete). It knows the last position that it published of each partition, so a repetition is dropped, a gap is
//! read, and nothing committed stays unpublished.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{event::StoredEvent, id::WorkspaceId};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Broker, PartitionId, decode};
use event_store::{CommitObserver, EventStore, StoreError};

/// How many commits wait for the relay before it falls back to reading.
const QUEUE: usize = 4_096;

/// How many events it reads at a time.
const PAGE: u32 = 512;

/// How many commits of its own it relays at most before it looks after the partitions that are to be read.
const AT_A_TIME: usize = 64;

/// How long it waits before it reads again from a store that does not answer.
const RETRY: Duration = Duration::from_millis(200);

type Commit = Arc<[StoredEvent]>;

/// The newest position of each partition, as far as this server knows it: the relay says what is stored, and asks how far to
/// read.
pub trait Heads: Send + Sync + Debug {
    /// Events of the partition up to `position` are stored.
    fn stored(&self, partition: PartitionId, position: u64);

    /// The newest position that was said; 0 where nothing is stored, or the workspace has ended.
    fn head(&self, partition: PartitionId) -> u64;
}

/// The ear of the relay: what the event store tells of its commits. Made before the store is opened.
#[derive(Debug)]
pub struct RelayInbox {
    commits: mpsc::Sender<Commit>,
    missed: Mutex<HashSet<PartitionId>>,
    ended: Mutex<Vec<WorkspaceId>>,
    fell_behind: Notify,
    heads: Arc<dyn Heads>,
}

impl RelayInbox {
    /// The partition has events that are to be read from the store, up to the head that is known.
    fn miss(&self, partition: PartitionId) {
        self.missed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(partition);
        self.fell_behind.notify_one();
    }

    /// A workspace is there no more: nothing of it is remembered.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push(workspace);
        self.fell_behind.notify_one();
    }
}

impl CommitObserver for RelayInbox {
    fn committed(&self, events: Commit) {
        let Some(last) = events.last() else { return };
        let partition = PartitionId {
            workspace: last.workspace,
            partition: last.partition,
        };
        self.heads.stored(partition, last.position);
        if self.commits.try_send(events).is_err() {
            metrics::counter!("foldline_broker_relay_overflows_total").increment(1);
            self.miss(partition);
        }
    }

    fn moved(&self, workspace: WorkspaceId, partition: u32, head: u64) {
        let partition = PartitionId { workspace, partition };
        if head <= self.heads.head(partition) {
            return;
        }
        self.heads.stored(partition, head);
        // of a workspace that has ended, nothing is known any more
        if head <= self.heads.head(partition) {
            metrics::counter!("foldline_broker_relay_heard_total").increment(1);
            self.miss(partition);
        }
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
            fell_behind: Notify::new(),
            heads,
        };
        Self {
            inbox: Arc::new(inbox),
            commits,
        }
    }

    /// What the event store is to be given.
    pub fn inbox(&self) -> Arc<RelayInbox> {
        self.inbox.clone()
    }

    /// Publishes until it is cancelled. `published` is what subscribers know to be history: the heads at start.
    pub async fn run(
        self,
        store: Arc<dyn EventStore>,
        broker: Arc<dyn Broker>,
        published: HashMap<PartitionId, u64>,
        cancelled: CancellationToken,
    ) {
        let Self { inbox, commits } = self;
        let running = Running {
            inbox,
            store,
            broker,
            published,
        };
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = running.run(commits) => {}
        }
    }
}

struct Running {
    inbox: Arc<RelayInbox>,
    store: Arc<dyn EventStore>,
    broker: Arc<dyn Broker>,
    published: HashMap<PartitionId, u64>,
}

impl Running {
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
                () = self.inbox.fell_behind.notified() => {}
            }
            if commits.is_empty() || relayed >= AT_A_TIME {
                relayed = 0;
                self.catch_up().await;
            }
        }
    }

    /// Publishes a commit, and first what lies between it and the last that was published.
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

    /// Reads the partitions of the commits that did not fit into the queue, and those of other servers. A commit that overflows from here on makes
    /// its partition one of them again.
    async fn catch_up(&mut self) {
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

    /// Publishes from the store until `up_to` is published; a store that does not answer is asked again.
    async fn read(&mut self, partition: PartitionId, up_to: u64) {
        loop {
            let published = self.published.get(&partition).copied().unwrap_or(0);
            if published >= up_to {
                return;
            }
            match self.page(partition, published).await {
                Ok(events) if events.is_empty() => {
                    // another server may have purged it
                    if let Ok(None) = self.store.workspace(partition.workspace).await {
                        self.published.remove(&partition);
                    } else {
                        tracing::error!(%partition, published, up_to, "a committed event is not in the store");
                    }
                    return;
                }
                Ok(events) => self.publish(partition, &events).await,
                Err(error) => {
                    tracing::warn!(%partition, %error, "the relay cannot read; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn page(&self, partition: PartitionId, after: u64) -> Result<Vec<StoredEvent>, StoreError> {
        self.store
            .read_partition(partition.workspace, partition.partition, after, PAGE)
            .await
    }

    async fn publish(&mut self, partition: PartitionId, events: &[StoredEvent]) {
        let Some(last) = events.last() else { return };
        let events = decode(events);
        let _published = telemetry::spans_of(
            &events,
            |event| tracing::debug_span!(parent: None, "Message Broker", event.r#type = %event.event_type, event.position = event.position),
        );
        let count = events.len();
        self.broker.publish(partition, events).await;
        self.published.insert(partition, last.position);
        metrics::counter!("foldline_broker_published_total").increment(count as u64);
    }
}
