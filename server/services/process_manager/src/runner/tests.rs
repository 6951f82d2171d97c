//! A run reads no process but those that are known to have work, and no listing unless there is a reason.

mod two_servers;

use std::sync::{Mutex, PoisonError};

use clock::{Clock as _, SystemClock};
use documents::{DocumentWrite, FoldFault, FoldInput, FoldOutput, sqlite::SqliteDocumentStore};
use domain::{
    event::TypedEvent,
    policy::{ErasedPolicy, PendingCommand, Policy, Process, Reaction, Timer},
    timestamp::Timestamp,
};
use event_store::SqliteEventStore;
use projection::lane_controls::LaneDials;
use serde_json::{json, value::to_raw_value};
use tempfile::TempDir;
use test_support::observed_store::{ObservedStore, WriteObserver};
use tokio::task::JoinHandle;
use uuid::Uuid;
use workspace_clock::Timers as _;

use super::*;
use crate::{
    process::{managers, parsed},
    unfinished::{Awaited, ProcessKeys},
    work_set::Snapshot,
};

/// A policy that adds nothing to what its processes have.
#[derive(Debug)]
struct Passive;

impl Policy for Passive {
    const NAME: &'static str = "passive";
    type State = u64;

    fn key(_: &TypedEvent) -> Option<String> {
        None
    }

    fn evolve(state: u64, _: &TypedEvent) -> u64 {
        state
    }

    fn react(_: &u64, _: &TypedEvent) -> Vec<Reaction> {
        Vec::new()
    }

    fn expire(_: &u64, _: &str) -> Vec<Reaction> {
        Vec::new()
    }
}

const POLICIES: &[&dyn AnyPolicy] = &[&ErasedPolicy::<Passive>::new()];

/// The keys of the documents and the names of the listings that were read.
#[derive(Debug, Clone, Default)]
struct Reads(Arc<Mutex<Vec<String>>>);

impl WriteObserver for Reads {
    fn read(&self, what: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what.to_owned());
    }
}

impl Reads {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A running runner without lanes.
struct Fixture {
    runner: Arc<Runner>,
    work: Arc<WorkSet>,
    progress: Arc<Progress>,
    /// The process store, without observation.
    store: Arc<dyn DocumentStore>,
    reads: Reads,
    scope: Scope,
    cancelled: CancellationToken,
    running: JoinHandle<()>,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let events = SqliteEventStore::open(&folder.path().join("events.db"), clock.clone(), None)
            .await
            .unwrap();
        let events: Arc<dyn EventStore> = Arc::new(events);
        let store = SqliteDocumentStore::open(&folder.path().join("processes.db"))
            .await
            .unwrap();
        let store: Arc<dyn DocumentStore> = Arc::new(store);
        let (work, reads) = (Arc::new(WorkSet::default()), Reads::default());
        let progress = Arc::new(Progress::new(managers(POLICIES)));
        let runner = Arc::new(Runner::new(Dependencies {
            policies: POLICIES,
            store: Arc::clone(&events),
            process_store: Arc::new(ObservedStore {
                inner: store.clone(),
                observer: reads.clone(),
            }),
            commands: Arc::new(CommandService::new(events, clock.clone())),
            progress: progress.clone(),
            clocks: Arc::new(Clocks::new(clock.clone(), store.clone())),
            clock,
            work: work.clone(),
            queues: Arc::new(CommandQueues::new(work.clone())),
        }));
        let cancelled = CancellationToken::new();
        Self {
            running: tokio::spawn(Arc::clone(&runner).run(cancelled.clone())),
            runner,
            work,
            progress,
            store,
            reads,
            scope: Scope {
                workspace: WorkspaceId(Uuid::from_u128(1)),
                view: Passive::NAME,
                generation: FIRST_GENERATION,
            },
            cancelled,
            _folder: folder,
        }
    }

    async fn write(&self, key: &str, process: &Process) {
        let mut fold = |_: FoldInput| -> Result<FoldOutput, FoldFault> {
            Ok(FoldOutput {
                writes: vec![DocumentWrite {
                    key: key.to_owned(),
                    data: Some(to_raw_value(process).unwrap().into()),
                    owner: None,
                    removed_entries: Vec::new(),
                    added_entries: process.listings(),
                }],
                ..FoldOutput::default()
            })
        };
        let keys = [key.to_owned()];
        self.store.amend(&self.scope, &keys, &mut fold).await.unwrap();
    }

    async fn read(&self, key: &str) -> Process {
        let read = self.store.document(self.scope.workspace, Passive::NAME, key);
        parsed(&read.await.unwrap().value.unwrap().data).unwrap()
    }

    /// Waits until a process has no work and no timers.
    async fn is_done(&self, key: &str) {
        loop {
            let changed = self.progress.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let process = self.read(key).await;
            if process.pending.is_empty() && process.timers.is_empty() {
                return;
            }
            changed.await;
        }
    }

    async fn stop(self) {
        self.cancelled.cancel();
        self.running.await.unwrap();
    }
}

/// A process with a command that is refused: its stream's name is too long.
fn refused(id: u128) -> Process {
    Process {
        state: json!(0),
        pending: vec![PendingCommand {
            command_id: Uuid::from_u128(id),
            command_type: "ReceiveStock".to_owned(),
            stream: format!("inventory-{}", "m".repeat(200)),
            data: json!({"quantity": 1}),
            causation_id: Uuid::from_u128(2),
            correlation_id: Uuid::from_u128(3),
        }],
        ..Process::default()
    }
}

