//! Two servers on one read model: each event is folded at one of them, and the other follows.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use broker::PartitionId;
use cache::{CacheKey, CachedAnswer, Topic};
use clock::{Clock as _, SystemClock};
use documents::{DocumentStoreError, Scope, UpdateOutcome};
use domain::token::ConsistencyToken;
use test_postgres::Database;
use test_support::{
    observed_store::{ObservedStore, Write, WriteObserver},
    received,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Changes, Commit, Context, Followers, Projections, lane_leases::LaneLeases, testing::LaneFixture,
};

const VIEW: &str = "inventory";

/// Records what clients of the view are told.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<String>>);

impl Followers for Recorder {
    fn follow(&self, _: &Scope) -> bool {
        true
    }

    fn committed(&self, commit: Commit) {
        if commit.scope.view != VIEW {
            return;
        }
        let told = match commit.changes {
            Changes::Each(changes) => changes
                .iter()
                .map(|change| {
                    let after = change.after.as_ref().map(|after| after.data.get().to_owned());
                    format!("{} {} {after:?}", change.event.position, change.key)
                })
                .collect::<Vec<_>>(),
            other => vec![format!("{other:?}")],
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(format!("{}:{} {told:?}", commit.partition, commit.to));
    }
}

/// Counts the transactions of lanes.
#[derive(Debug, Default)]
struct Counter(Arc<AtomicU32>);

#[async_trait]
impl WriteObserver for Counter {
    async fn update(&self, update: Write<'_, UpdateOutcome>) -> Result<UpdateOutcome, DocumentStoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        update.await
    }
}

struct Server {
    context: Arc<Context>,
    projections: Projections,
    told: Arc<Recorder>,
    updates: Arc<AtomicU32>,
    stopping: CancellationToken,
    leases: JoinHandle<()>,
}

impl Server {
    async fn start(fixture: &LaneFixture, database: &Database) -> Self {
        let inner = read_model::open(&database.url.parse().unwrap()).await.unwrap();
        let updates = Arc::new(AtomicU32::new(0));
        let observer = Counter(updates.clone());
        let documents = Arc::new(ObservedStore { inner, observer });
        let sharing = documents.inner.sharing().unwrap();
        let leases = LaneLeases::join(sharing, SystemClock.new_id()).await.unwrap();
        let told = Arc::new(Recorder::default());
        let context = Arc::new(Context {
            documents,
            followers: told.clone(),
            ownership: Arc::new(leases),
            ..fixture.new_context()
        });
        let projections = Projections::start(context.clone()).await.unwrap();
        let (stopping, running) = (CancellationToken::new(), context.clone());
        let stopped = stopping.clone();
        let leases = tokio::spawn(async move {
            running.ownership.run(&*running.broker, stopped).await;
        });
        Self {
            context,
            projections,
            told,
            updates,
            stopping,
            leases,
        }
    }

    async fn owns(&self, partition: PartitionId) -> bool {
        self.context.ownership.owns(VIEW, partition).await
    }

    /// Learns of an event, as from the event store.
    async fn hears(&self, fixture: &LaneFixture, partition: PartitionId) {
        let events = fixture.published().await;
        let last = events.last().unwrap().position;
        self.context.progress.stored(partition, last);
        let newest = events[events.len() - 1..].to_vec();
        self.context.broker.publish(partition, newest).await;
    }

    /// Waits until every view has folded as far as a token.
    async fn reaches(&self, fixture: &LaneFixture, token: &ConsistencyToken) {
        for handler in self.context.progress.handlers() {
            let progress = self.context.progress.of(fixture.workspace, handler.name());
            progress.unwrap().reaches(token).await;
        }
    }

