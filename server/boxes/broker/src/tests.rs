//! The broker and the relay: at least once, in order per partition, and every committed event is published.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use domain::{event::DomainEvent, id::WorkspaceId};
use event_store::{CommitObserver as _, EventStore, SqliteEventStore, StoreError};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use test_support::{open_workspace, received};
use tokio_util::sync::CancellationToken;

use super::{
    Broker as _, Events, Heard, Interest, PartitionId, ServerMessage, Subscriber, decode,
    in_process::InProcessBroker,
    read_next,
    relay::{Heads, Relay},
};

/// The events of one workspace.
#[derive(Debug)]
struct OnlyIn(WorkspaceId);

impl Interest for OnlyIn {
    fn has(&self, workspace: WorkspaceId) -> bool {
        workspace == self.0
    }
}

#[tokio::test]
async fn a_group_with_an_interest_gets_the_events_of_its_workspaces_alone() {
    let fixture = StoreFixture::new().await;
    fixture.append("inventory-1", &[received(1)]).await;
    let events = fixture.published().await;
    let broker = InProcessBroker::new(Arc::clone(&fixture.store));
    let other = WorkspaceId(uuid::Uuid::from_u128(7));
    let mut all = broker.subscribe("all").await;
    let mut some = broker
        .subscribe_to_some("some", Arc::new(OnlyIn(fixture.workspace)))
        .await;
    for workspace in [other, fixture.workspace] {
        let partition = PartitionId {
            workspace,
            partition: 0,
        };
        broker.publish(partition, events.clone()).await;
        broker.publish_to(&["some"], partition, events.clone()).await;
    }
    for workspace in [other, fixture.workspace] {
        let delivery = all.next().await.unwrap();
        assert_eq!(delivery.partition().workspace, workspace);
        delivery.acknowledge();
    }
    let delivery = some.next().await.unwrap();
    assert_eq!(delivery.partition().workspace, fixture.workspace);
    assert_eq!(delivery.events().len(), 2, "published, and published to it");
    delivery.acknowledge();
    broker.close();
    assert!(some.next().await.is_none());
}

/// A store in a folder, with one workspace of one partition.
struct StoreFixture {
    store: Arc<dyn EventStore>,
    workspace: WorkspaceId,
    folder: TempDir,
}

impl StoreFixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(clock::SystemClock);
        let store = SqliteEventStore::open(&folder.path().join("events.db"), clock, None)
            .await
            .unwrap();
        let workspace = open_workspace(&store, 1).await;
        Self {
            store: Arc::new(store),
            workspace,
            folder,
        }
    }

    /// Gives the event at this version of its stream a role that no program knows.
    async fn make_unreadable(&self, version: i64) {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("events.db"));
        let mut connection = options.connect().await.unwrap();
        sqlx::query("drop trigger events_are_never_updated")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("update events set actor_role = 'janitor' where version = $1")
            .bind(version)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    async fn append(&self, stream: &str, events: &[DomainEvent]) {
        test_support::append(&*self.store, self.workspace, stream, events).await;
    }

    async fn published(&self) -> Events {
        decode(
            &self
                .store
                .read_partition(self.workspace, 0, 0, 10_000)
                .await
                .unwrap(),
        )
    }
}

/// Heads as the relay reports them.
#[derive(Debug, Default)]
struct KnownHeads(Mutex<HashMap<PartitionId, u64>>);

impl Heads for KnownHeads {
    fn stored(&self, partition: PartitionId, position: u64) {
        let mut heads = self.0.lock().unwrap();
        let head = heads.entry(partition).or_default();
        *head = position.max(*head);
    }

    fn head(&self, partition: PartitionId) -> u64 {
        self.0.lock().unwrap().get(&partition).copied().unwrap_or(0)
    }
}

fn partition(fixture: &StoreFixture) -> PartitionId {
    PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    }
}

