//! `GET` and `POST /lab/recordings`, `GET` and `DELETE /lab/recordings/{id}`.

use std::collections::HashSet;

use clock::{Clock as _, SystemClock};
use domain::{access::Role, wire::RECORDING_FORMAT};
use futures::{StreamExt as _, stream};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, list_product, place_order, problem},
    dead_letters::{get, receive},
};

const RECORDINGS: &str = "/api/v1/lab/recordings";

async fn post(app: &TestApp, person: &Person, wanted: &Value) -> Response {
    let request = app.post(RECORDINGS, wanted).bearer_auth(&person.token);
    request.send().await.unwrap()
}

/// Keeps a recording; its path in the API.
pub(crate) async fn keep(app: &TestApp, person: &Person, wanted: &Value) -> String {
    let response = post(app, person, wanted).await;
    let status = response.status();
    let kept: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{kept}");
    let id = kept["id"].as_str().unwrap();
    assert_eq!(kept["link"], json!(format!("/lab/recording/{id}")));
    format!("{RECORDINGS}/{id}")
}

async fn delete(app: &TestApp, person: &Person, path: &str) -> Response {
    let request = app.request(Method::DELETE, path).bearer_auth(&person.token);
    request.send().await.unwrap()
}

async fn status_of(app: &TestApp, person: &Person, path: &str) -> u16 {
    let request = app.get(path).bearer_auth(&person.token);
    request.send().await.unwrap().status().as_u16()
}

/// The titles of a workspace's recordings, newest first.
async fn titles(app: &TestApp, person: &Person) -> Vec<String> {
    let listed = get(app, person, RECORDINGS).await;
    let rows = listed["data"].as_array().unwrap().iter();
    rows.map(|row| row["title"].as_str().unwrap().to_owned())
        .collect()
}

