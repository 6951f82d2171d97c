//! Process managers and consumers over real databases: each event is handled once, each command sent once in
//! effect, each timer kept.

mod consumer;
mod fulfilment;
mod mail;
mod partial_sends;
mod search;
mod shop;
mod warehouse;

use std::{sync::Arc, time::Duration};

use domain::{
    aggregate::inventory::{InventoryEvent, StockReleased},
    event::{DomainEvent, EventPayload as _, TypedEvent},
    id::WorkspaceId,
    policy::{AnyPolicy, ErasedPolicy, Policy, Reaction, TIMERS, command_id},
    wire::Order,
};
use serde_json::json;

use workspace_clock::Clocks;

use super::{Consumers, Dependencies};
use ::consumer::Consumer;
use clock::SystemClock;
use command::CommandService;
use documents::{DocumentStore, PageRequest, sqlite::SqliteDocumentStore};
use projection::{dead_letters::Remedy, lane_controls::LaneDials};
use query::{QueryError, settled::SettleRequest};

use crate::{
    read_side::testing::{Shop, TEST_TIMEOUT, received, reserved},
    server_lanes::ServerLanes,
};

/// A quantity at which the policy panics.
const POISON: u32 = 13;

/// Received stock is received a second time under another sku; reserved stock is released after a minute.
#[derive(Debug)]
struct Mirror;

impl Policy for Mirror {
    const NAME: &'static str = "mirror";
    type State = u64;

    fn key(event: &TypedEvent) -> Option<String> {
        let sku = event.stream.id();
        (event.stream.category() == "inventory" && !sku.starts_with("copy-")).then(|| sku.to_owned())
    }

    fn evolve(handled: u64, _: &TypedEvent) -> u64 {
        handled + 1
    }

    fn react(_: &u64, event: &TypedEvent) -> Vec<Reaction> {
        let sku = event.stream.id();
        match &event.payload {
            DomainEvent::Inventory(InventoryEvent::StockReceived(stock)) if stock.quantity == POISON => {
                panic!("a real panic")
            }
            DomainEvent::Inventory(InventoryEvent::StockReceived(stock)) => vec![Reaction::Send {
                step: "copy".into(),
                command_type: "ReceiveStock",
                stream: format!("inventory-copy-{sku}"),
                data: json!({"quantity": stock.quantity}),
            }],
            DomainEvent::Inventory(InventoryEvent::StockReserved(_)) => vec![Reaction::StartTimer {
                name: "patience",
                after_ms: 60_000,
            }],
            _ => vec![Reaction::StopTimer { name: "patience" }],
        }
    }

    fn expire(_: &u64, timer: &str) -> Vec<Reaction> {
        assert_eq!(timer, "patience");
        vec![Reaction::Send {
            step: "release".into(),
            command_type: "ReleaseStock",
            stream: "inventory-mug".to_owned(),
            data: json!({"order": "1"}),
        }]
    }
}

const POLICIES: &[&dyn AnyPolicy] = &[&ErasedPolicy::<Mirror>::new()];

async fn consumers_in(shop: &Shop, file: &str) -> Arc<Consumers> {
    start(shop, file, POLICIES, Vec::new()).await.0
}

/// Consumers without a policy.
pub(super) async fn consumers_with(
    shop: &Shop,
    file: &str,
    consumers: Vec<Arc<dyn Consumer>>,
) -> Arc<Consumers> {
    start(shop, file, &[], consumers).await.0
}

async fn start(
    shop: &Shop,
    file: &str,
    policies: &'static [&'static dyn AnyPolicy],
    consumers: Vec<Arc<dyn Consumer>>,
) -> (Arc<Consumers>, Arc<Clocks>) {
    let clock = Arc::new(SystemClock);
    let process_store: Arc<dyn DocumentStore> = Arc::new(
        SqliteDocumentStore::open(&shop.folder.path().join(file))
            .await
            .unwrap(),
    );
    let clocks = Arc::new(Clocks::new(clock.clone(), process_store.clone()));
    let dependencies = Dependencies {
        store: shop.store.clone(),
        broker: shop.read.broker.clone(),
        commands: Arc::new(CommandService::new(shop.store.clone(), clock.clone())),
        clocks: clocks.clone(),
        process_store,
        folder: shop.folder.path().join("checkpoints"),
        lane_setup: Arc::new(ServerLanes {
            views: shop.read.progress.clone(),
            board: Arc::default(),
        }),
        clock,
    };
    let consumers = Arc::new(Consumers::start(dependencies, policies, consumers).await.unwrap());
    shop.read.settlement.wait_for(consumers.clone());
    (consumers, clocks)
}

