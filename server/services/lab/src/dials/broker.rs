//! The dials of the message broker: a broker that holds, repeats and reorders what another one delivers.
//!
//! Every group of subscribers is bent: views, process managers and consumers, but not the erasure, which is
//! the right of the person who is erased. What happens to an event is decided once for each group, when the
//! event is first delivered to it, so that the same seed and the same events give the same faults however the
//! events are gathered into deliveries. A repetition is bent no further: also with each acknowledgement lost,
//! every partition moves on.
//!
//! What is held is a delivery that the inner broker waits for, at most one of a partition, and an event whose
//! turn comes after the next one. So the memory is bounded, other partitions go on, and what is dropped with
//! the subscriber is made again, or is read from the event store by the lane that misses it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use broker::{
    Acknowledger, Broker, Delivery, DeliveryContent, Events, Heard, Interest, PartitionId, PublishedEvent,
    ServerMessage, Subscriber,
};
use domain::wire::{BrokerDials, ERASURE, dials::Frequency};
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};

use super::board::{Bent, DialBoard};
use crate::due::sleep_until_some;

/// How long an event waits for the one that goes before it.
const LONGEST_REORDERING: Duration = Duration::from_millis(500);

/// A broker whose deliveries the dials bend.
#[derive(Debug)]
pub struct BentBroker {
    inner: Arc<dyn Broker>,
    board: Arc<DialBoard>,
}

impl BentBroker {
    /// Wraps a broker.
    pub fn new(inner: Arc<dyn Broker>, board: Arc<DialBoard>) -> Self {
        Self { inner, board }
    }

    fn bend(&self, group: &'static str, inner: Box<dyn Subscriber>) -> Box<dyn Subscriber> {
        Box::new(BentSubscriber {
            inner,
            group,
            changes: self.board.changes(),
            board: Arc::clone(&self.board),
            settled: Arc::default(),
            partitions: HashMap::new(),
        })
    }
}

#[async_trait]
impl Broker for BentBroker {
    async fn publish(&self, partition: PartitionId, events: Events) {
        self.inner.publish(partition, events).await;
    }

    async fn publish_to(&self, groups: &[&'static str], partition: PartitionId, events: Events) {
        self.inner.publish_to(groups, partition, events).await;
    }

    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber> {
        let inner = self.inner.subscribe(group).await;
        // The erasure of a person is not bent.
        if group == ERASURE {
            return inner;
        }
        self.bend(group, inner)
    }

    async fn subscribe_to_some(
        &self,
        group: &'static str,
        interest: Arc<dyn Interest>,
    ) -> Box<dyn Subscriber> {
        self.bend(group, self.inner.subscribe_to_some(group, interest).await)
    }

    async fn tell(&self, message: &ServerMessage) {
        self.inner.tell(message).await;
    }

    fn heard(&self, heard: Heard) {
        self.inner.heard(heard);
    }

    fn messages(&self) -> broadcast::Receiver<Heard> {
        self.inner.messages()
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// A subscriber of a group. An entry of a partition exists while something of it is held or bent.
struct BentSubscriber {
    inner: Box<dyn Subscriber>,
    group: &'static str,
    board: Arc<DialBoard>,
    changes: watch::Receiver<u64>,
    settled: Arc<SettledDeliveries>,
    partitions: HashMap<PartitionId, PartitionHold>,
}

#[async_trait]
impl Subscriber for BentSubscriber {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.partitions.is_empty() {
                // At rest this is the whole way.
                let delivery = self.inner.next().await?;
                if let Some(delivery) = self.pass(delivery) {
                    return Some(delivery);
                }
            }
            // Before the dials are looked at: a later change ends the wait.
            self.changes.mark_unchanged();
            self.note_settled();
            if let Some(delivery) = self.take_due() {
                return Some(delivery);
            }
            let due = self.next_due().map(|(due, _)| due);
            tokio::select! {
                delivery = self.inner.next() => {
                    let Some(delivery) = delivery else {
                        // The broker is closed: what is held stays unacknowledged.
                        self.partitions.clear();
                        return None;
                    };
                    if let Some(delivery) = self.pass(delivery) {
                        return Some(delivery);
                    }
                }
                () = self.settled.arrived.notified() => {}
                // The board ends after every subscriber.
                _ = self.changes.changed() => {}
                () = sleep_until_some(due) => {}
            }
        }
    }
}

impl BentSubscriber {
    /// Passes a delivery on, unless its workspace bends the broker, or something of its partition is held.
    fn pass(&mut self, delivery: Delivery) -> Option<Delivery> {
        let partition = delivery.partition();
        let bent = self.board.of(partition.workspace);
        let bent = bent.filter(|bent| bent.dials.broker != BrokerDials::default());
        if bent.is_none() && !self.partitions.contains_key(&partition) {
            return Some(delivery);
        }
        let jitter = bent.map_or(Duration::ZERO, |bent| {
            bent.jitter(self.group, bent.dials.broker.jitter_ms)
        });
        let hold = self.partitions.entry(partition).or_default();
        hold.waiting = Some(WaitingDelivery {
            delivery,
            since: Instant::now(),
            jitter,
        });
        None
    }