/// A class where an order was placed while the lab watched; the token before it, and the order's id.
async fn with_order(app: &TestApp) -> (Person, String, Uuid) {
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let stocked = receive(app, &educator, "mug-01", 5).await;
    app.settled(&educator).await;
    get(app, &educator, "/api/v1/lab/hops").await;
    let order = SystemClock.new_id();
    app.command(&educator, &place_order(order, "mug-01")).await;
    app.settled(&educator).await;
    (educator, stocked["token"].as_str().unwrap().to_owned(), order)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_kept_with_its_events_hops_and_commands_for_all_who_read_the_log() {
    let app = TestApp::start().await;
    let (educator, before, order) = with_order(&app).await;
    let wanted = json!({"title": "A mug is sold", "from": before});
    let path = keep(&app, &educator, &wanted).await;
    let log = get(&app, &educator, &format!("/api/v1/events?after={before}")).await;

    let student = app.student(&educator.join_code).await;
    let recording = get(&app, &student, &path).await;
    assert_eq!(recording["format"], RECORDING_FORMAT);
    assert_eq!(recording["title"], "A mug is sold");
    assert_eq!(recording["from"], json!(before));
    assert_eq!(
        recording["events"], log["data"],
        "the events as the log shows them"
    );
    assert_eq!(recording["events"][0]["type"], "OrderCreated");

    let events = recording["events"].as_array().unwrap().iter();
    let ids: HashSet<&str> = events.map(|event| event["event_id"].as_str().unwrap()).collect();
    let hops = recording["hops"].as_array().unwrap();
    let created = &recording["events"][0]["event_id"];
    let is_append = |hop: &Value| hop["arrow"] == "append-events" && hop["event_id"] == *created;
    assert!(hops.iter().any(is_append), "{hops:?}");
    for hop in hops {
        let of_another = hop["event_id"].as_str().is_some_and(|id| !ids.contains(id));
        assert!(!of_another, "{hop}");
    }
    // what the fulfilment did follows from the person's command, and is not sent again
    let commands = recording["commands"].as_array().unwrap();
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert_eq!(commands[0]["at_ms"], 0);
    assert_eq!(commands[0]["command"]["type"], "PlaceOrder");
    assert_eq!(commands[0]["command"]["stream"], json!(format!("order-{order}")));

    let listed = get(&app, &student, RECORDINGS).await;
    let row = &listed["data"][0];
    assert_eq!(row["events"], json!(ids.len()));
    assert_eq!(row["hops"], json!(hops.len()));

    // no one else
    let elsewhere = app.educator().await;
    assert_eq!(status_of(&app, &elsewhere, &path).await, 404);
    assert_eq!(titles(&app, &elsewhere).await, Vec::<String>::new());
    for role in [Role::Customer, Role::Staff] {
        let other = app.with_role(&educator, role);
        assert_eq!(status_of(&app, &other, &path).await, 403);
    }

    let app = app.restart().await;
    assert_eq!(get(&app, &educator, &path).await, recording, "after a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_a_recording_do_the_same_in_a_fresh_sandbox() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    receive(&app, &educator, "mug-01", 5).await;
    let order = SystemClock.new_id();
    app.command(&educator, &place_order(order, "mug-01")).await;
    app.settled(&educator).await;
    let path = keep(&app, &educator, &json!({})).await;
    let recording = get(&app, &educator, &path).await;
    let commands = recording["commands"].as_array().unwrap();
    let names: Vec<_> = commands.iter().map(|sent| &sent["command"]["type"]).collect();
    assert_eq!(names, ["ListProduct", "ReceiveStock", "PlaceOrder"]);

    let fresh = app.educator().await;
    for sent in commands {
        app.command(&fresh, &sent["command"]).await;
    }
    app.settled(&fresh).await;
    for view in ["products/mug-01", "inventory/mug-01"] {
        let path = format!("/api/v1/views/{view}");
        let (here, there) = (get(&app, &educator, &path).await, get(&app, &fresh, &path).await);
        assert_eq!(here["data"]["on_hand"], there["data"]["on_hand"], "{view}");
        assert_eq!(here["data"]["name"], there["data"]["name"], "{view}");
    }
    let sold = get(&app, &fresh, &format!("/api/v1/views/orders/{order}")).await;
    assert_eq!(sold["data"]["status"], "confirmed", "{sold}");
}

#[tokio::test]
async fn a_run_that_cannot_be_kept_is_refused_and_says_why() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let nothing = problem(post(&app, &educator, &json!({})).await).await;
    assert_eq!(
        (nothing.status, nothing.rule.as_deref()),
        (422, Some("recording-has-events"))
    );
    receive(&app, &educator, "mug", 1).await;
    for (wanted, field) in [
        (json!({"to": "0:2"}), "to"),
        (json!({"to": "7:1"}), "to"),
        (json!({"to": format!("0:{}", u64::MAX)}), "to"),
        (json!({"to": "the end"}), "to"),
        (json!({"from": 1}), "from"),
        (json!({"title": "x".repeat(81)}), "title"),
        (json!({"title": "two\nlines"}), "title"),
        (json!({"title": "over\u{202e}ride"}), "title"),
        (json!({"titel": "A typing error"}), "titel"),
    ] {
        let refused = problem(post(&app, &educator, &wanted).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]), "{wanted}");
    }
    for wanted in [
        json!({"from": "0:1"}),
        json!({"from": "0:9"}),
        json!({"from": format!("63:1,0:{}", u64::MAX)}),
        json!({"from": "0:0", "to": "0:0"}),
    ] {
        let refused = problem(post(&app, &educator, &wanted).await).await;
        assert_eq!(refused.rule.as_deref(), Some("recording-has-events"), "{wanted}");
    }
    assert_eq!(titles(&app, &educator).await, Vec::<String>::new());
    for unknown in [Uuid::from_u128(7).to_string(), "index".to_owned()] {
        let path = format!("{RECORDINGS}/{unknown}");
        assert_eq!(status_of(&app, &educator, &path).await, 404, "{unknown}");
        let gone = problem(delete(&app, &educator, &path).await).await;
        assert_eq!(gone.status, 404, "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_run_is_refused_and_its_newest_part_is_kept_by_default() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let received = stream::iter(0..2_001).map(|n| {
        let (app, educator) = (&app, &educator);
        async move { receive(app, educator, &format!("mug-{}", n % 7), 1).await }
    });
    received.buffer_unordered(32).count().await;
    let refused = problem(post(&app, &educator, &json!({"from": "0:0"})).await).await;
    assert_eq!(
        (refused.status, refused.rule.as_deref()),
        (422, Some("recording-is-short"))
    );
    assert!(refused.detail.contains("2001"), "{}", refused.detail);
    let path = keep(&app, &educator, &json!({})).await;
    let recording = get(&app, &educator, &path).await;
    let events = recording["events"].as_array().unwrap();
    assert_eq!(events.len(), 2_000);
    assert_eq!(
        (&events[0]["position"], &recording["from"]),
        (&json!(2), &json!("0:1"))
    );
}

