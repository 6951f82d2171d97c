//! One clock for a workspace: its events and timers go by it; it is frozen and stepped, begins in the past,
//! and never goes back.

use domain::{event::StoredEvent, timestamp::Timestamp, wire::LabClock};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::{reset, reset_one, set};
use crate::{
    app::{Person, TestApp, fields, list_product, person, place_order, problem},
    dead_letters::{get, receive},
};

const CLOCK: &str = "/api/v1/lab/clock";

/// An hour and a day, in milliseconds.
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

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

/// The events of a workspace, perhaps of one type: `&type=…`.
async fn events(app: &TestApp, person: &Person, of: &str) -> Vec<StoredEvent> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(app, person, &format!("/api/v1/events?limit=200{of}{after}")).await;
        let read: Vec<StoredEvent> = serde_json::from_value(page["data"].clone()).unwrap();
        let is_last = read.is_empty();
        events.extend(read);
        match page["next"].as_str() {
            Some(next) if !is_last => after = format!("&after={next}"),
            _ => return events,
        }
    }
}

/// When the newest event was recorded.
async fn newest(app: &TestApp, person: &Person) -> Timestamp {
    let events = events(app, person, "").await;
    let times: Vec<_> = events.iter().map(|event| event.recorded_at).collect();
    assert!(times.is_sorted_by(|before, after| before < after), "{times:?}");
    *times.last().unwrap()
}

fn after(time: Timestamp, by_ms: i64) -> Timestamp {
    Timestamp::from_micros(time.as_micros() + by_ms * 1_000)
}

/// An event is recorded at a time, or at the next microseconds if there are others.
fn is_at(event: Timestamp, time: Timestamp) -> bool {
    event >= time && event.millis_since(time) == 0
}

async fn opened_at(app: &TestApp, template: &str, clock: &str) -> Person {
    let body = json!({"template": template, "clock": clock});
    person(app.post("/api/v1/workspaces", &body).send().await.unwrap()).await
}

#[tokio::test]
async fn a_frozen_clock_stands_is_stepped_and_goes_on_from_where_it_stands() {
    let app = TestApp::start().await;
    app.stop_clock();
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let frozen = set(&app, &educator, &json!({"clock": {"frozen": true}})).await;
    assert_eq!(frozen.bent[0].dial, "clock.frozen");
    let stands = clock(&app, &educator).await;
    assert!(stands.frozen);
    app.pass_minutes(30);
    receive(&app, &educator, "mug", 1).await;
    let (later, other) = (clock(&app, &educator).await, clock(&app, &elsewhere).await);
    assert_eq!((later.now, later.ahead_ms), (stands.now, -HOUR / 2));
    assert!(is_at(newest(&app, &educator).await, stands.now));
    let expected = (after(stands.now, HOUR / 2), 0, false);
    assert_eq!(
        (other.now, other.ahead_ms, other.frozen),
        expected,
        "another workspace"
    );
    receive(&app, &elsewhere, "mug", 1).await;
    assert!(is_at(newest(&app, &elsewhere).await, other.now));

    let stepped = advance(&app, &educator, HOUR).await;
    assert_eq!((stepped.now, stepped.frozen), (after(stands.now, HOUR), true));
    receive(&app, &educator, "mug", 1).await;
    assert!(is_at(newest(&app, &educator).await, stepped.now));
    let app = app.restart().await;
    app.pass_minutes(30);
    assert_eq!(
        clock(&app, &educator).await.now,
        stepped.now,
        "also after a restart"
    );

    reset(&app, &educator).await;
    let runs = clock(&app, &educator).await;
    assert_eq!(
        (runs.now, runs.frozen),
        (stepped.now, false),
        "it goes on from where it stands"
    );
    app.pass_minutes(1);
    receive(&app, &educator, "mug", 1).await;
    assert!(is_at(newest(&app, &educator).await, after(stepped.now, 60_000)));
}

#[tokio::test]
async fn each_time_a_clock_is_frozen_it_stands_at_its_present_time() {
    let app = TestApp::start().await;
    app.stop_clock();
    let educator = app.educator().await;
    let mut before = clock(&app, &educator).await.now;
    for _ in 0..3 {
        set(&app, &educator, &json!({"clock": {"frozen": true}})).await;
        // Another dial changes nothing of it.
        set(&app, &educator, &json!({"clock": {"frozen": true}, "seed": 7})).await;
        app.pass_minutes(10);
        assert_eq!(clock(&app, &educator).await.now, before);
        reset_one(&app, &educator, "clock.frozen").await;
        let runs = clock(&app, &educator).await;
        assert_eq!((runs.now, runs.frozen), (before, false));
        app.pass_minutes(1);
        before = after(before, 60_000);
        assert_eq!(clock(&app, &educator).await.now, before);
    }
}

