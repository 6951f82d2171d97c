//! The outcome of a process's command is recorded while another of its commands is still being sent and holds
//! the write lock.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    id::WorkspaceId,
};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::Notify;

use super::*;
use documents::{DocumentStoreError, Scope};
use payment::{PaymentProvider, ProviderError};
use test_support::observed_store::{ObservedStore, Write, WriteObserver};

/// Received stock causes two payments: two commands of one process, for two streams.
#[derive(Debug)]
struct TwoPayments;

const SLOW: &str = "slow-01";
const QUICK: &str = "quick-01";

impl Policy for TwoPayments {
    const NAME: &'static str = "twice";
    type State = u64;

    fn key(event: &TypedEvent) -> Option<String> {
        (event.stream.category() == "inventory").then(|| event.stream.id().to_owned())
    }

    fn evolve(handled: u64, _: &TypedEvent) -> u64 {
        handled + 1
    }

    fn react(_: &u64, _: &TypedEvent) -> Vec<Reaction> {
        let pay = |order: &'static str| Reaction::Send {
            step: order.into(),
            command_type: "ProcessPayment",
            stream: format!("payment-{order}"),
            data: json!({"order": order, "amount": {"amount": 900, "currency": "EUR"}, "method": "tok_ok"}),
        };
        vec![pay(SLOW), pay(QUICK)]
    }

    fn expire(_: &u64, _: &str) -> Vec<Reaction> {
        Vec::new()
    }
}

const POLICIES_WITH_TWO_PAYMENTS: &[&dyn AnyPolicy] = &[&ErasedPolicy::<TwoPayments>::new()];

/// The progress of the two commands.
#[derive(Debug, Default)]
struct Stages {
    is_held: Notify,
    is_being_noted: Notify,
}

/// A provider that holds the write lock of the processes' file for one payment until the outcome of the other
/// is being recorded.
#[derive(Debug)]
struct BlockingProvider {
    file: PathBuf,
    stages: Arc<Stages>,
}

impl BlockingProvider {
    async fn hold(&self) -> Result<(), sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(&self.file);
        let mut writer = SqliteConnection::connect_with(&options).await?;
        sqlx::query("begin immediate").execute(&mut writer).await?;
        self.stages.is_held.notify_one();
        self.stages.is_being_noted.notified().await;
        sqlx::query("commit").execute(&mut writer).await?;
        writer.close().await
    }
}

#[async_trait]
impl PaymentProvider for BlockingProvider {
    async fn ask(
        &self,
        _: WorkspaceId,
        key: &str,
        _: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        if key.ends_with(SLOW) {
            self.hold().await.unwrap();
        } else {
            self.stages.is_held.notified().await;
        }
        Ok(ProviderAnswer::Charged {
            charge: key.to_owned(),
        })
    }
}

/// Reports when an outcome is being recorded, and collects failures.
#[derive(Debug)]
struct AmendObserver {
    stages: Arc<Stages>,
    failed: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl WriteObserver for AmendObserver {
    async fn amend(&self, scope: &Scope, amend: Write<'_, ()>) -> Result<(), DocumentStoreError> {
        if scope.view == TwoPayments::NAME {
            self.stages.is_being_noted.notify_one();
        }
        let noted = amend.await;
        if let Err(error) = &noted {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.push(error.to_string());
        }
        noted
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_recorded_while_another_command_holds_the_write_lock() {
    let shop = Shop::open(1).await;
    let file = shop.folder.path().join("consumers.db");
    let (stages, failed) = (Arc::<Stages>::default(), Arc::default());
    let process_store: Arc<dyn DocumentStore> = Arc::new(ObservedStore {
        inner: Arc::new(SqliteDocumentStore::open(&file).await.unwrap()),
        observer: AmendObserver {
            stages: Arc::clone(&stages),
            failed: Arc::clone(&failed),
        },
    });
    let clock = Arc::new(SystemClock);
    let commands = CommandService::new(shop.store.clone(), clock.clone());
    let dependencies = Dependencies {
        store: shop.store.clone(),
        broker: shop.read.broker.clone(),
        commands: Arc::new(commands.with_payments(Arc::new(BlockingProvider { file, stages }))),
        clocks: Arc::new(Clocks::new(clock.clone(), process_store.clone())),
        process_store,
        folder: shop.folder.path().join("checkpoints"),
        lane_setup: Arc::new(ServerLanes {
            views: shop.read.progress.clone(),
            board: Arc::default(),
        }),
        clock,
    };
    let running = Arc::new(
        Consumers::start(dependencies, POLICIES_WITH_TWO_PAYMENTS, Vec::new())
            .await
            .unwrap(),
    );
    shop.read.settlement.wait_for(running.clone());
    shop.append("inventory-mug", &[received(1)]).await;
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    for order in [SLOW, QUICK] {
        assert_eq!(
            shop.document("payments", order).await["status"],
            "processed",
            "{order}"
        );
    }
    assert_eq!(*failed.lock().unwrap(), Vec::<String>::new());
    running.stop().await;
}
