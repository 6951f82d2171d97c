//! A bent broker over the broker of this process: what its subscribers are delivered, in paused time.

use std::{collections::BTreeSet, task::Poll};

use broker::{decode, in_process::InProcessBroker};
use clock::SystemClock;
use domain::{id::WorkspaceId, wire::Dials};
use event_store::{EventStore, SqliteEventStore};
use tempfile::TempDir;
use test_support::{open_workspace, received};
use tokio::time::advance;

use super::*;

const GROUP: &str = "inventory";

/// A broker with events of two workspaces, of which the dials bend the first.
struct Fixture {
    board: Arc<DialBoard>,
    broker: BentBroker,
    here: (PartitionId, Events),
    there: (PartitionId, Events),
    version: u64,
    _folder: TempDir,
}

impl Fixture {
    /// From here on, time passes as the test says.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.db");
        let store = SqliteEventStore::open(&file, Arc::new(SystemClock), None)
            .await
            .unwrap();
        let store: Arc<dyn EventStore> = Arc::new(store);
        let (here, there) = (published(&*store).await, published(&*store).await);
        let board = Arc::new(DialBoard::default());
        let inner = InProcessBroker::new(Arc::clone(&store));
        store.close().await;
        tokio::time::pause();
        Self {
            broker: BentBroker::new(Arc::new(inner), Arc::clone(&board)),
            board,
            here,
            there,
            version: 0,
            _folder: folder,
        }
    }

    fn show(&mut self, dials: Dials) {
        self.version += 1;
        assert!(self.board.show(self.here.0.workspace, self.version, dials));
    }

    fn bend(&mut self, broker: BrokerDials) {
        self.show(Dials {
            broker,
            ..Dials::default()
        });
    }

    fn reset(&mut self) {
        self.show(Dials::default());
    }

    /// Publishes events of the bent workspace at once, by their positions.
    async fn publish(&self, positions: std::ops::RangeInclusive<usize>) {
        let (partition, events) = &self.here;
        let events = events[positions.start() - 1..*positions.end()].to_vec();
        self.broker.publish(*partition, events).await;
    }

    /// Publishes an event of the other workspace, and takes its delivery, the only one that is due.
    async fn is_delivered_there(&self, subscriber: &mut dyn Subscriber) {
        let (partition, events) = &self.there;
        self.broker
            .publish(*partition, vec![Arc::clone(&events[0])])
            .await;
        let delivery = due(subscriber).await.unwrap();
        assert_eq!((delivery.partition(), delivery.attempt()), (*partition, 1));
        assert_eq!(positions(&delivery), [1]);
        delivery.acknowledge();
        assert!(due(subscriber).await.is_none(), "it was delivered once");
    }
}

/// A workspace with thirty events.
async fn published(store: &dyn EventStore) -> (PartitionId, Events) {
    let workspace: WorkspaceId = open_workspace(store, 1).await;
    test_support::append(store, workspace, "inventory-mug-1", &vec![received(1); 30]).await;
    let partition = PartitionId {
        workspace,
        partition: 0,
    };
    let events = store.read_partition(workspace, 0, 0, 100).await.unwrap();
    (partition, decode(&events))
}

fn positions(delivery: &Delivery) -> Vec<u64> {
    delivery.events().iter().map(|event| event.position).collect()
}

/// The delivery that a subscriber gets without waiting.
async fn due(subscriber: &mut dyn Subscriber) -> Option<Delivery> {
    match futures::poll!(subscriber.next()) {
        Poll::Ready(delivery) => Some(delivery.expect("the broker is open")),
        Poll::Pending => None,
    }
}

/// Handles the delivery that is due; its positions.
async fn handled(subscriber: &mut dyn Subscriber) -> Vec<u64> {
    let delivery = due(subscriber).await.expect("a delivery is due");
    let positions = positions(&delivery);
    delivery.acknowledge();
    positions
}

async fn is_idle(subscriber: &mut dyn Subscriber) -> bool {
    due(subscriber).await.is_none()
}

fn all_faults() -> BrokerDials {
    BrokerDials {
        delay_ms: 100,
        jitter_ms: 100,
        duplicate_percent: 100,
        reorder_within: 2,
        lose_acknowledgement_percent: 100,
        ..BrokerDials::default()
    }
}

#[tokio::test]
async fn a_paused_broker_holds_what_is_bent_until_the_dial_is_at_rest_and_nothing_else() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        paused: true,
        ..BrokerDials::default()
    });
    fixture.publish(1..=2).await;
    fixture.publish(3..=3).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.is_delivered_there(&mut *subscriber).await;
    advance(Duration::from_hours(1)).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.reset();
    let delivery = due(&mut *subscriber).await.unwrap();
    assert_eq!((positions(&delivery), delivery.attempt()), (vec![1, 2, 3], 1));
    delivery.acknowledge();
    assert!(is_idle(&mut *subscriber).await);
}

