//! Bots against an API that answers as it is told, on a real process store. Time is the machine's clock where
//! bots judge the class, and tokio's where they pause.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicI64, AtomicU64},
};

use clock::Clock;
use tokio::sync::Notify;

use super::*;
use crate::api::{Answer, Body};

const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

/// A clock that a test moves.
#[derive(Debug, Default)]
struct ManualClock(AtomicI64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

/// A shop with two products, one of them sold out, and a number of places.
#[derive(Debug, Default)]
struct Shop {
    places: u64,
    joined: AtomicU64,
    orders: Mutex<Vec<Value>>,
    has_ordered: Notify,
}

impl Shop {
    fn orders(&self) -> Vec<Value> {
        self.orders.lock().unwrap().clone()
    }

    async fn has(&self, count: usize) {
        loop {
            let ordered = self.has_ordered.notified();
            if self.orders().len() >= count {
                return;
            }
            ordered.await;
        }
    }
}

fn answered(status: u16, body: &Value) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

#[async_trait]
impl Api for Shop {
    async fn call(&self, call: Call) -> Answer {
        let Body::Json(body) = call.body else {
            let products = json!({"data": [
                {"key": "mug", "data": {"sku": "mug", "available": 9}},
                {"key": "tea", "data": {"sku": "tea", "available": 0}},
            ]});
            return answered(200, &products);
        };
        if call.path.ends_with("/join") {
            let number = self.joined.fetch_add(1, Ordering::Relaxed);
            if number >= self.places {
                self.joined.fetch_sub(1, Ordering::Relaxed);
                let full = json!({"type": "/problems/quota-exceeded", "title": "", "status": 429,
                    "detail": "the sandbox is full"});
                return answered(429, &full);
            }
            let access = json!({"workspace": HERE, "join_code": body["code"], "token": format!("t{number}"),
                "expires_in": 600});
            return answered(200, &access);
        }
        self.orders.lock().unwrap().push(body);
        self.has_ordered.notify_one();
        answered(200, &json!({}))
    }
}

#[derive(Debug, Default)]
struct Class {
    is_led: AtomicBool,
}

#[async_trait]
impl ClassWatch for Class {
    async fn is_led(&self, _: WorkspaceId) -> bool {
        self.is_led.load(Ordering::Relaxed)
    }
}

struct Fixture {
    bots: Arc<Bots>,
    shop: Arc<Shop>,
    class: Arc<Class>,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(places: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = documents::sqlite::SqliteDocumentStore::open(&folder.path().join("consumers.db"))
            .await
            .unwrap();
        let shop = Arc::new(Shop {
            places,
            ..Shop::default()
        });
        let (class, clock) = (Arc::<Class>::default(), Arc::<ManualClock>::default());
        let bots = Bots::new(
            Arc::clone(&shop) as _,
            Arc::new(store),
            Arc::clone(&class) as _,
            Arc::clone(&clock) as _,
        );
        Self {
            bots,
            shop,
            class,
            clock,
            _folder: folder,
        }
    }

    fn begin(&self, count: u32) -> BotsAnswer {
        let wanted = SetBots {
            count,
            orders_per_minute: 600,
        };
        self.bots.begin(HERE, "ABCDEFG".to_owned(), wanted).unwrap()
    }

    /// Waits until the newest bots have ended.
    async fn ended(&self) -> BotsAnswer {
        let run = self.bots.newest(HERE).unwrap();
        run.done.cancelled().await;
        run.answer()
    }
}

#[test]
fn dice_fall_alike_for_a_seed_and_an_order_has_each_product_once() {
    let skus: Vec<String> = (0..20).map(|n| format!("mug-{n}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    let seed = Uuid::from_u128(9);
    let (mut one, mut two) = (Dice::new(seed), Dice::new(seed));
    let mut methods = HashSet::new();
    for _ in 0..200 {
        let lines = one.lines(&skus);
        assert_eq!(lines, two.lines(&skus));
        assert!((1..=3).contains(&lines.len()));
        let named: HashSet<_> = lines.iter().map(|line| line["sku"].to_string()).collect();
        assert_eq!(named.len(), lines.len());
        assert!(
            lines
                .iter()
                .all(|line| (1..=2).contains(&line["quantity"].as_u64().unwrap()))
        );
        methods.insert(one.method());
        two.method();
        let pause = one.pause(600);
        assert_eq!(pause, two.pause(600));
        assert!((50..=150).contains(&pause.as_millis()), "{pause:?}");
    }
    assert_eq!(methods.len(), 4, "{methods:?}");
    assert!(one.lines(&[]).is_empty());
}

/// Given bots, when they order, then each order is of what is available; ended, they order no more.
#[tokio::test]
async fn bots_order_what_is_available_until_they_are_ended() {
    let fixture = Fixture::new(9).await;
    assert!(fixture.begin(3).running);
    fixture.shop.has(3).await;
    let ended = fixture.bots.stop(HERE).await.unwrap();
    assert_eq!((ended.running, ended.ended), (false, Some(BotsEnd::Stopped)));
    let orders = fixture.shop.orders();
    for order in &orders {
        assert_eq!(order["type"], "PlaceOrder");
        let lines = order["data"]["lines"].as_array().unwrap();
        assert!(lines.iter().all(|line| line["sku"] == "mug"), "{order}");
    }
    fixture.bots.shut_down().await;
    assert_eq!(fixture.shop.orders().len(), orders.len());
}

/// Given a sandbox without a place, when bots are begun, then they end, and say why.
#[tokio::test]
async fn bots_that_cannot_join_end_and_say_why() {
    let fixture = Fixture::new(0).await;
    fixture.begin(2);
    let ended = fixture.ended().await;
    assert_eq!((ended.ended, ended.joined), (Some(BotsEnd::NoRoom), 0));
    assert_eq!(ended.last_refusal.as_deref(), Some("the sandbox is full"));
    assert_eq!(fixture.bots.of(HERE).await.unwrap(), ended, "it is stored");
}

/// Given bots, when no educator was there for half an hour, then they end; while one is there, they do not.
#[tokio::test]
async fn bots_end_when_the_class_is_over() {
    let fixture = Fixture::new(9).await;
    fixture.class.is_led.store(true, Ordering::Relaxed);
    let run = {
        fixture.begin(1);
        fixture.shop.has(1).await;
        fixture.bots.newest(HERE).unwrap()
    };
    let half_an_hour = 30 * 60 * 1_000_000;
    fixture.clock.0.fetch_add(half_an_hour, Ordering::Relaxed);
    assert_eq!(fixture.bots.renew(&run, true).await, None, "an educator is there");
    fixture.class.is_led.store(false, Ordering::Relaxed);
    assert_eq!(
        fixture.bots.renew(&run, true).await,
        None,
        "and was there just now"
    );
    fixture.clock.0.fetch_add(half_an_hour, Ordering::Relaxed);
    assert_eq!(fixture.bots.renew(&run, true).await, Some(BotsEnd::ClassOver));
    fixture.bots.shut_down().await;
}

/// Given bots at one server, when another one begins some on the same store, then the first end with their
/// next renewal.
#[tokio::test]
async fn bots_end_when_another_server_has_taken_their_lease() {
    let fixture = Fixture::new(9).await;
    fixture.begin(1);
    fixture.shop.has(1).await;
    let run = fixture.bots.newest(HERE).unwrap();
    let other = Lease {
        workspace: HERE,
        run: Uuid::from_u128(7),
        has_begun: false,
    };
    let now = fixture.clock.now();
    let taken = fixture
        .bots
        .records
        .renew(other, run.answer(), now)
        .await
        .unwrap();
    assert!(taken);
    assert_eq!(fixture.bots.renew(&run, true).await, Some(BotsEnd::Stopped));
    fixture.bots.shut_down().await;
}

/// Given bots of a server that is gone, when they are looked at later, then they do not run.
#[tokio::test]
async fn bots_of_a_server_that_is_gone_do_not_run() {
    let fixture = Fixture::new(9).await;
    let lease = Lease {
        workspace: HERE,
        run: Uuid::from_u128(7),
        has_begun: false,
    };
    let running = BotsAnswer {
        running: true,
        count: 4,
        ..BotsAnswer::default()
    };
    let now = fixture.clock.now();
    fixture.bots.records.renew(lease, running, now).await.unwrap();
    assert!(fixture.bots.of(HERE).await.unwrap().running);
    fixture.clock.0.fetch_add(20_000_000, Ordering::Relaxed);
    let gone = fixture.bots.of(HERE).await.unwrap();
    assert_eq!(
        (gone.running, gone.ended, gone.count),
        (false, Some(BotsEnd::Stopped), 4)
    );
}

/// Given bots, when their workspace ends, then nothing of them is left.
#[tokio::test]
async fn bots_end_with_their_workspace() {
    let fixture = Fixture::new(9).await;
    fixture.begin(1);
    fixture.shop.has(1).await;
    let run = fixture.bots.newest(HERE).unwrap();
    fixture.bots.end_workspace(HERE).await;
    assert_eq!(run.answer().ended, Some(BotsEnd::WorkspaceGone));
    assert!(fixture.bots.workspaces().is_empty());
}
