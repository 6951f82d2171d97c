//! A shop for tests: the real stores in a folder of its own, and the read side over them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use domain::{
    access::{Actor, Role},
    aggregate::{
        inventory::{InventoryEvent, StockReceived, StockReserved},
        order::{Customer, OrderCancelled, OrderConfirmed, OrderCreated, OrderEvent, OrderLine},
        product::{PriceChanged, ProductEvent, ProductListed, ProductRetired},
    },
    event::{DomainEvent, EventPayload, Metadata, StoredEvent},
    id::WorkspaceId,
    money::Money,
    token::ConsistencyToken,
    view::{AnyView, Folding, ListingEntry},
    wire::Template,
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{ReadSide, ReadSideBuilder};
use crate::{
    broker::{Events, decode, in_process::InProcessBroker},
    cache::in_process::InProcessCache,
    clock::{Clock as _, SystemClock},
    event_store::{
        Append, Appended, EventStore, Expected, NewEvent, SqliteEventStore, StreamAppend, Workspace,
    },
    projection::{Context, progress::Progress},
    query::live::hub::Hub,
    read_model::{ReadModel, sqlite::SqliteReadModel},
};

/// A running shop with one workspace.
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) read: ReadSide,
    pub(crate) workspace: WorkspaceId,
    pub(crate) folder: TempDir,
    shards: u32,
    views: &'static [&'static dyn AnyView],
}

/// The one deadline of these tests: the longest that somebody may wait for a fold. It ends a test that hangs.
pub(crate) const PATIENCE: Duration = crate::query::LONGEST_TIMEOUT;

/// The boxes around a lane, with nothing running: lanes are driven by hand.
pub(crate) struct Parts {
    pub(crate) context: Arc<Context>,
    pub(crate) workspace: WorkspaceId,
    _folder: TempDir,
}

impl Parts {
    /// Both stores, and a workspace with this many partitions.
    pub(crate) async fn new(shards: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let store = SqliteEventStore::open(&folder.path().join("events.db"), clock, None)
            .await
            .unwrap();
        let read_model = SqliteReadModel::open(&folder.path().join("views.db"))
            .await
            .unwrap();
        let workspace = open_workspace(&store, shards).await;
        Self {
            context: context(Arc::new(store), Arc::new(read_model)),
            workspace,
            _folder: folder,
        }
    }

    /// A second owner: the same stores, with a memory of its own.
    pub(crate) fn another_owner(&self) -> Arc<Context> {
        context(self.context.store.clone(), self.context.read_model.clone())
    }

    /// The same, which sees the read model through another.
    pub(crate) fn owner_with(&self, read_model: Arc<dyn ReadModel>) -> Arc<Context> {
        context(self.context.store.clone(), read_model)
    }

    /// Appends events to a stream.
    pub(crate) async fn append(&self, stream: &str, events: &[DomainEvent]) {
        append(&*self.context.store, self.workspace, stream, events).await;
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
            .read_model
            .document(self.workspace, view, key)
            .await
            .unwrap();
        read.value.map_or(serde_json::Value::Null, |document| {
            serde_json::from_str(document.data.get()).unwrap()
        })
    }
}

fn context(store: Arc<dyn EventStore>, read_model: Arc<dyn ReadModel>) -> Arc<Context> {
    let progress = Arc::new(Progress::default());
    Arc::new(Context {
        broker: Arc::new(InProcessBroker::new(store.clone())),
        store,
        read_model,
        cache: Arc::new(InProcessCache::new()),
        effect: None,
        followers: Arc::new(Hub::new(progress.clone())),
        progress,
        health: Arc::default(),
        clock: Arc::new(SystemClock),
    })
}

/// Both stores in a folder, and the read side started.
async fn start(folder: &Path, views: &'static [&'static dyn AnyView]) -> (Arc<dyn EventStore>, ReadSide) {
    let builder = ReadSideBuilder::with_views(views);
    let clock = Arc::new(SystemClock);
    let store = SqliteEventStore::open(&folder.join("events.db"), clock.clone(), Some(builder.observer()))
        .await
        .unwrap();
    let store: Arc<dyn EventStore> = Arc::new(store);
    let read_model = Arc::new(SqliteReadModel::open(&folder.join("views.db")).await.unwrap());
    let read = builder.start(store.clone(), read_model, clock).await.unwrap();
    (store, read)
}

impl Shop {
    /// A shop whose workspace has this many partitions.
    pub(crate) async fn open(shards: u32) -> Self {
        Self::open_with(shards, domain::view::all()).await
    }

    /// A shop with views of its own.
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
    pub(crate) async fn append(&self, stream: &str, events: &[DomainEvent]) -> Appended {
        append(&*self.store, self.workspace, stream, events).await
    }

    /// The newest position of each partition that has events.
    pub(crate) async fn head(&self) -> ConsistencyToken {
        let head = self.store.head(self.workspace).await.unwrap();
        head.iter().filter(|(_, position)| *position > 0).collect()
    }

