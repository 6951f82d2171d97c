//! Box 6, Message Broker: publishes events to subscribers asynchronously.
//!
//! The trait and its vocabulary; adapters lie beside it. Whatever the broker, it promises **at-least-once delivery, in
//! order per partition**, to every group that subscribed: within a group a partition is with one subscriber at a time,
//! and what is not acknowledged is delivered again. Telling repetitions apart is left to the subscribers, who compare
//! positions. The [`relay`] brings committed events here.

pub mod in_process;
pub mod relay;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::{
    event::{DecodeError, StoredEvent, TypedEvent},
    id::{StreamName, WorkspaceId},
    timestamp::Timestamp,
};
use telemetry::Traced;
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

/// An event as it is published: decoded once, and shared by everybody who gets it.
#[derive(Debug)]
pub struct PublishedEvent {
    /// Its place in the partition.
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
    /// The event; or why this program cannot read it, which each subscriber must answer for itself.
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
            decoded: event.decode(),
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

/// Decodes what a store has read.
pub fn decode(events: &[StoredEvent]) -> Events {
    events
        .iter()
        .map(|event| Arc::new(PublishedEvent::new(event)))
        .collect()
}

/// Publishes events to groups of subscribers.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug {
    /// Takes events of one partition for delivery to every group. Called in the order of positions.
    async fn publish(&self, partition: PartitionId, events: Events);

    /// Joins a group: each partition's events go to one of its subscribers. The first subscriber of a group gets what
    /// is published from then on; what lies before is history, and is read from the event store.
    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber>;

    /// Ends every subscription.
    fn close(&self);
}

/// A member of a group.
#[async_trait]
pub trait Subscriber: Send {
    /// The next delivery; waits for one. `None`: the broker is closed. Cancel safe.
    async fn next(&mut self) -> Option<Delivery>;
}

/// Settles a delivery with the broker that made it.
pub trait Settle: Send + Sync {
    /// The delivery was handled (`true`), or must be made again.
    fn settle(&self, delivery: &Delivered, handled: bool);
}

/// What a delivery contains.
#[derive(Debug)]
pub struct Delivered {
    /// The partition.
    pub partition: PartitionId,
    /// Its events: everything that has arrived, up to the broker's limit.
    pub events: Events,
    /// 1 for the first time, 2 for the first repetition.
    pub attempt: u32,
}

/// Events to be handled and acknowledged. A delivery that is dropped unacknowledged, whatever the reason, is made again;
/// until it is settled, no other of its partition is made to the group.
pub struct Delivery {
    delivered: Delivered,
    broker: Arc<dyn Settle>,
    handled: bool,
}

impl Delivery {
    /// A delivery that `broker` will be told about.
    pub fn new(delivered: Delivered, broker: Arc<dyn Settle>) -> Self {
        Self {
            delivered,
            broker,
            handled: false,
        }
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.delivered.partition
    }

    /// The events, in order.
    pub fn events(&self) -> &[Arc<PublishedEvent>] {
        &self.delivered.events
    }

    /// How often these events have been delivered, this time included.
    pub fn attempt(&self) -> u32 {
        self.delivered.attempt
    }

    /// Everything in it has had its effect, durably.
    pub fn acknowledge(mut self) {
        self.handled = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.broker.settle(&self.delivered, self.handled);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
