//! Orders from end to end behind the gateway: whatever the provider, the broker, the clock and the machine do, an order
//! ends confirmed or undone, its stock adds up, and nobody is charged twice or for nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{
    aggregate::{inventory::InventoryEvent, payment::METHODS},
    event::DomainEvent,
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::json;

use super::shop::{Chance, Place, Shop, StoppedClock};
use clock::SystemClock;
use testing_postgres::Database;

async fn calm_shop(shards: u32) -> Shop {
    let chance = Chance::new(1);
    chance.calm();
    Shop::open(Place::folder(), shards, chance, StoppedClock::at_now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_reserved_charged_and_confirmed_and_settled_says_when() {
    let shop = calm_shop(3).await;
    shop.list("mug", 2).await;
    shop.list("cup", 1).await;
    let placed = shop.order("1", &["mug", "cup"], "tok_ok").await;
    shop.settled(Some(placed.correlation_id)).await.unwrap();
    assert_eq!(shop.happened("order-1").await, ["OrderCreated", "OrderConfirmed"]);
    assert_eq!(shop.happened("payment-1").await, ["PaymentProcessed"]);
    let order = shop.document("orders", "1").await;
    assert_eq!(order["status"], "confirmed");
    let entries = order["history"].as_array().unwrap();
    let happened: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry["event"].as_str().unwrap(),
                entry["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        happened,
        [
            ("OrderCreated", "created"),
            ("StockReserved", "created"),
            ("StockReserved", "reserved"),
            ("PaymentProcessed", "reserved"),
            ("OrderConfirmed", "confirmed")
        ]
    );
    assert_eq!(entries[1]["caused_by"], entries[0]["event_id"]);
    assert_eq!(entries[4]["caused_by"], entries[3]["event_id"]);
    assert_eq!(entries[3]["stream"], "payment-1");
    let charges = shop.charges().await;
    assert_eq!((charges.len(), charges[0].refunded_at), (1, None));
    assert_eq!(shop.document("payments", "1").await["status"], "processed");

    assert!(shop.tell("1", "ShipOrder").await);
    shop.settled(None).await.unwrap();
    let stock = shop.document("inventory", "cup").await;
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(0), &json!(0)));
    assert!(!shop.tell("1", "CancelOrder").await);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_of_payment_ends_as_it_says() {
    let shop = calm_shop(2).await;
    shop.list("mug", 9).await;
    for (method, status, reason) in [
        ("tok_declined", "rejected", "the card was declined"),
        (
            "tok_insufficient_funds",
            "rejected",
            "there is not enough money on the card",
        ),
        ("tok_flaky", "confirmed", ""),
    ] {
        let id = method.replace('_', "-");
        let placed = shop.order(&id, &["mug"], method).await;
        shop.settled(Some(placed.correlation_id)).await.unwrap();
        let order = shop.document("orders", &id).await;
        assert_eq!(order["status"], status, "{order}");
        assert_eq!(order["reason"].as_str().unwrap_or(""), reason);
    }
    assert_eq!(shop.charges().await.len(), 1, "the flaky one charges once");
    assert_eq!(shop.document("inventory", "mug").await["reserved"], 1);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_late_is_given_up_then_given_back_and_holds_nobody_up() {
    let shop = calm_shop(2).await;
    shop.list("mug", 2).await;
    let late = shop.order("late", &["mug"], "tok_timeout").await;
    let quick = shop.order("quick", &["mug"], "tok_ok").await;
    shop.settled(Some(quick.correlation_id)).await.unwrap();
    assert_eq!(shop.document("orders", "quick").await["status"], "confirmed");
    // Nobody has put the clock forward: the charge is made, and not answered. How long it may take is counted from when that
    // was noted.
    shop.waits_for_the_payment(late.correlation_id).await;
    let shop = shop.crash().await;
    shop.put_forward(20_000).await;
    shop.settled(Some(late.correlation_id)).await.unwrap();
    assert_eq!(
        shop.happened("order-late").await,
        ["OrderCreated", "OrderRejected"]
    );
    assert_eq!(
        shop.happened("payment-late").await,
        ["PaymentProcessed", "PaymentRefunded"]
    );
    let order = shop.document("orders", "late").await;
    assert_eq!(order["reason"], "the payment was not answered in time");
    assert_eq!(shop.document("inventory", "mug").await["available"], 1);
    // Both were charged, in whichever order.
    let mut charges = shop.charges().await;
    charges.sort_by_key(|charge| charge.method != "tok_timeout");
    let refunded: Vec<_> = charges
        .into_iter()
        .map(|charge| charge.refunded_at.is_some())
        .collect();
    assert_eq!(refunded, [true, false]);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_item_is_sold_once() {
    let shop = calm_shop(4).await;
    shop.list("mug", 1).await;
    let (one, two) = tokio::join!(
        shop.order("1", &["mug"], "tok_ok"),
        shop.order("2", &["mug"], "tok_ok")
    );
    for placed in [one, two] {
        shop.settled(Some(placed.correlation_id)).await.unwrap();
    }
    let mut statuses = Vec::new();
    for id in ["1", "2"] {
        let order = shop.document("orders", id).await;
        statuses.push((
            order["status"].as_str().unwrap().to_owned(),
            order["reason"].as_str().unwrap_or("").to_owned(),
        ));
    }
    statuses.sort();
    assert_eq!(
        statuses,
        [
            ("confirmed".to_owned(), String::new()),
            ("rejected".to_owned(), "mug is sold out".to_owned())
        ]
    );
    assert_eq!(shop.charges().await.len(), 1);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_that_is_cancelled_is_released_and_given_back() {
    let shop = calm_shop(2).await;
    shop.list("mug", 1).await;
    let placed = shop.order("1", &["mug"], "tok_ok").await;
    shop.settled(Some(placed.correlation_id)).await.unwrap();
    assert!(shop.tell("1", "CancelOrder").await);
    shop.settled(None).await.unwrap();
    assert_eq!(shop.document("inventory", "mug").await["available"], 1);
    assert_eq!(shop.document("payments", "1").await["status"], "refunded");
    assert!(shop.charges().await[0].refunded_at.is_some());
    let day = &placed_day(&shop).await;
    let sales = shop.document("sales", day).await;
    assert_eq!(
        (&sales["orders"], &sales["cancelled_orders"]),
        (&json!(1), &json!(1))
    );
    shop.stop().await;
}

async fn placed_day(shop: &Shop) -> String {
    let order = shop.document("orders", "1").await;
    let confirmed = order["history"].as_array().unwrap().iter();
    let confirmed = confirmed
        .clone()
        .find(|entry| entry["event"] == "OrderConfirmed")
        .unwrap();
    format!("day/{}", &confirmed["at"].as_str().unwrap()[..10])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_cannot_even_be_asked_for_rejects_the_order() {
    let shop = calm_shop(1).await;
    // "product-" fits into a stream's name before this sku, and "inventory-" does not.
    let sku = "m".repeat(112);
    shop.was_listed(&sku).await;
    let placed = shop.order("1", &[sku.as_str()], "tok_ok").await;
    shop.settled(Some(placed.correlation_id)).await.unwrap();
    let order = shop.document("orders", "1").await;
    assert_eq!(order["status"], "rejected");
    assert!(
        order["reason"]
            .as_str()
            .unwrap()
            .starts_with("it cannot be reserved"),
        "{order}"
    );
    shop.stop().await;
}

/// What happens to a shop.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody orders: which products, how it is paid.
    Order(u8, u8),
    /// An order is told something: which one, what.
    Tell(u8, &'static str),
    /// Goods arrive.
    Receive(u8),
    /// Somebody puts the clock forward.
    PutForward(u16),
    /// Everything stops wherever it is, and starts again.
    Crash,
}

/// How long it takes at least until somebody who waits is taken to wait for the clock.
const A_MOMENT: Duration = Duration::from_millis(500);

const SKUS: [&str; 3] = ["cup", "mug", "pot"];

fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
    let step = prop_oneof![
        10 => (1..8_u8, 0..5_u8).prop_map(|(skus, method)| Step::Order(skus, method)),
        4 => any::<u8>().prop_map(|order| Step::Tell(order, "CancelOrder")),
        3 => any::<u8>().prop_map(|order| Step::Tell(order, "ShipOrder")),
        1 => any::<u8>().prop_map(|order| Step::Tell(order, "DeliverOrder")),
        2 => (0..3_u8).prop_map(Step::Receive),
        2 => (1..9_000_u16).prop_map(Step::PutForward),
        2 => Just(Step::Crash),
    ];
    (any::<u64>(), prop::collection::vec(step, 4..24))
}

async fn take(shop: Shop, orders: &mut u8, step: &Step) -> Shop {
    match step {
        Step::Order(skus, method) => {
            let skus: Vec<_> = (0..3)
                .filter(|bit| skus & (1 << bit) != 0)
                .map(|bit| SKUS[bit])
                .collect();
            shop.order(&orders.to_string(), &skus, METHODS[usize::from(*method)])
                .await;
            *orders += 1;
        }
        Step::Tell(_, _) if *orders == 0 => {}
        Step::Tell(order, what) => {
            shop.tell(&(order % *orders).to_string(), what).await;
        }
        Step::Receive(sku) => {
            let stream = format!("inventory-{}", SKUS[usize::from(*sku)]);
            shop.send(json!({"type": "ReceiveStock", "stream": stream, "data": {"quantity": 1}}))
                .await
                .unwrap();
        }
        Step::PutForward(by_ms) => shop.put_forward(u64::from(*by_ms)).await,
        Step::Crash => return shop.crash().await,
    }
    shop
}

/// Reserved and available make up what is on hand, at every moment of the log and in the view at its end.
async fn stock_adds_up(shop: &Shop) -> BTreeMap<(String, String), i64> {
    let mut reserved: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut on_hand: BTreeMap<String, i64> = BTreeMap::new();
    for event in shop.log().await {
        let Ok(DomainEvent::Inventory(change)) = event.decode().map(|event| event.payload) else {
            continue;
        };
        let sku = event.stream.id().to_owned();
        let order = change.order().unwrap_or_default().to_owned();
        let promised = reserved.entry((sku.clone(), order)).or_default();
        let there = on_hand.entry(sku.clone()).or_default();
        match change {
            InventoryEvent::StockReceived(stock) => *there += i64::from(stock.quantity),
            InventoryEvent::StockReserved(stock) => *promised += i64::from(stock.quantity),
            InventoryEvent::StockReleased(stock) => *promised -= i64::from(stock.quantity),
            InventoryEvent::StockShipped(stock) => {
                *promised -= i64::from(stock.quantity);
                *there -= i64::from(stock.quantity);
            }
            InventoryEvent::StockReservationFailed(_) => {}
        }
        let all: i64 = reserved
            .iter()
            .filter(|((of, _), _)| *of == sku)
            .map(|(_, promised)| *promised)
            .sum();
        assert!(all <= on_hand[&sku], "{sku}: {all} promised of {on_hand:?}");
        assert!(reserved.values().all(|promised| *promised >= 0), "{reserved:?}");
    }
    for (sku, there) in &on_hand {
        let stock = shop.document("inventory", sku).await;
        assert_eq!(stock["on_hand"].as_i64().unwrap(), *there);
        assert_eq!(
            stock["reserved"].as_i64().unwrap() + stock["available"].as_i64().unwrap(),
            *there
        );
    }
    reserved
}

/// Every order is done with, and stock, payments and the provider's books agree with what became of it.
async fn every_order_is_confirmed_or_undone(shop: &Shop, orders: u8) {
    let reserved = stock_adds_up(shop).await;
    let charges = shop.charges().await;
    for n in 0..orders {
        let id = n.to_string();
        let order = shop.document("orders", &id).await;
        let status = order["status"].as_str().unwrap();
        let charges: Vec<_> = charges
            .iter()
            .filter(|charge| charge.key == format!("charge/{id}"))
            .collect();
        assert!(charges.len() <= 1, "{id} was charged more than once: {charges:?}");
        let kept = charges
            .iter()
            .filter(|charge| charge.refunded_at.is_none())
            .count();
        let promised: i64 = reserved
            .iter()
            .filter(|((_, of), _)| *of == id)
            .map(|(_, promised)| *promised)
            .sum();
        let lines = i64::try_from(order["lines"].as_array().unwrap().len()).unwrap();
        let expected = match status {
            "confirmed" => (1, lines),
            "shipped" | "delivered" => (1, 0),
            "rejected" | "cancelled" => (0, 0),
            other => panic!("order {id} is left {other}: {order}"),
        };
        assert_eq!((kept, promised), expected, "{status}: {order}");
        let payment = shop.document("payments", &id).await;
        let paid = match payment["status"].as_str() {
            Some("processed") => 1,
            Some("refunded" | "failed") | None => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(paid, kept, "the payment says otherwise than the books: {payment}");
    }
    assert_eq!(shop.findings().await, Vec::<String>::new());
}

async fn live(place: Place, seed: u64, steps: &[Step]) {
    let chance = Chance::new(seed);
    let mut shop = Shop::open(place, 3, Arc::clone(&chance), Arc::new(SystemClock)).await;
    for (n, sku) in SKUS.iter().enumerate() {
        shop.list(sku, u32::try_from(n).unwrap() + 1).await;
    }
    let mut orders = 0;
    for step in steps {
        shop = take(shop, &mut orders, step).await;
    }
    chance.calm();
    // Behind every deadline and every answer that comes late, as often as somebody still waits for one.
    while shop.settled_within(None, A_MOMENT).await.is_err() {
        shop.put_forward(20_000).await;
    }
    every_order_is_confirmed_or_undone(&shop, orders).await;
    shop.stop().await;
}

fn hold(cases: u32, place: impl Fn() -> Place, runtime: &tokio::runtime::Runtime) {
    let mut runner = TestRunner::new(ProptestConfig {
        max_shrink_iters: 16,
        ..ProptestConfig::with_cases(cases)
    });
    let property = |(seed, steps): (u64, Vec<Step>)| {
        runtime.block_on(live(place(), seed, &steps));
        Ok(())
    };
    runner.run(&steps(), property).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn whatever_happens_every_order_ends_confirmed_or_undone_on_sqlite() {
    hold(12, Place::folder, &runtime());
}

#[test]
fn whatever_happens_every_order_ends_confirmed_or_undone_on_postgresql() {
    let runtime = runtime();
    hold(4, || Place::Database(runtime.block_on(Database::new())), &runtime);
}
