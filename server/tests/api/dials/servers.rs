//! Dials on two servers of one PostgreSQL: what an educator bends at one of them holds at both.

use domain::{timestamp::Timestamp, wire::LabClock};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use test_postgres::Database;
use uuid::Uuid;

use super::{
    dials_of,
    handlers::{dead_letters, retry, waits_only_for},
    lights, reset, set,
};
use crate::{
    app::{Person, TEST_TIMEOUT, TestApp, list_product, place_order},
    dead_letters::{get, receive},
    handlers::handler,
    servers::two,
};

const CLOCK: &str = "/api/v1/lab/clock";

/// An hour, in milliseconds.
const HOUR: i64 = 3_600_000;

async fn clock(app: &TestApp, person: &Person) -> LabClock {
    serde_json::from_value(get(app, person, CLOCK).await).unwrap()
}

async fn advance(app: &TestApp, educator: &Person, by_ms: i64) -> LabClock {
    let body = json!({"advance_ms": by_ms});
    let request = app.post(CLOCK, &body).bearer_auth(&educator.token);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// Bends at one server; once this returns, the dials hold at the other as well.
async fn bend(here: &TestApp, there: &TestApp, educator: &Person, dials: &Value) {
    let bent = set(here, educator, dials).await;
    assert_eq!(dials_of(there, educator).await, bent);
}

/// Puts everything to rest, at both servers.
async fn rest(here: &TestApp, there: &TestApp, educator: &Person) {
    let rest = reset(here, educator).await;
    assert_eq!(dials_of(there, educator).await, rest);
}

/// When the newest event of the stock was recorded, by the log that both servers read.
async fn recorded_at(app: &TestApp, educator: &Person) -> Timestamp {
    let page = get(app, educator, "/api/v1/streams/inventory-mug-01").await;
    let events = page["data"].as_array().unwrap().iter();
    let newest = events.max_by_key(|event| event["version"].as_u64()).unwrap();
    serde_json::from_value(newest["recorded_at"].clone()).unwrap()
}

async fn status_of(app: &TestApp, person: &Person, order: Uuid) -> Value {
    let read = get(app, person, &format!("/api/v1/views/orders/{order}")).await;
    read["data"]["status"].clone()
}

async fn place(app: &TestApp, person: &Person, order: u128) -> Uuid {
    let order = Uuid::from_u128(order);
    app.command(person, &place_order(order, "mug-01")).await;
    order
}

/// An educator of the first server, with stock to sell.
async fn seller(one: &TestApp) -> Person {
    let educator = one.educator().await;
    one.command(&educator, &list_product("mug-01")).await;
    receive(one, &educator, "mug-01", 40).await;
    one.settled(&educator).await;
    educator
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_frozen_and_stepped_at_one_server_stands_at_both() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    // Both servers have one machine's clock.
    one.stop_clock();
    let (educator, elsewhere) = (one.educator().await, one.educator().await);
    let frozen = json!({"clock": {"frozen": true}});
    for (here, there) in [(&one, &two), (&two, &one)] {
        bend(here, there, &educator, &frozen).await;
        let stands = clock(here, &educator).await;
        assert!(stands.frozen);
        one.pass_minutes(30);
        let (shown, at_there) = (clock(here, &educator).await, clock(there, &educator).await);
        assert_eq!((shown.now, at_there.now), (stands.now, stands.now));
        assert!(at_there.frozen);
        assert!(!clock(there, &elsewhere).await.frozen);

        let stepped = advance(there, &educator, HOUR).await;
        assert_eq!(stepped.now.millis_since(stands.now), HOUR.unsigned_abs());
        assert_eq!(clock(here, &educator).await.now, stepped.now);
        for app in [here, there] {
            receive(app, &educator, "mug-01", 1).await;
            let recorded = recorded_at(app, &educator).await;
            assert!(recorded >= stepped.now);
            assert_eq!(recorded.millis_since(stepped.now), 0, "it stands for the log too");
        }
        rest(there, here, &educator).await;
        for app in [here, there] {
            let runs = clock(app, &educator).await;
            assert!(!runs.frozen && runs.now >= stepped.now, "{runs:?}");
        }
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_advanced_at_one_server_expires_the_timers_of_both() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = seller(&one).await;
    let mut orders = Vec::new();
    for (n, app) in (1..).zip([&one, &two]) {
        let order = Uuid::from_u128(n);
        let mut placed = place_order(order, "mug-01");
        placed["data"]["payment_method"] = json!("tok_timeout");
        app.command(&educator, &placed).await;
        orders.push(order);
    }
    loop {
        let moved = advance(&two, &educator, HOUR).await;
        assert!(clock(&one, &educator).await.now >= moved.now);
        let request = one.get("/api/v1/settled?timeout_ms=500");
        let answer = request.bearer_auth(&educator.token).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            break;
        }
    }
    two.settled(&educator).await;
    for app in [&one, &two] {
        for order in &orders {
            let read = get(app, &educator, &format!("/api/v1/views/orders/{order}")).await;
            let reason = "the payment was not answered in time";
            assert_eq!(read["data"]["reason"], reason, "{read}");
        }
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_are_paused_at_one_server_stand_at_both() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let (educator, elsewhere) = (seller(&one).await, seller(&one).await);
    for (n, (here, there)) in (0..).zip([(&one, &two), (&two, &one)]) {
        let paused = json!({"projections": {"fulfilment": {"paused": true}, "search": {"paused": true}}});
        bend(here, there, &educator, &paused).await;
        let orders = [
            place(here, &educator, 10 * n + 1).await,
            place(there, &educator, 10 * n + 2).await,
        ];
        for app in [here, there] {
            let waiting = waits_only_for(app, &educator, &["fulfilment", "search"]).await;
            assert!(
                waiting.contains(&"fulfilment: events to handle (paused)".to_owned()),
                "{waiting:?}"
            );
            for order in orders {
                assert_eq!(status_of(app, &educator, order).await, "created");
            }
            for name in ["fulfilment", "search"] {
                let status = handler(app, &educator, name).await;
                assert_eq!(status["status"]["paused"], true, "{status}");
                assert!(status["status"]["behind"].as_u64() >= Some(2), "{status}");
            }
        }
        let other = place(there, &elsewhere, 10 * n + 3).await;
        there.settled(&elsewhere).await;
        assert_eq!(status_of(there, &elsewhere, other).await, "confirmed");
        rest(there, here, &educator).await;
        for app in [here, there] {
            app.settled(&educator).await;
            for order in orders {
                assert_eq!(status_of(app, &educator, order).await, "confirmed");
            }
        }
    }
    let confirmed = get(&one, &educator, "/api/v1/events?type=OrderConfirmed&limit=200").await;
    assert_eq!(confirmed["data"].as_array().unwrap().len(), 4);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_are_slow_or_poisoned_at_one_server_are_so_at_both() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = seller(&one).await;
    let slow = json!({"slow_ms": 60_000});
    let dials = json!({"projections": {"inventory": slow, "search": slow}});
    bend(&one, &two, &educator, &dials).await;
    for app in [&one, &two] {
        receive(app, &educator, "mug-01", 1).await;
    }
    for app in [&one, &two] {
        let waiting = waits_only_for(app, &educator, &["inventory", "search"]).await;
        assert!(!waiting.is_empty());
        for name in ["inventory", "search"] {
            let status = handler(app, &educator, name).await;
            assert_eq!(status["status"]["slow_ms"], 60_000, "{status}");
        }
    }
    rest(&two, &one, &educator).await;
    for app in [&one, &two] {
        app.settled(&educator).await;
        let stock = get(app, &educator, "/api/v1/views/inventory/mug-01").await;
        assert_eq!(stock["data"]["on_hand"], 42);
    }

    let dials = json!({"projections": {"fulfilment": {"poison_type": "OrderCreated"}}});
    bend(&two, &one, &educator, &dials).await;
    let orders = [place(&one, &educator, 1).await, place(&two, &educator, 2).await];
    for app in [&one, &two] {
        let letters = dead_letters(app, &educator, "fulfilment").await;
        assert_eq!(
            letters.len(),
            2,
            "each once, whichever server has parked it: {letters:?}"
        );
    }
    rest(&one, &two, &educator).await;
    for (app, letter) in [&one, &two]
        .iter()
        .zip(dead_letters(&one, &educator, "fulfilment").await)
    {
        assert_eq!(retry(app, &educator, &letter).await, 1);
    }
    for app in [&one, &two] {
        app.settled(&educator).await;
        for order in orders {
            assert_eq!(status_of(app, &educator, order).await, "confirmed");
        }
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_one_server_is_one_at_both_and_loses_nothing() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = seller(&one).await;
    // The other server knows of the workspace by then, and has lanes to crash.
    two.settled(&educator).await;
    let crash = "/api/v1/lab/projections/fulfilment/crash";
    let crashed = one.request(Method::POST, crash).bearer_auth(&educator.token);
    let crashed: Value = crashed.send().await.unwrap().json().await.unwrap();
    assert_eq!(crashed["panics"], 1);
    let told = async {
        while handler(&two, &educator, "fulfilment").await["status"]["panics"] != 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, told).await.unwrap();
    for (n, app) in (1..).zip([&one, &two]) {
        let order = place(app, &educator, n).await;
        app.settled(&educator).await;
        assert_eq!(status_of(app, &educator, order).await, "confirmed");
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_light_turns_red_and_green_on_postgresql_too() {
    let database = Database::new().await;
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    let app = TestApp::start_with(&arguments).await;
    lights::a_duplicate_breaks_a_view_until_it_is_cured(&app).await;
    app.stop().await;
}