    /// Waits until every view has folded everything that is stored.
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

    /// What the verifier finds.
    pub(crate) async fn findings(&self) -> Vec<String> {
        let workspace = self.store.workspace(self.workspace).await.unwrap().unwrap();
        let read_model = &**self.read.read_model();
        crate::monitor::verify::verify(&*self.store, read_model, &workspace)
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

    /// What a view must hold: its fold over everything that is stored.
    pub(crate) async fn fold_by_hand(
        &self,
        view: &dyn AnyView,
    ) -> BTreeMap<String, (String, Vec<ListingEntry>)> {
        let mut documents: BTreeMap<String, Box<dyn Folding>> = BTreeMap::new();
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

async fn open_workspace(store: &dyn EventStore, shards: u32) -> WorkspaceId {
    let id = WorkspaceId(SystemClock.new_id());
    let workspace = Workspace {
        id,
        name: "Test".into(),
        template: Template::Empty,
        shards,
        join_code: id.to_string(),
        created_at: SystemClock.now(),
    };
    assert!(store.create_workspace(&workspace).await.unwrap());
    id
}

/// Appends events to a stream of a workspace.
pub(crate) async fn append(
    store: &dyn EventStore,
    workspace: WorkspaceId,
    stream: &str,
    events: &[DomainEvent],
) -> Appended {
    let new = |event: &DomainEvent| NewEvent {
        event_id: SystemClock.new_id(),
        event_type: event.event_type().name.to_owned(),
        schema_version: event.event_type().schema_version,
        payload: payload(event),
    };
    let append = Append {
        workspace,
        body_digest: [0; 32],
        streams: vec![StreamAppend {
            stream: stream.parse().unwrap(),
            expected: Expected::Any,
            events: events.iter().map(new).collect(),
        }],
        max_events: None,
        metadata: Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: educator().reference(),
            traceparent: None,
        },
    };
    store.append(append).await.unwrap()
}

fn payload(event: &DomainEvent) -> Box<serde_json::value::RawValue> {
    event.encode().unwrap()
}

/// Somebody who may read everything.
pub(crate) fn educator() -> Actor {
    Actor {
        id: Uuid::from_u128(1),
        role: Role::Educator,
        name: "Grace".into(),
    }
}

/// A customer.
pub(crate) fn customer(n: u128) -> Actor {
    Actor {
        id: Uuid::from_u128(100 + n),
        role: Role::Customer,
        name: "Ada".into(),
    }
}

/// A product comes into the catalogue.
pub(crate) fn listed(sku: &str, name: &str) -> DomainEvent {
    let listed = ProductListed {
        sku: sku.into(),
        name: name.into(),
        description: "Holds coffee.".into(),
        price: Money::new(900, "EUR"),
        tags: vec!["kitchen".into(), "kitchen".into()],
    };
    ProductEvent::from(listed).into_domain()
}

/// Its price changes.
pub(crate) fn price(amount: i64) -> DomainEvent {
    ProductEvent::from(PriceChanged {
        price: Money::new(amount, "EUR"),
    })
    .into_domain()
}

/// It leaves the catalogue.
pub(crate) fn retired() -> DomainEvent {
    ProductEvent::from(ProductRetired {}).into_domain()
}

/// Stock comes in.
pub(crate) fn received(quantity: u32) -> DomainEvent {
    InventoryEvent::from(StockReceived { quantity }).into_domain()
}

/// Stock is promised.
pub(crate) fn reserved(quantity: u32) -> DomainEvent {
    reserved_for("1", quantity)
}

/// Stock is promised to an order.
pub(crate) fn reserved_for(order: &str, quantity: u32) -> DomainEvent {
    InventoryEvent::from(StockReserved {
        order: order.into(),
        quantity,
    })
    .into_domain()
}

/// A customer orders.
pub(crate) fn created(customer: &Actor) -> DomainEvent {
    let created = OrderCreated {
        customer: Customer {
            id: customer.id,
            name: customer.name.clone(),
        },
        lines: vec![a_mug()],
        total: Money::new(900, "EUR"),
        payment_method: "tok_ok".into(),
    };
    OrderEvent::from(created).into_domain()
}

fn a_mug() -> OrderLine {
    OrderLine {
        sku: "mug-1".into(),
        name: "Mug".into(),
        price: Money::new(900, "EUR"),
        quantity: 1,
    }
}

/// The order is confirmed.
pub(crate) fn confirmed() -> DomainEvent {
    let confirmed = OrderConfirmed {
        customer: customer(1).id,
        lines: vec![a_mug()],
        total: Money::new(900, "EUR"),
    };
    OrderEvent::from(confirmed).into_domain()
}

/// The order is cancelled.
pub(crate) fn cancelled() -> DomainEvent {
    OrderEvent::from(OrderCancelled {
        customer: customer(1).id,
        reason: "changed my mind".into(),
        sold: None,
    })
    .into_domain()
}
