//! The broker inside the process: the default, for one server.
//!
//! Each group keeps, per partition, a bounded window of events that wait. What does not fit is not lost and does not hold
//! up the publisher: the group notes how far the partition has come, and reads the rest from the event store when its
//! subscriber gets there, as a broker that is a log would.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{Broker, Delivered, Delivery, Events, PartitionId, Settle, Subscriber, decode};
use event_store::EventStore;

/// The most events of a partition that wait in memory, for each group.
const WINDOW: usize = 4_096;

/// The most events in one delivery.
const DELIVERY: usize = 512;

/// See the module.
pub struct InProcessBroker {
    store: Arc<dyn EventStore>,
    groups: Mutex<HashMap<&'static str, Arc<Group>>>,
}

impl InProcessBroker {
    /// A broker that reads from `store` what its windows could not hold.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            groups: Mutex::default(),
        }
    }
}

impl fmt::Debug for InProcessBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessBroker").finish_non_exhaustive()
    }
}

#[async_trait]
impl Broker for InProcessBroker {
    async fn publish(&self, partition: PartitionId, events: Events) {
        let groups: Vec<_> = lock(&self.groups).values().cloned().collect();
        for group in groups {
            group.accept(partition, &events);
        }
    }

    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber> {
        let group = lock(&self.groups)
            .entry(group)
            .or_insert_with(|| Arc::new(Group::new(group)))
            .clone();
        Box::new(Member {
            group,
            store: self.store.clone(),
        })
    }

    fn close(&self) {
        for group in lock(&self.groups).values() {
            lock(&group.state).closed = true;
            group.arrived.notify_waiters();
        }
    }
}

/// What waits for a group in one partition. An entry exists while something waits or is being handled.
#[derive(Default)]
struct Waiting {
    window: VecDeque<Arc<super::PublishedEvent>>,
    /// Behind the window, up to this position, events wait in the store.
    stored_up_to: Option<u64>,
    /// The position of the newest event that was taken out of the window or the store.
    taken: u64,
    /// What was not acknowledged; comes before everything else.
    again: Option<(Events, u32)>,
    in_flight: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.window.is_empty() && self.again.is_none() && self.stored_up_to.is_none()
    }
}

#[derive(Default)]
struct GroupState {
    partitions: HashMap<PartitionId, Waiting>,
    /// Partitions with something to deliver, none of them in flight; first come, first served.
    ready: VecDeque<PartitionId>,
    closed: bool,
}

struct Group {
    name: &'static str,
    state: Mutex<GroupState>,
    arrived: Notify,
}

/// What a member takes: events, or the order to read them.
enum Taken {
    Events(Delivered),
    Stored {
        partition: PartitionId,
        after: u64,
        up_to: u64,
    },
}

impl Group {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    fn accept(&self, partition: PartitionId, events: &Events) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        {
            let mut state = lock(&self.state);
            let state = &mut *state;
            let waiting = state.partitions.entry(partition).or_default();
            let idle = waiting.is_empty() && !waiting.in_flight;
            if waiting.window.len() + events.len() > WINDOW || waiting.stored_up_to.is_some() {
                if waiting.window.is_empty() && waiting.stored_up_to.is_none() {
                    waiting.taken = first.position.saturating_sub(1);
                }
                waiting.stored_up_to = Some(last.position);
            } else {
                waiting.window.extend(events.iter().cloned());
            }
            if idle {
                state.ready.push_back(partition);
            }
        }
        self.arrived.notify_one();
    }

    /// Takes the next delivery, and marks its partition as in flight.
    fn take(&self) -> Option<Taken> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let partition = state.ready.pop_front()?;
        if !state.ready.is_empty() {
            // The permit of `notify_one` is one for many: pass it on.
            self.arrived.notify_one();
        }
        let waiting = state.partitions.get_mut(&partition)?;
        waiting.in_flight = true;
        if let Some((events, attempt)) = waiting.again.take() {
            return Some(Taken::Events(Delivered {
                partition,
                events,
                attempt,
            }));
        }
        let count = waiting.window.len().min(DELIVERY);
        if let (0, Some(up_to)) = (count, waiting.stored_up_to) {
            return Some(Taken::Stored {
                partition,
                after: waiting.taken,
                up_to,
            });
        }
        let events: Events = waiting.window.drain(..count).collect();
        waiting.taken = events.last().map_or(waiting.taken, |event| event.position);
        Some(Taken::Events(Delivered {
            partition,
            events,
            attempt: 1,
        }))
    }

    /// The partition is no longer in flight; `again` comes first, next time.
    fn release(&self, partition: PartitionId, again: Option<(Events, u32)>) {
        {
            let mut state = lock(&self.state);
            let state = &mut *state;
            let Some(waiting) = state.partitions.get_mut(&partition) else {
                return;
            };
            waiting.in_flight = false;
            waiting.again = again;
            if waiting.is_empty() {
                state.partitions.remove(&partition);
                return;
            }
            state.ready.push_back(partition);
        }
        self.arrived.notify_one();
    }

    fn note_read(&self, partition: PartitionId, position: u64) {
        if let Some(waiting) = lock(&self.state).partitions.get_mut(&partition) {
            waiting.taken = position;
            if waiting.stored_up_to.is_some_and(|up_to| up_to <= position) {
                waiting.stored_up_to = None;
            }
        }
    }
}

impl Settle for Group {
    fn settle(&self, delivery: &Delivered, handled: bool) {
        let again = (!handled).then(|| {
            metrics::counter!("foldline_broker_redeliveries_total", "group" => self.name).increment(1);
            (delivery.events.clone(), delivery.attempt + 1)
        });
        self.release(delivery.partition, again);
    }
}

struct Member {
    group: Arc<Group>,
    store: Arc<dyn EventStore>,
}

/// Releases a partition whose history could not be read, or was no longer wanted by the caller.
struct Reading<'a> {
    group: &'a Group,
    partition: PartitionId,
    done: bool,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.group.release(self.partition, None);
        }
    }
}

impl Member {
    async fn read(&self, partition: PartitionId, after: u64, up_to: u64) -> Option<Delivered> {
        let mut reading = Reading {
            group: &self.group,
            partition,
            done: false,
        };
        let limit = u32::try_from(DELIVERY).unwrap_or(u32::MAX);
        match self
            .store
            .read_partition(partition.workspace, partition.partition, after, limit)
            .await
        {
            Ok(events) if !events.is_empty() => {
                let events = decode(&events);
                let last = events.last().map_or(up_to, |event| event.position);
                self.group.note_read(partition, last);
                reading.done = true;
                Some(Delivered {
                    partition,
                    events,
                    attempt: 1,
                })
            }
            Ok(_) => {
                tracing::error!(%partition, after, up_to, "published events are not in the event store");
                self.group.note_read(partition, up_to);
                None
            }
            Err(error) => {
                tracing::warn!(%partition, %error, "waiting events could not be read; trying again");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                None
            }
        }
    }
}

#[async_trait]
impl Subscriber for Member {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let arrived = self.group.arrived.notified();
            if lock(&self.group.state).closed {
                return None;
            }
            let delivered = match self.group.take() {
                None => {
                    arrived.await;
                    continue;
                }
                Some(Taken::Events(delivered)) => Some(delivered),
                Some(Taken::Stored {
                    partition,
                    after,
                    up_to,
                }) => self.read(partition, after, up_to).await,
            };
            if let Some(delivered) = delivered {
                return Some(Delivery::new(delivered, self.group.clone()));
            }
        }
    }
}

/// No code panics while it holds one of these locks; were it to, the state would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