    /// The partition whose turn is next, and when; `None`: none before something changes.
    fn next_due(&self) -> Option<(Instant, PartitionId)> {
        let due = |(partition, hold): (&PartitionId, &PartitionHold)| {
            let bent = self.board.of(partition.workspace);
            let dials = bent.map(|bent| bent.dials.broker).unwrap_or_default();
            Some((hold.due(&dials)?, *partition))
        };
        self.partitions.iter().filter_map(due).min()
    }

    /// Makes a delivery that is due.
    fn take_due(&mut self) -> Option<Delivery> {
        loop {
            let (due, partition) = self.next_due()?;
            if due > Instant::now() {
                return None;
            }
            let bent = self.board.of(partition.workspace);
            let hold = self.partitions.get_mut(&partition)?;
            let made = hold.take(partition, bent.as_deref(), self.group);
            if hold.is_empty() {
                self.partitions.remove(&partition);
            }
            match made {
                Some(Made::AsItCame(delivery)) => return Some(delivery),
                Some(Made::Bent(made)) => return Some(made.begin(&self.settled)),
                // Its only event is held back.
                None => {}
            }
        }
    }

    fn note_settled(&mut self) {
        for (bent, handled) in self.settled.take() {
            let partition = bent.partition;
            let Some(hold) = self.partitions.get_mut(&partition) else {
                continue;
            };
            hold.settle(bent, handled);
            if hold.is_empty() {
                self.partitions.remove(&partition);
            }
        }
    }
}

/// What is held of one partition.
#[derive(Debug, Default)]
struct PartitionHold {
    /// A delivery that was made here is being handled. Until it is settled, there is no other.
    is_in_flight: bool,
    /// Events that are delivered again, right after they were handled.
    repetition: Option<(BentDelivery, Instant)>,
    /// A delivery of the inner broker, which makes no other one before this is settled.
    waiting: Option<WaitingDelivery>,
    /// An event that goes after the next one.
    displaced: Option<DisplacedEvent>,
}

/// A delivery of the inner broker that is held.
#[derive(Debug)]
struct WaitingDelivery {
    delivery: Delivery,
    since: Instant,
    /// How much longer than others it is held.
    jitter: Duration,
}

/// An event that waits for the next one of its partition to go before it. The inner broker takes it for
/// handled.
#[derive(Debug, Clone)]
struct DisplacedEvent {
    event: Arc<PublishedEvent>,
    /// Whether it is delivered twice.
    is_duplicated: bool,
    since: Instant,
    attempt: u32,
}

/// What became of a delivery whose turn has come.
#[derive(Debug)]
enum Made {
    AsItCame(Delivery),
    Bent(BentDelivery),
}

/// A delivery that is made here.
#[derive(Debug)]
struct BentDelivery {
    partition: PartitionId,
    events: Events,
    attempt: u32,
    /// The inner broker's delivery, which is settled with this one.
    inner: Option<Delivery>,
    /// The events that are delivered again once this delivery is handled.
    duplicates: Events,
    /// The inner broker is not told that it was handled.
    loses_acknowledgement: bool,
    /// The event in it that the inner broker takes for handled already.
    displaced: Option<DisplacedEvent>,
}

impl PartitionHold {
    fn is_empty(&self) -> bool {
        !self.is_in_flight && self.repetition.is_none() && self.waiting.is_none() && self.displaced.is_none()
    }