#[tokio::test]
async fn a_workspace_begins_in_the_past_and_a_day_passes_in_one_call() {
    let app = TestApp::start().await;
    let begin: Timestamp = "2024-02-28T09:00:00Z".parse().unwrap();
    let educator = opened_at(&app, "shop", "2024-02-28T10:00:00+01:00").await;
    let opened = clock(&app, &educator).await;
    assert!(opened.now >= begin && opened.now < after(begin, DAY / 2) && opened.ahead_ms < 0);
    let template = events(&app, &educator, "").await;
    assert!(!template.is_empty());
    let days = |events: &[StoredEvent]| -> Vec<String> {
        let mut days: Vec<_> = events
            .iter()
            .map(|event| event.recorded_at.to_string()[..10].to_owned())
            .collect();
        days.dedup();
        days
    };
    assert_eq!(days(&template), ["2024-02-28"], "also the events of the template");

    app.command(&educator, &list_product("cup-of-leap-years")).await;
    receive(&app, &educator, "cup-of-leap-years", 9).await;
    for order in 1..=2_u128 {
        advance(&app, &educator, DAY).await;
        app.command(
            &educator,
            &place_order(Uuid::from_u128(order), "cup-of-leap-years"),
        )
        .await;
        app.settled(&educator).await;
    }
    let all = ["2024-02-28", "2024-02-29", "2024-03-01"];
    let confirmed = events(&app, &educator, "&type=OrderConfirmed").await;
    assert_eq!(days(&confirmed), all);
    let sales = get(&app, &educator, "/api/v1/views/sales?listing=by_day").await;
    let sold = sales["data"].as_array().unwrap().iter();
    let mut sold: Vec<_> = sold.map(|day| day["data"]["day"].as_str().unwrap()).collect();
    sold.sort_unstable();
    assert_eq!(sold, all, "views of days follow");
    newest(&app, &educator).await;

    let back = json!({"set": "2024-02-28T09:00:00Z"});
    let request = app.post(CLOCK, &back).bearer_auth(&educator.token);
    let refused = problem(request.send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.rule.as_deref()),
        (422, Some("clock-goes-forward"))
    );
    let now = clock(&app, &educator).await.now;
    let app = app.restart().await;
    let restarted = clock(&app, &educator).await;
    assert!(restarted.now >= now && restarted.ahead_ms < 0, "{restarted:?}");
}

#[tokio::test]
async fn a_clock_begins_neither_in_the_future_nor_before_the_year_2000() {
    let app = TestApp::start().await;
    for clock in ["9999-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "yesterday"] {
        let body = json!({"template": "empty", "clock": clock});
        let refused = problem(app.post("/api/v1/workspaces", &body).send().await.unwrap()).await;
        assert_eq!(
            (refused.status, fields(&refused)),
            (400, vec!["clock"]),
            "{clock}"
        );
    }
    let earliest = opened_at(&app, "empty", "2000-01-01T00:00:00Z").await;
    receive(&app, &earliest, "mug", 1).await;
    assert!(
        newest(&app, &earliest)
            .await
            .to_string()
            .starts_with("2000-01-01T")
    );
}

#[tokio::test]
async fn no_late_payment_overtakes_its_deadline_when_the_clock_leaps_over_both() {
    const ORDERS: u128 = 20;
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug")).await;
    receive(&app, &educator, "mug", 40).await;
    for order in 1..=ORDERS {
        let mut order = place_order(Uuid::from_u128(order), "mug");
        order["data"]["payment_method"] = json!("tok_timeout");
        app.command(&educator, &order).await;
        // At whichever step of the payment it is.
        advance(&app, &educator, HOUR).await;
    }
    loop {
        let request = app.get("/api/v1/settled?timeout_ms=500");
        let answer = request.bearer_auth(&educator.token).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            break;
        }
        advance(&app, &educator, HOUR).await;
    }
    for order in 1..=ORDERS {
        let path = format!("/api/v1/views/orders/{}", Uuid::from_u128(order));
        let order = get(&app, &educator, &path).await;
        assert_eq!(
            order["data"]["reason"], "the payment was not answered in time",
            "{order}"
        );
    }
    newest(&app, &educator).await;
}

#[tokio::test]
async fn a_session_goes_by_the_machines_clock_and_not_by_that_of_the_workspace() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    advance(&app, &educator, 400 * DAY).await;
    receive(&app, &educator, "mug", 1).await;
    app.swept().await;
    let session = get(&app, &educator, "/api/v1/session").await;
    assert_eq!(session["workspace"], json!(educator.workspace), "{session}");
}
