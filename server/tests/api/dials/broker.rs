//! The dials of the message broker: pause, delay, duplicates, reordering and lost acknowledgements.

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use serde_json::{Value, json};

use super::{reset, set};
use crate::{
    app::{Live, Person, TestApp, list_product, place_order, problem},
    dead_letters::{get, receive},
};

const HOPS: &str = "/api/v1/lab/hops?limit=1000";

/// A server whose boxes make hops of what is watched.
async fn start() -> TestApp {
    telemetry::hops::install_for_tests();
    TestApp::start().await
}

/// How much is in stock, once the view has what a command has written.
async fn on_hand(app: &TestApp, person: &Person, answer: &Value) -> Value {
    let token = answer["token"].as_str().unwrap();
    let path = format!("/api/v1/views/inventory/mug?after={token}");
    get(app, person, &path).await["data"]["on_hand"].clone()
}

/// How far the view of the stock is behind what a command has written.
async fn lag(app: &TestApp, person: &Person, answer: &Value) -> Vec<String> {
    let token = answer["token"].as_str().unwrap();
    let path = format!("/api/v1/views/inventory/mug?after={token}&timeout_ms=1");
    let late = problem(app.get(&path).bearer_auth(&person.token).send().await.unwrap()).await;
    assert_eq!(late.status, 503);
    late.waiting_for
}

/// A second consumer of what happens in a workspace: a socket that follows its hops.
async fn watch(app: &TestApp, person: &Person) -> Live {
    let mut live = app.live(person).await;
    live.send(&json!({"op": "subscribe", "id": 1, "lab": "hops"}))
        .await;
    live.next_of("hops").await;
    live
}

/// Waits for a hop.
async fn hop(live: &mut Live, what: &str, is_wanted: impl Fn(&Value) -> bool) {
    live.next_where(what, |frame| {
        let hops = frame["data"].as_array().filter(|_| frame["op"] == "hops");
        hops.is_some_and(|hops| hops.iter().any(&is_wanted))
    })
    .await;
}

/// Whether a hop is of the view of the stock, over this arrow, with this outcome.
fn is_of_stock(hop: &Value, arrow: &str, outcome: &str) -> bool {
    (&hop["lane"], &hop["arrow"], &hop["outcome"]) == (&json!("inventory"), &json!(arrow), &json!(outcome))
}

/// Waits until the view of the stock was delivered the event of a command, with this outcome.
async fn delivered(live: &mut Live, answer: &Value, outcome: &str) {
    let event = &answer["events"][0]["event_id"];
    hop(live, outcome, |hop| {
        is_of_stock(hop, "event-subscription", outcome) && hop["event_id"] == *event
    })
    .await;
}

/// The events that were delivered to the view of the stock once more.
async fn duplicates(app: &TestApp, person: &Person) -> BTreeSet<String> {
    let page = get(app, person, HOPS).await;
    let hops = page["data"].as_array().unwrap().iter();
    hops.filter(|hop| is_of_stock(hop, "event-subscription", "duplicate"))
        .map(|hop| hop["event_id"].as_str().unwrap().to_owned())
        .collect()
}

fn event_id(answer: &Value) -> String {
    answer["events"][0]["event_id"].as_str().unwrap().to_owned()
}

async fn findings(app: &TestApp, person: &Person) -> Value {
    get(app, person, "/api/v1/verify").await["findings"].clone()
}

#[tokio::test]
async fn a_paused_broker_delivers_nothing_and_the_views_of_its_workspace_alone_are_behind() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let first = receive(&app, &educator, "mug", 1).await;
    assert_eq!(on_hand(&app, &educator, &first).await, 1);
    app.settled(&educator).await;
    set(&app, &educator, &json!({"broker": {"paused": true}})).await;
    let second = receive(&app, &educator, "mug", 2).await;
    let there = receive(&app, &elsewhere, "mug", 7).await;
    assert_eq!(on_hand(&app, &elsewhere, &there).await, 7);
    app.settled(&elsewhere).await;
    assert_eq!(lag(&app, &educator, &second).await, ["inventory 0:1 of 0:2"]);
    let waits = app
        .get("/api/v1/settled?timeout_ms=1")
        .bearer_auth(&educator.token);
    assert_eq!(problem(waits.send().await.unwrap()).await.status, 504);
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &second).await, 3);
    app.settled(&educator).await;
}

