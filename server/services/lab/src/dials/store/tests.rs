//! Appends over a real event store, with guarantees that are held and taken away.

use broker::in_process::InProcessBroker;
use clock::{Clock as _, SystemClock};
use domain::{
    access::Actor,
    event::Metadata,
    wire::{CommandRequest, Dials},
};
use event_store::{NewEvent, SqliteEventStore};
use serde_json::json;
use tempfile::TempDir;
use test_support::{customer, educator, open_workspace, received};

use super::*;

/// A log with two workspaces, of which one is bent.
struct Log {
    store: Arc<dyn EventStore>,
    broker: Arc<InProcessBroker>,
    board: Arc<DialBoard>,
    port: BentStore,
    class: WorkspaceId,
    elsewhere: WorkspaceId,
    _folder: TempDir,
}

impl Log {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let path = folder.path().join("events.db");
        let store = SqliteEventStore::open(&path, Arc::clone(&clock), None);
        let store: Arc<dyn EventStore> = Arc::new(store.await.unwrap());
        let broker = Arc::new(InProcessBroker::new(Arc::clone(&store)));
        let board = Arc::<DialBoard>::default();
        let (class, elsewhere) = (open_workspace(&*store, 1).await, open_workspace(&*store, 1).await);
        let (of_port, shown) = (Arc::clone(&broker), Arc::clone(&board));
        Self {
            port: BentStore::new(Arc::clone(&store), of_port, shown, clock),
            store,
            broker,
            board,
            class,
            elsewhere,
            _folder: folder,
        }
    }

    /// Takes guarantees of the class away, or puts them back.
    fn bend(&self, version: u64, guarantees: Guarantees) {
        let dials = Dials {
            guarantees,
            ..Dials::default()
        };
        assert!(self.board.show(self.class, version, dials));
    }

    async fn positions(&self, workspace: WorkspaceId) -> Vec<(u64, u64)> {
        let events = self.store.read_partition(workspace, 0, 0, 100).await.unwrap();
        events
            .iter()
            .map(|event| (event.position, event.version))
            .collect()
    }
}

fn without_check() -> Guarantees {
    Guarantees {
        optimistic_concurrency: false,
        ..Guarantees::default()
    }
}

fn without_order() -> Guarantees {
    Guarantees {
        publish_after_commit: false,
        ..Guarantees::default()
    }
}

fn without_keys() -> Guarantees {
    Guarantees {
        idempotency_keys: false,
        ..Guarantees::default()
    }
}

/// An append of received stock to a stream, decided on this version of it.
fn append(workspace: WorkspaceId, stream: &str, decided_on: u64) -> Append {
    let event = received(5);
    let event = NewEvent {
        event_id: SystemClock.new_id(),
        event_type: event.event_type().name.to_owned(),
        schema_version: event.event_type().schema_version,
        payload: event.encode().unwrap(),
    };
    Append {
        workspace,
        body_digest: [0; 32],
        streams: vec![StreamAppend {
            stream: stream.parse().unwrap(),
            expected: Expected::Exact(decided_on),
            events: vec![event],
        }],
        max_events: None,
        metadata: Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: educator().reference(),
            traceparent: None,
        },
    }
}

const MUG: &str = "inventory-mug";

fn is_conflict(appended: &Result<AppendAnswer, AppendError>) -> bool {
    matches!(appended, Err(AppendError::Conflict { .. }))
}

#[tokio::test]
async fn without_the_version_check_two_decisions_on_one_version_are_both_stored() {
    let log = Log::open().await;
    for workspace in [log.class, log.elsewhere] {
        log.port.append(append(workspace, MUG, 0)).await.unwrap();
    }
    assert!(
        is_conflict(&log.port.append(append(log.class, MUG, 0)).await),
        "it is held"
    );
    log.bend(1, without_check());
    let (one, other) = tokio::join!(
        log.port.append(append(log.class, MUG, 1)),
        log.port.append(append(log.class, MUG, 1)),
    );
    let mut versions = [one, other].map(|appended| appended.unwrap().streams[0].version);
    versions.sort_unstable();
    assert_eq!(versions, [2, 3]);
    assert_eq!(
        log.positions(log.class).await,
        [(1, 1), (2, 2), (3, 3)],
        "the log is dense"
    );
    assert!(is_conflict(&log.port.append(append(log.elsewhere, MUG, 0)).await));
    log.bend(2, Guarantees::default());
    assert!(is_conflict(&log.port.append(append(log.class, MUG, 1)).await));
}

#[tokio::test]
async fn an_append_that_waits_for_a_rival_keeps_to_a_check_that_is_put_back() {
    let log = Log::open().await;
    log.port.append(append(log.class, MUG, 0)).await.unwrap();
    log.bend(1, without_check());
    let (appended, ()) = tokio::join!(log.port.append(append(log.class, MUG, 1)), async {
        // At another server.
        log.store.append(append(log.class, MUG, 1)).await.unwrap();
        log.bend(2, Guarantees::default());
    });
    assert!(is_conflict(&appended), "{appended:?}");
}

