//! Gathers the events of a consumer under load.
//!
//! An effect and its checkpoint cost some milliseconds and some flushes of the disk, for one event or for
//! hundreds. So a handled delivery is acknowledged after a pause that grows with the load: meanwhile the
//! broker gathers the events of its partition, which then come in one delivery. The lane has noted its
//! progress before the pause, so `/settled` and tokens wait only for events that are not handled. Under light
//! load there is no pause.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    sync::broadcast,
    time::{Instant, sleep_until},
};

use broker::{
    Acknowledger, Broker, Delivery, DeliveryContent, Events, Heard, PartitionId, ServerMessage, Subscriber,
};

/// Up to this many events a second there is no pause.
const LIGHT_LOAD: f64 = 50.0;

/// From this many events a second on the pause is the longest.
const FULL_LOAD: f64 = 400.0;

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// After a delivery of this many events there is no pause: a longer one would make the consumer fall behind.
const LARGE_DELIVERY: usize = 500;

/// A broker whose subscribers are paused under load, after each delivery that they have handled.
#[derive(Debug)]
pub(super) struct GatheringBroker {
    inner: Arc<dyn Broker>,
}

impl GatheringBroker {
    pub(super) fn new(inner: Arc<dyn Broker>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl Broker for GatheringBroker {
    async fn publish(&self, partition: PartitionId, events: Events) {
        self.inner.publish(partition, events).await;
    }

    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber> {
        Box::new(GatheringSubscriber::new(self.inner.subscribe(group).await))
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

/// Hands over deliveries that are acknowledged to the broker after the pause.
struct GatheringSubscriber {
    inner: Box<dyn Subscriber>,
    pace: Arc<Mutex<Pace>>,
}

impl GatheringSubscriber {
    fn new(inner: Box<dyn Subscriber>) -> Self {
        Self {
            inner,
            pace: Arc::default(),
        }
    }
}

#[async_trait]
impl Subscriber for GatheringSubscriber {
    async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.inner.next().await?;
        let content = DeliveryContent {
            partition: delivery.partition(),
            events: delivery.events().to_vec(),
            attempt: delivery.attempt(),
        };
        let acknowledgement = DelayedAcknowledgement {
            delivery: Mutex::new(Some(delivery)),
            pace: self.pace.clone(),
        };
        Some(Delivery::new(content, Arc::new(acknowledgement)))
    }
}

/// The acknowledgement of one delivery of the broker.
struct DelayedAcknowledgement {
    /// Taken when it is settled.
    delivery: Mutex<Option<Delivery>>,
    pace: Arc<Mutex<Pace>>,
}

impl Acknowledger for DelayedAcknowledgement {
    fn settle(&self, content: &DeliveryContent, handled: bool) {
        let Some(delivery) = lock(&self.delivery).take() else {
            return;
        };
        if !handled {
            // Dropped unacknowledged: the broker makes it again.
            return;
        }
        let paused_until = lock(&self.pace).handled(Instant::now(), content.events.len());
        match (paused_until, Handle::try_current()) {
            (Some(end), Ok(runtime)) => {
                runtime.spawn(async move {
                    sleep_until(end).await;
                    delivery.acknowledge();
                });
            }
            _ => delivery.acknowledge(),
        }
    }
}

/// The load of a consumer and its running pause, for all its partitions: they share the processor and the
/// disk.
#[derive(Debug, Default)]
struct Pace {
    /// The events of about the last second: each counts for less the older it is.
    recent: f64,
    counted_at: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Pace {
    /// Counts handled events, and returns the end of the pause after them; `None`: there is none. A running
    /// pause is shared, so that the next events of all partitions come at the same time.
    fn handled(&mut self, now: Instant, events: usize) -> Option<Instant> {
        let age = self
            .counted_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let count = f64::from(u32::try_from(events).unwrap_or(u32::MAX));
        self.recent = self.recent * (-age.as_secs_f64()).exp() + count;
        self.counted_at = Some(now);
        let load = ((self.recent - LIGHT_LOAD) / (FULL_LOAD - LIGHT_LOAD)).clamp(0.0, 1.0);
        let pause = LONGEST_PAUSE.mul_f64(load);
        if events >= LARGE_DELIVERY || pause.is_zero() {
            return None;
        }
        let running = self.paused_until.filter(|end| *end > now);
        let end = running.map_or(now + pause, |end| end.min(now + pause));
        self.paused_until = Some(end);
        Some(end)
    }
}

/// Code that holds one of these locks does not panic; even if it did, the state would be consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use domain::id::WorkspaceId;
    use tokio::sync::Notify;
    use uuid::Uuid;

    use super::*;

    /// What the broker is told of its deliveries.
    #[derive(Default)]
    struct Outcomes {
        handled: Mutex<Vec<bool>>,
        settled: Notify,
    }

    impl Outcomes {
        fn so_far(&self) -> Vec<bool> {
            lock(&self.handled).clone()
        }
    }

    impl Acknowledger for Outcomes {
        fn settle(&self, _: &DeliveryContent, handled: bool) {
            lock(&self.handled).push(handled);
            self.settled.notify_one();
        }
    }

    /// Delivers without end.
    struct Deliveries(Arc<Outcomes>);

    #[async_trait]
    impl Subscriber for Deliveries {
        async fn next(&mut self) -> Option<Delivery> {
            let partition = PartitionId {
                workspace: WorkspaceId(Uuid::nil()),
                partition: 0,
            };
            let content = DeliveryContent {
                partition,
                events: Events::new(),
                attempt: 1,
            };
            Some(Delivery::new(content, self.0.clone()))
        }
    }

    fn subscriber() -> (Arc<Outcomes>, GatheringSubscriber) {
        let outcomes = Arc::new(Outcomes::default());
        let deliveries = Deliveries(outcomes.clone());
        (outcomes, GatheringSubscriber::new(Box::new(deliveries)))
    }

    #[tokio::test]
    async fn under_light_load_a_handled_delivery_is_acknowledged_at_once() {
        let (outcomes, mut subscriber) = subscriber();
        subscriber.next().await.unwrap().acknowledge();
        assert_eq!(outcomes.so_far(), [true]);
    }

    #[tokio::test]
    async fn under_load_a_handled_delivery_is_acknowledged_later_and_another_is_returned_at_once() {
        let (outcomes, mut subscriber) = subscriber();
        lock(&subscriber.pace).recent = 100.0 * FULL_LOAD;
        subscriber.next().await.unwrap().acknowledge();
        assert_eq!(outcomes.so_far(), [true; 0]);
        drop(subscriber.next().await.unwrap());
        assert_eq!(outcomes.so_far(), [false]);
        while outcomes.so_far().len() < 2 {
            outcomes.settled.notified().await;
        }
        assert_eq!(outcomes.so_far(), [false, true]);
    }

    #[test]
    fn the_pause_grows_with_the_load_and_ends_with_it() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.handled(begin, 5), None);
        let first = pace.handled(begin, 200).unwrap();
        let second = pace.handled(first, 400).unwrap();
        assert!(second - first > first - begin && second - first <= LONGEST_PAUSE);
        assert_eq!(pace.handled(second + Duration::from_secs(10), 5), None);
    }

    #[test]
    fn partitions_share_a_pause_and_a_large_delivery_has_none() {
        let begin = Instant::now();
        let mut pace = Pace::default();
        let end = pace.handled(begin, 400);
        assert!(end.is_some());
        assert_eq!(pace.handled(begin + Duration::from_millis(1), 400), end);
        assert_eq!(pace.handled(begin, LARGE_DELIVERY), None);
    }
}
