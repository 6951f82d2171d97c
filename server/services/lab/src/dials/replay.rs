//! A rebuild with side effects, for the guarantee that there are none.
//!
//! A rebuild folds a view and calls no consumer. While the guarantee is taken away, a rebuild of any view of
//! a workspace makes a consumer handle the whole history again, as if a projection sent mails: each event
//! comes under another id, so that the consumer does not recognise what it has handled. The ids differ in
//! some bits only, by which an effect and its repetition can be told to be of one event: see [`effect_of`].
//!
//! What a person has chosen about mails is left out: an old choice would take the place of a later one.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::{PartitionId, PublishedEvent, read_next};
use clock::SharedClock;
use domain::{event::StoredEvent, id::WorkspaceId};
use event_store::{EventStore, StoreError};
use projection::{
    effect::{EffectError, Work},
    handler::EventHandler,
    rebuild::RebuildObserver,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::board::DialBoard;
use crate::invariants::Witness;

/// Events that are read at a time.
const PAGE: u32 = 200;

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The category of the streams with what people have chosen about mails.
const CHOICES: &str = "inbox";

/// The bits by which the ids of an event and of its repetition differ: random ones of a UUIDv7, so that the
/// ids keep their order in time.
const REPETITION_BITS: u128 = 0xffff_ffff << 16;

/// The id under which an event is repeated. `mark`: any id of this repetition of the history.
fn repeated_id(event: Uuid, mark: Uuid) -> Uuid {
    // The low bits of a UUIDv7 are random; one of them is set, so that no event keeps its id.
    let bits = ((mark.as_u128() & 0xffff_ffff) | 1) << 16;
    Uuid::from_u128(event.as_u128() ^ bits)
}

/// What the ids of an effect and of its repetitions share, and those of two events do not.
pub fn effect_of(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() & !REPETITION_BITS)
}

/// Makes a consumer handle the history again with each rebuild, where the guarantee against it is taken away.
#[derive(Debug)]
pub struct RepeatedEffects {
    store: Arc<dyn EventStore>,
    consumer: Arc<dyn EventHandler>,
    board: Arc<DialBoard>,
    witness: Arc<Witness>,
    clock: SharedClock,
    /// The workspaces whose history is being repeated: one repetition at a time each.
    running: Mutex<HashSet<WorkspaceId>>,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// Why a repetition has ended before the end of the history.
#[derive(Debug)]
enum Interruption {
    /// The guarantee holds again, the workspace is gone, or the server stops.
    Over,
    /// The log cannot be read.
    Store(StoreError),
}

/// A workspace whose history is being repeated, until this is dropped.
struct Running<'a> {
    of: &'a RepeatedEffects,
    workspace: WorkspaceId,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.of.running().remove(&self.workspace);
    }
}

