//! Box 6, Message Broker: publishes events to subscribers asynchronously.
//!
//! The trait and its types; adapters are beside it. Every broker promises **at-least-once delivery, in order
//! per partition**, to every group that subscribed. Within a group, a partition is with one subscriber at a
//! time, and events that are not acknowledged are delivered again. Subscribers detect repetitions by
//! comparing positions. The [`relay`] publishes committed events here.

pub mod in_process;
mod message;
pub mod relay;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::{DecodeError, StoredEvent, TypedEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use event_store::{EventStore, StoreError};
pub use message::{Heard, ServerMessage};
use telemetry::{Traced, hops::HopEvent};
use tokio::sync::broadcast;
use uuid::Uuid;

/// A partition of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its number, from 0.
    pub partition: u32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.partition)
    }
}

/// A published event: decoded once, and shared by all subscribers.
#[derive(Debug)]
pub struct PublishedEvent {
    /// Its position in the partition.
    pub position: u64,
    /// Its id.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// Its stream.
    pub stream: StreamName,
    /// Its version in the stream.
    pub version: u64,
    /// The intention that caused it.
    pub correlation_id: Uuid,
    /// When it was appended.
    pub recorded_at: Timestamp,
    /// The hash of the log's chain at its position, in hexadecimal.
    pub hash: String,
    /// The decoded event, or why this program cannot decode it, which each subscriber must handle.
    pub decoded: Result<TypedEvent, DecodeError>,
}

impl PublishedEvent {
    /// Decodes an event from the store.
    pub fn new(event: &StoredEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            stream: event.stream.clone(),
            version: event.version,
            correlation_id: event.metadata.correlation_id,
            recorded_at: event.recorded_at,
            hash: event.hash.clone(),
            decoded: event.decode(),
        }
    }

    /// What a hop says of it; it is in this partition.
    pub fn hop_event(&self, partition: u32) -> HopEvent<'_> {
        HopEvent {
            event_id: Some(self.event_id),
            event_type: Some(&self.event_type),
            stream: Some(self.stream.as_str()),
            partition: Some(partition),
            position: Some(self.position),
            correlation_id: Some(self.correlation_id),
        }
    }
}

impl Traced for PublishedEvent {
    fn traceparent(&self) -> Option<&str> {
        self.decoded.as_ref().ok()?.metadata.traceparent.as_deref()
    }
}

/// Events of one partition, in order.
pub type Events = Vec<Arc<PublishedEvent>>;

/// Decodes events from the store.
pub fn decode(events: &[StoredEvent]) -> Events {
    events
        .iter()
        .map(|event| Arc::new(PublishedEvent::new(event)))
        .collect()
}

/// Reads the next events of a partition from the store. An event that cannot be read does not hide those
/// before it: it is an error only where it is the next.
pub async fn read_next(
    store: &dyn EventStore,
    partition: PartitionId,
    after: u64,
    mut limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    loop {
        let read = store.read_partition(partition.workspace, partition.partition, after, limit);
        match read.await {
            Err(StoreError::Corrupt(_)) if limit > 1 => limit /= 2,
            read => return read,
        }
    }
}

/// Which workspaces concern a group of subscribers. It is asked at each publication.
pub trait Interest: Send + Sync + fmt::Debug {
    /// Whether events of a workspace are delivered to the group.
    fn has(&self, workspace: WorkspaceId) -> bool;
}

/// Publishes events to groups of subscribers.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug {
    /// Delivers events of one partition to every group. Called in the order of positions.
    async fn publish(&self, partition: PartitionId, events: Events);

    /// Delivers events of one partition to these groups alone, at once: also events that are not stored, and
    /// may never be. A broker that cannot choose groups delivers nothing.
    async fn publish_to(&self, _groups: &[&'static str], _partition: PartitionId, _events: Events) {}

    /// Joins a group: each partition's events go to one of its subscribers. The first subscriber of a group
    /// gets events from then on; earlier ones are history, and are read from the event store.
    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber>;

    /// Joins a group that gets the events of some workspaces only: what is published while it has no interest
    /// is history to it. A broker that cannot choose delivers all.
    async fn subscribe_to_some(
        &self,
        group: &'static str,
        _interest: Arc<dyn Interest>,
    ) -> Box<dyn Subscriber> {
        self.subscribe(group).await
    }

    /// Sends a message to the other servers, if there are any. It may be lost.
    async fn tell(&self, _message: &ServerMessage) {}

    /// Passes on what this server has heard of the others.
    fn heard(&self, _heard: Heard) {}

    /// What this server hears of the others from now on.
    fn messages(&self) -> broadcast::Receiver<Heard> {
        broadcast::channel(1).1
    }

    /// Ends every subscription.
    fn close(&self);
}

/// A subscriber of a group.
#[async_trait]
pub trait Subscriber: Send {
    /// Waits for the next delivery. `None`: the broker is closed. Cancel safe.
    async fn next(&mut self) -> Option<Delivery>;
}

/// Tells the broker whether its delivery was handled.
pub trait Acknowledger: Send + Sync {
    /// The delivery was handled (`true`), or must be made again.
    fn settle(&self, delivery: &DeliveryContent, handled: bool);
}

/// The content of a delivery.
#[derive(Debug)]
pub struct DeliveryContent {
    /// The partition.
    pub partition: PartitionId,
    /// Its events: everything that has arrived, up to the broker's limit.
    pub events: Events,
    /// 1 for the first delivery, 2 for the first repetition.
    pub attempt: u32,
}

/// Events to handle and acknowledge. A delivery that is dropped unacknowledged is made again; until it is
/// settled, the group gets no other delivery of its partition.
pub struct Delivery {
    content: DeliveryContent,
    broker: Arc<dyn Acknowledger>,
    handled: bool,
}

impl Delivery {
    /// A delivery whose outcome is reported to `broker`.
    pub fn new(content: DeliveryContent, broker: Arc<dyn Acknowledger>) -> Self {
        Self {
            content,
            broker,
            handled: false,
        }
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.content.partition
    }

    /// The events, in order.
    pub fn events(&self) -> &[Arc<PublishedEvent>] {
        &self.content.events
    }

    /// How often these events have been delivered, this time included.
    pub fn attempt(&self) -> u32 {
        self.content.attempt
    }

    /// Acknowledges that every event in it has had its effect, durably.
    pub fn acknowledge(mut self) {
        self.handled = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.broker.settle(&self.content, self.handled);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
