//! A model of lanes under faults: in any order of deliveries, and at any point where an owner dies, the view
//! never goes backwards, and in the end it equals the fold of the log.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use broker::{Events, PartitionId};
use documents::{DocumentStoreError, UpdateOutcome};
use domain::view;
use futures::FutureExt as _;
use proptest::{prelude::*, test_runner::TestRunner};
use test_support::{
    observed_store::{ObservedStore, Write, WriteObserver},
    received, reserved,
};

use crate::{Context, handler::Projection, lane::Lane, testing::LaneFixture};

const VIEW: &str = "inventory";

/// Where an owner dies, or its database fails it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The transaction never began.
    BeforeCommit,
    /// It was committed, but the owner got no answer.
    AfterCommit,
    /// The owner panics instead of beginning it.
    Panic,
}

/// A step of the test.
#[derive(Debug, Clone)]
enum Step {
    /// This many events are appended to a stream.
    Append(u8, u8),
    /// An owner gets these events (by their index in the log so far), in this order, as one delivery.
    Deliver(bool, Vec<u8>, Fault),
    /// An owner forgets everything but what is stored, and starts again.
    Restart(bool),
    /// A new generation is folded and switched in by one of them.
    Rebuild(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::BeforeCommit),
        1 => Just(Fault::AfterCommit),
        1 => Just(Fault::Panic),
    ];
    let step = prop_oneof![
        3 => (0..3_u8, 1..4_u8).prop_map(|(stream, count)| Step::Append(stream, count)),
        8 => (any::<bool>(), prop::collection::vec(any::<u8>(), 1..8), fault)
            .prop_map(|(owner, events, fault)| Step::Deliver(owner, events, fault)),
        1 => any::<bool>().prop_map(Step::Restart),
        1 => any::<bool>().prop_map(Step::Rebuild),
    ];
    prop::collection::vec(step, 1..30)
}

/// Injects one fault into a write to the read model.
#[derive(Debug)]
struct FaultInjector {
    next: Mutex<Fault>,
    injected: AtomicU32,
}

impl FaultInjector {
    fn fault(&self) -> Fault {
        let fault = std::mem::replace(&mut *self.next.lock().unwrap(), Fault::None);
        self.injected
            .fetch_add(u32::from(fault != Fault::None), Ordering::Relaxed);
        fault
    }
}

fn injected_error() -> DocumentStoreError {
    DocumentStoreError::Unavailable("a fault that the test has made".to_owned())
}

#[async_trait]
impl WriteObserver for FaultInjector {
    async fn update(&self, update: Write<'_, UpdateOutcome>) -> Result<UpdateOutcome, DocumentStoreError> {
        match self.fault() {
            Fault::None => update.await,
            Fault::BeforeCommit => Err(injected_error()),
            Fault::Panic => panic!("a real panic"),
            Fault::AfterCommit => {
                update.await?;
                Err(injected_error())
            }
        }
    }
}

/// Two owners of one lane over the same stores, and what has happened so far.
struct Model {
    fixture: LaneFixture,
    owners: [(Arc<Context>, Arc<ObservedStore<FaultInjector>>); 2],
    /// The highest position that any reader has seen, and the generation.
    seen: (u64, u64),
}

impl Model {
    async fn new() -> Self {
        let fixture = LaneFixture::new(1).await;
        let owners = [Self::owner(&fixture), Self::owner(&fixture)];
        Self {
            fixture,
            owners,
            seen: (0, 1),
        }
    }

    fn owner(fixture: &LaneFixture) -> (Arc<Context>, Arc<ObservedStore<FaultInjector>>) {
        let injector = Arc::new(ObservedStore {
            inner: fixture.context.documents.clone(),
            observer: FaultInjector {
                next: Mutex::new(Fault::None),
                injected: AtomicU32::new(0),
            },
        });
        (fixture.owner_with(injector.clone()), injector)
    }

    fn lane(&self, owner: usize) -> Lane {
        let partition = PartitionId {
            workspace: self.fixture.workspace,
            partition: 0,
        };
        Lane::new(
            self.owners[owner].0.clone(),
            Arc::new(Projection(view::find(VIEW).unwrap())),
            partition,
        )
    }