/// The positions of the next deliveries, acknowledged, until `last` was among them.
async fn positions(subscriber: &mut dyn Subscriber, last: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    while positions.last() != Some(&last) {
        let delivery = subscriber.next().await.unwrap();
        positions.extend(delivery.events().iter().map(|event| event.position));
        delivery.acknowledge();
    }
    positions
}

#[tokio::test]
async fn every_group_gets_every_event_in_order() {
    let fixture = StoreFixture::new().await;
    let broker = InProcessBroker::new(fixture.store.clone());
    let (mut a, mut b) = (broker.subscribe("a").await, broker.subscribe("b").await);
    fixture.append("inventory-mug-1", &vec![received(1); 10]).await;
    let events = fixture.published().await;
    for event in &events {
        broker.publish(partition(&fixture), vec![event.clone()]).await;
    }
    for subscriber in [&mut a, &mut b] {
        assert_eq!(
            positions(&mut **subscriber, 10).await,
            (1..=10).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn events_for_some_groups_reach_no_other() {
    let fixture = StoreFixture::new().await;
    let broker = InProcessBroker::new(fixture.store.clone());
    let (mut chosen, mut other) = (broker.subscribe("a").await, broker.subscribe("b").await);
    fixture
        .append("inventory-mug-1", &[received(1), received(1)])
        .await;
    let events = fixture.published().await;
    let groups = ["a", "without subscribers"];
    broker
        .publish_to(&groups, partition(&fixture), vec![events[0].clone()])
        .await;
    broker.publish(partition(&fixture), vec![events[1].clone()]).await;
    assert_eq!(positions(&mut *chosen, 2).await, [1, 2]);
    assert_eq!(positions(&mut *other, 2).await, [2]);
}

#[tokio::test]
async fn a_partition_is_with_one_subscriber_of_a_group_at_a_time() {
    let fixture = StoreFixture::new().await;
    let broker = InProcessBroker::new(fixture.store.clone());
    let (mut one, mut other) = (broker.subscribe("a").await, broker.subscribe("a").await);
    fixture
        .append("inventory-mug-1", &[received(1), received(1)])
        .await;
    let events = fixture.published().await;
    broker.publish(partition(&fixture), vec![events[0].clone()]).await;
    let first = one.next().await.unwrap();
    broker.publish(partition(&fixture), vec![events[1].clone()]).await;
    let mut waiting = Box::pin(other.next());
    assert!(futures::poll!(&mut waiting).is_pending());
    first.acknowledge();
    assert_eq!(waiting.await.unwrap().events()[0].position, 2);
}

#[tokio::test]
async fn events_beyond_the_window_are_read_from_the_store() {
    let fixture = StoreFixture::new().await;
    let broker = InProcessBroker::new(fixture.store.clone());
    let mut subscriber = broker.subscribe("a").await;
    for _ in 0..50 {
        fixture.append("inventory-mug-1", &vec![received(1); 100]).await;
    }
    let events = fixture.published().await;
    for chunk in events.chunks(100) {
        broker.publish(partition(&fixture), chunk.to_vec()).await;
    }
    assert_eq!(
        positions(&mut *subscriber, 5_000).await,
        (1..=5_000).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_relay_publishes_everything_after_its_queue_has_overflowed() {
    let fixture = StoreFixture::new().await;
    let broker = Arc::new(InProcessBroker::new(fixture.store.clone()));
    let mut subscriber = broker.subscribe("a").await;
    let relay = Relay::with_queue(Arc::new(KnownHeads::default()), 2);
    let inbox = relay.inbox();
    for n in 0..20 {
        fixture
            .append("inventory-mug-1", &[received(1), received(1)])
            .await;
        let commit = fixture
            .store
            .read_partition(fixture.workspace, 0, n * 2, 2)
            .await
            .unwrap();
        inbox.committed(commit.into());
    }
    let cancelled = CancellationToken::new();
    let running = tokio::spawn(relay.run(fixture.store.clone(), broker, HashMap::new(), cancelled.clone()));
    assert_eq!(
        positions(&mut *subscriber, 40).await,
        (1..=40).collect::<Vec<_>>()
    );
    cancelled.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn commits_of_another_server_are_published_in_order_with_ones_own_and_once() {
    let fixture = StoreFixture::new().await;
    let broker = Arc::new(InProcessBroker::new(fixture.store.clone()));
    let mut subscriber = broker.subscribe("a").await;
    let relay = Relay::new(Arc::new(KnownHeads::default()));
    let inbox = relay.inbox();
    let cancelled = CancellationToken::new();
    let store = fixture.store.clone();
    let running = tokio::spawn(relay.run(store.clone(), broker, HashMap::new(), cancelled.clone()));
    for own in [3, 6, 9] {
        // Two of another server, reported late, twice and in the wrong order, and one of this server.
        fixture.append("inventory-mug-1", &vec![received(1); 3]).await;
        let commit = store
            .read_partition(fixture.workspace, 0, own - 1, 1)
            .await
            .unwrap();
        for head in [own - 1, own - 2, own - 1] {
            inbox.head_advanced(fixture.workspace, 0, head);
        }
        inbox.committed(commit.into());
        inbox.head_advanced(fixture.workspace, 0, own);
    }
    assert_eq!(positions(&mut *subscriber, 9).await, (1..=9).collect::<Vec<_>>());
    cancelled.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_no_other_partition() {
    let fixture = StoreFixture::new().await;
    let broker = Arc::new(InProcessBroker::new(fixture.store.clone()));
    let mut subscriber = broker.subscribe("a").await;
    fixture.append("inventory-mug-1", &vec![received(1); 9]).await;
    fixture.make_unreadable(6).await;
    let there = open_workspace(&*fixture.store, 1).await;
    test_support::append(&*fixture.store, there, "inventory-mug-1", &[received(1)]).await;
    let relay = Relay::new(Arc::new(KnownHeads::default()));
    let inbox = relay.inbox();
    let cancelled = CancellationToken::new();
    let store = fixture.store.clone();
    let running = tokio::spawn(relay.run(store, broker, HashMap::new(), cancelled.clone()));
    inbox.head_advanced(fixture.workspace, 0, 9);
    assert_eq!(
        positions(&mut *subscriber, 9).await,
        [1, 2, 3, 4, 5, 7, 8, 9],
        "a lane finds the gap"
    );
    inbox.head_advanced(there, 0, 1);
    let delivery = subscriber.next().await.unwrap();
    assert_eq!(delivery.partition().workspace, there);
    cancelled.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn the_events_before_one_that_cannot_be_read_are_read() {
    let fixture = StoreFixture::new().await;
    fixture.append("inventory-mug-1", &vec![received(1); 9]).await;
    fixture.make_unreadable(6).await;
    let (mut after, mut read) = (0, Vec::new());
    let error = loop {
        match read_next(&*fixture.store, partition(&fixture), after, 100).await {
            Ok(events) => {
                read.extend(events.iter().map(|event| event.position));
                after = events.last().unwrap().position;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(read, [1, 2, 3, 4, 5]);
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}

#[tokio::test]
async fn what_other_servers_tell_is_passed_on_in_order() {
    let fixture = StoreFixture::new().await;
    let broker = Arc::new(InProcessBroker::new(fixture.store.clone()));
    let mut messages = broker.messages();
    let relay = Relay::new(Arc::new(KnownHeads::default()));
    let inbox = relay.inbox();
    let changed = ServerMessage::Changed {
        workspace: fixture.workspace,
        handler: "orders".to_owned(),
    };
    inbox.heard(None);
    inbox.heard(Some(&serde_json::to_string(&changed).unwrap()));
    inbox.heard(Some("of a newer version"));
    let cancelled = CancellationToken::new();
    let store = fixture.store.clone();
    let running = tokio::spawn(relay.run(store, broker, HashMap::new(), cancelled.clone()));
    for heard in [Heard::Missed, Heard::Message(changed), Heard::Missed] {
        assert_eq!(messages.recv().await.unwrap(), heard);
    }
    cancelled.cancel();
    running.await.unwrap();
}