/// A process with a scheduled timer.
fn timed(due: Timestamp) -> Process {
    Process {
        state: json!(0),
        timers: vec![Timer {
            name: "timer".to_owned(),
            begun_at: due,
            after_ms: 0,
            due_at: Some(due),
            waits_for: None,
            causation_id: Uuid::from_u128(2),
            correlation_id: Uuid::from_u128(3),
        }],
        ..Process::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_processes_that_are_known_to_have_work_are_read() {
    let fixture = Fixture::new().await;
    for (n, key) in (10..).zip(["a", "b", "c"]) {
        fixture.write(key, &refused(n)).await;
    }
    let folded = Snapshot::Folded(to_raw_value(&refused(10)).unwrap().into());
    fixture.work.add(&fixture.scope, "a".into(), Some(folded));
    fixture.is_done("a").await;
    assert_eq!(fixture.reads.take(), Vec::<String>::new(), "the commit had it");
    fixture.work.add(&fixture.scope, "b".into(), None);
    fixture.is_done("b").await;
    assert_eq!(fixture.reads.take(), ["b"]);
    assert_eq!(fixture.read("c").await.pending.len(), 1);
    let policy = (fixture.scope.workspace, Passive::NAME);
    fixture.work.add_unlisted(policy, Unlisted::Unknown);
    fixture.is_done("c").await;
    let reads = fixture.reads.take();
    assert_eq!(reads[..2], ["timers", "work"], "{reads:?}");
    let refused = fixture.read("a").await.refused;
    assert_eq!(refused.len(), 1, "the command was sent once");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_timer_expires_and_only_the_listing_of_timers_is_read() {
    let fixture = Fixture::new().await;
    let now = SystemClock.now().as_micros();
    let [due, later] = [now, now + 3_600_000_000].map(Timestamp::from_micros);
    fixture.write("due", &timed(due)).await;
    fixture.write("later", &timed(later)).await;
    fixture.work.add_timer(&fixture.scope, due);
    fixture.is_done("due").await;
    assert_eq!(fixture.read("later").await.timers.len(), 1);
    let reads = fixture.reads.take();
    assert!(reads.iter().all(|read| read == "timers"), "{reads:?}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_is_not_due_costs_no_read() {
    let fixture = Fixture::new().await;
    fixture.write("a", &refused(10)).await;
    let later = Timestamp::from_micros(SystemClock.now().as_micros() + 3_600_000_000);
    fixture.work.add_timer(&fixture.scope, later);
    fixture.work.add(&fixture.scope, "a".into(), None);
    fixture.is_done("a").await;
    assert_eq!(fixture.reads.take(), ["a"]);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_policy_sends_no_command_and_no_timer_of_it_expires_until_it_is_resumed() {
    let mut fixture = Fixture::new().await;
    let (here, there) = (fixture.scope.workspace, WorkspaceId(Uuid::from_u128(2)));
    let paused = LaneDials {
        paused: true,
        ..LaneDials::default()
    };
    assert!(fixture.progress.bend(here, Passive::NAME, Some(paused)));
    let now = SystemClock.now();
    fixture.write("command", &refused(10)).await;
    fixture.write("timer", &timed(now)).await;
    fixture.work.add(&fixture.scope, "command".into(), None);
    fixture.work.add_timer(&fixture.scope, now);
    // The runner takes what is added in order: with the work of the other workspace, it has seen this one's.
    fixture.scope.workspace = there;
    fixture.write("elsewhere", &refused(11)).await;
    fixture.write("timer elsewhere", &timed(now)).await;
    fixture.work.add(&fixture.scope, "elsewhere".into(), None);
    fixture.work.add_timer(&fixture.scope, now);
    fixture.is_done("elsewhere").await;
    fixture.is_done("timer elsewhere").await;
    fixture.scope.workspace = here;
    assert_eq!(fixture.read("command").await.pending.len(), 1);
    assert_eq!(fixture.read("timer").await.timers.len(), 1);
    // A clock that is put forward does not wait for it, and expires none of its timers.
    fixture.runner.expire_due(here, now).await.unwrap();
    assert_eq!(fixture.read("timer").await.timers.len(), 1);
    assert!(fixture.progress.bend(here, Passive::NAME, None));
    fixture.is_done("command").await;
    fixture.is_done("timer").await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_correlation_is_looked_for_in_its_own_processes() {
    let fixture = Fixture::new().await;
    let (runner, workspace) = (&fixture.runner, fixture.scope.workspace);
    let later = Timestamp::from_micros(SystemClock.now().as_micros() + 3_600_000_000);
    for key in ["a", "b", "c"] {
        fixture.write(key, &timed(later)).await;
    }
    fixture.write("done", &Process::default()).await;
    let (own, other) = (Uuid::from_u128(3), Uuid::from_u128(4));
    let of = |keys: &[&str]| -> ProcessKeys {
        keys.iter()
            .map(|key| (Passive::NAME, (*key).to_owned()))
            .collect()
    };
    for (correlation, keys, is_open) in [
        (own, of(&["b", "done", "missing"]), true),
        (own, of(&["done", "missing"]), false),
        (other, of(&["a"]), false),
    ] {
        let awaited = Awaited::Correlation(correlation, &keys);
        assert_eq!(
            runner.has_open_process(workspace, awaited).await.unwrap(),
            is_open
        );
        let expected: &[&str] = if is_open { &["passive: 1 timers"] } else { &[] };
        assert_eq!(runner.unfinished(workspace, awaited).await.unwrap(), expected);
    }
    let reads = fixture.reads.take();
    assert!(!reads.contains(&"open".to_owned()), "{reads:?}");
    assert!(runner.has_open_process(workspace, Awaited::All).await.unwrap());
    assert_eq!(fixture.reads.take(), ["open"]);
    let all = runner.unfinished(workspace, Awaited::All).await.unwrap();
    assert_eq!(all, ["passive: 3 timers"]);
    fixture.stop().await;
}
