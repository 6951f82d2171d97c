//! The boxes around a lane for tests: real stores in a folder, with nothing running.

use std::sync::Arc;

use broker::{Events, decode, in_process::InProcessBroker};
use cache::in_process::InProcessCache;
use clock::SystemClock;
use documents::{DocumentStore, sqlite::SqliteDocumentStore};
use domain::{event::DomainEvent, id::WorkspaceId};
use event_store::{EventStore, SqliteEventStore};
use tempfile::TempDir;
use test_support::open_workspace;

use crate::{Context, NoFollowers, ownership::EveryServer, progress::Progress};

/// The boxes around a lane, with nothing running: lanes are driven by hand.
pub(crate) struct LaneFixture {
    pub(crate) context: Arc<Context>,
    pub(crate) workspace: WorkspaceId,
    _folder: TempDir,
}

impl LaneFixture {
    /// Both stores, and a workspace with this many partitions.
    pub(crate) async fn new(shards: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let store = SqliteEventStore::open(&folder.path().join("events.db"), clock, None)
            .await
            .unwrap();
        let documents = SqliteDocumentStore::open(&folder.path().join("views.db"))
            .await
            .unwrap();
        let workspace = open_workspace(&store, shards).await;
        Self {
            context: context(Arc::new(store), Arc::new(documents)),
            workspace,
            _folder: folder,
        }
    }

    /// Another workspace in the same stores.
    pub(crate) async fn another_workspace(&self, shards: u32) -> WorkspaceId {
        open_workspace(&*self.context.store, shards).await
    }

    /// A second owner: the same stores, with a memory of its own.
    pub(crate) fn another_owner(&self) -> Arc<Context> {
        context(self.context.store.clone(), self.context.documents.clone())
    }

    /// An owner that sees the read model through `documents`.
    pub(crate) fn owner_with(&self, documents: Arc<dyn DocumentStore>) -> Arc<Context> {
        context(self.context.store.clone(), documents)
    }

    /// A context over the same stores, to be changed by the test.
    pub(crate) fn new_context(&self) -> Context {
        context_over(self.context.store.clone(), self.context.documents.clone())
    }

    /// Appends events to a stream.
    pub(crate) async fn append(&self, stream: &str, events: &[DomainEvent]) {
        test_support::append(&*self.context.store, self.workspace, stream, events).await;
    }

    /// The events of partition 0, as they are published.
    pub(crate) async fn published(&self) -> Events {
        decode(
            &self
                .context
                .store
                .read_partition(self.workspace, 0, 0, 10_000)
                .await
                .unwrap(),
        )
    }

    /// The JSON of a document.
    pub(crate) async fn document(&self, view: &str, key: &str) -> serde_json::Value {
        let read = self
            .context
            .documents
            .document(self.workspace, view, key)
            .await
            .unwrap();
        read.value.map_or(serde_json::Value::Null, |document| {
            serde_json::from_str(document.data.get()).unwrap()
        })
    }
}

fn context(store: Arc<dyn EventStore>, documents: Arc<dyn DocumentStore>) -> Arc<Context> {
    Arc::new(context_over(store, documents))
}

fn context_over(store: Arc<dyn EventStore>, documents: Arc<dyn DocumentStore>) -> Context {
    let progress = Arc::new(Progress::default());
    Context {
        broker: Arc::new(InProcessBroker::new(store.clone())),
        store,
        documents,
        cache: Arc::new(InProcessCache::new()),
        followers: Arc::new(NoFollowers),
        progress,
        health: Arc::default(),
        clock: Arc::new(SystemClock),
        ownership: Arc::new(EveryServer),
    }
}
