//! What a process has sent is noted although another of its commands is half sent, and holds what is written with.

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
use payment::{NoAnswer, PaymentProvider};
use test_support::watched::{Watch, Watched, Write};

/// Whatever comes in is paid for twice: two commands of one process, for two streams.
#[derive(Debug)]
struct Twice;

const SLOW: &str = "slow-01";
const QUICK: &str = "quick-01";

impl Policy for Twice {
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

const TWICE: &[&dyn AnyPolicy] = &[&Erased::<Twice>::new()];

/// How far the two have come.
#[derive(Debug, Default)]
struct Stages {
    is_held: Notify,
    is_being_noted: Notify,
}

/// A provider that holds the processes' file for the one payment until what became of the other one is being noted.
#[derive(Debug)]
struct Holding {
    file: PathBuf,
    stages: Arc<Stages>,
}

impl Holding {
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
impl PaymentProvider for Holding {
    async fn ask(&self, _: WorkspaceId, key: &str, _: &ProviderRequest) -> Result<ProviderAnswer, NoAnswer> {
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

/// Says when something is being noted, and remembers what could not be.
#[derive(Debug)]
struct Listening {
    stages: Arc<Stages>,
    failed: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Watch for Listening {
    async fn amend(&self, scope: &Scope, amend: Write<'_, ()>) -> Result<(), DocumentStoreError> {
        if scope.view == Twice::NAME {
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
async fn what_was_sent_is_noted_while_another_command_holds_the_writer() {
    let shop = Shop::open(1).await;
    let file = shop.folder.path().join("consumers.db");
    let (stages, failed) = (Arc::<Stages>::default(), Arc::default());
    let processes: Arc<dyn DocumentStore> = Arc::new(Watched {
        inner: Arc::new(SqliteDocumentStore::open(&file).await.unwrap()),
        watch: Listening {
            stages: Arc::clone(&stages),
            failed: Arc::clone(&failed),
        },
    });
    let clock = Arc::new(SystemClock);
    let commands = CommandService::new(shop.store.clone(), clock.clone());
    let dependencies = Dependencies {
        store: shop.store.clone(),
        broker: shop.read.broker.clone(),
        commands: Arc::new(commands.with_payments(Arc::new(Holding { file, stages }))),
        clocks: Arc::new(Clocks::new(clock.clone(), processes.clone())),
        processes,
        folder: shop.folder.path().join("checkpoints"),
        clock,
    };
    let running = Arc::new(Consumers::start(dependencies, TWICE, Vec::new()).await.unwrap());
    shop.read.settling.wait_for(running.clone());
    shop.append("inventory-mug", &[received(1)]).await;
    settled(&shop, PATIENCE).await.unwrap();
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