#[tokio::test]
async fn events_of_several_partitions_are_in_the_order_of_each() {
    let app = TestApp::start().await;
    let educator = app.educator_with_shards(8).await;
    for n in 0..40 {
        receive(&app, &educator, &format!("mug-{}", n % 13), 1).await;
    }
    let path = keep(&app, &educator, &json!({})).await;
    let recording = get(&app, &educator, &path).await;
    let events = recording["events"].as_array().unwrap();
    assert_eq!(events.len(), 40);
    let mut seen = [0; 8];
    for event in events {
        let partition = usize::try_from(event["partition"].as_u64().unwrap()).unwrap();
        seen[partition] += 1;
        assert_eq!(event["position"], json!(seen[partition]), "{event}");
    }
    let times = events.iter().map(|event| event["recorded_at"].as_str().unwrap());
    assert!(times.is_sorted());
}

#[tokio::test]
async fn a_workspace_keeps_twenty_recordings_until_one_is_deleted() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    receive(&app, &educator, "mug", 1).await;
    let of_educator = keep(&app, &educator, &json!({"title": "0"})).await;
    let mut of_student = String::new();
    for n in 1..20 {
        of_student = keep(&app, &student, &json!({"title": n.to_string()})).await;
    }
    let newest_first: Vec<String> = (0..20).rev().map(|n| n.to_string()).collect();
    assert_eq!(titles(&app, &educator).await, newest_first);
    let full = problem(post(&app, &student, &json!({})).await).await;
    assert_eq!(
        (full.status, full.kind.as_str()),
        (429, "/problems/quota-exceeded")
    );
    assert!(full.detail.contains("delete one"), "{}", full.detail);

    let foreign = problem(delete(&app, &student, &of_educator).await).await;
    assert_eq!(foreign.status, 403);
    for (person, path) in [(&student, &of_student), (&educator, &of_educator)] {
        let deleted = delete(&app, person, path).await;
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
        assert_eq!(status_of(&app, person, path).await, 404);
        assert_eq!(problem(delete(&app, person, path).await).await.status, 404);
    }
    assert_eq!(titles(&app, &educator).await.len(), 18);
    keep(&app, &student, &json!({})).await;
}

#[tokio::test]
async fn a_recording_takes_room_of_the_sandbox() {
    let app = TestApp::start_with(&["--sandbox-documents", "12"]).await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    app.settled(&educator).await;
    let mut kept = 0;
    let refused = loop {
        let response = post(&app, &educator, &json!({})).await;
        if response.status() != StatusCode::CREATED {
            break problem(response).await;
        }
        kept += 1;
    };
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (429, "/problems/quota-exceeded")
    );
    assert!(refused.detail.contains("12 documents"), "{}", refused.detail);
    assert!(kept > 0 && kept < 20, "{kept} were kept");
    assert_eq!(titles(&app, &educator).await.len(), kept);
}
