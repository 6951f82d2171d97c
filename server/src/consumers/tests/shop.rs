//! A shop for tests: every box behind the gateway over real stores, with a payment provider and deliveries
//! that fail at random. It can be stopped at any point.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use broker::{Broker, Delivery, Events, PartitionId, Subscriber};
use clock::{Clock, SharedClock, SystemClock};
use command::{CommandFailure, CommandService};
use documents::{DeadLetter, PageRequest, ParkedState};
use domain::{
    access::{Actor, Role},
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    event::StoredEvent,
    id::WorkspaceId,
    policy::{self, Policy as _, TIMERS, fulfilment::Fulfilment},
    timestamp::Timestamp,
    view,
    wire::{CommandAnswer, CommandRequest, Order, Template},
};
use event_store::{EventFilter, EventStore, Workspace};
use payment::{
    PaymentProvider, ProviderError,
    test_mode::{Charge, TestMode},
};
use query::{QueryError, settled::SettleRequest};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_postgres::Database;
use uuid::Uuid;
use workspace_clock::{Clocks, LogClock};

use crate::{
    consumers::{Consumers, Dependencies},
    read_side::{self, ReadSide, ReadSideBuilder, testing::TEST_TIMEOUT},
    server_lanes::ServerLanes,
    settings::StoreUrl,
};

/// The stores of a shop.
pub(super) enum TestStorage {
    Folder(TempDir),
    Database(Database),
}

impl TestStorage {
    pub(super) fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    fn url(&self, file: &str) -> StoreUrl {
        match self {
            Self::Folder(folder) => PathBuf::from(folder.path()).join(file).into(),
            Self::Database(database) => database.url.parse().unwrap(),
        }
    }
}

/// A random source of faults with a seed, so that a failing case can be repeated.
#[derive(Debug, Default)]
pub(super) struct FaultSource {
    seed: AtomicU64,
    is_disabled: AtomicBool,
}

impl FaultSource {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed: AtomicU64::new(seed | 1),
            is_disabled: AtomicBool::new(false),
        })
    }

    /// Injects no more faults.
    pub(super) fn disable(&self) {
        self.is_disabled.store(true, Ordering::Relaxed);
    }

    /// Whether a fault occurs: once in `n` times.
    fn occurs(&self, n: u64) -> bool {
        let next = self
            .seed
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        !self.is_disabled.load(Ordering::Relaxed) && (next >> 32).is_multiple_of(n)
    }
}

/// A provider whose request or answer is sometimes lost.
#[derive(Debug)]
struct UnreliableProvider {
    inner: TestMode,
    faults: Arc<FaultSource>,
}

#[async_trait]
impl PaymentProvider for UnreliableProvider {
    async fn ask(
        &self,
        workspace: WorkspaceId,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        if self.faults.occurs(4) {
            return Err(ProviderError::Unavailable("it was not reached".to_owned()));
        }
        let answer = self.inner.ask(workspace, key, request).await;
        if self.faults.occurs(4) {
            return Err(ProviderError::NotYet);
        }
        answer
    }
}

/// A broker whose subscribers sometimes drop a delivery, which is then made again.
#[derive(Debug)]
struct UnreliableBroker {
    inner: Arc<dyn Broker>,
    faults: Arc<FaultSource>,
}

struct UnreliableSubscriber {
    inner: Box<dyn Subscriber>,
    faults: Arc<FaultSource>,
}

#[async_trait]
impl Broker for UnreliableBroker {
    async fn publish(&self, partition: PartitionId, events: Events) {
        self.inner.publish(partition, events).await;
    }

    async fn subscribe(&self, group: &'static str) -> Box<dyn Subscriber> {
        Box::new(UnreliableSubscriber {
            inner: self.inner.subscribe(group).await,
            faults: self.faults.clone(),
        })
    }

    fn close(&self) {
        self.inner.close();
    }
}