    /// When its next delivery is due; `None`: not before something changes.
    fn due(&self, dials: &BrokerDials) -> Option<Instant> {
        if self.is_in_flight || dials.paused {
            return None;
        }
        if let Some((_, since)) = &self.repetition {
            return Some(*since);
        }
        if let Some(waiting) = &self.waiting {
            let jitter = waiting.jitter.min(millis(dials.jitter_ms));
            return Some(waiting.since + millis(dials.delay_ms) + jitter);
        }
        let displaced = self.displaced.as_ref()?;
        if dials.reorder_within < 2 {
            return Some(displaced.since);
        }
        Some(displaced.since + LONGEST_REORDERING)
    }

    /// Takes what is due. `None`: nothing is left to deliver of it.
    fn take(&mut self, partition: PartitionId, bent: Option<&Bent>, group: &str) -> Option<Made> {
        let made = if let Some((repetition, _)) = self.repetition.take() {
            Some(Made::Bent(repetition))
        } else if let Some(waiting) = self.waiting.take() {
            self.bend(waiting.delivery, bent, group)
        } else {
            let displaced = self.displaced.take()?;
            // No other one has come to go before it.
            Some(Made::Bent(BentDelivery {
                partition,
                events: vec![Arc::clone(&displaced.event)],
                attempt: displaced.attempt,
                inner: None,
                duplicates: duplicates_of([(&displaced.event, displaced.is_duplicated)]),
                loses_acknowledgement: false,
                displaced: Some(displaced),
            }))
        };
        self.is_in_flight = matches!(made, Some(Made::Bent(_)));
        made
    }

    /// Decides what happens to a delivery of the inner broker.
    fn bend(&mut self, delivery: Delivery, bent: Option<&Bent>, group: &str) -> Option<Made> {
        let dials = bent.map(|bent| bent.dials.broker).unwrap_or_default();
        // What is repeated was bent before.
        let bent = bent.filter(|_| delivery.attempt() == 1);
        let strikes = |fault: &'static str, frequency: Frequency| {
            bent.is_some_and(|bent| bent.strikes(fault, group, frequency))
        };
        let carried = self.displaced.take();
        let mut before = carried
            .as_ref()
            .map(|displaced| (Arc::clone(&displaced.event), displaced.is_duplicated));
        let mut events = Vec::with_capacity(delivery.events().len() + 1);
        let (mut is_reordered, mut loses_acknowledgement) = (carried.is_some(), false);
        for event in delivery.events() {
            let is_duplicated = strikes("broker.duplicate", dials.duplicates());
            loses_acknowledgement |= strikes("broker.lose_acknowledgement", dials.lost_acknowledgements());
            let this = (Arc::clone(event), is_duplicated);
            let is_displaced = bent.is_some_and(|bent| bent.displaces(group, dials.reorder_within));
            match before.take() {
                Some(earlier) if dials.reorder_within < 2 => events.extend([earlier, this]),
                Some(earlier) => events.extend([this, earlier]),
                None if is_displaced => {
                    before = Some(this);
                    is_reordered = true;
                }
                None => events.push(this),
            }
        }
        self.displaced = before.map(|(event, is_duplicated)| DisplacedEvent {
            event,
            is_duplicated,
            since: Instant::now(),
            attempt: 1,
        });
        if events.is_empty() {
            // The inner broker makes the next delivery only now.
            delivery.acknowledge();
            return None;
        }
        let duplicates = duplicates_of(
            events
                .iter()
                .map(|(event, is_duplicated)| (event, *is_duplicated)),
        );
        if !is_reordered && duplicates.is_empty() && !loses_acknowledgement {
            return Some(Made::AsItCame(delivery));
        }
        Some(Made::Bent(BentDelivery {
            partition: delivery.partition(),
            events: events.into_iter().map(|(event, _)| event).collect(),
            attempt: delivery.attempt(),
            inner: Some(delivery),
            duplicates,
            loses_acknowledgement,
            displaced: carried,
        }))
    }