#[tokio::test]
async fn a_delay_holds_each_delivery_as_long_as_it_says_and_keeps_the_order() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        delay_ms: 2_000,
        jitter_ms: 500,
        ..BrokerDials::default()
    });
    fixture.publish(1..=1).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.is_delivered_there(&mut *subscriber).await;
    // Meanwhile it gathers what follows.
    fixture.publish(2..=2).await;
    fixture.publish(3..=4).await;
    for expected in [vec![1], vec![2, 3, 4]] {
        assert!(is_idle(&mut *subscriber).await);
        advance(Duration::from_millis(1_900)).await;
        assert!(is_idle(&mut *subscriber).await);
        advance(Duration::from_millis(700)).await;
        assert_eq!(handled(&mut *subscriber).await, expected);
    }
    // A shorter delay holds at once, also for what is held.
    fixture.publish(5..=5).await;
    assert!(is_idle(&mut *subscriber).await);
    advance(Duration::from_millis(200)).await;
    fixture.bend(BrokerDials {
        delay_ms: 100,
        ..BrokerDials::default()
    });
    assert_eq!(handled(&mut *subscriber).await, [5]);
    fixture.publish(6..=6).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.reset();
    assert_eq!(handled(&mut *subscriber).await, [6]);
}

#[tokio::test]
async fn an_event_is_delivered_again_right_after_it_was_handled_in_each_group() {
    let mut fixture = Fixture::new().await;
    let mut groups = [
        fixture.broker.subscribe(GROUP).await,
        fixture.broker.subscribe("orders").await,
    ];
    fixture.bend(BrokerDials {
        duplicate_every: 2,
        ..BrokerDials::default()
    });
    fixture.publish(1..=3).await;
    for subscriber in &mut groups {
        let delivery = due(&mut **subscriber).await.unwrap();
        assert_eq!(positions(&delivery), [1, 2, 3]);
        assert!(
            is_idle(&mut **subscriber).await,
            "the first one is not handled yet"
        );
        delivery.acknowledge();
        assert_eq!(handled(&mut **subscriber).await, [2]);
        assert!(is_idle(&mut **subscriber).await);
    }
    let (elsewhere, events) = &fixture.there;
    fixture.broker.publish(*elsewhere, events[..4].to_vec()).await;
    for subscriber in &mut groups {
        assert_eq!(handled(&mut **subscriber).await, [1, 2, 3, 4]);
        assert!(is_idle(&mut **subscriber).await);
    }
    // It counts on in the next delivery.
    fixture.publish(4..=4).await;
    for subscriber in &mut groups {
        assert_eq!(handled(&mut **subscriber).await, [4]);
        assert_eq!(handled(&mut **subscriber).await, [4]);
    }
    fixture.reset();
    fixture.publish(5..=6).await;
    for subscriber in &mut groups {
        assert_eq!(handled(&mut **subscriber).await, [5, 6]);
        assert!(is_idle(&mut **subscriber).await);
    }
}

#[tokio::test]
async fn a_delivery_that_was_not_handled_is_made_again_by_the_broker_and_has_no_duplicate() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        duplicate_percent: 100,
        ..BrokerDials::default()
    });
    fixture.publish(1..=2).await;
    drop(due(&mut *subscriber).await.unwrap());
    let delivery = due(&mut *subscriber).await.unwrap();
    assert_eq!((positions(&delivery), delivery.attempt()), (vec![1, 2], 2));
    delivery.acknowledge();
    assert!(is_idle(&mut *subscriber).await);
}

#[tokio::test]
async fn an_event_goes_after_the_next_one_or_alone_if_there_is_none() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        reorder_within: 2,
        ..BrokerDials::default()
    });
    fixture.publish(1..=4).await;
    assert_eq!(handled(&mut *subscriber).await, [2, 1, 4, 3]);
    fixture.is_delivered_there(&mut *subscriber).await;
    // Across deliveries as well.
    fixture.publish(5..=5).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.publish(6..=7).await;
    assert_eq!(handled(&mut *subscriber).await, [6, 5]);
    assert!(is_idle(&mut *subscriber).await);
    advance(LONGEST_REORDERING + Duration::from_millis(1)).await;
    assert_eq!(handled(&mut *subscriber).await, [7]);
    // What is held back once the dial is at rest comes in order.
    fixture.publish(8..=9).await;
    assert_eq!(handled(&mut *subscriber).await, [8]);
    assert!(is_idle(&mut *subscriber).await);
    fixture.reset();
    fixture.publish(10..=10).await;
    assert_eq!(handled(&mut *subscriber).await, [9]);
    assert_eq!(handled(&mut *subscriber).await, [10]);
    assert!(is_idle(&mut *subscriber).await);
}

#[tokio::test]
async fn the_first_of_each_three_events_goes_after_the_next_one() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        reorder_within: 3,
        ..BrokerDials::default()
    });
    fixture.publish(1..=5).await;
    assert_eq!(handled(&mut *subscriber).await, [2, 1, 3, 5, 4]);
}