#[async_trait]
impl Subscriber for UnreliableSubscriber {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let delivery = self.inner.next().await?;
            if !self.faults.occurs(3) {
                return Some(delivery);
            }
        }
    }
}

/// A clock that advances by a microsecond with each call, so that events have an order, and not otherwise:
/// deadlines pass when the test puts the workspace's clock forward, not because the machine is busy.
#[derive(Debug)]
pub(super) struct StoppedClock(AtomicI64);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl StoppedClock {
    /// A clock that stands at the current time.
    pub(super) fn at_now() -> SharedClock {
        Arc::new(Self(AtomicI64::new(SystemClock.now().as_micros())))
    }
}

/// The running boxes.
pub(super) struct Shop {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) read: ReadSide,
    pub(super) commands: Arc<CommandService>,
    pub(super) consumers: Arc<Consumers>,
    clocks: Arc<Clocks>,
    pub(super) workspace: Workspace,
    pub(super) storage: TestStorage,
    pub(super) faults: Arc<FaultSource>,
    clock: SharedClock,
}

async fn start(
    storage: &TestStorage,
    faults: &Arc<FaultSource>,
    clock: &SharedClock,
) -> (
    Arc<dyn EventStore>,
    ReadSide,
    Arc<CommandService>,
    Arc<Consumers>,
    Arc<Clocks>,
) {
    let log_clock = LogClock::new(Arc::clone(clock));
    let clock: SharedClock = log_clock.clone();
    let builder = ReadSideBuilder::with_views(view::all());
    let store = event_store::open(&storage.url("events.db"), clock.clone(), Some(builder.observer()))
        .await
        .unwrap();
    store.register_types().await.unwrap();
    let read_model = read_model::open(&storage.url("views.db")).await.unwrap();
    let read = builder
        .start(read_side::Dependencies::in_process(
            store.clone(),
            read_model,
            clock.clone(),
        ))
        .await
        .unwrap();
    let process_store = process_manager::process::open(&storage.url("consumers.db"))
        .await
        .unwrap();
    let clocks = Arc::new(Clocks::new(clock.clone(), process_store.clone()));
    log_clock.follow(&clocks);
    let provider = UnreliableProvider {
        inner: TestMode::new(process_store.clone(), clocks.clone()),
        faults: faults.clone(),
    };
    let commands = CommandService::new(store.clone(), clock.clone())
        .with_clocks(clocks.clone())
        .with_payments(Arc::new(provider));
    let commands = Arc::new(commands);
    let dependencies = Dependencies {
        store: store.clone(),
        broker: Arc::new(UnreliableBroker {
            inner: read.broker.clone(),
            faults: faults.clone(),
        }),
        commands: commands.clone(),
        process_store,
        clocks: clocks.clone(),
        // No consumer runs here, so this folder stays empty.
        folder: std::path::PathBuf::new(),
        lane_setup: Arc::new(ServerLanes {
            views: read.progress.clone(),
            board: Arc::default(),
        }),
        clock,
    };
    let consumers = Consumers::start(dependencies, policy::all(), Vec::new()).await;
    let consumers = Arc::new(consumers.unwrap());
    read.settlement.wait_for(consumers.clone());
    (store, read, commands, consumers, clocks)
}

impl Shop {
    pub(super) async fn open(
        storage: TestStorage,
        shards: u32,
        faults: Arc<FaultSource>,
        clock: SharedClock,
    ) -> Self {
        let (store, read, commands, consumers, clocks) = start(&storage, &faults, &clock).await;
        let id = WorkspaceId(SystemClock.new_id());
        let workspace = Workspace {
            id,
            name: "Test".into(),
            template: Template::Empty,
            shards,
            join_code: id.to_string(),
            created_at: clock.now(),
        };
        assert!(store.create_workspace(&workspace).await.unwrap());
        Self {
            store,
            read,
            commands,
            consumers,
            clocks,
            workspace,
            storage,
            faults,
            clock,
        }
    }