#[tokio::test]
async fn a_delay_is_a_lag_and_a_shorter_one_holds_at_once() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let long = json!({"broker": {"delay_ms": 60_000, "jitter_ms": 60_000}});
    set(&app, &educator, &long).await;
    let first = receive(&app, &educator, "mug", 1).await;
    let there = receive(&app, &elsewhere, "mug", 7).await;
    assert_eq!(on_hand(&app, &elsewhere, &there).await, 7);
    assert_eq!(lag(&app, &educator, &first).await, ["inventory 0:0 of 0:1"]);
    let short = json!({"broker": {"delay_ms": 1, "jitter_ms": 1}, "seed": 7});
    set(&app, &educator, &short).await;
    assert_eq!(on_hand(&app, &educator, &first).await, 1);
    set(&app, &educator, &long).await;
    let second = receive(&app, &educator, "mug", 2).await;
    assert_eq!(lag(&app, &educator, &second).await, ["inventory 0:1 of 0:2"]);
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &second).await, 3);
    app.settled(&educator).await;
}

#[tokio::test]
async fn what_the_broker_holds_when_the_server_stops_is_not_lost() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    set(&app, &educator, &json!({"broker": {"paused": true}})).await;
    let answer = receive(&app, &educator, "mug", 4).await;
    assert_eq!(lag(&app, &educator, &answer).await, ["inventory 0:0 of 0:1"]);
    let app = app.restart().await;
    // What was stored before the start is history, which no broker delivers.
    assert_eq!(on_hand(&app, &educator, &answer).await, 4);
    let next = receive(&app, &educator, "mug", 1).await;
    assert_eq!(lag(&app, &educator, &next).await, ["inventory 0:1 of 0:2"]);
    reset(&app, &educator).await;
    assert_eq!(on_hand(&app, &educator, &next).await, 5);
    assert_eq!(findings(&app, &educator).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_events_are_delivered_twice_and_have_their_effect_once() {
    let app = start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let (mut here, mut there) = (watch(&app, &educator).await, watch(&app, &elsewhere).await);
    set(&app, &educator, &json!({"broker": {"duplicate_next": 2}})).await;
    let mut doubled = BTreeSet::new();
    for _ in 0..2 {
        let answer = receive(&app, &educator, "mug", 1).await;
        delivered(&mut here, &answer, "duplicate").await;
        doubled.insert(event_id(&answer));
        let answer = receive(&app, &elsewhere, "mug", 1).await;
        delivered(&mut there, &answer, "done").await;
    }
    // The dial is used up, though it is as it was.
    for _ in 0..2 {
        let answer = receive(&app, &educator, "mug", 1).await;
        delivered(&mut here, &answer, "done").await;
    }
    assert_eq!(duplicates(&app, &educator).await, doubled);
    assert_eq!(duplicates(&app, &elsewhere).await, BTreeSet::new());

    set(&app, &educator, &json!({"broker": {"duplicate_every": 1}})).await;
    let answer = receive(&app, &educator, "mug", 1).await;
    delivered(&mut here, &answer, "duplicate").await;
    doubled.insert(event_id(&answer));
    reset(&app, &educator).await;
    for _ in 0..2 {
        let answer = receive(&app, &educator, "mug", 1).await;
        delivered(&mut here, &answer, "done").await;
    }
    assert_eq!(duplicates(&app, &educator).await, doubled);
    let last = receive(&app, &educator, "mug", 1).await;
    assert_eq!(on_hand(&app, &educator, &last).await, 8);
    assert_eq!(findings(&app, &educator).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_acknowledgement_makes_a_delivery_come_again() {
    let app = start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let (mut here, mut there) = (watch(&app, &educator).await, watch(&app, &elsewhere).await);
    let always = json!({"broker": {"lose_acknowledgement_percent": 100}});
    set(&app, &educator, &always).await;
    let first = receive(&app, &educator, "mug", 1).await;
    delivered(&mut here, &first, "duplicate").await;
    let answer = receive(&app, &elsewhere, "mug", 1).await;
    delivered(&mut there, &answer, "done").await;
    app.settled(&elsewhere).await;
    assert_eq!(duplicates(&app, &elsewhere).await, BTreeSet::new());
    reset(&app, &educator).await;
    for _ in 0..2 {
        let answer = receive(&app, &educator, "mug", 1).await;
        delivered(&mut here, &answer, "done").await;
    }
    assert_eq!(
        duplicates(&app, &educator).await,
        BTreeSet::from([event_id(&first)])
    );
    app.settled(&educator).await;
    assert_eq!(findings(&app, &educator).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_reads_from_the_store_what_a_reordered_delivery_has_not_brought() {
    let app = start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let (mut here, mut there) = (watch(&app, &educator).await, watch(&app, &elsewhere).await);
    // Held until both are published, so that one is after the other.
    set(
        &app,
        &educator,
        &json!({"broker": {"paused": true, "reorder_within": 2}}),
    )
    .await;
    let first = receive(&app, &educator, "mug", 1).await;
    let second = receive(&app, &educator, "mug", 2).await;
    hop(&mut here, "the second event", |hop| {
        hop["arrow"] == "published-domain-events" && hop["event_id"] == second["events"][0]["event_id"]
    })
    .await;
    set(&app, &educator, &json!({"broker": {"reorder_within": 2}})).await;
    hop(&mut here, "the first event, read", |hop| {
        is_of_stock(hop, "historical-events", "done") && hop["event_id"] == first["events"][0]["event_id"]
    })
    .await;
    assert_eq!(on_hand(&app, &educator, &second).await, 3);
    for _ in 0..2 {
        let answer = receive(&app, &elsewhere, "mug", 1).await;
        delivered(&mut there, &answer, "done").await;
    }
    let page = get(&app, &elsewhere, HOPS).await;
    let hops = page["data"].as_array().unwrap();
    assert!(
        hops.iter().all(|hop| hop["arrow"] != "historical-events"),
        "{hops:?}"
    );
    reset(&app, &educator).await;
    let last = receive(&app, &educator, "mug", 1).await;
    assert_eq!(on_hand(&app, &educator, &last).await, 4);
    app.settled(&educator).await;
    assert_eq!(findings(&app, &educator).await, json!([]));
}

/// Given every fault of the broker at once, each at every event, when orders are placed, then each is
/// fulfilled once, and every view equals its fold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_fault_of_the_broker_an_order_is_fulfilled_once() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug")).await;
    receive(&app, &educator, "mug", 10).await;
    let faults = json!({"broker": {
        "delay_ms": 2, "jitter_ms": 5,
        "duplicate_percent": 100, "reorder_within": 2, "lose_acknowledgement_percent": 100,
    }});
    set(&app, &educator, &faults).await;
    for _ in 0..3 {
        let customer = app.with_role(&educator, Role::Customer);
        app.command(&customer, &place_order(SystemClock.new_id(), "mug"))
            .await;
    }
    app.settled(&educator).await;
    for event_type in ["OrderConfirmed", "PaymentProcessed"] {
        let path = format!("/api/v1/events?limit=200&type={event_type}");
        let events = get(&app, &educator, &path).await;
        assert_eq!(events["data"].as_array().unwrap().len(), 3, "{event_type}");
    }
    assert_eq!(findings(&app, &educator).await, json!([]));
    reset(&app, &educator).await;
    receive(&app, &educator, "mug", 1).await;
    app.settled(&educator).await;
    let stock = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(stock["data"]["available"], 8);
    assert_eq!(findings(&app, &educator).await, json!([]));
}
