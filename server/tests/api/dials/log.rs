//! Guarantees of the log that are taken away: the version check, Idempotency-Keys, and that an event is
//! published after its commit.

use monitor::{rebuild::rebuild_server, tail::Remote};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{reset, reset_one, set};
use crate::{
    app::{Person, TestApp, list_product, problem},
    dead_letters::{get, receive},
};

/// An order of one mug.
fn order(id: &str) -> Value {
    json!({"type": "PlaceOrder", "stream": format!("order-{id}"), "data": {
        "lines": [{"sku": "mug", "quantity": 1}], "payment_method": "tok_ok",
    }})
}

fn stock(quantity: u32) -> Value {
    json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": quantity}})
}

/// The answer to a command under a key.
async fn under_key(app: &TestApp, person: &Person, key: &str, command: &Value) -> reqwest::Response {
    let request = app.post("/api/v1/commands", command).bearer_auth(&person.token);
    request.header("idempotency-key", key).send().await.unwrap()
}

async fn accepted(app: &TestApp, person: &Person, key: &str, command: &Value) -> Value {
    let response = under_key(app, person, key, command).await;
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// The types of the events of a stream, oldest first.
async fn stored(app: &TestApp, person: &Person, stream: &str) -> Vec<String> {
    let page = get(app, person, &format!("/api/v1/streams/{stream}")).await;
    let mut events: Vec<_> = page["data"].as_array().unwrap().clone();
    events.sort_by_key(|event| event["version"].as_u64());
    let versions: Vec<_> = events
        .iter()
        .map(|event| event["version"].as_u64().unwrap())
        .collect();
    assert!(
        versions.iter().copied().eq(1..=versions.len() as u64),
        "{versions:?}"
    );
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

/// How many are on hand in the view, and as of which token.
async fn on_hand(app: &TestApp, person: &Person, sku: &str, after: &str) -> (Value, Value) {
    let path = format!("/api/v1/views/inventory/{sku}?after={after}");
    let document = get(app, person, &path).await;
    (document["data"]["on_hand"].clone(), document["as_of"].clone())
}

async fn findings(app: &TestApp, person: &Person) -> Vec<String> {
    let verified = get(app, person, "/api/v1/verify").await;
    serde_json::from_value(verified["findings"].clone()).unwrap()
}

async fn rebuild_all(app: &TestApp, educator: &Person) {
    let remote = Remote {
        url: app.url("").parse().unwrap(),
        token: educator.token.clone(),
    };
    let projections = get(app, educator, "/api/v1/lab/projections").await;
    for status in projections.as_array().unwrap() {
        let view = status["view"].as_str().unwrap();
        rebuild_server(&remote, view, &mut Vec::new()).await.unwrap();
    }
}

/// Two buyers order the last mug, and fulfilment hears of both orders at the same time.
async fn two_buyers_of_the_last_mug(app: &TestApp, educator: &Person, guarantees: &Value) -> [String; 2] {
    app.command(educator, &list_product("mug")).await;
    receive(app, educator, "mug", 1).await;
    app.settled(educator).await;
    let paused = json!({"broker": {"paused": true}, "guarantees": guarantees});
    set(app, educator, &paused).await;
    for id in ["a", "b"] {
        app.command(educator, &order(id)).await;
    }
    set(app, educator, &json!({"guarantees": guarantees})).await;
    app.settled(educator).await;
    let mut statuses = [String::new(), String::new()];
    for (id, status) in ["a", "b"].into_iter().zip(&mut statuses) {
        let order = get(app, educator, &format!("/api/v1/views/orders/{id}")).await;
        status.push_str(order["data"]["status"].as_str().unwrap());
    }
    statuses.sort_unstable();
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_version_check_the_last_item_is_sold_twice() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let unchecked = json!({"optimistic_concurrency": false});
    let sold = two_buyers_of_the_last_mug(&app, &educator, &unchecked).await;
    assert_eq!(sold, ["confirmed", "confirmed"]);
    let events = stored(&app, &educator, "inventory-mug").await;
    assert_eq!(events, ["StockReceived", "StockReserved", "StockReserved"]);
    let stock = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    let counts = json!([stock["data"]["on_hand"], stock["data"]["reserved"]]);
    assert_eq!(counts, json!([1, 2]), "what the log says");
    // A version that a client names is not compared either.
    let stale = json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": 1},
        "expected_version": 1});
    app.command(&educator, &stale).await;

    let sold = two_buyers_of_the_last_mug(&app, &elsewhere, &json!({})).await;
    assert_eq!(sold, ["confirmed", "rejected"], "another workspace has its check");

    reset(&app, &educator).await;
    let refused = app.post("/api/v1/commands", &stale).bearer_auth(&educator.token);
    let refused = problem(refused.send().await.unwrap()).await;
    assert_eq!((refused.status, refused.current_version), (409, Some(4)));
    app.settled(&educator).await;
    for person in [&educator, &elsewhere] {
        assert_eq!(findings(&app, person).await, [""; 0], "the log is sound");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_idempotency_keys_a_command_that_is_sent_again_happens_again() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    for person in [&educator, &elsewhere] {
        app.command(person, &list_product("mug")).await;
        let first = accepted(&app, person, "delivery-1", &stock(5)).await;
        assert_eq!(accepted(&app, person, "delivery-1", &stock(5)).await, first);
        accepted(&app, person, "checkout", &order("a")).await;
        let reused = under_key(&app, person, "checkout", &order("b")).await;
        assert_eq!(reused.status(), StatusCode::CONFLICT);
    }
    let first = accepted(&app, &educator, "delivery-1", &stock(5)).await;
    set(
        &app,
        &educator,
        &json!({"guarantees": {"idempotency_keys": false}}),
    )
    .await;
    let mut ids = vec![first["command_id"].clone()];
    for _ in 0..2 {
        let again = accepted(&app, &educator, "delivery-1", &stock(5)).await;
        assert_eq!(again["events"].as_array().unwrap().len(), 1, "{again}");
        assert!(!ids.contains(&again["command_id"]), "{again}");
        ids.push(again["command_id"].clone());
    }
    // Two orders under one key.
    accepted(&app, &educator, "checkout", &order("b")).await;
    app.settled(&educator).await;
    for id in ["a", "b"] {
        assert_eq!(
            stored(&app, &educator, &format!("order-{id}")).await[0],
            "OrderCreated"
        );
    }
    // Another workspace gets its first answers.
    for (key, command) in [("delivery-1", stock(5)), ("checkout", order("a"))] {
        let version = accepted(&app, &elsewhere, key, &command).await["version"].clone();
        assert_eq!(version, 1, "{key}");
    }
    reset(&app, &educator).await;
    assert_eq!(accepted(&app, &educator, "delivery-1", &stock(5)).await, first);
    let received = stored(&app, &educator, "inventory-mug").await;
    assert_eq!(
        received.iter().filter(|event| *event == "StockReceived").count(),
        3
    );
    app.settled(&educator).await;
    assert_eq!(
        findings(&app, &educator).await,
        [""; 0],
        "each effect has its answer"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_published_before_its_commit_and_refused_is_a_phantom_in_the_views() {
    let app = TestApp::start_with(&["--for-tests", "--sandbox-events", "3"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    set(
        &app,
        &educator,
        &json!({"guarantees": {"publish_after_commit": false}}),
    )
    .await;
    for person in [&educator, &elsewhere] {
        for quantity in [1, 2, 4] {
            receive(&app, person, "mug", quantity).await;
        }
        let refused = app.post("/api/v1/commands", &stock(8)).bearer_auth(&person.token);
        assert_eq!(problem(refused.send().await.unwrap()).await.status, 429);
    }
    assert_eq!(
        on_hand(&app, &educator, "mug", "0:4").await,
        (json!(15), json!("0:4"))
    );
    assert_eq!(stored(&app, &educator, "inventory-mug").await.len(), 3);
    let named = findings(&app, &educator).await;
    let ahead = "inventory: its checkpoint of partition 0 is at 4, and the log ends at 3";
    assert!(named.iter().any(|finding| finding == ahead), "{named:?}");
    assert!(
        named
            .iter()
            .any(|finding| finding == "inventory: mug differs from its fold"),
        "{named:?}"
    );
    // Another workspace saw nothing of it.
    app.settled(&elsewhere).await;
    assert_eq!(
        on_hand(&app, &elsewhere, "mug", "0:3").await,
        (json!(7), json!("0:3"))
    );
    assert_eq!(findings(&app, &elsewhere).await, [""; 0]);
    // Put back, nothing new is published early; and a rebuild cures what was.
    let rest = reset_one(&app, &educator, "guarantees.publish_after_commit").await;
    assert!(rest.bent.is_empty(), "{rest:?}");
    rebuild_all(&app, &educator).await;
    assert_eq!(
        on_hand(&app, &educator, "mug", "0:3").await,
        (json!(7), json!("0:3"))
    );
    assert_eq!(findings(&app, &educator).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_loses_the_race_for_its_version_stays_in_the_views() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    set(
        &app,
        &educator,
        &json!({"guarantees": {"publish_after_commit": false}}),
    )
    .await;
    // Two requests meet unless the machine is very busy; then two others do.
    let mut n = 0;
    let phantom = loop {
        n += 1;
        let sku = format!("mug-{n}");
        receive(&app, &educator, &sku, 1).await;
        tokio::join!(
            receive(&app, &educator, &sku, 5),
            receive(&app, &educator, &sku, 7)
        );
        app.settled(&educator).await;
        let head = format!("0:{}", 3 * n);
        if on_hand(&app, &educator, &sku, &head).await.0 != 13 {
            break sku;
        }
    };
    assert_eq!(
        stored(&app, &educator, &format!("inventory-{phantom}"))
            .await
            .len(),
        3
    );
    let named = findings(&app, &educator).await;
    let differs = format!("inventory: {phantom} differs from its fold");
    assert!(named.contains(&differs), "{named:?}");
    reset(&app, &educator).await;
    rebuild_all(&app, &educator).await;
    let head = format!("0:{}", 3 * n);
    assert_eq!(on_hand(&app, &educator, &phantom, &head).await.0, 13);
    assert_eq!(findings(&app, &educator).await, [""; 0]);
    // Commands wait for each other again.
    let more = || receive(&app, &educator, &phantom, 1);
    tokio::join!(more(), more());
    app.settled(&educator).await;
    let head = format!("0:{}", 3 * n + 2);
    assert_eq!(on_hand(&app, &educator, &phantom, &head).await.0, 15);
    assert_eq!(findings(&app, &educator).await, [""; 0]);
}