    /// Stops all boxes at any point, and starts them again over the same stores.
    pub(super) async fn crash(self) -> Self {
        let Self {
            store,
            read,
            commands,
            consumers,
            clocks,
            workspace,
            storage,
            faults,
            clock,
        } = self;
        consumers.stop().await;
        read.shutdown().await;
        store.close().await;
        drop((store, read, commands, consumers, clocks));
        let (store, read, commands, consumers, clocks) = start(&storage, &faults, &clock).await;
        Self {
            store,
            read,
            commands,
            consumers,
            clocks,
            workspace,
            storage,
            faults,
            clock,
        }
    }

    pub(super) async fn send(&self, command: Value) -> Result<CommandAnswer, CommandFailure> {
        let actor = Actor {
            id: Uuid::from_u128(7),
            role: Role::Educator,
            name: "Grace".into(),
        };
        let request: CommandRequest = serde_json::from_value(command).unwrap();
        self.commands
            .handle(self.workspace.id, &actor, &request, None, None)
            .await
    }

    /// Lists a product with this much stock.
    pub(super) async fn list(&self, sku: &str, stock: u32) {
        self.send(
            json!({"type": "ListProduct", "stream": format!("product-{sku}"), "data": {
                "sku": sku, "name": sku, "description": "Of a kind",
                "price": {"amount": 500, "currency": "EUR"}, "tags": [],
            }}),
        )
        .await
        .unwrap();
        if stock > 0 {
            let stream = format!("inventory-{sku}");
            self.send(json!({"type": "ReceiveStock", "stream": stream, "data": {"quantity": stock}}))
                .await
                .unwrap();
        }
    }

    /// Lists a product from before the length of skus was limited.
    pub(super) async fn was_listed(&self, sku: &str) {
        let events = [test_support::listed(sku, "Mug")];
        test_support::append(
            &*self.store,
            self.workspace.id,
            &format!("product-{sku}"),
            &events,
        )
        .await;
    }

    /// Orders one of each sku.
    pub(super) async fn order(&self, id: &str, skus: &[&str], method: &str) -> CommandAnswer {
        let lines: Vec<_> = skus
            .iter()
            .map(|sku| json!({"sku": sku, "quantity": 1}))
            .collect();
        self.send(
            json!({"type": "PlaceOrder", "stream": format!("order-{id}"), "data": {
            "lines": lines, "payment_method": method}}),
        )
        .await
        .unwrap()
    }

    /// Sends a command to an order. Returns whether it was accepted.
    pub(super) async fn tell(&self, id: &str, command_type: &str) -> bool {
        let data = match command_type {
            "CancelOrder" => json!({"reason": "changed my mind"}),
            _ => json!({}),
        };
        let answer = self
            .send(json!({"type": command_type, "stream": format!("order-{id}"), "data": data}))
            .await;
        match answer {
            Ok(_) => true,
            Err(CommandFailure::Rejected(_)) => false,
            Err(failure) => panic!("{command_type} of {id}: {failure}"),
        }
    }

    pub(super) async fn put_forward(&self, by_ms: u64) {
        self.clocks.put_forward(self.workspace.id, by_ms).await.unwrap();
    }

    /// Waits until all work, or that of one intention, is settled.
    pub(super) async fn settled(&self, correlation: Option<Uuid>) -> Result<(), QueryError> {
        self.settled_within(correlation, TEST_TIMEOUT).await
    }

    /// The same, with a timeout.
    pub(super) async fn settled_within(
        &self,
        correlation: Option<Uuid>,
        timeout: Duration,
    ) -> Result<(), QueryError> {
        let settle = SettleRequest {
            correlation,
            timeout,
            ..SettleRequest::default()
        };
        self.read
            .settlement
            .settled(self.workspace.id, &settle)
            .await
            .map(|_| ())
    }

