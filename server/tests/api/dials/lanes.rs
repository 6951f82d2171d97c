//! The dials of projections, and the guarantees of lanes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{reset, set};
use crate::{
    app::{Live, Person, TestApp, problem},
    dead_letters::{get, receive},
};

/// The state of the projection of the stock.
async fn stock(app: &TestApp, person: &Person) -> Value {
    let listed = get(app, person, "/api/v1/lab/projections").await;
    let mut projections = listed.as_array().unwrap().iter();
    projections.find(|it| it["view"] == "inventory").unwrap().clone()
}

/// The stock of the product, once the view has folded the events of an answer.
async fn on_hand(app: &TestApp, person: &Person, answer: &Value) -> Value {
    let token = answer["token"].as_str().unwrap();
    let path = format!("/api/v1/views/inventory/mug?after={token}");
    get(app, person, &path).await["data"]["on_hand"].clone()
}

async fn findings(app: &TestApp, person: &Person) -> Vec<String> {
    let report = get(app, person, "/api/v1/verify").await;
    serde_json::from_value(report["findings"].clone()).unwrap()
}

/// A workspace where nothing is bent, with a stock of 7 that is right.
async fn undisturbed(app: &TestApp) -> Person {
    let elsewhere = app.educator().await;
    receive(app, &elsewhere, "mug", 3).await;
    let last = receive(app, &elsewhere, "mug", 4).await;
    assert_eq!(on_hand(app, &elsewhere, &last).await, 7);
    let status = stock(app, &elsewhere).await;
    assert_eq!(
        (&status["slow_ms"], &status["fails_by_dial"], &status["poison"]),
        (&json!(0), &json!(false), &Value::Null)
    );
    assert_eq!(
        (&status["dead_letters"], &status["failing"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(findings(app, &elsewhere).await, Vec::<String>::new());
    elsewhere
}

/// The views with the stock of the product.
const WITH_STOCK: [&str; 2] = ["inventory", "products"];

/// Follows the views of the product's stock.
async fn follow(app: &TestApp, person: &Person) -> Live {
    let mut live = app.live(person).await;
    for view in WITH_STOCK {
        live.send(&json!({"op": "subscribe", "id": id_of(view), "view": view, "key": "mug"}))
            .await;
        live.next_of("snapshot").await;
    }
    live
}

/// The id of the subscription to a view.
fn id_of(view: &str) -> usize {
    view.len()
}

/// Rebuilds the views of the product's stock, and waits until a subscriber has the new generations.
async fn rebuild(app: &TestApp, person: &Person, live: &mut Live) {
    for view in WITH_STOCK {
        let path = format!("/api/v1/lab/projections/{view}/rebuild");
        let rebuild = app.request(Method::POST, &path).bearer_auth(&person.token);
        assert_eq!(rebuild.send().await.unwrap().status(), StatusCode::ACCEPTED);
        let is_switched = |frame: &Value| frame["id"] == id_of(view) && frame["generation"] == 2;
        live.next_where("the new generation", is_switched).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_projection_is_behind_by_tokens_until_its_dial_is_at_rest() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let first = receive(&app, &educator, "mug", 1).await;
    assert_eq!(on_hand(&app, &educator, &first).await, 1);
    set(
        &app,
        &educator,
        &json!({"projections": {"inventory": {"slow_ms": 60_000}}}),
    )
    .await;
    receive(&app, &educator, "mug", 2).await;
    let last = receive(&app, &educator, "mug", 4).await;
    // The other projections have folded both.
    get(&app, &educator, "/api/v1/views/orders?after=0:3").await;
    let read = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(
        (&read["data"]["on_hand"], &read["as_of"], &read["behind"]),
        (&json!(1), &json!("0:1"), &json!(2))
    );
    let path = "/api/v1/views/inventory/mug?after=0:3&timeout_ms=1";
    let late = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
    assert_eq!(
        (late.status, late.waiting_for),
        (503, vec!["inventory 0:1 of 0:3".to_owned()])
    );
    let status = stock(&app, &educator).await;
    assert_eq!(
        (&status["slow_ms"], &status["paused"], &status["failing"]),
        (&json!(60_000), &json!(false), &json!([]))
    );
    undisturbed(&app).await;

    // Slow is no obstacle to a stop, and holds after it.
    let app = app.restart().await;
    get(&app, &educator, "/api/v1/views/orders?after=0:3").await;
    let status = stock(&app, &educator).await;
    assert_eq!(
        (&status["slow_ms"], &status["behind"]),
        (&json!(60_000), &json!(2))
    );
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &last).await, 7);
    assert_eq!(stock(&app, &educator).await["slow_ms"], 0);
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_lanes_do_not_delay_other_workspaces() {
    let app = TestApp::start().await;
    // more lanes than may fold at a time
    let slow = app.educator_with_shards(16).await;
    set(
        &app,
        &slow,
        &json!({"projections": {"inventory": {"slow_ms": 60_000}}}),
    )
    .await;
    for n in 0..40 {
        receive(&app, &slow, &format!("mug-{n}"), 1).await;
    }
    undisturbed(&app).await;
    reset(&app, &slow).await;
    get(&app, &slow, "/api/v1/settled").await;
    assert_eq!(findings(&app, &slow).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_fail_are_tried_again_and_the_view_is_right() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    set(
        &app,
        &educator,
        &json!({"projections": {"inventory": {"fail_next": 3}}}),
    )
    .await;
    let answer = receive(&app, &educator, "mug", 7).await;
    assert_eq!(on_hand(&app, &educator, &answer).await, 7);
    assert_eq!(stock(&app, &educator).await["fails_by_dial"], true);
    let metrics = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    let failures = "foldline_projection_failures_total{view=\"inventory\"}";
    assert!(metrics.contains(failures), "{metrics}");
    undisturbed(&app).await;

    // With every transaction failing, the view stays behind and no event is parked.
    let each = json!({"projections": {"inventory": {"fail_every": 1}}});
    set(&app, &educator, &each).await;
    let answer = receive(&app, &educator, "mug", 1).await;
    get(&app, &educator, "/api/v1/views/orders?after=0:2").await;
    let status = stock(&app, &educator).await;
    assert_eq!(
        (&status["behind"], &status["dead_letters"]),
        (&json!(1), &json!(0))
    );
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &answer).await, 8);
    assert_eq!(stock(&app, &educator).await["fails_by_dial"], false);
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_type_makes_dead_letters_that_are_retried_once_the_dial_is_at_rest() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    let first = receive(&app, &educator, "cup", 5).await;
    assert_eq!(on_hand(&app, &educator, &first).await, 1);
    let poison = json!({"projections": {"inventory": {"poison_type": "StockReceived"}}});
    set(&app, &educator, &poison).await;
    receive(&app, &educator, "mug", 2).await;
    let last = receive(&app, &educator, "mug", 4).await;
    // The lane goes on: only the stream of the dead letter waits.
    assert_eq!(on_hand(&app, &educator, &last).await, 1);
    assert_eq!(stock(&app, &educator).await["poison"], "StockReceived");
    let listed = get(&app, &educator, "/api/v1/dead-letters?view=inventory").await;
    let letters = listed["data"].as_array().unwrap();
    let letter = letters.first().unwrap();
    assert_eq!((letters.len(), &letter["waiting"]), (1, &json!(1)), "{listed}");
    assert_eq!(
        (&letter["type"], &letter["stream"], &letter["attempts"]),
        (&json!("StockReceived"), &json!("inventory-mug"), &json!(5))
    );
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("an educator has poisoned"), "{reason}");
    undisturbed(&app).await;

    let path = format!("/api/v1/dead-letters/{}/retry", letter["id"].as_str().unwrap());
    let retry = async || -> Value {
        let retry = app.request(Method::POST, &path).bearer_auth(&educator.token);
        retry.send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(retry().await["applied"], 0, "it is poison still");
    reset(&app, &educator).await;
    assert_eq!(retry().await["applied"], 2);
    assert_eq!(on_hand(&app, &educator, &last).await, 7);
    // Other views have lost the event as well, and are not rebuilt here.
    let named = findings(&app, &educator).await;
    assert!(
        named.iter().all(|finding| !finding.contains("inventory")),
        "{named:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_crashes_while_it_is_bent_loses_nothing_and_doubles_nothing() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let bent = json!({"projections": {"inventory": {"slow_ms": 60_000, "fail_next": 1}}});
    set(&app, &educator, &bent).await;
    receive(&app, &educator, "mug", 3).await;
    let last = receive(&app, &educator, "mug", 4).await;
    for panics in 1..=2 {
        let crash = app.request(Method::POST, "/api/v1/lab/projections/inventory/crash");
        let crashed = crash.bearer_auth(&educator.token).send().await.unwrap();
        let status: Value = crashed.json().await.unwrap();
        assert_eq!(
            (&status["panics"], &status["slow_ms"]),
            (&json!(panics), &json!(60_000))
        );
    }
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &last).await, 7);
    // Other views have lost the event as well, and are not rebuilt here.
    let named = findings(&app, &educator).await;
    assert!(
        named.iter().all(|finding| !finding.contains("inventory")),
        "{named:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_duplicate_detection_a_repeated_delivery_counts_twice_and_a_rebuild_cures_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = follow(&app, &educator).await;
    let duplicates = json!({"duplicate_every": 1});
    let taken = json!({"broker": duplicates, "guarantees": {"duplicate_detection": false}});
    set(&app, &educator, &taken).await;
    receive(&app, &educator, "mug", 3).await;
    let is_doubled = |frame: &Value| frame["data"]["on_hand"] == 6;
    live.next_where("the doubled event", is_doubled).await;
    let read = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(
        (&read["data"]["on_hand"], &read["behind"]),
        (&json!(6), &json!(0))
    );
    let named = findings(&app, &educator).await;
    assert!(
        named.iter().any(|finding| finding.contains("inventory")),
        "{named:?}"
    );
    undisturbed(&app).await;

    reset(&app, &educator).await;
    let named = findings(&app, &educator).await;
    assert!(!named.is_empty(), "the guarantee alone does not make it right");
    rebuild(&app, &educator, &mut live).await;
    // With the guarantee, each repetition is skipped.
    set(&app, &educator, &json!({"broker": duplicates})).await;
    for (quantity, expected) in [(4, 7), (1, 8)] {
        let answer = receive(&app, &educator, "mug", quantity).await;
        assert_eq!(on_hand(&app, &educator, &answer).await, expected);
    }
    get(&app, &educator, "/api/v1/settled").await;
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gap_detection_an_event_that_comes_too_late_is_lost_to_the_view_and_a_rebuild_cures_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let first = receive(&app, &educator, "mug", 1).await;
    assert_eq!(on_hand(&app, &educator, &first).await, 1);
    let mut live = follow(&app, &educator).await;
    let taken = json!({"gap_detection": false});
    set(
        &app,
        &educator,
        &json!({"broker": {"paused": true}, "guarantees": taken}),
    )
    .await;
    receive(&app, &educator, "mug", 2).await;
    let last = receive(&app, &educator, "mug", 4).await;
    let swapped = json!({"broker": {"reorder_within": 10_000}, "guarantees": taken});
    set(&app, &educator, &swapped).await;
    assert_eq!(on_hand(&app, &educator, &last).await, 5, "1 + 4");
    get(&app, &educator, "/api/v1/settled").await;
    let named = findings(&app, &educator).await;
    assert!(
        named.iter().any(|finding| finding.contains("inventory")),
        "{named:?}"
    );
    undisturbed(&app).await;

    // A rebuild reads everything, also while the guarantee is taken away.
    rebuild(&app, &educator, &mut live).await;
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &last).await, 7);
    // Other views have lost the event as well, and are not rebuilt here.
    let named = findings(&app, &educator).await;
    assert!(
        named.iter().all(|finding| !finding.contains("inventory")),
        "{named:?}"
    );
}
