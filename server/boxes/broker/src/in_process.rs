//! The broker inside the process: the default.
//!
//! For each group and partition it keeps a bounded window of waiting events. Events beyond it are not lost
//! and do not block the publisher: the group notes how far the partition has come and reads the rest from the
//! event store when its subscriber gets there.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::{Notify, broadcast};

use super::{
    Acknowledger, Broker, Delivery, DeliveryContent, Events, Heard, Interest, PartitionId, ServerMessage,
    Subscriber, decode, read_next,
};
use event_store::{EventStore, StoreError};

/// The most events that wait in memory, for each group and partition.
const WINDOW_SIZE: usize = 4_096;

/// The most events in one delivery.
const DELIVERY_SIZE: usize = 512;

/// The most messages of other servers that wait for a reader, which otherwise hears that it has missed some.
const MESSAGES: usize = 256;

/// Delivers events within this process.
pub struct InProcessBroker {
    store: Arc<dyn EventStore>,
    messages: broadcast::Sender<Heard>,
    groups: Mutex<HashMap<&'static str, Arc<Group>>>,
}

impl InProcessBroker {
    /// A broker that reads from `store` the events beyond its windows.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            messages: broadcast::Sender::new(MESSAGES),
            groups: Mutex::default(),
        }
    }

    /// Joins a group; its first subscriber says what interests it.
    fn join(&self, group: &'static str, interest: Option<Arc<dyn Interest>>) -> Box<dyn Subscriber> {
        let group = lock(&self.groups)
            .entry(group)
            .or_insert_with(|| Arc::new(Group::new(group, interest)))
            .clone();
        Box::new(GroupSubscriber {
            group,
            store: self.store.clone(),
        })
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
        let groups: Vec<_> = lock(&self.groups)
            .values()
            .filter(|group| group.has_interest(partition))
            .cloned()
            .collect();
        for group in groups {
            group.accept(partition, &events);
        }
    }

    async fn publish_to(&self, groups: &[&'static str], partition: PartitionId, events: Events) {
        let known = lock(&self.groups);
        let chosen: Vec<_> = groups
            .iter()
            .filter_map(|name| known.get(name))
            .filter(|group| group.has_interest(partition))
            .cloned()
            .collect();
        drop(known);
        for group in chosen {
            group.accept(partition, &events);
        }
    }

    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber> {
        self.join(group, None)
    }

    async fn subscribe_to_some(
        &self,
        group: &'static str,
        interest: Arc<dyn Interest>,
    ) -> Box<dyn Subscriber> {
        self.join(group, Some(interest))
    }

    async fn tell(&self, message: &ServerMessage) {
        // A message is texts and numbers: it always has a JSON form.
        let message = serde_json::to_string(message).unwrap_or_default();
        if let Err(error) = self.store.tell(&message).await {
            tracing::warn!(%error, message, "the other servers could not be told");
        }
    }

    fn heard(&self, heard: Heard) {
        // Without a receiver no lane runs.
        let _ = self.messages.send(heard);
    }

    fn messages(&self) -> broadcast::Receiver<Heard> {
        self.messages.subscribe()
    }

    fn close(&self) {
        for group in lock(&self.groups).values() {
            lock(&group.state).closed = true;
            group.arrived.notify_waiters();
        }
    }
}

/// The events of one partition that wait for a group. An entry exists while events wait or are being handled.
#[derive(Default)]
struct PartitionQueue {
    window: VecDeque<Arc<super::PublishedEvent>>,
    /// After the window, up to this position, events wait in the store.
    stored_up_to: Option<u64>,
    /// The position of the last event taken from the window or the store.
    last_taken: u64,
    /// Events that were not acknowledged; they come before all others.
    redelivery: Option<(Events, u32)>,
    in_flight: bool,
}

impl PartitionQueue {
    fn is_empty(&self) -> bool {
        self.window.is_empty() && self.redelivery.is_none() && self.stored_up_to.is_none()
    }
}

#[derive(Default)]
struct GroupState {
    partitions: HashMap<PartitionId, PartitionQueue>,
    /// Partitions with waiting events, none of them in flight; first come, first served.
    ready: VecDeque<PartitionId>,
    closed: bool,
}

struct Group {
    name: &'static str,
    /// `None`: every workspace concerns it.
    interest: Option<Arc<dyn Interest>>,
    state: Mutex<GroupState>,
    arrived: Notify,
}

/// The next delivery of a group: events, or a range to read from the store.
enum NextDelivery {
    Events(DeliveryContent),
    Stored {
        partition: PartitionId,
        after: u64,
        up_to: u64,
    },
}

