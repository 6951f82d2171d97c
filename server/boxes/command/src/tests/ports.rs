//! Commands through a port that holds fewer guarantees than the event store.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use domain::id::StreamName;
use event_store::{Append, AppendAnswer, AppendError, Expected};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::*;
use crate::{AppendPort, Intent, Isolation};

/// Compares no versions as long as it is open, and lets two appends meet.
#[derive(Debug)]
struct UncheckedPort {
    store: Arc<dyn EventStore>,
    is_open: AtomicBool,
    both: Barrier,
}

#[async_trait]
impl AppendPort for UncheckedPort {
    fn isolation(&self, _: WorkspaceId, _: &StreamName) -> Isolation {
        if self.is_open.load(Ordering::SeqCst) {
            Isolation::Nothing
        } else {
            Isolation::Queue
        }
    }

    async fn append(&self, mut append: Append) -> Result<AppendAnswer, AppendError> {
        if self.is_open.load(Ordering::SeqCst) {
            self.both.wait().await;
            for part in &mut append.streams {
                part.expected = Expected::Any;
            }
        }
        self.store.append(append).await
    }
}

fn reserve(order: &str) -> CommandRequest {
    read(json!({"type": "ReserveStock", "stream": "inventory-mug-01",
        "data": {"order": order, "quantity": 1}}))
}

#[tokio::test]
async fn decisions_without_a_version_check_meet_and_leave_no_wrong_state_behind() {
    let shop = Shop::open().await;
    let port = Arc::new(UncheckedPort {
        store: Arc::clone(&shop.store),
        is_open: AtomicBool::new(false),
        both: Barrier::new(2),
    });
    let (of_service, clock) = (Arc::clone(&port), Arc::new(SystemClock));
    let service = CommandService::new(Arc::clone(&shop.store), clock).with_port(of_service);
    let send = async |request: &CommandRequest| {
        let sent = service
            .handle(shop.workspace, &shop.staff, request, None, None)
            .await;
        sent.unwrap()
    };
    // Its state is cached, at version 1.
    send(&read(receive("mug-01", 1))).await;
    port.is_open.store(true, Ordering::SeqCst);
    let stale = read(with(receive("mug-01", 7), "expected_version", json!(1)));
    let (a, b) = (reserve("a"), reserve("b"));
    let (one, other) = tokio::join!(send(&a), send(&b));
    let mut versions = [one.version, other.version];
    versions.sort_unstable();
    assert_eq!(versions, [2, 3]);
    assert_eq!(
        shop.events("inventory-mug-01").await,
        ["StockReceived", "StockReserved", "StockReserved"],
        "one item is reserved twice"
    );
    // A version that the client names is not compared, and each decision is on a state that was read for it.
    let third = reserve("c");
    let (received, failed) = tokio::join!(send(&stale), send(&third));
    assert_eq!(received.events[0].event_type, "StockReceived");
    assert_eq!(
        failed.events[0].event_type, "StockReservationFailed",
        "it saw both"
    );
    port.is_open.store(false, Ordering::SeqCst);
    // Checked again, the state is that of all events: 8 on hand, 2 reserved.
    for n in 0..7 {
        let answer = send(&reserve(&format!("later-{n}"))).await;
        let expected = if n < 6 {
            "StockReserved"
        } else {
            "StockReservationFailed"
        };
        assert_eq!(answer.events[0].event_type, expected, "{n}");
    }
}

/// Takes every command of a client for a new one.
#[derive(Debug)]
struct ForgetfulPort(Arc<dyn EventStore>);

#[async_trait]
impl AppendPort for ForgetfulPort {
    fn new_id(&self, intent: &Intent) -> Option<Uuid> {
        intent.may_be_repeated.then(|| SystemClock.new_id())
    }

    async fn append(&self, append: Append) -> Result<AppendAnswer, AppendError> {
        self.0.append(append).await
    }
}

#[tokio::test]
async fn a_command_under_a_new_id_happens_again_and_its_answer_names_that_id() {
    let shop = Shop::open().await;
    let port = Arc::new(ForgetfulPort(Arc::clone(&shop.store)));
    let service = CommandService::new(Arc::clone(&shop.store), Arc::new(SystemClock)).with_port(port);
    let first = shop
        .send(&shop.staff, receive("mug-01", 1), Some("key-1"))
        .await
        .unwrap();
    let (same, another) = (read(receive("mug-01", 1)), read(receive("mug-01", 2)));
    for (request, version) in [(&same, 2), (&another, 3)] {
        let sent = service.handle(shop.workspace, &shop.staff, request, Some("key-1"), None);
        let answer = sent.await.unwrap();
        assert_eq!(answer.version, version);
        assert_ne!(answer.command_id, first.command_id);
        let stream = "inventory-mug-01".parse().unwrap();
        let stored = shop
            .store
            .read_stream(shop.workspace, &stream, version, Direction::Forwards, 1)
            .await
            .unwrap();
        assert_eq!(stored[0].metadata.command_id, answer.command_id);
    }
    let repeated = shop.send(&shop.staff, receive("mug-01", 1), Some("key-1")).await;
    assert_eq!(repeated.unwrap(), first);
}