impl RepeatedEffects {
    /// Repeats the effects of the consumer of mails on tasks of `tasks`, until `stopping` is cancelled.
    pub fn new(
        (store, consumer): (Arc<dyn EventStore>, Arc<dyn EventHandler>),
        (board, witness): (Arc<DialBoard>, Arc<Witness>),
        clock: SharedClock,
        (tasks, stopping): (TaskTracker, CancellationToken),
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            consumer,
            board,
            witness,
            clock,
            running: Mutex::default(),
            tasks,
            stopping,
        })
    }

    fn running(&self) -> MutexGuard<'_, HashSet<WorkspaceId>> {
        // Each change is one step: a panic leaves it usable.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_guarantee_taken(&self, workspace: WorkspaceId) -> bool {
        let bent = self.board.of(workspace);
        bent.is_some_and(|bent| !bent.dials.guarantees.no_effects_on_replay)
    }

    fn is_over(&self, workspace: WorkspaceId) -> bool {
        self.stopping.is_cancelled() || !self.is_guarantee_taken(workspace)
    }

    async fn run(self: Arc<Self>, workspace: WorkspaceId) {
        let _running = Running { of: &self, workspace };
        match self.repeat(workspace).await {
            Ok(()) | Err(Interruption::Over) => {}
            Err(Interruption::Store(error)) => {
                tracing::warn!(%workspace, %error, "the history cannot be handled again");
            }
        }
    }

    /// Hands the consumer every event that the log has by now.
    async fn repeat(&self, workspace: WorkspaceId) -> Result<(), Interruption> {
        let mark = self.clock.new_id();
        let head = self.store.head(workspace).await?;
        for (partition, last) in head.iter() {
            let partition = PartitionId { workspace, partition };
            let mut after = 0;
            while after < last {
                let page = read_next(&*self.store, partition, after, PAGE).await?;
                let Some(end) = page.last().map(|event| event.position) else {
                    break;
                };
                after = end;
                let page = page.into_iter();
                for event in page.take_while(|event| event.position <= last) {
                    self.repeat_event(partition, event, mark).await?;
                }
            }
        }
        Ok(())
    }

    /// Hands the consumer one event under another id; a consumer that waits for the outside world gets it
    /// again.
    async fn repeat_event(
        &self,
        partition: PartitionId,
        mut event: StoredEvent,
        mark: Uuid,
    ) -> Result<(), Interruption> {
        if event.stream.category() == CHOICES {
            return Ok(());
        }
        let (position, original) = (event.position, event.event_id);
        event.event_id = repeated_id(original, mark);
        let published = Arc::new(PublishedEvent::new(&event));
        let Ok(repeated) = &published.decoded else {
            return Ok(());
        };
        let work = Work {
            partition,
            passed: None,
            events: vec![Arc::clone(&published)],
        };
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_over(partition.workspace) {
                return Err(Interruption::Over);
            }
            match self.consumer.perform(&work).await {
                Ok(()) => {
                    if self.consumer.writes(repeated) {
                        let workspace = partition.workspace;
                        self.witness.mail_repeated(workspace, original, repeated.event_id);
                    }
                    return Ok(());
                }
                Err(EffectError::Unavailable(_)) => {}
                Err(error) => {
                    tracing::warn!(%partition, position, %error, "an event cannot be handled again");
                    return Ok(());
                }
            }
            let waited = self.stopping.run_until_cancelled(tokio::time::sleep(pause)).await;
            waited.ok_or(Interruption::Over)?;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl RebuildObserver for RepeatedEffects {
    fn begun(self: Arc<Self>, workspace: WorkspaceId, view: &'static str) {
        if !self.is_guarantee_taken(workspace) || !self.running().insert(workspace) {
            return;
        }
        tracing::info!(%workspace, projection.view = view, "a rebuild has side effects, as the dials say");
        let tasks = self.tasks.clone();
        tasks.spawn(self.run(workspace));
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use clock::SystemClock;
    use domain::{
        aggregate::inbox::{InboxEvent, MailsStopped},
        event::EventPayload as _,
        wire::{Dials, Guarantees},
    };
    use event_store::SqliteEventStore;
    use tempfile::TempDir;
    use test_support::{append, open_workspace, received};

    use super::*;

    /// A consumer that notes the ids of what it handles, and first fails a few times.
    #[derive(Debug, Default)]
    struct NotingConsumer {
        handled: Mutex<Vec<Uuid>>,
        failures_left: Mutex<u32>,
    }

    #[async_trait]
    impl EventHandler for NotingConsumer {
        fn name(&self) -> &'static str {
            "noting"
        }

        async fn perform(&self, work: &Work) -> Result<(), EffectError> {
            let mut failures_left = self.failures_left.lock().unwrap();
            if *failures_left > 0 {
                *failures_left -= 1;
                return Err(EffectError::Unavailable("not now".to_owned()));
            }
            let ids = work.events.iter().map(|event| event.event_id);
            self.handled.lock().unwrap().extend(ids);
            Ok(())
        }
    }

    /// Two workspaces, each with a history of two receipts of stock and a choice about mails.
    struct Fixture {
        store: Arc<dyn EventStore>,
        consumer: Arc<NotingConsumer>,
        board: Arc<DialBoard>,
        effects: Arc<RepeatedEffects>,
        tasks: TaskTracker,
        class: WorkspaceId,
        other: WorkspaceId,
        _folder: TempDir,
    }

    impl Fixture {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.db");
            let store = SqliteEventStore::open(&path, Arc::new(SystemClock), None).await;
            let store: Arc<dyn EventStore> = Arc::new(store.unwrap());
            let (class, other) = (open_workspace(&*store, 2).await, open_workspace(&*store, 1).await);
            for workspace in [class, other] {
                append(&*store, workspace, "inventory-mug", &[received(1)]).await;
                append(&*store, workspace, "inventory-cup", &[received(2)]).await;
                let stopped = InboxEvent::from(MailsStopped {}).into_domain();
                append(&*store, workspace, "inbox-7", &[stopped]).await;
            }
            let consumer = Arc::new(NotingConsumer::default());
            let board = Arc::new(DialBoard::default());
            let tasks = TaskTracker::new();
            let effects = RepeatedEffects::new(
                (Arc::clone(&store), Arc::clone(&consumer) as _),
                (Arc::clone(&board), Arc::default()),
                Arc::new(SystemClock),
                (tasks.clone(), CancellationToken::new()),
            );
            Self {
                store,
                consumer,
                board,
                effects,
                tasks,
                class,
                other,
                _folder: folder,
            }
        }

        fn take_guarantee_away(&self, version: u64) {
            let guarantees = Guarantees {
                no_effects_on_replay: false,
                ..Guarantees::default()
            };
            let dials = Dials {
                guarantees,
                ..Dials::default()
            };
            assert!(self.board.show(self.class, version, dials));
        }

        /// Tells of a rebuild; the ids that the consumer has handled because of it, sorted.
        async fn handled_after_rebuild_in(&self, workspace: WorkspaceId) -> Vec<Uuid> {
            Arc::clone(&self.effects).begun(workspace, "orders");
            self.tasks.close();
            self.tasks.wait().await;
            let mut handled = std::mem::take(&mut *self.consumer.handled.lock().unwrap());
            handled.sort();
            handled
        }

        /// The ids of the receipts of stock, sorted.
        async fn receipts(&self) -> Vec<Uuid> {
            let mut ids = Vec::new();
            for partition in 0..2 {
                let events = self
                    .store
                    .read_partition(self.class, partition, 0, 10)
                    .await
                    .unwrap();
                let receipts = events.iter().filter(|event| event.event_type == "StockReceived");
                ids.extend(receipts.map(|event| event.event_id));
            }
            ids.sort();
            ids
        }
    }

    #[tokio::test]
    async fn a_rebuild_repeats_the_effects_of_its_own_workspace_under_other_ids_until_the_dial_is_at_rest() {
        let fixture = Fixture::new().await;
        assert!(fixture.handled_after_rebuild_in(fixture.class).await.is_empty());
        fixture.take_guarantee_away(1);
        assert!(fixture.handled_after_rebuild_in(fixture.other).await.is_empty());
        let receipts = fixture.receipts().await;
        let first = fixture.handled_after_rebuild_in(fixture.class).await;
        let second = fixture.handled_after_rebuild_in(fixture.class).await;
        for repeated in [&first, &second] {
            let of = |ids: &[Uuid]| ids.iter().copied().map(effect_of).collect::<Vec<_>>();
            assert_eq!(of(repeated), of(&receipts));
            assert!(repeated.iter().all(|id| !receipts.contains(id)));
        }
        assert!(first.iter().all(|id| !second.contains(id)));
        fixture.board.show(fixture.class, 2, Dials::default());
        assert!(fixture.handled_after_rebuild_in(fixture.class).await.is_empty());
    }

    #[tokio::test]
    async fn a_consumer_that_waits_for_the_outside_world_gets_the_event_again() {
        let fixture = Fixture::new().await;
        fixture.take_guarantee_away(1);
        *fixture.consumer.failures_left.lock().unwrap() = 2;
        assert_eq!(fixture.handled_after_rebuild_in(fixture.class).await.len(), 2);
    }
}