    async fn perform(&mut self, step: Step) {
        match step {
            Step::Append(stream, count) => {
                let events: Vec<_> = (0..u32::from(count))
                    .map(|n| if n % 2 == 0 { received(n + 3) } else { reserved(1) })
                    .collect();
                self.fixture
                    .append(&format!("inventory-mug-{stream}"), &events)
                    .await;
            }
            Step::Deliver(owner, indexes, fault) => {
                let log = self.fixture.published().await;
                if log.is_empty() {
                    return;
                }
                let delivery: Events = indexes
                    .iter()
                    .map(|index| log[usize::from(*index) % log.len()].clone())
                    .collect();
                let owner = usize::from(owner);
                *self.owners[owner].1.observer.next.lock().unwrap() = fault;
                let applied = std::panic::AssertUnwindSafe(self.lane(owner).apply(&delivery, &[]))
                    .catch_unwind()
                    .await;
                // Only injected faults fail; the delivery is then not acknowledged.
                let next = &self.owners[owner].1.observer.next;
                let unharmed = std::mem::replace(&mut *next.lock().unwrap(), Fault::None);
                let was_injected = fault != Fault::None && unharmed == Fault::None;
                assert!(
                    was_injected || matches!(applied, Ok(Ok(()))),
                    "{fault:?}: {applied:?}"
                );
            }
            Step::Restart(owner) => self.owners[usize::from(owner)] = Self::owner(&self.fixture),
            Step::Rebuild(owner) => {
                let context = &self.owners[usize::from(owner)].0;
                let rebuilds = super::generations::rebuilds(context).await;
                rebuilds.rebuild(self.fixture.workspace, VIEW).await.unwrap();
                rebuilds.finished(self.fixture.workspace, VIEW).await;
            }
        }
        self.look().await;
    }

    /// A reader: neither the position nor the generation ever goes back, and what it sees is the fold up to
    /// there.
    async fn look(&mut self) {
        let documents = &self.fixture.context.documents;
        let read = documents.contents(self.fixture.workspace, VIEW).await.unwrap();
        let now = (read.as_of.position(0), read.generation);
        assert!(
            now.0 >= self.seen.0 && now.1 >= self.seen.1,
            "{now:?} after {:?}",
            self.seen
        );
        self.seen = now;
        assert_eq!(
            read.value.passed,
            Vec::new(),
            "no injected fault is the fault of an event"
        );
        let shown = read.value.documents.iter();
        let shown: Vec<_> = shown
            .map(|it| (it.document.key.clone(), it.document.data.get().to_owned()))
            .collect();
        assert_eq!(shown, self.fold_up_to(now.0).await);
    }

    async fn fold_up_to(&self, position: u64) -> Vec<(String, String)> {
        let view = view::find(VIEW).unwrap();
        let mut folded = std::collections::BTreeMap::new();
        for event in self.fixture.published().await {
            if event.position > position {
                break;
            }
            let typed = event.decoded.as_ref().unwrap();
            for key in view.keys(typed) {
                let folding = folded
                    .entry(key)
                    .or_insert_with_key(|key| view.load(key, None).unwrap());
                folding.fold(typed);
            }
        }
        folded
            .into_iter()
            .filter_map(|(key, folding)| Some((key, folding.document().unwrap()?.get().to_owned())))
            .collect()
    }
}

#[test]
fn a_view_equals_the_fold_of_the_log_after_any_faults_of_its_lanes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(48));
    let property = |steps: Vec<Step>| {
        runtime.block_on(async {
            let mut model = Model::new().await;
            for step in steps {
                model.perform(step).await;
            }
            // In the end every owner gets every event once more, as from a broker that delivers at least
            // once.
            let log = model.fixture.published().await;
            for owner in 0..2 {
                model.lane(owner).apply(&log, &[]).await.unwrap();
                model.look().await;
            }
            assert_eq!(model.seen.0, log.len() as u64);
        });
        Ok(())
    };
    runner.run(&steps(), property).unwrap();
}