#[tokio::test]
async fn an_event_that_is_held_back_is_not_lost_with_a_delivery_that_was_not_handled() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        reorder_within: 2,
        ..BrokerDials::default()
    });
    fixture.publish(1..=1).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.publish(2..=2).await;
    let delivery = due(&mut *subscriber).await.unwrap();
    assert_eq!(positions(&delivery), [2, 1]);
    drop(delivery);
    let delivery = due(&mut *subscriber).await.unwrap();
    assert_eq!((positions(&delivery), delivery.attempt()), (vec![2, 1], 2));
    delivery.acknowledge();
    // Alone as well.
    fixture.publish(3..=3).await;
    assert!(is_idle(&mut *subscriber).await);
    advance(LONGEST_REORDERING + Duration::from_millis(1)).await;
    let delivery = due(&mut *subscriber).await.unwrap();
    assert_eq!((positions(&delivery), delivery.attempt()), (vec![3], 1));
    fixture.publish(4..=4).await;
    assert!(
        is_idle(&mut *subscriber).await,
        "the partition has no other delivery until this one is settled"
    );
    drop(delivery);
    assert_eq!(handled(&mut *subscriber).await, [4, 3]);
    assert!(is_idle(&mut *subscriber).await);
}

#[tokio::test]
async fn a_delivery_whose_acknowledgement_is_lost_is_made_again_once() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        lose_acknowledgement_percent: 100,
        ..BrokerDials::default()
    });
    fixture.publish(1..=2).await;
    for attempt in [1, 2] {
        let delivery = due(&mut *subscriber).await.unwrap();
        assert_eq!((positions(&delivery), delivery.attempt()), (vec![1, 2], attempt));
        delivery.acknowledge();
    }
    assert!(is_idle(&mut *subscriber).await);
    fixture.is_delivered_there(&mut *subscriber).await;
    fixture.reset();
    fixture.publish(3..=3).await;
    assert_eq!(handled(&mut *subscriber).await, [3]);
    assert!(is_idle(&mut *subscriber).await);
}

#[tokio::test]
async fn with_every_fault_at_once_every_event_is_delivered_and_the_partition_moves_on() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(all_faults());
    let (mut delivered, mut deliveries) = (BTreeSet::new(), 0);
    for first in (1..=28).step_by(3) {
        fixture.publish(first..=first + 2).await;
        let last = u64::try_from(first).unwrap();
        // Time passes by itself while nothing is due.
        while !delivered.contains(&last) {
            let delivery = subscriber.next().await.unwrap();
            delivered.extend(positions(&delivery));
            delivery.acknowledge();
            deliveries += 1;
            assert!(deliveries < 1_000, "{delivered:?}");
        }
    }
    while delivered.len() < 30 {
        let delivery = subscriber.next().await.unwrap();
        delivered.extend(positions(&delivery));
        delivery.acknowledge();
    }
    assert_eq!(delivered, (1..=30).collect::<BTreeSet<_>>());
    fixture.reset();
    while let Some(delivery) = due(&mut *subscriber).await {
        delivery.acknowledge();
    }
    fixture.is_delivered_there(&mut *subscriber).await;
}

#[tokio::test]
async fn what_a_subscriber_has_held_goes_to_another_one_of_its_group() {
    let mut fixture = Fixture::new().await;
    let (mut one, mut other) = (
        fixture.broker.subscribe(GROUP).await,
        fixture.broker.subscribe(GROUP).await,
    );
    fixture.bend(all_faults());
    fixture.publish(1..=3).await;
    assert!(is_idle(&mut *one).await);
    drop(one);
    fixture.reset();
    assert_eq!(handled(&mut *other).await, [1, 2, 3]);
    // Also a delivery that is settled after its subscriber has ended.
    let mut one = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        duplicate_percent: 100,
        ..BrokerDials::default()
    });
    fixture.publish(4..=4).await;
    let delivery = due(&mut *one).await.unwrap();
    drop(one);
    delivery.acknowledge();
    assert_eq!(handled(&mut *other).await, [4]);
}

#[tokio::test]
async fn a_broker_that_is_closed_ends_its_subscribers_also_while_it_is_paused() {
    let mut fixture = Fixture::new().await;
    let mut subscriber = fixture.broker.subscribe(GROUP).await;
    fixture.bend(BrokerDials {
        paused: true,
        ..BrokerDials::default()
    });
    fixture.publish(1..=1).await;
    assert!(is_idle(&mut *subscriber).await);
    fixture.broker.close();
    assert!(subscriber.next().await.is_none());
    assert!(subscriber.next().await.is_none());
}

#[tokio::test]
async fn the_erasure_of_people_is_delivered_while_the_broker_is_paused() {
    let mut fixture = Fixture::new().await;
    fixture.bend(BrokerDials {
        paused: true,
        ..BrokerDials::default()
    });
    let mut subscriber = fixture.broker.subscribe(ERASURE).await;
    let (partition, events) = &fixture.here;
    fixture.broker.publish(*partition, events.clone()).await;
    let delivery = subscriber.next().await.unwrap();
    assert_eq!(delivery.events()[0].position, events[0].position);
    delivery.acknowledge();
}
