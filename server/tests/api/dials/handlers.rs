//! The dials of process managers and consumers, which obey as views do; and the erasure, which no dial holds.

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use domain::wire::{Dials, HandlerKind, dials::bendable_handlers};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{DIALS, put, reset, set};
use crate::{
    app::{Person, TEST_TIMEOUT, TestApp, fields, place_order, problem},
    dead_letters::get,
    handlers::{handler, handling},
    mailbox::{order, registered, stock, subjects},
};

const CONFIRMED: &str = "Your order is confirmed";

async fn call(app: &TestApp, person: &Person, name: &str, what: &str) -> Response {
    let path = format!("/api/v1/lab/projections/{name}/{what}");
    let request = app.request(Method::POST, &path).bearer_auth(&person.token);
    request.send().await.unwrap()
}

/// Pauses, resumes or crashes a handler; its status after that.
async fn intervene(app: &TestApp, educator: &Person, name: &str, what: &str) -> Value {
    let response = call(app, educator, name, what).await;
    assert_eq!(response.status(), StatusCode::OK, "{name} {what}");
    let status: Value = response.json().await.unwrap();
    assert_eq!(status["view"], name);
    status
}

/// A class with a product in stock: its educator, and a student who has got the welcome email.
async fn class(app: &TestApp) -> (Person, Person) {
    let educator = app.educator().await;
    stock(app, &educator).await;
    let (student, _) = registered(app, &educator, "ada@example.org").await;
    (educator, student)
}

async fn place(app: &TestApp, person: &Person) -> Uuid {
    let order = SystemClock.new_id();
    app.command(person, &place_order(order, "mug-01")).await;
    order
}

async fn status_of(app: &TestApp, person: &Person, order: Uuid) -> Value {
    let read = get(app, person, &format!("/api/v1/views/orders/{order}")).await;
    read["data"]["status"].clone()
}

async fn sorted_subjects(app: &TestApp, educator: &Person) -> Vec<String> {
    let mut subjects = subjects(app, educator, "?limit=100").await;
    subjects.sort();
    subjects
}

/// How often an event of a type is in the log of a workspace.
async fn stored(app: &TestApp, educator: &Person, event_type: &str) -> usize {
    let page = get(
        app,
        educator,
        &format!("/api/v1/events?limit=200&type={event_type}"),
    )
    .await;
    page["data"].as_array().unwrap().len()
}

async fn findings(app: &TestApp, educator: &Person) -> Value {
    get(app, educator, "/api/v1/verify").await["findings"].clone()
}

/// Whether a phrase of `/settled` is about a handler; `notifications` is another one than `notification`.
fn is_of(what: &str, handler: &str) -> bool {
    let rest = what.strip_prefix(handler);
    rest.is_some_and(|rest| rest.starts_with([':', ' ']))
}

