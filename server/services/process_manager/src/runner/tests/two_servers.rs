//! The runners of two servers over one store: one of them sends a command without an answer, and when it is
//! answered, neither does anything.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use documents::DocumentStoreError;
use domain::{
    aggregate::payment::{ProviderAnswer, ProviderRequest},
    wire::Template,
};
use event_store::{EventStore, Workspace};
use payment::{PaymentProvider, ProviderError};
use test_support::observed_store::Write;

use super::*;

const WORKSPACE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

/// More operations than two idle runners need, and far fewer than those of one that does not rest.
const FEW: usize = 20;

/// A provider without an answer, until it has one.
#[derive(Debug, Default)]
struct Provider {
    asked: AtomicUsize,
    answers: AtomicBool,
}

#[async_trait]
impl PaymentProvider for Provider {
    async fn ask(
        &self,
        _: WorkspaceId,
        _: &str,
        _: &ProviderRequest,
    ) -> Result<ProviderAnswer, ProviderError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.answers.load(Ordering::SeqCst) {
            let charge = "ch_1".to_owned();
            return Ok(ProviderAnswer::Charged { charge });
        }
        Err(ProviderError::NotYet)
    }
}

/// Counts commits and reads.
#[derive(Debug, Clone, Default)]
struct Operations(Arc<AtomicUsize>);

#[async_trait]
impl WriteObserver for Operations {
    async fn amend(&self, _: &Scope, amend: Write<'_, ()>) -> Result<(), DocumentStoreError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        amend.await
    }

    fn read(&self, _: &str) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A server's runner, which knows of the other server.
struct Server {
    work: Arc<WorkSet>,
    queues: Arc<CommandQueues>,
    provider: Arc<Provider>,
    operations: Operations,
    cancelled: CancellationToken,
    running: JoinHandle<()>,
}

impl Server {
    fn start(events: &Arc<dyn EventStore>, store: &Arc<dyn DocumentStore>) -> Self {
        let clock = Arc::new(SystemClock);
        let (work, operations) = (Arc::new(WorkSet::default()), Operations::default());
        let queues = Arc::new(CommandQueues::new(work.clone()));
        let provider = Arc::new(Provider::default());
        let commands = CommandService::new(Arc::clone(events), clock.clone());
        let runner = Arc::new(Runner::new(Dependencies {
            policies: POLICIES,
            store: Arc::clone(events),
            process_store: Arc::new(ObservedStore {
                inner: Arc::clone(store),
                observer: operations.clone(),
            }),
            commands: Arc::new(commands.with_payments(provider.clone())),
            progress: Arc::new(Progress::new(managers(POLICIES))),
            clocks: Arc::new(Clocks::new(clock.clone(), Arc::clone(store))),
            clock,
            work: work.clone(),
            queues: queues.clone(),
        }));
        runner.others.note();
        let cancelled = CancellationToken::new();
        Self {
            running: tokio::spawn(runner.run(cancelled.clone())),
            work,
            queues,
            provider,
            operations,
            cancelled,
        }
    }

    fn asked(&self) -> usize {
        self.provider.asked.load(Ordering::SeqCst)
    }

    fn operations(&self) -> usize {
        self.operations.0.load(Ordering::SeqCst)
    }