async fn consumers(shop: &Shop) -> Arc<Consumers> {
    consumers_in(shop, "consumers.db").await
}

async fn settled(shop: &Shop, timeout: Duration) -> Result<(), QueryError> {
    let settle = SettleRequest {
        timeout,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_handled_once_and_its_command_follows_from_it() {
    let shop = Shop::open(3).await;
    // A policy handles history and later events alike.
    shop.append("inventory-mug", &[received(1), received(2)]).await;
    let consumers = consumers(&shop).await;
    shop.append("inventory-mug", &[received(4)]).await;
    shop.append("inventory-cup", &[received(8)]).await;
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    assert_eq!(shop.document("inventory", "copy-mug").await["on_hand"], 7);
    assert_eq!(shop.document("inventory", "copy-cup").await["on_hand"], 8);
    let events = shop.events().await;
    let (copies, originals): (Vec<_>, Vec<_>) = events
        .iter()
        .partition(|event| event.stream.id().starts_with("copy-"));
    assert_eq!((copies.len(), originals.len()), (4, 4));
    for copy in copies {
        let cause = originals
            .iter()
            .find(|event| Some(event.event_id) == copy.metadata.causation_id);
        let cause = cause.unwrap();
        assert_eq!(copy.metadata.correlation_id, cause.metadata.correlation_id);
        assert_eq!(
            copy.metadata.command_id,
            command_id("mirror", cause.event_id, "", "copy")
        );
    }
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_is_sent_twice_after_a_restart_a_lost_store_or_a_rebuild() {
    let shop = Shop::open(2).await;
    let running = consumers(&shop).await;
    for n in 0..20 {
        shop.append(&format!("inventory-mug-{}", n % 3), &[received(1)])
            .await;
    }
    // In the middle of the work.
    running.stop().await;
    let shop = shop.restart().await;
    let running = consumers(&shop).await;
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    let events = shop.events().await.len();
    assert_eq!(events, 40);
    shop.read
        .projections
        .rebuilds
        .rebuild(shop.workspace, "inventory")
        .await
        .unwrap();
    shop.read
        .projections
        .rebuilds
        .finished(shop.workspace, "inventory")
        .await;
    running.stop().await;
    let shop = shop.restart().await;
    // Processes that were lost send every command again, under the same ids.
    let running = consumers_in(&shop, "another.db").await;
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    assert_eq!(
        (shop.events().await.len(), shop.findings().await),
        (events, Vec::new())
    );
    running.stop().await;
}

async fn has_a_timer(running: &Consumers, workspace: WorkspaceId) -> bool {
    let request = PageRequest {
        listing: TIMERS,
        group: "",
        order: Order::Asc,
        limit: 1,
        after: None,
    };
    let timers = running
        .process_managers
        .process_store()
        .page(workspace, Mirror::NAME, &request);
    !timers.await.unwrap().value.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_is_kept_over_a_restart_and_runs_on_the_workspaces_clock() {
    let start = async |shop: &Shop| start(shop, "consumers.db", POLICIES, Vec::new()).await;
    let shop = Shop::open(1).await;
    let (running, clocks) = start(&shop).await;
    shop.append("inventory-mug", &[received(5), reserved(1)]).await;
    let not_yet = async |shop: &Shop| match settled(shop, Duration::from_millis(1)).await {
        Err(QueryError::NotSettled { waiting_for }) => {
            waiting_for.iter().any(|what| what.starts_with("mirror"))
        }
        other => panic!("{other:?}"),
    };
    assert!(not_yet(&shop).await);
    // The timer starts when it is scheduled.
    while !has_a_timer(&running, shop.workspace).await {
        tokio::task::yield_now().await;
    }
    let other = shop.another_workspace().await;
    clocks.put_forward(other, 3_600_000).await.unwrap();
    assert_eq!(clocks.put_forward(shop.workspace, 20_000).await.unwrap(), 20_000);
    assert!(not_yet(&shop).await);
    running.stop().await;
    let shop = shop.restart().await;
    let (running, clocks) = start(&shop).await;
    assert_eq!(clocks.ahead_ms(shop.workspace).await.unwrap(), 20_000);
    assert!(not_yet(&shop).await);
    clocks.put_forward(shop.workspace, 60_000).await.unwrap();
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    let stock = shop.document("inventory", "mug").await;
    assert_eq!((&stock["reserved"], &stock["available"]), (&json!(0), &json!(5)));
    running.stop().await;
}

/// Given a timer, and lanes that a dial holds back, when what stops the timer is stored in time and the clock
/// is put past the deadline, then the timer does not expire, however late the lanes fold it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_does_not_overtake_what_waits_for_lanes_that_a_dial_holds_back() {
    let paused = LaneDials {
        paused: true,
        ..LaneDials::default()
    };
    let slow = LaneDials {
        slow: Duration::from_hours(1),
        ..LaneDials::default()
    };
    for dials in [paused, slow] {
        let shop = Shop::open(1).await;
        let (running, clocks) = start(&shop, "consumers.db", POLICIES, Vec::new()).await;
        shop.append("inventory-mug", &[received(5), reserved(1)]).await;
        while !has_a_timer(&running, shop.workspace).await {
            tokio::task::yield_now().await;
        }
        let lanes = running.process_managers.lanes();
        assert!(lanes.bend(shop.workspace, Mirror::NAME, Some(dials)));
        lanes.transactions_ended(shop.workspace, Mirror::NAME).await;
        let released = StockReleased {
            order: "1".to_owned(),
            quantity: 1,
        };
        let released = InventoryEvent::from(released).into_domain();
        shop.append("inventory-mug", &[released]).await;
        clocks.put_forward(shop.workspace, 3_600_000).await.unwrap();
        assert!(has_a_timer(&running, shop.workspace).await);
        assert!(lanes.bend(shop.workspace, Mirror::NAME, None));
        settled(&shop, TEST_TIMEOUT).await.unwrap();
        assert!(!has_a_timer(&running, shop.workspace).await);
        let process = running.process_managers.process_store();
        let process = process
            .document(shop.workspace, Mirror::NAME, "mug")
            .await
            .unwrap();
        let process = process_manager::process::parsed(&process.value.unwrap().data).unwrap();
        assert!(
            process.refused.is_empty() && process.failed.is_empty(),
            "{process:?}"
        );
        let events = shop.events().await;
        let of_stream = events.iter().filter(|event| event.stream.id() == "mug");
        assert_eq!(of_stream.count(), 3, "no command was sent for the timer");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_is_remembered_and_holds_nothing_up() {
    let shop = Shop::open(1).await;
    let running = consumers(&shop).await;
    // No stream can be named after this sku with the copy's prefix: its name would be too long.
    let sku = "m".repeat(108);
    shop.append(&format!("inventory-{sku}"), &[received(1)]).await;
    shop.append("inventory-mug", &[received(1)]).await;
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    assert_eq!(shop.document("inventory", "copy-mug").await["on_hand"], 1);
    let process = running
        .process_managers
        .process_store()
        .document(shop.workspace, "mirror", &sku)
        .await
        .unwrap()
        .value
        .unwrap();
    let process = process_manager::process::parsed(&process.data).unwrap();
    assert_eq!(
        (process.pending.len(), process.refused.len()),
        (0, 1),
        "{process:?}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_at_which_a_policy_panics_holds_back_its_stream_only() {
    let shop = Shop::open(1).await;
    let running = consumers(&shop).await;
    shop.append("inventory-bad", &[received(1), received(POISON), received(2)])
        .await;
    let good = shop.append("inventory-mug", &[received(4)]).await;
    let settle = SettleRequest {
        correlation: Some(good.correlation_id),
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .unwrap();
    assert_eq!(shop.document("inventory", "copy-mug").await["on_hand"], 4);
    let policies = running.dead_letters().next().unwrap();
    let letters = policies.list(shop.workspace, None, None, 9).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        settled(&shop, Duration::from_millis(1)).await.is_err(),
        "the stream is held back and reported"
    );
    let letter = letters[0].event.id;
    let discarded = policies
        .remedy(shop.workspace, letter, Remedy::Discard)
        .await
        .unwrap();
    assert_eq!((discarded.applied, discarded.dead_letter), (1, None));
    settled(&shop, TEST_TIMEOUT).await.unwrap();
    assert_eq!(shop.document("inventory", "copy-bad").await["on_hand"], 3);
    running.stop().await;
}