impl Group {
    fn new(name: &'static str, interest: Option<Arc<dyn Interest>>) -> Self {
        Self {
            name,
            interest,
            state: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    fn has_interest(&self, partition: PartitionId) -> bool {
        let interest = self.interest.as_ref();
        interest.is_none_or(|interest| interest.has(partition.workspace))
    }

    fn accept(&self, partition: PartitionId, events: &Events) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        {
            let mut state = lock(&self.state);
            let state = &mut *state;
            let queue = state.partitions.entry(partition).or_default();
            let idle = queue.is_empty() && !queue.in_flight;
            if queue.window.len() + events.len() > WINDOW_SIZE || queue.stored_up_to.is_some() {
                if queue.window.is_empty() && queue.stored_up_to.is_none() {
                    queue.last_taken = first.position.saturating_sub(1);
                }
                // Events that were published before their commit may come late.
                queue.stored_up_to = queue.stored_up_to.max(Some(last.position));
            } else {
                queue.window.extend(events.iter().cloned());
            }
            if idle {
                state.ready.push_back(partition);
            }
        }
        self.arrived.notify_one();
    }

    /// Takes the next delivery, and marks its partition as in flight.
    fn take(&self) -> Option<NextDelivery> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let partition = state.ready.pop_front()?;
        if !state.ready.is_empty() {
            // `notify_one` wakes one subscriber: pass the wake-up on.
            self.arrived.notify_one();
        }
        let queue = state.partitions.get_mut(&partition)?;
        queue.in_flight = true;
        if let Some((events, attempt)) = queue.redelivery.take() {
            return Some(NextDelivery::Events(DeliveryContent {
                partition,
                events,
                attempt,
            }));
        }
        let count = queue.window.len().min(DELIVERY_SIZE);
        if let (0, Some(up_to)) = (count, queue.stored_up_to) {
            return Some(NextDelivery::Stored {
                partition,
                after: queue.last_taken,
                up_to,
            });
        }
        let events: Events = queue.window.drain(..count).collect();
        queue.last_taken = events.last().map_or(queue.last_taken, |event| event.position);
        Some(NextDelivery::Events(DeliveryContent {
            partition,
            events,
            attempt: 1,
        }))
    }

    /// Takes a partition out of flight; `redelivery` comes first next time.
    fn release(&self, partition: PartitionId, redelivery: Option<(Events, u32)>) {
        {
            let mut state = lock(&self.state);
            let state = &mut *state;
            let Some(queue) = state.partitions.get_mut(&partition) else {
                return;
            };
            queue.in_flight = false;
            queue.redelivery = redelivery;
            if queue.is_empty() {
                state.partitions.remove(&partition);
                return;
            }
            state.ready.push_back(partition);
        }
        self.arrived.notify_one();
    }

    fn note_read(&self, partition: PartitionId, position: u64) {
        if let Some(queue) = lock(&self.state).partitions.get_mut(&partition) {
            queue.last_taken = position;
            if queue.stored_up_to.is_some_and(|up_to| up_to <= position) {
                queue.stored_up_to = None;
            }
        }
    }
}

impl Acknowledger for Group {
    fn settle(&self, delivery: &DeliveryContent, handled: bool) {
        let redelivery = (!handled).then(|| {
            metrics::counter!("foldline_broker_redeliveries_total", "group" => self.name).increment(1);
            (delivery.events.clone(), delivery.attempt + 1)
        });
        self.release(delivery.partition, redelivery);
    }
}

struct GroupSubscriber {
    group: Arc<Group>,
    store: Arc<dyn EventStore>,
}

/// Releases a partition if its events could not be read, or if the read was cancelled.
struct ReadGuard<'a> {
    group: &'a Group,
    partition: PartitionId,
    done: bool,
}

impl Drop for ReadGuard<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.group.release(self.partition, None);
        }
    }
}

impl GroupSubscriber {
    async fn read(&self, partition: PartitionId, after: u64, up_to: u64) -> Option<DeliveryContent> {
        let mut guard = ReadGuard {
            group: &self.group,
            partition,
            done: false,
        };
        let limit = u32::try_from(DELIVERY_SIZE).unwrap_or(u32::MAX);
        match read_next(&*self.store, partition, after, limit).await {
            Ok(events) if !events.is_empty() => {
                let events = decode(&events);
                let last = events.last().map_or(up_to, |event| event.position);
                self.group.note_read(partition, last);
                guard.done = true;
                Some(DeliveryContent {
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
            Err(StoreError::Corrupt(error)) => {
                // The lane finds the gap, and stops before it.
                tracing::error!(%partition, after, error, "an event cannot be read");
                self.group.note_read(partition, after + 1);
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
impl Subscriber for GroupSubscriber {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let arrived = self.group.arrived.notified();
            if lock(&self.group.state).closed {
                return None;
            }
            let content = match self.group.take() {
                None => {
                    arrived.await;
                    continue;
                }
                Some(NextDelivery::Events(content)) => Some(content),
                Some(NextDelivery::Stored {
                    partition,
                    after,
                    up_to,
                }) => self.read(partition, after, up_to).await,
            };
            if let Some(content) = content {
                return Some(Delivery::new(content, self.group.clone()));
            }
        }
    }
}

/// Code that holds one of these locks does not panic; even if it did, the state would be consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