    async fn stop(self) {
        self.cancelled.cancel();
        self.running.await.unwrap();
    }
}

/// A process with a charge to send.
fn charging() -> Process {
    let charge = PendingCommand {
        command_id: Uuid::from_u128(10),
        command_type: "ProcessPayment".to_owned(),
        stream: "payment-1".to_owned(),
        data: json!({
            "order": "1", "amount": {"amount": 500, "currency": "EUR"}, "method": "tok_timeout",
        }),
        causation_id: Uuid::from_u128(2),
        correlation_id: Uuid::from_u128(3),
    };
    Process {
        state: json!(0),
        pending: vec![charge],
        ..Process::default()
    }
}

async fn event_store(folder: &TempDir) -> Arc<dyn EventStore> {
    let clock = Arc::new(SystemClock);
    let path = folder.path().join("events.db");
    let events: Arc<dyn EventStore> = Arc::new(SqliteEventStore::open(&path, clock, None).await.unwrap());
    let workspace = Workspace {
        id: WORKSPACE,
        name: "Test".into(),
        template: Template::Empty,
        shards: 1,
        join_code: "test".into(),
        created_at: SystemClock.now(),
    };
    assert!(events.create_workspace(&workspace).await.unwrap());
    events
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_rests_at_one_of_two_servers_and_both_are_idle_when_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let events = event_store(&folder).await;
    let store = SqliteDocumentStore::open(&folder.path().join("processes.db")).await;
    let store: Arc<dyn DocumentStore> = Arc::new(store.unwrap());
    let scope = Scope {
        workspace: WORKSPACE,
        view: Passive::NAME,
        generation: FIRST_GENERATION,
    };
    let process = charging();
    let mut fold = |_: FoldInput| -> Result<FoldOutput, FoldFault> {
        Ok(FoldOutput {
            writes: vec![DocumentWrite {
                key: "1".to_owned(),
                data: Some(to_raw_value(&process).unwrap().into()),
                owner: None,
                removed_entries: Vec::new(),
                added_entries: process.listings(),
            }],
            ..FoldOutput::default()
        })
    };
    store.amend(&scope, &["1".to_owned()], &mut fold).await.unwrap();
    let read = async || {
        let read = store.document(WORKSPACE, Passive::NAME, "1").await;
        parsed(&read.unwrap().value.unwrap().data).unwrap()
    };
    let (here, there) = (Server::start(&events, &store), Server::start(&events, &store));
    let snapshot = Snapshot::Folded(to_raw_value(&process).unwrap().into());
    here.work.add(&scope, "1".into(), Some(snapshot));
    while read().await.leases.is_empty() {
        tokio::task::yield_now().await;
    }

    // The other server hears of it in every way, and leaves it to the first.
    there
        .work
        .add_unlisted((WORKSPACE, Passive::NAME), Unlisted::ElsewhereChanged);
    for snapshot in [
        None,
        Some(Snapshot::Folded(to_raw_value(&read().await).unwrap().into())),
    ] {
        let before = here.asked();
        there.work.add(&scope, "1".into(), snapshot);
        until(|| here.asked() > before).await;
    }
    until(|| there.operations() > 0).await;
    assert_eq!(there.asked(), 0);

    here.provider.answers.store(true, Ordering::SeqCst);
    here.queues.retry_now();
    while !read().await.pending.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(read().await.leases.is_empty());
    let before = here.operations() + there.operations();
    // The time of many operations.
    for _ in 0..100 * FEW {
        read().await;
    }
    let operations = here.operations() + there.operations() - before;
    assert!(operations < FEW, "{operations} operations");
    assert_eq!(there.asked(), 0);
    assert_eq!(events.head(WORKSPACE).await.unwrap().to_string(), "0:1");
    here.stop().await;
    there.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_command_is_taken_over_by_one_server() {
    let fixture = Fixture::new().await;
    let runner = &fixture.runner;
    runner.others.note();
    fixture.write("a", &charging()).await;
    let id = Uuid::from_u128(10);
    let key: Arc<str> = "a".into();
    let taken = runner.take_over(&fixture.scope, &key, &[(id, None)]).await;
    let taken = taken.unwrap().unwrap();
    let mut kept = taken.clone();
    runner.leave_to_others(&fixture.scope, &mut kept);
    assert_eq!(kept.pending.len(), 1, "it is this server's");
    let other = domain::policy::Lease {
        server: Uuid::from_u128(7),
        ..taken.leases[&id]
    };
    let theirs = Process {
        leases: [(id, other)].into(),
        ..charging()
    };
    fixture.write("b", &theirs).await;
    let key: Arc<str> = "b".into();
    let missed = runner.take_over(&fixture.scope, &key, &[(id, None)]).await;
    let mut missed = missed.unwrap().unwrap();
    assert_eq!(missed.leases[&id], other);
    runner.leave_to_others(&fixture.scope, &mut missed);
    assert!(missed.pending.is_empty(), "it is the other server's");
    fixture.stop().await;
}
