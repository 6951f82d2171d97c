//! The lights of two workspaces, over a real log, real views and their lanes.

use broker::{Broker, PartitionId, PublishedEvent, decode, in_process::InProcessBroker};
use clock::SystemClock;
use documents::{DocumentWrite, FIRST_GENERATION, FoldInput, FoldOutput, Scope, sqlite::SqliteDocumentStore};
use domain::{
    aggregate::payment::{PaymentEvent, PaymentProcessed, PaymentRefunded},
    event::{DomainEvent, EventPayload as _},
    money::Money,
    wire::{Arrow, BrokerDials, CureStep, Guarantees},
};
use event_store::SqliteEventStore;
use projection::Context;
use serde_json::{json, value::to_raw_value};
use tempfile::TempDir;
use test_support::{append, customer, open_workspace, received, reserved_for};
use uuid::Uuid;

use super::*;

/// A server, and the two workspaces on it.
struct Server {
    store: Arc<dyn EventStore>,
    broker: Arc<dyn Broker>,
    documents: Arc<dyn DocumentStore>,
    invariants: Arc<Invariants>,
    class: WorkspaceId,
    other: WorkspaceId,
    stopping: CancellationToken,
    _folder: TempDir,
}

async fn invariants_over(
    store: &Arc<dyn EventStore>,
    documents: &Arc<dyn DocumentStore>,
) -> (Arc<Invariants>, Arc<dyn Broker>) {
    let clock: SharedClock = Arc::new(SystemClock);
    let broker: Arc<dyn Broker> = Arc::new(InProcessBroker::new(Arc::clone(store)));
    let progress = Arc::new(Progress::default());
    let context = Context::unread(
        Arc::clone(store),
        Arc::clone(&broker),
        Arc::clone(documents),
        Arc::clone(&progress),
        Arc::clone(&clock),
    );
    let projections = Projections::start(Arc::new(context)).await.unwrap();
    let dials = DialKeeper::open(
        Arc::clone(documents),
        Arc::default(),
        Arc::clone(&broker),
        Arc::clone(&clock),
    );
    let invariants = Invariants::new(Dependencies {
        events: Arc::clone(store),
        read_model: Arc::clone(documents),
        process_store: Arc::clone(documents),
        progress,
        projections: Arc::new(projections),
        dials: dials.await.unwrap(),
        witness: Arc::default(),
        clock,
    });
    (invariants, broker)
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.db");
        let store = SqliteEventStore::open(&file, Arc::new(SystemClock), None)
            .await
            .unwrap();
        let store: Arc<dyn EventStore> = Arc::new(store);
        let (class, other) = (open_workspace(&*store, 1).await, open_workspace(&*store, 1).await);
        let file = folder.path().join("documents.db");
        let documents: Arc<dyn DocumentStore> = Arc::new(SqliteDocumentStore::open(&file).await.unwrap());
        let (invariants, broker) = invariants_over(&store, &documents).await;
        let stopping = CancellationToken::new();
        tokio::spawn(Arc::clone(&invariants).run(stopping.clone()));
        Self {
            store,
            broker,
            documents,
            invariants,
            class,
            other,
            stopping,
            _folder: folder,
        }
    }

    /// Appends an event and publishes it; its id.
    async fn append(&self, workspace: WorkspaceId, stream: &str, event: DomainEvent) -> Uuid {
        let answer = append(&*self.store, workspace, stream, &[event]).await;
        let appended = answer.streams[0].events[0].clone();
        let before = appended.position - 1;
        let stored = self.store.read_partition(workspace, 0, before, 1).await.unwrap();
        let partition = PartitionId {
            workspace,
            partition: 0,
        };
        self.invariants
            .dependencies
            .progress
            .stored(partition, appended.position);
        self.broker.publish(partition, decode(&stored)).await;
        appended.event_id
    }

    fn bend(&self, version: u64, dials: Dials) {
        assert!(self.invariants.board().show(self.class, version, dials));
    }

    async fn light(&self, workspace: WorkspaceId, invariant: Invariant) -> InvariantStatus {
        self.invariants.light(workspace, invariant).await.unwrap()
    }

    /// The light, once it is red.
    async fn red(&self, invariant: Invariant) -> InvariantStatus {
        let mut subscription = self.invariants.subscribe(self.class).unwrap();
        loop {
            let answer = subscription.next().await;
            let light = answer.data.iter().find(|light| light.name == invariant).unwrap();
            if !light.holds {
                return light.clone();
            }
        }
    }

    async fn cure(&self, invariant: Invariant) -> InvariantStatus {
        let by = Bender {
            id: Uuid::from_u128(9),
            name: "sealed".to_owned(),
        };
        self.invariants.cure(self.class, &by, invariant).await.unwrap()
    }

    async fn all_hold(&self, workspace: WorkspaceId) -> bool {
        let lights = self.invariants.lights(workspace).await.unwrap();
        assert_eq!(lights.data.len(), Invariant::ALL.len());
        lights
            .data
            .iter()
            .all(|light| light.holds && light.cure.is_empty())
    }

    /// Changes the stock that the view shows, without an event.
    async fn tamper(&self, on_hand: u32) {
        let document = json!({"sku": "mug", "on_hand": on_hand, "reserved": 0, "available": on_hand});
        let write = DocumentWrite {
            key: "mug".to_owned(),
            data: Some(to_raw_value(&document).unwrap().into()),
            owner: None,
            removed_entries: Vec::new(),
            added_entries: Vec::new(),
        };
        let mut fold = |_: FoldInput| {
            Ok(FoldOutput {
                writes: vec![write.clone()],
                ..FoldOutput::default()
            })
        };
        let scope = Scope {
            workspace: self.class,
            view: "inventory",
            generation: FIRST_GENERATION,
        };
        self.documents
            .amend(&scope, &["mug".to_owned()], &mut fold)
            .await
            .unwrap();
    }

    async fn folded(&self, position: u64) {
        let progress = self
            .invariants
            .dependencies
            .progress
            .of(self.class, "inventory")
            .unwrap();
        progress.reaches(&ConsistencyToken::at(0, position)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

const MUG: &str = "inventory-mug";

fn bent() -> Dials {
    let broker = BrokerDials {
        jitter_ms: 1,
        ..BrokerDials::default()
    };
    Dials {
        broker,
        ..Dials::default()
    }
}

fn arrows(light: &InvariantStatus) -> Vec<Arrow> {
    light.sequence.iter().map(|step| step.arrow).collect()
}

fn kinds(light: &InvariantStatus) -> Vec<CureKind> {
    light.cure.iter().map(|step| step.kind).collect()
}

#[tokio::test]
async fn at_rest_nothing_runs_until_a_person_looks_or_a_dial_is_bent() {
    let server = Server::start().await;
    server.append(server.class, MUG, received(1)).await;
    server.folded(1).await;
    assert!(server.invariants.workspaces().is_empty());
    assert!(server.all_hold(server.class).await);
    assert_eq!(server.invariants.workspaces(), [server.class]);
    let mut tasks = JoinSet::new();
    let later = Instant::now() + ARMED * 2;
    assert_eq!(server.invariants.upkeep(later, &mut tasks), None);
    assert!(
        server.invariants.workspaces().is_empty(),
        "a minute after the last look"
    );
    server.bend(1, bent());
    server.invariants.upkeep(later, &mut tasks);
    assert_eq!(server.invariants.workspaces(), [server.class]);
    server.bend(2, Dials::default());
    server.invariants.upkeep(later + ARMED, &mut tasks);
    assert!(server.invariants.workspaces().is_empty());
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_subscription_keeps_its_workspace_watched() {
    let server = Server::start().await;
    let mut subscription = server.invariants.subscribe(server.class).unwrap();
    let first = subscription.next().await;
    assert!(first.data.iter().all(|light| light.holds));
    let mut tasks = JoinSet::new();
    let later = Instant::now() + ARMED * 2;
    server.invariants.upkeep(later, &mut tasks);
    assert_eq!(server.invariants.workspaces(), [server.class]);
    drop(subscription);
    server.invariants.upkeep(later, &mut tasks);
    assert!(server.invariants.workspaces().is_empty());
    tasks.shutdown().await;
}

#[tokio::test]
async fn a_purged_workspace_is_not_watched_any_more() {
    let server = Server::start().await;
    assert!(server.all_hold(server.class).await);
    server.invariants.end(server.class);
    assert!(server.invariants.workspaces().is_empty());
}

#[tokio::test]
async fn stock_that_is_sold_twice_turns_two_lights_red_until_it_is_known() {
    let server = Server::start().await;
    for workspace in [server.class, server.other] {
        server.append(workspace, MUG, received(1)).await;
    }
    let first = server.append(server.class, MUG, reserved_for("a", 1)).await;
    let second = server.append(server.class, MUG, reserved_for("b", 1)).await;
    let light = server.light(server.class, Invariant::StockNotNegative).await;
    assert_eq!((light.holds, light.broken, light.event), (false, 1, Some(second)));
    assert_eq!(light.witness, [first, second]);
    let evidence = light.evidence.clone().unwrap();
    assert_eq!(
        (evidence.stream.as_deref(), evidence.position),
        (Some(MUG), Some(3))
    );
    assert_eq!(
        (evidence.expected.as_deref(), evidence.found.as_deref()),
        (Some("0"), Some("-1"))
    );
    let race = [
        Arrow::ValidateCommand,
        Arrow::ValidateCommand,
        Arrow::AppendEvents,
        Arrow::AppendEvents,
    ];
    assert_eq!(arrows(&light), race);
    assert_eq!(kinds(&light), [CureKind::Acknowledge], "the check is held now");
    assert!(
        !server
            .light(server.class, Invariant::ReservedPlusAvailable)
            .await
            .holds
    );
    assert!(server.all_hold(server.other).await);
    assert!(server.cure(Invariant::StockNotNegative).await.holds);
    assert!(server.cure(Invariant::ReservedPlusAvailable).await.holds);
    assert!(server.all_hold(server.class).await);

    // What is known stays known after a restart, and what happens then is news.
    let (again, _) = invariants_over(&server.store, &server.documents).await;
    tokio::spawn(Arc::clone(&again).run(server.stopping.clone()));
    let light = again
        .light(server.class, Invariant::StockNotNegative)
        .await
        .unwrap();
    assert!(light.holds, "{light:?}");
    let third = server.append(server.class, MUG, reserved_for("c", 1)).await;
    let light = server.light(server.class, Invariant::StockNotNegative).await;
    assert_eq!((light.holds, light.event), (false, Some(third)));
    // New stock makes up for it.
    server.append(server.class, MUG, received(5)).await;
    assert!(
        server
            .light(server.class, Invariant::StockNotNegative)
            .await
            .holds
    );
}

fn charged() -> DomainEvent {
    let paid = PaymentProcessed {
        order: "a".to_owned(),
        customer: customer(1).id,
        amount: Money::new(900, "EUR"),
        method: "tok_ok".to_owned(),
        charge: "ch_1".to_owned(),
    };
    PaymentEvent::from(paid).into_domain()
}

#[tokio::test]
async fn an_order_that_is_charged_twice_turns_its_light_red_until_one_charge_is_refunded() {
    let server = Server::start().await;
    let first = server.append(server.class, "payment-a", charged()).await;
    assert!(server.all_hold(server.class).await);
    let second = server.append(server.class, "payment-a", charged()).await;
    let light = server.light(server.class, Invariant::ChargedOnce).await;
    assert_eq!((light.event, light.witness), (Some(second), vec![first, second]));
    let refunded = PaymentRefunded {
        order: "a".to_owned(),
        customer: customer(1).id,
        amount: Money::new(900, "EUR"),
        reason: "twice".to_owned(),
    };
    server
        .append(
            server.class,
            "payment-a",
            PaymentEvent::from(refunded).into_domain(),
        )
        .await;
    assert!(server.all_hold(server.class).await);
}

#[tokio::test]
async fn a_document_with_an_event_folded_twice_names_it_and_a_rebuild_cures_it() {
    let server = Server::start().await;
    server.append(server.class, MUG, received(1)).await;
    let event = server.append(server.class, MUG, received(3)).await;
    server.folded(2).await;
    server.tamper(7).await;
    assert!(
        server.all_hold(server.class).await,
        "at rest views are not folded beside"
    );
    server.bend(1, bent());
    let light = server.red(Invariant::ViewEqualsFold).await;
    assert_eq!((light.event, light.broken), (Some(event), 1));
    let count = [
        Arrow::EventSubscription,
        Arrow::EventSubscription,
        Arrow::UpsertProjection,
    ];
    assert_eq!(
        (arrows(&light), light.witness.clone()),
        (count.to_vec(), vec![event])
    );
    let evidence = light.evidence.clone().unwrap();
    assert_eq!(
        (
            evidence.view.as_deref(),
            evidence.key.as_deref(),
            evidence.position
        ),
        (Some("inventory"), Some("mug"), Some(2))
    );
    assert_eq!(
        light.cure,
        [CureStep {
            kind: CureKind::Rebuild,
            of: "inventory".to_owned()
        }]
    );
    // With all dials at rest it stays red, until it is cured.
    server.bend(2, Dials::default());
    assert!(!server.light(server.class, Invariant::ViewEqualsFold).await.holds);
    assert!(server.cure(Invariant::ViewEqualsFold).await.holds);
    assert!(server.all_hold(server.class).await);
    let shown = server
        .documents
        .document(server.class, "inventory", "mug")
        .await
        .unwrap();
    let shown: serde_json::Value = serde_json::from_str(shown.value.unwrap().data.get()).unwrap();
    assert_eq!(shown["on_hand"], 4);
}

#[tokio::test]
async fn a_document_that_lacks_an_event_names_it_and_the_light_stays_red_after_a_restart() {
    let server = Server::start().await;
    server.append(server.class, MUG, received(1)).await;
    let missing = server.append(server.class, MUG, received(2)).await;
    let next = server.append(server.class, MUG, received(4)).await;
    server.folded(3).await;
    server.bend(1, bent());
    server.tamper(5).await;
    let light = server.red(Invariant::ViewEqualsFold).await;
    assert_eq!((light.event, light.witness), (Some(missing), vec![missing, next]));
    // No dial is bent at the server that starts now.
    let (again, _) = invariants_over(&server.store, &server.documents).await;
    tokio::spawn(Arc::clone(&again).run(server.stopping.clone()));
    let mut subscription = again.subscribe(server.class).unwrap();
    while subscription.next().await.data.iter().all(|light| light.holds) {}
}

#[tokio::test]
async fn a_published_event_that_the_log_does_not_have_is_lost_once_its_append_is_refused() {
    let server = Server::start().await;
    server.append(server.class, MUG, received(1)).await;
    let stored = server.store.read_partition(server.class, 0, 0, 1).await.unwrap();
    let (mut phantom, witness) = (stored[0].clone(), &server.invariants.dependencies.witness);
    let guarantees = Guarantees {
        publish_after_commit: false,
        ..Guarantees::default()
    };
    server.bend(
        1,
        Dials {
            guarantees,
            ..Dials::default()
        },
    );
    witness.published(server.class, &Arc::new(PublishedEvent::new(&phantom)));
    assert!(server.all_hold(server.class).await, "this one is stored");
    phantom.event_id = Uuid::from_u128(77);
    phantom.position = 2;
    witness.published(server.class, &Arc::new(PublishedEvent::new(&phantom)));
    witness.refused(server.class, phantom.event_id);
    let light = server.red(Invariant::NothingLost).await;
    assert_eq!(light.event, Some(phantom.event_id));
    assert_eq!(
        light.evidence.clone().unwrap().position,
        None,
        "it has no place in the log"
    );
    assert_eq!(kinds(&light), [CureKind::PutGuaranteeBack, CureKind::Acknowledge]);
    assert!(server.all_hold(server.other).await);
}

#[tokio::test]
async fn a_repeated_mail_and_a_lost_frame_name_their_events_until_they_are_known() {
    let server = Server::start().await;
    let event = server.append(server.class, MUG, received(1)).await;
    let guarantees = Guarantees {
        no_effects_on_replay: false,
        ..Guarantees::default()
    };
    server.bend(
        1,
        Dials {
            guarantees,
            ..Dials::default()
        },
    );
    assert!(server.all_hold(server.class).await);
    let witness = &server.invariants.dependencies.witness;
    witness.mail_repeated(server.class, event, Uuid::from_u128(5));
    let light = server.red(Invariant::MailedOnce).await;
    assert_eq!(
        (light.event, light.evidence.unwrap().position),
        (Some(event), Some(1))
    );
    witness.frame_lost(server.class, "", Some(event));
    let light = server.red(Invariant::NoGap).await;
    assert_eq!(
        (light.event, kinds(&light)),
        (Some(event), vec![CureKind::Acknowledge])
    );
    assert!(server.cure(Invariant::NoGap).await.holds);
    assert!(
        !server.light(server.class, Invariant::MailedOnce).await.holds,
        "each has its own cure"
    );
    assert!(server.all_hold(server.other).await);
}