    /// Follows the outcome of a delivery that was made here.
    fn settle(&mut self, bent: BentDelivery, handled: bool) {
        self.is_in_flight = false;
        let now = Instant::now();
        if !handled {
            // The inner broker makes its delivery again, with the event that was held back of it. What it
            // takes for handled is made again here.
            self.displaced = bent.displaced.map(|displaced| DisplacedEvent {
                since: now,
                attempt: displaced.attempt.saturating_add(1),
                ..displaced
            });
            return;
        }
        if !bent.duplicates.is_empty() {
            let repetition = BentDelivery {
                events: bent.duplicates,
                duplicates: Events::new(),
                displaced: None,
                ..bent
            };
            self.repetition = Some((repetition, now));
            return;
        }
        if bent.loses_acknowledgement {
            // The repetition has the event that was held back as well.
            self.displaced = None;
            return;
        }
        if let Some(inner) = bent.inner {
            inner.acknowledge();
        }
        if let Some(displaced) = &mut self.displaced {
            // The inner broker could not deliver the next event before.
            displaced.since = now;
        }
    }
}

/// The events that are delivered twice.
fn duplicates_of<'a>(events: impl IntoIterator<Item = (&'a Arc<PublishedEvent>, bool)>) -> Events {
    let events = events.into_iter();
    events
        .filter(|(_, is_duplicated)| *is_duplicated)
        .map(|(event, _)| Arc::clone(event))
        .collect()
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

impl BentDelivery {
    /// The delivery for the subscriber; its outcome is reported to `settled`.
    fn begin(self, settled: &Arc<SettledDeliveries>) -> Delivery {
        let content = DeliveryContent {
            partition: self.partition,
            events: self.events.clone(),
            attempt: self.attempt,
        };
        let acknowledgement = BentAcknowledgement {
            bent: Mutex::new(Some(self)),
            settled: Arc::clone(settled),
        };
        Delivery::new(content, Arc::new(acknowledgement))
    }
}

/// The deliveries that were made here and are settled. A subscriber that has ended takes none: then what the
/// inner broker waits for is dropped with this, unacknowledged.
#[derive(Default)]
struct SettledDeliveries {
    deliveries: Mutex<Vec<(BentDelivery, bool)>>,
    arrived: Notify,
}

impl SettledDeliveries {
    fn add(&self, bent: BentDelivery, handled: bool) {
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.push((bent, handled));
        drop(deliveries);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<(BentDelivery, bool)> {
        std::mem::take(&mut *self.deliveries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The acknowledgement of one delivery that was made here.
struct BentAcknowledgement {
    /// Taken when it is settled.
    bent: Mutex<Option<BentDelivery>>,
    settled: Arc<SettledDeliveries>,
}

impl Acknowledger for BentAcknowledgement {
    fn settle(&self, _: &DeliveryContent, handled: bool) {
        let bent = self.bent.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bent) = bent {
            self.settled.add(bent, handled);
        }
    }
}

#[cfg(test)]
mod tests;
