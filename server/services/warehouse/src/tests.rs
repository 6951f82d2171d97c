//! Two servers on one warehouse, in a folder and in an object store: each line is there once, also if one of
//! them continues on a state that is many versions old.

use broker::{Events, PartitionId, decode};
use clock::SystemClock;
use event_store::{EventStore as _, SqliteEventStore};
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory};
use tempfile::TempDir;
use test_support::{append, confirmed, open_workspace};

use super::{table::Value, *};

const ORDERS: usize = 64;
/// The events of one delivery.
const DELIVERED: usize = 2;

/// A log with one partition.
struct Log {
    partition: PartitionId,
    events: Events,
    folder: TempDir,
}

impl Log {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteEventStore::open(&folder.path().join("events.db"), Arc::new(SystemClock), None)
            .await
            .unwrap();
        let workspace = open_workspace(&store, 1).await;
        for n in 0..ORDERS {
            append(&store, workspace, &format!("order-{n}"), &[confirmed()]).await;
        }
        let events = store.read_partition(workspace, 0, 0, 1_000).await.unwrap();
        Self {
            partition: PartitionId {
                workspace,
                partition: 0,
            },
            events: decode(&events),
            folder,
        }
    }

    /// The storages in which the warehouse may lie.
    fn storages(&self) -> [Arc<dyn ObjectStore>; 2] {
        let folder = WarehouseLocation::Folder(self.folder.path().join("warehouse"));
        [storage::open(&folder).unwrap(), Arc::new(InMemory::new())]
    }

    /// The deliveries of one server.
    fn deliveries(&self) -> Vec<Work> {
        let mut passed = 0;
        let deliveries = self.events.chunks(DELIVERED).map(|events| {
            let from = passed;
            passed += events.len() as u64;
            Work {
                partition: self.partition,
                passed: Some((from, passed)),
                events: events.to_vec(),
            }
        });
        deliveries.collect()
    }

    /// Every row that a reader's pattern finds is there once, and so is every event.
    async fn assert_complete(&self, objects: &dyn ObjectStore) {
        let root = format!("workspace={}", self.partition.workspace);
        let prefix = object_store::path::Path::from(format!("{root}/fact_order_lines"));
        let files: Vec<_> = objects.list(Some(&prefix)).try_collect().await.unwrap();
        let mut found = Vec::new();
        for file in files {
            let bytes = objects.get(&file.location).await.unwrap().bytes().await.unwrap();
            found.extend(read(bytes).unwrap().into_iter().map(|row| row[0].clone()));
        }
        found.sort_unstable();
        let mut expected: Vec<_> = self
            .events
            .iter()
            .map(|event| Value::Text(event.event_id.to_string()))
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let staging = object_store::path::Path::from(format!("{root}/_staging"));
        let staged: Vec<_> = objects.list(Some(&staging)).try_collect().await.unwrap();
        assert!(staged.is_empty(), "{staged:?}");
    }
}

async fn server(objects: &Arc<dyn ObjectStore>) -> Analytics {
    let warehouse = Warehouse::over(objects.clone(), Arc::new(SystemClock)).await;
    Analytics::of(warehouse.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_at_once_write_each_line_once() {
    let log = Log::new().await;
    for objects in log.storages() {
        let (a, b) = (server(&objects).await, server(&objects).await);
        let handle_all = |server: Analytics| {
            let deliveries = log.deliveries();
            tokio::spawn(async move {
                for work in &deliveries {
                    // As a lane does, which has no end of attempts.
                    while server.perform(work).await.is_err() {}
                }
            })
        };
        let (a, b) = tokio::join!(handle_all(a), handle_all(b));
        a.unwrap();
        b.unwrap();
        log.assert_complete(&*objects).await;
    }
}

#[tokio::test]
async fn a_server_with_an_old_state_creates_no_manifest_a_second_time() {
    let log = Log::new().await;
    let deliveries = log.deliveries();
    for objects in log.storages() {
        for known in 0..3 {
            let (ahead, behind) = (server(&objects).await, server(&objects).await);
            let workspace = log.partition.workspace;
            ahead.forget(workspace).await.unwrap();
            // What the server that is behind knows: nothing, or one of the first versions.
            let slot = behind.slot(workspace).await;
            for work in &deliveries[..known] {
                behind.perform(work).await.unwrap();
            }
            let old = match slot.lock().await.clone() {
                Some(state) => state,
                None => behind.read_state(workspace).await.unwrap(),
            };
            for work in &deliveries {
                ahead.perform(work).await.unwrap();
            }
            *slot.lock().await = Some(old);
            for work in &deliveries[known..] {
                behind.perform(work).await.unwrap();
            }
            log.assert_complete(&*objects).await;
        }
    }
}

#[tokio::test]
async fn old_manifests_are_deleted_but_for_the_first() {
    let log = Log::new().await;
    for objects in log.storages() {
        let server = server(&objects).await;
        for work in &log.deliveries()[..6] {
            server.perform(work).await.unwrap();
        }
        let prefix = format!("workspace={}/_manifest", log.partition.workspace);
        let prefix = object_store::path::Path::from(prefix);
        let manifests: Vec<_> = objects.list(Some(&prefix)).try_collect().await.unwrap();
        let mut names: Vec<_> = manifests.iter().map(|file| file.location.to_string()).collect();
        names.sort_unstable();
        let expected = [1, 4, 5, 6].map(|version| format!("{prefix}/{version:020}.json"));
        assert_eq!(names, expected);
    }
}
