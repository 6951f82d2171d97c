//! Concurrent commands: of the same process, and of another one on the same store.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{Shop, list_product, place_order, read, receive, with};
use crate::CommandFailure;

#[tokio::test]
async fn commands_repeated_concurrently_happen_once() {
    let shop = Shop::open().await;
    let sent = (0..32).map(|_| shop.send(&shop.staff, receive("mug-01", 5), Some("delivery-7")));
    let answers: Vec<_> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(shop.events("inventory-mug-01").await.len(), 1);
    assert_eq!(shop.by_staff(receive("mug-01", 5)).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_command_repeated_concurrently_is_not_refused_because_of_its_own_effect() {
    let shop = Shop::open().await;
    // the second command finds the product listed, or the version passed, by the first
    for (key, request) in [
        ("by-a-rule", list_product("mug-01")),
        (
            "by-its-version",
            with(receive("mug-01", 5), "expected_version", json!(0)),
        ),
    ] {
        let other_process = shop.second_service();
        let elsewhere = read(request.clone());
        let (here, again, there) = tokio::join!(
            shop.send(&shop.staff, request.clone(), Some(key)),
            shop.send(&shop.staff, request.clone(), Some(key)),
            other_process.handle(shop.workspace, &shop.staff, &elsewhere, Some(key), None),
        );
        let here = here.unwrap();
        assert_eq!(here, again.unwrap(), "{key}");
        assert_eq!(here, there.unwrap(), "{key}");
    }
}

#[tokio::test]
async fn of_many_that_name_one_version_one_wins() {
    let shop = Shop::open().await;
    let sent = (0..32).map(|_| shop.by_staff(with(receive("mug-01", 1), "expected_version", json!(0))));
    let results = join_all(sent).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for failure in results.into_iter().filter_map(Result::err) {
        assert!(
            matches!(failure, CommandFailure::Conflict { current: 1, .. }),
            "{failure:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_name_no_version_every_one_is_accepted() {
    let shop = Shop::open().await;
    // two processes: their commands share no locks, and have to decide again
    let other = shop.second_service();
    let request = read(receive("mug-01", 1));
    let sent = (0..128).map(|n| {
        let service = if n % 2 == 0 { &*shop.service } else { &other };
        service.handle(shop.workspace, &shop.staff, &request, None, None)
    });
    let mut versions: Vec<_> = join_all(sent)
        .await
        .into_iter()
        .map(|result| result.unwrap().version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=128).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rule_holds_in_any_order_of_commands() {
    let shop = Shop::open().await;
    let other = shop.second_service();
    shop.by_staff(receive("mug-01", 10)).await.unwrap();
    let orders: Vec<_> = (0..30)
        .map(|n| {
            read(json!({"type": "ReserveStock", "stream": "inventory-mug-01",
                "data": {"order": format!("o{n}"), "quantity": 1}, "expected_version": "stream_exists"}))
        })
        .collect();
    let sent = orders.iter().enumerate().map(|(n, request)| {
        let service = if n % 2 == 0 { &*shop.service } else { &other };
        service.handle(shop.workspace, &shop.staff, request, None, None)
    });
    join_all(sent)
        .await
        .into_iter()
        .for_each(|result| assert!(result.is_ok(), "{result:?}"));
    let events = shop.events("inventory-mug-01").await;
    let count = |name| events.iter().filter(|event| *event == name).count();
    assert_eq!(
        (count("StockReserved"), count("StockReservationFailed")),
        (10, 20)
    );
}

#[tokio::test]
async fn a_state_in_memory_is_never_the_reason_for_a_wrong_answer() {
    let shop = Shop::open().await;
    let other = shop.second_service();
    let elsewhere = async |request: Value| {
        other
            .handle(shop.workspace, &shop.staff, &read(request), None, None)
            .await
    };
    shop.list_mug().await;
    shop.by_staff(place_order("1", "mug-01")).await.unwrap();
    // both have the order cached as created; one confirms it, and the other must not refuse it as unconfirmed
    let refund = json!({"type": "RefundOrder", "stream": "order-1", "data": {"reason": "it broke"}});
    let refund_elsewhere = async || {
        other
            .handle(shop.workspace, &shop.system, &read(refund.clone()), None, None)
            .await
    };
    assert!(matches!(
        refund_elsewhere().await,
        Err(CommandFailure::Rejected(_))
    ));
    shop.by_system(json!({"type": "ConfirmOrder", "stream": "order-1", "data": {}}))
        .await
        .unwrap();
    refund_elsewhere().await.unwrap();
    // the other way round: what one still allows, the other has ended
    let cancel = json!({"type": "CancelOrder", "stream": "order-1", "data": {"reason": "changed my mind"}});
    assert!(matches!(
        shop.by_staff(cancel).await,
        Err(CommandFailure::Rejected(_))
    ));
    // a product that another process listed a moment ago can be ordered
    assert!(matches!(
        shop.by_staff(place_order("2", "pen-01")).await,
        Err(CommandFailure::Rejected(_))
    ));
    elsewhere(list_product("pen-01")).await.unwrap();
    shop.by_staff(place_order("2", "pen-01")).await.unwrap();
}

#[tokio::test]
async fn a_long_stream_is_loaded_from_a_snapshot_and_its_tail() {
    let shop = Shop::open().await;
    for _ in 0..240 {
        shop.by_staff(receive("mug-01", 1)).await.unwrap();
    }
    let stream = "inventory-mug-01".parse().unwrap();
    // saved beside the commands, the last one at version 200
    let snapshot = loop {
        match shop.store.snapshot(shop.workspace, &stream).await.unwrap() {
            Some(snapshot) if snapshot.version == 200 => break snapshot,
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(
        snapshot.state.get().contains("\"on_hand\":200"),
        "{}",
        snapshot.state.get()
    );
    let reserve = |order: &str, quantity| {
        read(json!({"type": "ReserveStock", "stream": "inventory-mug-01",
            "data": {"order": order, "quantity": quantity}}))
    };
    let fresh = shop.second_service();
    fresh
        .handle(shop.workspace, &shop.staff, &reserve("a", 240), None, None)
        .await
        .unwrap();
    fresh
        .handle(shop.workspace, &shop.staff, &reserve("b", 1), None, None)
        .await
        .unwrap();
    let events = shop.events("inventory-mug-01").await;
    assert_eq!(events[240..], ["StockReserved", "StockReservationFailed"]);
}
