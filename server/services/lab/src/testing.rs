//! What tests of several servers on one store have in common.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use broker::{Broker, Events, Heard, PartitionId, ServerMessage, Subscriber};
use documents::{DocumentStore, sqlite::SqliteDocumentStore};
use tokio::sync::broadcast;

/// The servers on one store: each hears what any of them tells.
#[derive(Debug)]
pub(crate) struct Servers(pub(crate) broadcast::Sender<Heard>);

#[async_trait]
impl Broker for Servers {
    async fn publish(&self, _: PartitionId, _: Events) {}

    async fn subscribe(&self, _: &'static str) -> Box<dyn Subscriber> {
        panic!("the lab has no group")
    }

    async fn tell(&self, message: &ServerMessage) {
        // Without a server that listens nothing is heard.
        let _ = self.0.send(Heard::Message(message.clone()));
    }

    fn messages(&self) -> broadcast::Receiver<Heard> {
        self.0.subscribe()
    }

    fn close(&self) {}
}

/// Servers of which none listens yet.
pub(crate) fn servers() -> Arc<Servers> {
    Arc::new(Servers(broadcast::Sender::new(16)))
}

/// The store of a folder.
pub(crate) async fn store(folder: &Path) -> Arc<dyn DocumentStore> {
    let file = folder.join("processes.db");
    Arc::new(SqliteDocumentStore::open(&file).await.unwrap())
}