    fn told(&self) -> Vec<String> {
        self.told.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops with its lanes; `is_killed`: without a word to the others, as a crash.
    async fn end(self, is_killed: bool) {
        if is_killed {
            self.leases.abort();
        } else {
            self.stopping.cancel();
        }
        let _ = self.leases.await;
        self.projections.stop().await;
        self.context.documents.close().await;
    }
}

/// Two servers that share the lanes; the first owns those of the fixture's workspace.
async fn two(fixture: &LaneFixture, database: &Database) -> (PartitionId, Server, Server) {
    let partition = PartitionId {
        workspace: fixture.workspace,
        partition: 0,
    };
    let one = Server::start(fixture, database).await;
    assert!(one.owns(partition).await, "the first server owns every group");
    assert!(!one.context.ownership.has_others());
    let mut given = one.context.ownership.changes().unwrap();
    let two = Server::start(fixture, database).await;
    let mut taken = two.context.ownership.changes().unwrap();
    assert!(!two.owns(partition).await);
    given.changed().await.unwrap();
    taken.changed().await.unwrap();
    if one.owns(partition).await {
        (partition, one, two)
    } else {
        (partition, two, one)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_folded_at_one_server_and_clients_of_both_are_told_the_same() {
    let fixture = LaneFixture::new(1).await;
    let database = Database::new().await;
    let (partition, owner, other) = two(&fixture, &database).await;
    assert!(owner.owns(partition).await && !other.owns(partition).await);
    for position in 1..=5 {
        fixture.append("inventory-mug-1", &[received(2)]).await;
        for server in [&other, &owner] {
            server.hears(&fixture, partition).await;
        }
        let token = ConsistencyToken::at(0, position);
        for server in [&other, &owner] {
            server.reaches(&fixture, &token).await;
        }
    }
    assert_eq!(owner.told().len(), 5);
    assert!(
        !format!("{:?}", owner.told()).contains("Unknown"),
        "{:?}",
        owner.told()
    );
    assert_eq!(owner.told(), other.told());
    assert_eq!(other.updates.load(Ordering::Relaxed), 0);
    other.end(false).await;
    owner.end(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lanes_of_a_server_that_ends_go_on_at_another() {
    for is_killed in [false, true] {
        let fixture = LaneFixture::new(1).await;
        let database = Database::new().await;
        let (partition, owner, other) = two(&fixture, &database).await;
        fixture.append("inventory-mug-1", &[received(2)]).await;
        for server in [&owner, &other] {
            server.hears(&fixture, partition).await;
            server.reaches(&fixture, &ConsistencyToken::at(0, 1)).await;
        }
        owner.end(is_killed).await;
        // it hears of it before it knows that the owner is gone
        fixture.append("inventory-mug-1", &[received(3)]).await;
        other.hears(&fixture, partition).await;
        other.reaches(&fixture, &ConsistencyToken::at(0, 2)).await;
        assert!(other.owns(partition).await);
        let stored = other
            .context
            .documents
            .document(fixture.workspace, VIEW, "mug-1")
            .await;
        let document = stored.unwrap().value.unwrap();
        let document: serde_json::Value = serde_json::from_str(document.data.get()).unwrap();
        assert_eq!(document["on_hand"], 5);
        other.end(false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_of_a_server_that_follows_keeps_what_has_not_changed() {
    let fixture = LaneFixture::new(1).await;
    let database = Database::new().await;
    let (partition, owner, other) = two(&fixture, &database).await;
    let key = |key: &str| CacheKey {
        topic: Topic::Document {
            workspace: fixture.workspace,
            view: VIEW,
            key: key.to_owned(),
        },
        page: None,
    };
    let loads = AtomicU32::new(0);
    let get = async |name: &str| {
        let load = async {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok::<_, DocumentStoreError>(CachedAnswer {
                rows: Vec::new(),
                more: false,
                as_of: ConsistencyToken::default(),
                generation: 1,
            })
        };
        other.context.cache.get(key(name), Box::pin(load)).await.unwrap();
    };
    get("mug-1").await;
    get("mug-2").await;
    fixture.append("inventory-mug-1", &[received(2)]).await;
    for server in [&owner, &other] {
        server.hears(&fixture, partition).await;
    }
    other.reaches(&fixture, &ConsistencyToken::at(0, 1)).await;
    get("mug-2").await;
    assert_eq!(loads.load(Ordering::Relaxed), 2, "it is as warm as before");
    get("mug-1").await;
    assert_eq!(loads.load(Ordering::Relaxed), 3);
    other.end(false).await;
    owner.end(false).await;
}