#[tokio::test]
async fn an_append_that_loses_was_published_to_the_views_alone() {
    let log = Log::open().await;
    let mut view = log.broker.subscribe("inventory").await;
    let mut another = log.broker.subscribe("orders").await;
    let mut consumer = log.broker.subscribe("fulfilment").await;
    for workspace in [log.class, log.elsewhere] {
        log.port.append(append(workspace, MUG, 0)).await.unwrap();
    }
    log.bend(1, without_order());
    let (one, other) = tokio::join!(
        log.port.append(append(log.class, MUG, 1)),
        log.port.append(append(log.class, MUG, 1)),
    );
    log.port.append(append(log.elsewhere, MUG, 1)).await.unwrap();
    let stored = match (one, other) {
        (Ok(stored), lost) | (lost, Ok(stored)) if is_conflict(&lost) => stored,
        both => panic!("one of them wins: {both:?}"),
    };
    for group in [&mut view, &mut another] {
        let delivery = group.next().await.unwrap();
        assert_eq!(delivery.partition().workspace, log.class);
        let [lost, won] = delivery.events() else {
            panic!("two were published: {delivery:?}");
        };
        assert_eq!((lost.position, won.position), (2, 2));
        assert_ne!(lost.event_id, stored.streams[0].events[0].event_id);
        assert_eq!(won.event_id, stored.streams[0].events[0].event_id);
        delivery.acknowledge();
        let mut next = Box::pin(group.next());
        assert!(
            futures::poll!(&mut next).is_pending(),
            "of the other workspace nothing"
        );
    }
    let mut next = Box::pin(consumer.next());
    assert!(futures::poll!(&mut next).is_pending());
    assert_eq!(log.positions(log.class).await, [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn a_refused_first_event_was_published_without_waiting_for_a_rival() {
    let log = Log::open().await;
    let mut view = log.broker.subscribe("inventory").await;
    log.bend(1, without_order());
    let full = Append {
        max_events: Some(0),
        ..append(log.class, MUG, 0)
    };
    let refused = log.port.append(full).await;
    assert!(matches!(refused, Err(AppendError::Full { .. })), "{refused:?}");
    let delivery = view.next().await.unwrap();
    let phantom = &delivery.events()[0];
    assert_eq!((phantom.position, phantom.version), (1, 1));
    assert!(log.positions(log.class).await.is_empty());
}

#[tokio::test]
async fn accounts_and_emails_keep_every_guarantee() {
    let log = Log::open().await;
    let mut view = log.broker.subscribe("customers").await;
    log.bend(
        1,
        Guarantees {
            optimistic_concurrency: false,
            publish_after_commit: false,
            ..Guarantees::default()
        },
    );
    for stream in ["user-1", "email-1"] {
        log.port.append(append(log.class, stream, 0)).await.unwrap();
        let appended = log.port.append(append(log.class, stream, 0)).await;
        assert!(is_conflict(&appended), "{stream}: {appended:?}");
        let isolation = log.port.isolation(log.class, &stream.parse().unwrap());
        assert_eq!(isolation, Isolation::Queue);
    }
    let mut next = Box::pin(view.next());
    assert!(futures::poll!(&mut next).is_pending());
}

#[tokio::test]
async fn commands_are_kept_apart_as_the_guarantees_say() {
    let log = Log::open().await;
    let of = |workspace| log.port.isolation(workspace, &MUG.parse().unwrap());
    for (version, guarantees, isolation) in [
        (1, without_check(), Isolation::Nothing),
        (2, without_order(), Isolation::VersionCheck),
        (3, without_keys(), Isolation::Queue),
        (4, Guarantees::default(), Isolation::Queue),
    ] {
        log.bend(version, guarantees);
        assert_eq!((of(log.class), of(log.elsewhere)), (isolation, Isolation::Queue));
    }
}

/// The intent of a person under a key.
fn intent(workspace: WorkspaceId, actor: &Actor, key: Option<&str>) -> Intent {
    let request = json!({"type": "ReceiveStock", "stream": MUG, "data": {"quantity": 1}});
    let request: CommandRequest = serde_json::from_value(request).unwrap();
    Intent::from_request(workspace, actor, &request, key, None, &SystemClock).unwrap()
}

#[tokio::test]
async fn without_keys_each_command_of_a_client_has_an_id_of_its_own_that_shows_the_key() {
    let log = Log::open().await;
    let of = |workspace, actor: &Actor, key| {
        let intent = intent(workspace, actor, key);
        (intent.command_id, log.port.new_id(&intent))
    };
    let (ada, key) = (customer(1), Some("key-1"));
    assert_eq!(of(log.class, &ada, key).1, None, "they are held");
    log.bend(1, without_keys());
    let (first, one) = of(log.class, &ada, key);
    let (again, other) = of(log.class, &ada, key);
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(first == again && one != other && one != first);
    assert!(key_of(first).is_some());
    assert_eq!((key_of(one), key_of(other)), (key_of(first), key_of(first)));
    let (another, _) = of(log.class, &ada, Some("key-2"));
    assert_ne!(key_of(another), key_of(first));
    let (without, new) = of(log.class, &ada, None);
    assert_eq!((key_of(without), new), (None, None));
    assert_eq!(of(log.elsewhere, &ada, key).1, None);
    // The ids of policies follow from events, and keep a redelivery from acting twice.
    let policy = Actor {
        role: Role::System,
        ..ada.clone()
    };
    assert_eq!(of(log.class, &policy, key).1, None);
    let caused = Intent {
        causation_id: Some(SystemClock.new_id()),
        ..intent(log.class, &ada, key)
    };
    assert_eq!(log.port.new_id(&caused), None);
    log.bend(2, Guarantees::default());
    assert_eq!(of(log.class, &ada, key).1, None);
}
