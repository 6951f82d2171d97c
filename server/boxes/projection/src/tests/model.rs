//! A model of lanes under faults: whatever is delivered, and in which order, and wherever an owner dies, the view never goes
//! backwards and equals the fold of the log in the end.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use broker::{Events, PartitionId};
use documents::{DocumentStoreError, Updated};
use domain::view;
use futures::FutureExt as _;
use proptest::{prelude::*, test_runner::TestRunner};
use test_support::{
    received, reserved,
    watched::{Watch, Watched, Write},
};

use crate::{Context, handler::Projection, lane::Lane, testing::Parts};

const VIEW: &str = "inventory";

/// Where an owner dies, or its database fails it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The transaction never began.
    BeforeCommit,
    /// It was committed, and the owner never heard.
    AfterCommit,
    /// The owner panics instead of beginning it.
    Panic,
}

/// What happens next.
#[derive(Debug, Clone)]
enum BatchCommit {
    /// So many events are appended to a stream.
    Append(u8, u8),
    /// An owner gets these events (by their places in the log so far), in this order, as one delivery.
    Deliver(bool, Vec<u8>, Fault),
    /// An owner forgets everything but what is stored, and starts again.
    Restart(bool),
    /// A new generation is folded and switched in by one of them.
    Rebuild(bool),
}

fn steps() -> impl Strategy<Value = Vec<BatchCommit>> {
    let fault = prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::BeforeCommit),
        1 => Just(Fault::AfterCommit),
        1 => Just(Fault::Panic),
    ];
    let step = prop_oneof![
        3 => (0..3_u8, 1..4_u8).prop_map(|(stream, count)| BatchCommit::Append(stream, count)),
        8 => (any::<bool>(), prop::collection::vec(any::<u8>(), 1..8), fault)
            .prop_map(|(owner, events, fault)| BatchCommit::Deliver(owner, events, fault)),
        1 => any::<bool>().prop_map(BatchCommit::Restart),
        1 => any::<bool>().prop_map(BatchCommit::Rebuild),
    ];
    prop::collection::vec(step, 1..30)
}

/// Fails the owner of a read model when it is told to, once.
#[derive(Debug)]
struct Failing {
    next: Mutex<Fault>,
    injected: AtomicU32,
}

impl Failing {
    fn fault(&self) -> Fault {
        let fault = std::mem::replace(&mut *self.next.lock().unwrap(), Fault::None);
        self.injected
            .fetch_add(u32::from(fault != Fault::None), Ordering::Relaxed);
        fault
    }
}

fn gone() -> DocumentStoreError {
    DocumentStoreError::Unavailable("a fault that the test has made".to_owned())
}

#[async_trait]
impl Watch for Failing {
    async fn update(&self, update: Write<'_, Updated>) -> Result<Updated, DocumentStoreError> {
        match self.fault() {
            Fault::None => update.await,
            Fault::BeforeCommit => Err(gone()),
            Fault::Panic => panic!("a real panic"),
            Fault::AfterCommit => {
                update.await?;
                Err(gone())
            }
        }
    }
}

/// Two owners of one lane over the same stores, and what has happened so far.
struct Model {
    parts: Parts,
    owners: [(Arc<Context>, Arc<Watched<Failing>>); 2],
    /// The highest position that any reader has seen, and the generation.
    seen: (u64, u64),
}

impl Model {
    async fn new() -> Self {
        let parts = Parts::new(1).await;
        let owners = [Self::owner(&parts), Self::owner(&parts)];
        Self {
            parts,
            owners,
            seen: (0, 1),
        }
    }

    fn owner(parts: &Parts) -> (Arc<Context>, Arc<Watched<Failing>>) {
        let failing = Arc::new(Watched {
            inner: parts.context.documents.clone(),
            watch: Failing {
                next: Mutex::new(Fault::None),
                injected: AtomicU32::new(0),
            },
        });
        (parts.owner_with(failing.clone()), failing)
    }

    fn lane(&self, owner: usize) -> Lane {
        let partition = PartitionId {
            workspace: self.parts.workspace,
            partition: 0,
        };
        Lane::new(
            self.owners[owner].0.clone(),
            Arc::new(Projection(view::find(VIEW).unwrap())),
            partition,
        )
    }

    async fn take(&mut self, step: BatchCommit) {
        match step {
            BatchCommit::Append(stream, count) => {
                let events: Vec<_> = (0..u32::from(count))
                    .map(|n| if n % 2 == 0 { received(n + 3) } else { reserved(1) })
                    .collect();
                self.parts
                    .append(&format!("inventory-mug-{stream}"), &events)
                    .await;
            }
            BatchCommit::Deliver(owner, places, fault) => {
                let log = self.parts.published().await;
                if log.is_empty() {
                    return;
                }
                let delivery: Events = places
                    .iter()
                    .map(|place| log[usize::from(*place) % log.len()].clone())
                    .collect();
                let owner = usize::from(owner);
                *self.owners[owner].1.watch.next.lock().unwrap() = fault;
                let applied = std::panic::AssertUnwindSafe(self.lane(owner).apply(&delivery, &[]))
                    .catch_unwind()
                    .await;
                // Nothing fails but what the test has broken; and then the delivery is simply not acknowledged.
                let next = &self.owners[owner].1.watch.next;
                let unharmed = std::mem::replace(&mut *next.lock().unwrap(), Fault::None);
                let was_injected = fault != Fault::None && unharmed == Fault::None;
                assert!(
                    was_injected || matches!(applied, Ok(Ok(()))),
                    "{fault:?}: {applied:?}"
                );
            }
            BatchCommit::Restart(owner) => self.owners[usize::from(owner)] = Self::owner(&self.parts),
            BatchCommit::Rebuild(owner) => {
                let context = &self.owners[usize::from(owner)].0;
                let rebuilds = super::generations::rebuilds(context).await;
                rebuilds.rebuild(self.parts.workspace, VIEW).await.unwrap();
                rebuilds.finished(self.parts.workspace, VIEW).await;
            }
        }
        self.look().await;
    }

    /// A reader: neither the position nor the generation ever goes back, and what it sees is the fold up to there.
    async fn look(&mut self) {
        let documents = &self.parts.context.documents;
        let read = documents.everything(self.parts.workspace, VIEW).await.unwrap();
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
            "nothing was broken that an event could be blamed for"
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
        for event in self.parts.published().await {
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
fn whatever_happens_to_its_lanes_a_view_is_the_fold_of_the_log() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(48));
    let property = |steps: Vec<BatchCommit>| {
        runtime.block_on(async {
            let mut model = Model::new().await;
            for step in steps {
                model.take(step).await;
            }
            // In the end every owner is given everything once more, as a broker does that delivers at least once.
            let log = model.parts.published().await;
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
