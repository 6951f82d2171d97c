//! A shop for tests: the real stores in a folder of its own, and the read side over them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use clock::SystemClock;
use documents::sqlite::SqliteDocumentStore;
use domain::{
    event::{DomainEvent, StoredEvent},
    id::WorkspaceId,
    token::ConsistencyToken,
    view::{AnyView, FoldTarget, ListingEntry},
};
use event_store::{AppendAnswer, EventStore, SqliteEventStore};
use tempfile::TempDir;
pub(crate) use test_support::{
    append, cancelled, confirmed, created, customer, educator, listed, open_workspace, price, received,
    reserved, retired,
};

use super::{Dependencies, ReadSide, ReadSideBuilder};

/// A running shop with one workspace.
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) read: ReadSide,
    pub(crate) workspace: WorkspaceId,
    pub(crate) folder: TempDir,
    shards: u32,
    views: &'static [&'static dyn AnyView],
}

/// The only deadline of these tests: the longest wait for a fold. It ends a test that hangs.
pub(crate) const TEST_TIMEOUT: Duration = query::LONGEST_TIMEOUT;

/// Both stores in a folder, and the read side started.
async fn start(folder: &Path, views: &'static [&'static dyn AnyView]) -> (Arc<dyn EventStore>, ReadSide) {
    let builder = ReadSideBuilder::with_views(views);
    let clock = Arc::new(SystemClock);
    let store = SqliteEventStore::open(&folder.join("events.db"), clock.clone(), Some(builder.observer()))
        .await
        .unwrap();
    let store: Arc<dyn EventStore> = Arc::new(store);
    let read_model = Arc::new(SqliteDocumentStore::open(&folder.join("views.db")).await.unwrap());
    let read = builder
        .start(Dependencies::in_process(store.clone(), read_model, clock))
        .await
        .unwrap();
    (store, read)
}

impl Shop {
    /// A shop whose workspace has this many partitions.
    pub(crate) async fn open(shards: u32) -> Self {
        Self::open_with(shards, domain::view::all()).await
    }

    /// A shop with these views.
    pub(crate) async fn open_with(shards: u32, views: &'static [&'static dyn AnyView]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, read) = start(folder.path(), views).await;
        let workspace = open_workspace(&*store, shards).await;
        Self {
            store,
            read,
            workspace,
            folder,
            shards,
            views,
        }
    }

    /// Another workspace beside this one.
    pub(crate) async fn another_workspace(&self) -> WorkspaceId {
        open_workspace(&*self.store, self.shards).await
    }

    /// Stops everything, and starts it again over the same files.
    pub(crate) async fn restart(self) -> Self {
        let views = self.views;
        self.restart_with(views).await
    }

    /// The same, with other views.
    pub(crate) async fn restart_with(self, views: &'static [&'static dyn AnyView]) -> Self {
        let Self {
            store,
            read,
            workspace,
            folder,
            shards,
            ..
        } = self;
        read.shutdown().await;
        store.close().await;
        drop((store, read));
        let (store, read) = start(folder.path(), views).await;
        Self {
            store,
            read,
            workspace,
            folder,
            shards,
            views,
        }
    }

    /// Appends events to a stream.
    pub(crate) async fn append(&self, stream: &str, events: &[DomainEvent]) -> AppendAnswer {
        append(&*self.store, self.workspace, stream, events).await
    }

    /// The newest position of each partition that has events.
    pub(crate) async fn head(&self) -> ConsistencyToken {
        let head = self.store.head(self.workspace).await.unwrap();
        head.iter().filter(|(_, position)| *position > 0).collect()
    }

    /// Waits until every view is caught up.
    pub(crate) async fn settle(&self) {
        let head = self.head().await;
        for view in self.views {
            self.read
                .progress
                .of(self.workspace, view.name())
                .unwrap()
                .reaches(&head)
                .await;
        }
    }

    /// The JSON of a document, as a query answers it.
    pub(crate) async fn document(&self, view: &str, key: &str) -> serde_json::Value {
        let read = self
            .read
            .query
            .document(self.workspace, &educator(), view, key, None)
            .await;
        read.map_or(serde_json::Value::Null, |read| {
            serde_json::from_str(read.data.get()).unwrap()
        })
    }

    /// The findings of the verification.
    pub(crate) async fn findings(&self) -> Vec<String> {
        let workspace = self.store.workspace(self.workspace).await.unwrap().unwrap();
        let read_model = &**self.read.read_model();
        monitor::verify::verify_running(&*self.store, read_model, &self.read.projections, &workspace)
            .await
            .unwrap()
            .findings
    }

    /// Every event of the workspace, partition by partition.
    pub(crate) async fn events(&self) -> Vec<StoredEvent> {
        let mut events = Vec::new();
        for (partition, head) in self.head().await.iter() {
            loop {
                let read = events
                    .iter()
                    .filter(|event: &&StoredEvent| event.partition == partition);
                let after = read.count() as u64;
                if after >= head {
                    break;
                }
                events.extend(
                    self.store
                        .read_partition(self.workspace, partition, after, 1_000)
                        .await
                        .unwrap(),
                );
            }
        }
        events
    }

    /// The expected content of a view: its fold over the whole log.
    pub(crate) async fn fold_by_hand(
        &self,
        view: &dyn AnyView,
    ) -> BTreeMap<String, (String, Vec<ListingEntry>)> {
        let mut documents: BTreeMap<String, Box<dyn FoldTarget>> = BTreeMap::new();
        for event in self.events().await {
            let event = event.decode().unwrap();
            for key in view.keys(&event) {
                documents
                    .entry(key)
                    .or_insert_with_key(|key| view.load(key, None).unwrap())
                    .fold(&event);
            }
        }
        documents
            .into_iter()
            .filter_map(|(key, folding)| {
                Some((
                    key,
                    (folding.document().unwrap()?.get().to_owned(), folding.listings()),
                ))
            })
            .collect()
    }
}