/// What the workspace waits for, once it is nothing but these handlers.
pub(super) async fn waits_only_for(app: &TestApp, educator: &Person, handlers: &[&str]) -> Vec<String> {
    let waiting = async {
        loop {
            let settled = app
                .get("/api/v1/settled?timeout_ms=50")
                .bearer_auth(&educator.token);
            let settled = settled.send().await.unwrap();
            assert_eq!(settled.status(), StatusCode::GATEWAY_TIMEOUT);
            let waiting_for = problem(settled).await.waiting_for;
            let is_of_them = |what: &String| handlers.iter().any(|&handler| is_of(what, handler));
            if waiting_for.iter().all(is_of_them) {
                return waiting_for;
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, waiting).await.unwrap()
}

/// The dead letters of a handler, once nothing else is left to do.
pub(super) async fn dead_letters(app: &TestApp, educator: &Person, handler: &str) -> Vec<Value> {
    let settled = app.get("/api/v1/settled").bearer_auth(&educator.token);
    let waiting_for = problem(settled.send().await.unwrap()).await.waiting_for;
    let is_parked = |what: &String| what.contains("dead letters");
    assert!(
        !waiting_for.is_empty() && waiting_for.iter().all(is_parked),
        "{waiting_for:?}"
    );
    let listed = get(app, educator, &format!("/api/v1/dead-letters?view={handler}")).await;
    listed["data"].as_array().unwrap().clone()
}

/// Retries a dead letter; how many events were applied.
pub(super) async fn retry(app: &TestApp, educator: &Person, letter: &Value) -> u64 {
    let path = format!("/api/v1/dead-letters/{}/retry", letter["id"].as_str().unwrap());
    let request = app.request(Method::POST, &path).bearer_auth(&educator.token);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["applied"].as_u64().unwrap()
}

#[tokio::test]
async fn every_handler_that_runs_has_dials_but_the_erasure() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let listed = get(&app, &educator, "/api/v1/lab/handlers").await;
    for kind in HandlerKind::ALL {
        let of_kind = listed["data"].as_array().unwrap().iter();
        let of_kind = of_kind.filter(|handler| handler["kind"] == kind.as_str());
        let names: BTreeSet<_> = of_kind
            .map(|handler| handler["status"]["view"].as_str().unwrap())
            .collect();
        let expected: BTreeSet<_> = kind.names().iter().copied().collect();
        assert_eq!(names, expected, "{kind:?}");
    }
    let dials: Dials = serde_json::from_value(get(&app, &educator, DIALS).await).unwrap();
    let named: BTreeSet<_> = dials.projections.keys().map(String::as_str).collect();
    assert_eq!(named, bendable_handlers().collect::<BTreeSet<_>>());
    for (dials, field) in [
        (json!({"erasure": {"paused": true}}), "projections.erasure"),
        (
            json!({"search": {"poison_type": "UserErased"}}),
            "projections.search.poison_type",
        ),
        (json!({"no-such": {"slow_ms": 1}}), "projections.no-such"),
    ] {
        let refused = put(&app, &educator, "*", &json!({ "projections": dials })).await;
        let refused = problem(refused).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]));
    }
    for what in ["pause", "resume"] {
        let refused = problem(call(&app, &educator, "erasure", what).await).await;
        assert_eq!(
            (refused.status, refused.rule.as_deref()),
            (422, Some("erasure-is-not-bent"))
        );
        let unknown = problem(call(&app, &educator, "no-such", what).await).await;
        assert_eq!(unknown.status, 404);
    }
    let path = format!("{DIALS}/projections.erasure.paused");
    let request = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    assert_eq!(problem(request.send().await.unwrap()).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_process_manager_leaves_an_order_placed_until_it_is_resumed() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    for person in [&educator, &elsewhere] {
        stock(&app, person).await;
        app.settled(person).await;
    }
    for _ in 0..2 {
        let paused = intervene(&app, &educator, "fulfilment", "pause").await;
        assert_eq!(paused["paused"], true);
    }
    let placed = place(&app, &educator).await;
    let other = order(&app, &elsewhere, &elsewhere).await;
    assert_eq!(status_of(&app, &elsewhere, other).await, "confirmed");
    let waiting = waits_only_for(&app, &educator, &["fulfilment"]).await;
    assert_eq!(waiting, ["fulfilment: events to handle (paused)"]);
    assert_eq!(status_of(&app, &educator, placed).await, "created");
    let status = handler(&app, &educator, "fulfilment").await;
    assert_eq!(status["status"]["paused"], true, "{status}");
    assert!(
        status["status"]["behind"].as_u64() >= Some(1) && status["behind_ms"].is_u64(),
        "{status}"
    );
    let status = handler(&app, &elsewhere, "fulfilment").await;
    assert_eq!(status["status"]["paused"], false);
    let words = get(&app, &educator, &format!("{DIALS}/words?lang=en")).await;
    assert!(
        words[0].as_str().unwrap().contains("fulfilment: paused"),
        "{words}"
    );

    let app = app.restart().await;
    waits_only_for(&app, &educator, &["fulfilment"]).await;
    assert_eq!(status_of(&app, &educator, placed).await, "created");
    let resumed = intervene(&app, &educator, "fulfilment", "resume").await;
    assert_eq!(resumed["paused"], false);
    app.settled(&educator).await;
    assert_eq!(status_of(&app, &educator, placed).await, "confirmed");
    assert_eq!(stored(&app, &educator, "OrderConfirmed").await, 1);
    assert_eq!(findings(&app, &educator).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_wait_while_their_consumer_is_paused_and_then_go_out_each_once() {
    let app = TestApp::start().await;
    let ((educator, student), elsewhere) = (class(&app).await, class(&app).await);
    set(
        &app,
        &educator,
        &json!({"projections": {"notification": {"paused": true}}}),
    )
    .await;
    for _ in 0..2 {
        place(&app, &student).await;
    }
    let waiting = waits_only_for(&app, &educator, &["notification"]).await;
    assert_eq!(waiting, ["notification: events to handle (paused)"]);
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome"]);
    order(&app, &elsewhere.0, &elsewhere.1).await;
    assert_eq!(sorted_subjects(&app, &elsewhere.0).await, ["Welcome", CONFIRMED]);
    // A crash resumes at the checkpoint, and there it is paused still.
    let crashed = intervene(&app, &educator, "notification", "crash").await;
    assert_eq!(
        (&crashed["panics"], &crashed["paused"]),
        (&json!(1), &json!(true))
    );

    let app = app.restart().await;
    waits_only_for(&app, &educator, &["notification"]).await;
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome"]);
    let status = handler(&app, &educator, "notification").await;
    assert!(status["status"]["behind"].as_u64() >= Some(2), "{status}");
    reset(&app, &educator).await;
    app.settled(&educator).await;
    let each_once = ["Welcome", CONFIRMED, CONFIRMED];
    assert_eq!(sorted_subjects(&app, &educator).await, each_once);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_are_slow_fail_and_crash_have_each_effect_once() {
    let app = TestApp::start().await;
    let ((educator, student), elsewhere) = (class(&app).await, class(&app).await);
    let failing = json!({"fail_next": 3});
    let bent = json!({"fulfilment": failing, "notification": failing, "search": failing,
        "analytics": {"slow_ms": 60_000}});
    set(&app, &educator, &json!({ "projections": bent })).await;
    let placed = place(&app, &student).await;
    let waiting = waits_only_for(&app, &educator, &["analytics"]).await;
    assert_eq!(waiting, ["analytics: events to handle"]);
    assert_eq!(status_of(&app, &educator, placed).await, "confirmed");
    for name in ["fulfilment", "notification", "search"] {
        let status = handler(&app, &educator, name).await;
        assert_eq!(status["status"]["fails_by_dial"], true, "{status}");
    }
    let status = handler(&app, &educator, "analytics").await;
    assert_eq!(status["status"]["slow_ms"], 60_000);
    assert!(status["status"]["behind"].as_u64() >= Some(1), "{status}");
    // With work that waits, and without.
    for name in ["analytics", "fulfilment", "search", "erasure"] {
        for panics in 1..=2 {
            let crashed = intervene(&app, &educator, name, "crash").await;
            assert_eq!(crashed["panics"], panics, "{name}");
        }
    }
    let status = handler(&app, &elsewhere.0, "fulfilment").await;
    assert_eq!(status["status"]["panics"], 0);
    order(&app, &elsewhere.0, &elsewhere.1).await;
    reset(&app, &educator).await;
    app.settled(&educator).await;
    place(&app, &student).await;
    app.settled(&educator).await;
    assert_eq!(stored(&app, &educator, "OrderConfirmed").await, 2);
    let each_once = ["Welcome", CONFIRMED, CONFIRMED];
    assert_eq!(sorted_subjects(&app, &educator).await, each_once);
    let query = format!("/api/v1/search?q={placed}&kinds=orders");
    let found = get(&app, &educator, &query).await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(findings(&app, &educator).await, json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_event_of_a_consumer_is_a_dead_letter_without_an_effect_until_it_is_retried() {
    let app = TestApp::start().await;
    let ((educator, student), elsewhere) = (class(&app).await, class(&app).await);
    set(
        &app,
        &educator,
        &json!({"projections": {"notification": {"poison_type": "OrderConfirmed"}}}),
    )
    .await;
    place(&app, &student).await;
    let letters = dead_letters(&app, &educator, "notification").await;
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert_eq!(
        (&letter["type"], &letter["attempts"]),
        (&json!("OrderConfirmed"), &json!(5))
    );
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains("an educator has poisoned"), "{reason}");
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome"]);
    let status = handler(&app, &educator, "notification").await;
    assert_eq!(
        (&status["status"]["poison"], &status["status"]["dead_letters"]),
        (&json!("OrderConfirmed"), &json!(1))
    );
    order(&app, &elsewhere.0, &elsewhere.1).await;
    assert_eq!(sorted_subjects(&app, &elsewhere.0).await, ["Welcome", CONFIRMED]);

    assert_eq!(retry(&app, &educator, letter).await, 0, "it is poison still");
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome"]);
    reset(&app, &educator).await;
    assert!(retry(&app, &educator, letter).await >= 1);
    app.settled(&educator).await;
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome", CONFIRMED]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_event_of_a_process_manager_holds_its_order_until_it_is_retried() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator).await;
    set(
        &app,
        &educator,
        &json!({"projections": {"fulfilment": {"poison_type": "OrderCreated"}}}),
    )
    .await;
    let placed = place(&app, &educator).await;
    let letters = dead_letters(&app, &educator, "fulfilment").await;
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert_eq!(letter["type"], "OrderCreated");
    assert_eq!(status_of(&app, &educator, placed).await, "created");
    reset(&app, &educator).await;
    // It does not concern those that come after it.
    let next = order_beside(&app, &educator).await;
    assert_eq!(status_of(&app, &educator, next).await, "confirmed");
    assert_eq!(retry(&app, &educator, letter).await, 1);
    app.settled(&educator).await;
    assert_eq!(status_of(&app, &educator, placed).await, "confirmed");
}

/// Places an order, and waits until all that it has caused is done.
async fn order_beside(app: &TestApp, person: &Person) -> Uuid {
    let order = SystemClock.new_id();
    let placed = app.command(person, &place_order(order, "mug-01")).await;
    let caused = placed["correlation_id"].as_str().unwrap();
    get(app, person, &format!("/api/v1/settled?correlation={caused}")).await;
    order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_carried_out_whatever_is_bent() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (_, user) = registered(&app, &educator, "ada@example.org").await;
    let paused = json!({"paused": true});
    let dials = json!({"broker": paused, "projections": {"search": paused, "notification": paused}});
    set(&app, &educator, &dials).await;
    let erase = json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": {}});
    let erased = app.command(&educator, &erase).await;
    let event = erased["events"][0]["event_id"].as_str().unwrap();
    let carried_out = async {
        while handling(&app, &educator, event, "erasure").await["handling"] != "handled" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, carried_out).await.unwrap();
    for held in ["search", "notification", "orders"] {
        let status = handling(&app, &educator, event, held).await;
        assert_eq!(status["handling"], "behind", "{held}");
    }
    // The consumers delete what they have of the person when they go on.
    reset(&app, &educator).await;
    app.settled(&educator).await;
    assert_eq!(sorted_subjects(&app, &educator).await, [""; 0]);
}
