//! Orders from end to end behind the gateway: under any faults of provider, broker, clock and machine, an
//! order ends confirmed or undone, its stock adds up, and no customer is charged twice or for an order that
//! failed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use command::CommandFailure;
use domain::{
    access::Role,
    aggregate::{inventory::InventoryEvent, payment::METHODS},
    event::DomainEvent,
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use uuid::Uuid;

use super::shop::{FaultSource, Shop, StoppedClock, TestStorage};
use clock::SystemClock;
use documents::ParkedState;
use projection::dead_letters::{DeadLetterError, Remedy};
use query::QueryError;
use test_postgres::Database;

async fn shop_without_faults(shards: u32) -> Shop {
    let faults = FaultSource::new(1);
    faults.disable();
    Shop::open(TestStorage::folder(), shards, faults, StoppedClock::at_now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_reserved_charged_and_confirmed_and_settled_says_when() {
    let shop = shop_without_faults(3).await;
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
async fn each_payment_method_has_its_outcome() {
    let shop = shop_without_faults(2).await;
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
async fn a_late_payment_is_abandoned_then_refunded_and_delays_no_other_order() {
    let shop = shop_without_faults(2).await;
    shop.list("mug", 2).await;
    let late = shop.order("late", &["mug"], "tok_timeout").await;
    let quick = shop.order("quick", &["mug"], "tok_ok").await;
    shop.settled(Some(quick.correlation_id)).await.unwrap();
    assert_eq!(shop.document("orders", "quick").await["status"], "confirmed");
    // The clock has not moved: the charge is made and not answered. The deadline runs from when it was sent.
    shop.waits_for_the_payment(late.correlation_id).await;
    let shop = shop.crash().await;
    // Past the deadline and past the answer: the deadline comes first.
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
    // Both were charged, in either order.
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
async fn of_many_late_payments_none_overtakes_its_deadline_however_the_clock_leaps() {
    const ORDERS: usize = 40;
    let shop = shop_without_faults(2).await;
    shop.list("mug", 40).await;
    let ids: Vec<_> = (0..ORDERS).map(|n| n.to_string()).collect();
    // The leaps fall between a request, its missing answer, the record of that, and the next request.
    let place = futures::future::join_all(ids.iter().map(|id| shop.order(id, &["mug"], "tok_timeout")));
    let leap = async {
        for _ in 0..20 {
            shop.put_forward(3_600_000).await;
            tokio::task::yield_now().await;
        }
    };
    let (placed, ()) = tokio::join!(place, leap);
    for placed in placed {
        while shop
            .settled_within(Some(placed.correlation_id), SETTLE_WAIT)
            .await
            .is_err()
        {
            shop.put_forward(3_600_000).await;
        }
    }
    for id in &ids {
        let order = shop.document("orders", id).await;
        assert_eq!(order["reason"], "the payment was not answered in time", "{order}");
    }
    let charges = shop.charges().await;
    assert!(
        charges.iter().all(|charge| charge.refunded_at.is_some()),
        "{charges:?}"
    );
    assert_eq!(shop.document("inventory", "mug").await["available"], 40);
    // Events have the workspace's time, and the log shows that no deadline came too early.
    let mut placed_at = BTreeMap::new();
    for event in shop.log().await {
        let at = event.recorded_at;
        match event.event_type.as_str() {
            "OrderCreated" => {
                placed_at.insert(event.stream.clone(), at);
            }
            "OrderRejected" => assert!(at.millis_since(placed_at[&event.stream]) >= 5_000, "{event:?}"),
            _ => {}
        }
    }
    assert_eq!(shop.findings().await, Vec::<String>::new());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_item_is_sold_once() {
    let shop = shop_without_faults(4).await;
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
async fn a_confirmed_order_that_is_cancelled_is_released_and_refunded() {
    let shop = shop_without_faults(2).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_by_the_shop_shows_everywhere_and_releases_what_was_not_shipped() {
    let shop = shop_without_faults(2).await;
    shop.list("mug", 2).await;
    for id in ["1", "2"] {
        let placed = shop.order(id, &["mug"], "tok_ok").await;
        shop.settled(Some(placed.correlation_id)).await.unwrap();
    }
    assert!(shop.tell("1", "ShipOrder").await);
    shop.settled(None).await.unwrap();
    for id in ["1", "2"] {
        let refund = json!({
            "type": "RefundPayment", "stream": format!("payment-{id}"), "data": {"reason": "broken"},
        });
        shop.send(refund).await.unwrap();
    }
    shop.settled(None).await.unwrap();
    for id in ["1", "2"] {
        let order = shop.document("orders", id).await;
        assert_eq!(
            (&order["status"], &order["reason"]),
            (&json!("refunded"), &json!("broken"))
        );
        assert_eq!(shop.document("payments", id).await["status"], "refunded");
    }
    let stock = shop.document("inventory", "mug").await;
    assert_eq!(
        (&stock["on_hand"], &stock["available"]),
        (&json!(1), &json!(1)),
        "the shipped one is gone, and the other is for sale again"
    );
    let sales = shop.document("sales", "sku/mug").await;
    assert_eq!(
        (&sales["orders"], &sales["refunded_orders"]),
        (&json!(2), &json!(2))
    );
    let customer = shop.document("customers", &Uuid::from_u128(7).to_string()).await;
    assert_eq!(customer["spent"], json!([{"amount": 0, "currency": "EUR"}]));
    assert_eq!(shop.findings().await, Vec::<String>::new());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_refund_is_a_dead_letter_until_a_person_has_settled_it() {
    let shop = shop_without_faults(2).await;
    shop.list("mug", 1).await;
    let placed = shop.order("1", &["mug"], "tok_ok").await;
    shop.settled(Some(placed.correlation_id)).await.unwrap();
    shop.refund_at_the_provider("1").await;
    assert!(shop.tell("1", "CancelOrder").await);
    let letter = shop.dead_letter(1).await;
    assert_eq!(letter.view, "fulfilment");
    assert_eq!(letter.event.stream.as_str(), "payment-1");
    assert_eq!(letter.event.event_type, "RefundPayment");
    let ParkedState::Dead { reason, .. } = &letter.event.state else {
        panic!("{letter:?}");
    };
    assert_eq!(reason, "it was given back before");
    match shop.settled_within(None, Duration::from_millis(1)).await {
        Err(QueryError::NotSettled { waiting_for }) => {
            let expected = "fulfilment: 1 dead letters, commands that were refused";
            assert!(waiting_for.iter().any(|what| what == expected), "{waiting_for:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(shop.document("inventory", "mug").await["available"], 1);
    let remedy = async |shop: &Shop, remedy| {
        let policies = shop.consumers.dead_letters().next().unwrap();
        policies.remedy(shop.workspace.id, letter.event.id, remedy).await
    };
    assert_eq!(remedy(&shop, Remedy::Retry).await.unwrap().applied, 0);
    assert_eq!(
        shop.dead_letter(2).await.event.id,
        letter.event.id,
        "it is refused again"
    );
    let shop = shop.crash().await;
    shop.dead_letter(2).await;
    assert_eq!(remedy(&shop, Remedy::Discard).await.unwrap().dead_letter, None);
    shop.settled(None).await.unwrap();
    let again = remedy(&shop, Remedy::Discard).await;
    assert!(matches!(again, Err(DeadLetterError::Unknown)), "{again:?}");
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_and_a_reservation_of_staff_stand_for_no_order() {
    let shop = shop_without_faults(2).await;
    shop.list("mug", 5).await;
    let charge = json!({"type": "ProcessPayment", "stream": "payment-1", "data": {
        "order": "1", "amount": {"amount": 1, "currency": "EUR"}, "method": "tok_ok",
    }});
    shop.send(charge).await.unwrap();
    let reserve = json!({"type": "ReserveStock", "stream": "inventory-mug", "data": {
        "order": "2", "quantity": 3,
    }});
    shop.send(reserve).await.unwrap();
    for (id, reason) in [
        (
            "1",
            "it cannot be charged: something else was charged under this order's id",
        ),
        (
            "2",
            "it cannot be reserved: something else was reserved under this order's id",
        ),
    ] {
        shop.order(id, &["mug"], "tok_ok").await;
        // What staff did has an intention of its own.
        shop.settled(None).await.unwrap();
        let order = shop.document("orders", id).await;
        assert_eq!(
            (&order["status"], &order["reason"]),
            (&json!("rejected"), &json!(reason))
        );
    }
    assert_eq!(shop.document("inventory", "mug").await["available"], 5);
    let charges = shop.charges().await;
    assert_eq!(charges.len(), 1);
    assert!(charges[0].refunded_at.is_some());
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_do_not_move_what_fulfilment_has_reserved_and_an_order_ships_with_its_goods() {
    let shop = shop_without_faults(2).await;
    shop.list("mug", 1).await;
    let placed = shop.order("1", &["mug"], "tok_ok").await;
    shop.settled(Some(placed.correlation_id)).await.unwrap();
    for what in ["ReserveStock", "ReleaseStock", "ShipStock"] {
        let mut data = json!({"order": "1"});
        if what == "ReserveStock" {
            data["quantity"] = json!(1);
        }
        let moved = shop.send(json!({"type": what, "stream": "inventory-mug", "data": data}));
        match moved.await {
            Err(CommandFailure::Rejected(refused)) => assert_eq!(refused.rule, "stock-of-an-order"),
            other => panic!("{what}: {other:?}"),
        }
    }
    // The last mug is not sold again.
    let late = shop.order("2", &["mug"], "tok_ok").await;
    shop.settled(Some(late.correlation_id)).await.unwrap();
    assert_eq!(shop.document("orders", "2").await["status"], "rejected");
    for what in ["ShipOrder", "DeliverOrder"] {
        assert!(shop.tell("1", what).await);
    }
    shop.settled(None).await.unwrap();
    let shipped = BTreeMap::from([(("1".to_owned(), "mug".to_owned()), vec![1])]);
    assert_eq!(shipments(&shop).await, shipped);
    assert_eq!(shop.document("inventory", "mug").await["on_hand"], 0);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_id_staff_have_used_for_stock_is_rejected() {
    let shop = shop_without_faults(2).await;
    shop.list("mug", 5).await;
    for (order, further) in [("1", None), ("2", Some("ReleaseStock")), ("3", Some("ShipStock"))] {
        let stream = "inventory-mug";
        let stock = |what: &str, data: Value| json!({"type": what, "stream": stream, "data": data});
        let reserve = stock("ReserveStock", json!({"order": order, "quantity": 1}));
        shop.send(reserve).await.unwrap();
        if let Some(what) = further {
            shop.send(stock(what, json!({"order": order}))).await.unwrap();
        }
        shop.order(order, &["mug"], "tok_ok").await;
        shop.settled(None).await.unwrap();
        let document = shop.document("orders", order).await;
        let reason = document["reason"].as_str().unwrap_or_default();
        assert_eq!(document["status"], "rejected", "{document}");
        assert!(reason.starts_with("it cannot be reserved") || reason.starts_with("its reserved stock"));
    }
    let stock = shop.document("inventory", "mug").await;
    assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(4), &json!(0)));
    assert!(shop.charges().await.is_empty());
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
async fn a_line_that_cannot_be_reserved_rejects_the_order() {
    let shop = shop_without_faults(1).await;
    // A stream name may be "product-" with this sku, but not "inventory-" with it.
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

/// A step of the test.
#[derive(Debug, Clone)]
enum Step {
    /// A customer orders: the products, and the payment method.
    Order(u8, u8),
    /// A command for an order: the order, and the type.
    Tell(u8, &'static str),
    /// A command of staff about the stock of an order, perhaps before it is placed: the order, the product,
    /// and the type.
    MoveStock(u8, u8, &'static str),
    /// Goods arrive.
    Receive(u8),
    /// An educator puts the clock forward.
    PutForward(u16),
    /// Everything stops at any point, and starts again.
    Crash,
}

/// How long to wait for settlement before the clock is put forward.
const SETTLE_WAIT: Duration = Duration::from_millis(500);

const SKUS: [&str; 3] = ["cup", "mug", "pot"];

fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
    let step = prop_oneof![
        10 => (1..8_u8, 0..5_u8).prop_map(|(skus, method)| Step::Order(skus, method)),
        4 => any::<u8>().prop_map(|order| Step::Tell(order, "CancelOrder")),
        3 => any::<u8>().prop_map(|order| Step::Tell(order, "ShipOrder")),
        1 => any::<u8>().prop_map(|order| Step::Tell(order, "DeliverOrder")),
        3 => (any::<u8>(), 0..3_u8, prop::sample::select(vec!["ReserveStock", "ReleaseStock", "ShipStock"]))
            .prop_map(|(order, sku, what)| Step::MoveStock(order, sku, what)),
        2 => (0..3_u8).prop_map(Step::Receive),
        2 => (1..9_000_u16).prop_map(Step::PutForward),
        2 => Just(Step::Crash),
    ];
    (any::<u64>(), prop::collection::vec(step, 4..24))
}

async fn run_step(shop: Shop, orders: &mut u8, step: &Step) -> Shop {
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
        Step::MoveStock(order, sku, what) => {
            let order = (order % (*orders + 1)).to_string();
            let mut data = json!({"order": order});
            if *what == "ReserveStock" {
                data["quantity"] = json!(1);
            }
            let stream = format!("inventory-{}", SKUS[usize::from(*sku)]);
            let moved = shop
                .send(json!({"type": what, "stream": stream, "data": data}))
                .await;
            assert!(
                matches!(moved, Ok(_) | Err(CommandFailure::Rejected(_))),
                "{moved:?}"
            );
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

/// Reserved and available stock add up to the stock on hand, at every position of the log and in the view at
/// its end.
async fn stock_adds_up(shop: &Shop) -> BTreeMap<(String, String), i64> {
    let mut reserved: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut on_hand: BTreeMap<String, i64> = BTreeMap::new();
    for event in shop.log().await {
        let Ok(DomainEvent::Inventory(change)) = event.decode().map(|event| event.payload) else {
            continue;
        };
        let sku = event.stream.id().to_owned();
        let order = change.order().unwrap_or_default().to_owned();
        let reserved_quantity = reserved.entry((sku.clone(), order)).or_default();
        let stock_on_hand = on_hand.entry(sku.clone()).or_default();
        match change {
            InventoryEvent::StockReceived(stock) => *stock_on_hand += i64::from(stock.quantity),
            InventoryEvent::StockReserved(stock) => *reserved_quantity += i64::from(stock.quantity),
            InventoryEvent::StockReleased(stock) => *reserved_quantity -= i64::from(stock.quantity),
            InventoryEvent::StockShipped(stock) => {
                *reserved_quantity -= i64::from(stock.quantity);
                *stock_on_hand -= i64::from(stock.quantity);
            }
            InventoryEvent::StockReservationFailed(_) => {}
        }
        let all: i64 = reserved
            .iter()
            .filter(|((of, _), _)| *of == sku)
            .map(|(_, reserved_quantity)| *reserved_quantity)
            .sum();
        assert!(all <= on_hand[&sku], "{sku}: {all} promised of {on_hand:?}");
        assert!(
            reserved.values().all(|reserved_quantity| *reserved_quantity >= 0),
            "{reserved:?}"
        );
    }
    for (sku, stock_on_hand) in &on_hand {
        let stock = shop.document("inventory", sku).await;
        assert_eq!(stock["on_hand"].as_i64().unwrap(), *stock_on_hand);
        assert_eq!(
            stock["reserved"].as_i64().unwrap() + stock["available"].as_i64().unwrap(),
            *stock_on_hand
        );
    }
    reserved
}

/// The units of each product that fulfilment has shipped for each order.
async fn shipments(shop: &Shop) -> BTreeMap<(String, String), Vec<u32>> {
    let mut shipments: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for event in shop.log().await {
        let is_own = event.metadata.actor.role == Role::System;
        if let DomainEvent::Inventory(InventoryEvent::StockShipped(shipped)) = event.decode().unwrap().payload
            && is_own
        {
            let sku = event.stream.id().to_owned();
            shipments
                .entry((shipped.order, sku))
                .or_default()
                .push(shipped.quantity);
        }
    }
    shipments
}

/// Every order has ended, and stock, payments and the provider's books agree with its outcome.
async fn every_order_is_confirmed_or_undone(shop: &Shop, orders: u8) {
    let reserved = stock_adds_up(shop).await;
    let shipments = shipments(shop).await;
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
        let charge_count = charges
            .iter()
            .filter(|charge| charge.refunded_at.is_none())
            .count();
        let reserved_quantity: i64 = reserved
            .iter()
            .filter(|((_, of), _)| *of == id)
            .map(|(_, reserved_quantity)| *reserved_quantity)
            .sum();
        let lines = i64::try_from(order["lines"].as_array().unwrap().len()).unwrap();
        let expected = match status {
            "confirmed" => (1, lines),
            "shipped" | "delivered" => (1, 0),
            "rejected" | "cancelled" => (0, 0),
            other => panic!("order {id} is left {other}: {order}"),
        };
        assert_eq!((charge_count, reserved_quantity), expected, "{status}: {order}");
        let has_left = matches!(status, "shipped" | "delivered");
        for sku in SKUS {
            let mut lines = order["lines"].as_array().unwrap().iter();
            let expected: &[u32] = match lines.find(|line| line["sku"] == sku && has_left) {
                Some(_) => &[1],
                None => &[],
            };
            let shipped = shipments.get(&(id.clone(), sku.to_owned()));
            assert_eq!(
                shipped.map_or(&[][..], Vec::as_slice),
                expected,
                "{sku} of {order}"
            );
        }
        let payment = shop.document("payments", &id).await;
        let paid = match payment["status"].as_str() {
            Some("processed") => 1,
            Some("refunded" | "failed") | None => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(paid, charge_count, "the payment contradicts the books: {payment}");
    }
    assert_eq!(shop.findings().await, Vec::<String>::new());
}

async fn run_case(storage: TestStorage, seed: u64, steps: &[Step]) {
    let faults = FaultSource::new(seed);
    let mut shop = Shop::open(storage, 3, Arc::clone(&faults), Arc::new(SystemClock)).await;
    for (n, sku) in SKUS.iter().enumerate() {
        shop.list(sku, u32::try_from(n).unwrap() + 1).await;
    }
    let mut orders = 0;
    for step in steps {
        shop = run_step(shop, &mut orders, step).await;
    }
    faults.disable();
    // Past every deadline and every late answer, as often as an order still waits for one.
    while shop.settled_within(None, SETTLE_WAIT).await.is_err() {
        shop.put_forward(20_000).await;
    }
    every_order_is_confirmed_or_undone(&shop, orders).await;
    shop.stop().await;
}

fn check_property(cases: u32, storage: impl Fn() -> TestStorage, runtime: &tokio::runtime::Runtime) {
    let mut runner = TestRunner::new(ProptestConfig {
        max_shrink_iters: 16,
        ..ProptestConfig::with_cases(cases)
    });
    let property = |(seed, steps): (u64, Vec<Step>)| {
        runtime.block_on(run_case(storage(), seed, &steps));
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
fn every_order_ends_confirmed_or_undone_under_any_faults_on_sqlite() {
    check_property(12, TestStorage::folder, &runtime());
}

#[test]
fn every_order_ends_confirmed_or_undone_under_any_faults_on_postgresql() {
    let runtime = runtime();
    check_property(
        4,
        || TestStorage::Database(runtime.block_on(Database::new())),
        &runtime,
    );
}