    /// Waits until an order waits for its payment: it was requested and not answered.
    pub(super) async fn waits_for_the_payment(&self, correlation: Uuid) {
        let request = PageRequest {
            listing: TIMERS,
            group: "",
            order: Order::Asc,
            limit: 1,
            after: None,
        };
        let process_store = self.consumers.process_managers.process_store();
        loop {
            let waiting = process_store
                .page(self.workspace.id, Fulfilment::NAME, &request)
                .await
                .unwrap();
            if !waiting.value.is_empty() {
                return;
            }
            let is_settled = self
                .settled_within(Some(correlation), Duration::from_millis(50))
                .await;
            assert!(
                is_settled.is_err(),
                "the order settled without waiting for its payment"
            );
        }
    }

    pub(super) async fn document(&self, view: &str, key: &str) -> Value {
        let actor = crate::read_side::testing::educator();
        let read = self
            .read
            .query
            .document(self.workspace.id, &actor, view, key, None)
            .await;
        read.map_or(Value::Null, |read| serde_json::from_str(read.data.get()).unwrap())
    }

    /// The payment provider's own books.
    pub(super) async fn charges(&self) -> Vec<Charge> {
        TestMode::charges(
            &**self.consumers.process_managers.process_store(),
            self.workspace.id,
        )
        .await
        .unwrap()
    }

    /// Refunds an order's charge at the provider, without the shop.
    pub(super) async fn refund_at_the_provider(&self, id: &str) {
        let key = format!("charge/{id}");
        let charges = self.charges().await;
        let charge = charges.into_iter().find(|charge| charge.key == key).unwrap();
        let process_store = Arc::clone(self.consumers.process_managers.process_store());
        let provider = TestMode::new(process_store, self.clocks.clone());
        let request = ProviderRequest::Refund {
            charge: charge.charge,
            amount: charge.amount,
        };
        let answer = provider.ask(self.workspace.id, "by hand", &request).await;
        assert_eq!(answer.unwrap(), ProviderAnswer::Refunded);
    }

    /// Waits for a policy's dead letter with this number of attempts, while the shop is not settled.
    pub(super) async fn dead_letter(&self, wanted: u32) -> DeadLetter {
        let policies = self.consumers.dead_letters().next().unwrap();
        loop {
            let settled = self.settled_within(None, Duration::from_millis(20)).await;
            assert!(
                matches!(settled, Err(QueryError::NotSettled { .. })),
                "{settled:?}"
            );
            let letters = policies.list(self.workspace.id, None, None, 9).await.unwrap();
            if let [letter] = &letters[..]
                && let ParkedState::Dead { attempts, .. } = &letter.event.state
                && *attempts == wanted
            {
                return letter.clone();
            }
        }
    }

    /// The types of a stream's events.
    pub(super) async fn happened(&self, stream: &str) -> Vec<String> {
        let stream = stream.parse().unwrap();
        let events = self
            .store
            .read_stream(
                self.workspace.id,
                &stream,
                1,
                event_store::Direction::Forwards,
                1_000,
            )
            .await
            .unwrap();
        events.into_iter().map(|event| event.event_type).collect()
    }

    pub(super) async fn log(&self) -> Vec<StoredEvent> {
        let (mut log, mut after) = (Vec::new(), domain::token::ConsistencyToken::default());
        loop {
            let (page, next) = self
                .store
                .read_events(self.workspace.id, &EventFilter::default(), &after, 500)
                .await
                .unwrap();
            let is_last = page.len() < 500;
            log.extend(page);
            if is_last {
                return log;
            }
            after = next;
        }
    }

    /// The findings of the verification.
    pub(super) async fn findings(&self) -> Vec<String> {
        let read_model = &**self.read.read_model();
        monitor::verify::verify_running(&*self.store, read_model, &self.read.projections, &self.workspace)
            .await
            .unwrap()
            .findings
    }

    pub(super) async fn stop(self) {
        self.consumers.stop().await;
        self.read.shutdown().await;
        self.store.close().await;
    }
}
