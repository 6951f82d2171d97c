//! The mail server, or the folder in its place: away, failing; and the guarantee that a rebuild sends no
//! mails.
//!
//! A mail server in a process of its own is in `tests/program/mails/faults.rs`.

use clock::{Clock as _, SystemClock};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{reset, set};
use crate::{
    app::{Person, TEST_TIMEOUT, TestApp, place_order, problem},
    dead_letters::get,
    mailbox::{order, registered, stock, subjects},
};

/// A class with a product in stock: its educator, and a student who has got the welcome email.
async fn class(app: &TestApp) -> (Person, Person) {
    let educator = app.educator().await;
    stock(app, &educator).await;
    let (student, _) = registered(app, &educator, "ada@example.org").await;
    (educator, student)
}

async fn sorted_subjects(app: &TestApp, educator: &Person) -> Vec<String> {
    let mut subjects = subjects(app, educator, "?limit=100").await;
    subjects.sort();
    subjects
}

/// Waits until everything is done but the emails.
async fn settled_but_for_mails(app: &TestApp, educator: &Person) {
    loop {
        let settled = app
            .get("/api/v1/settled?timeout_ms=50")
            .bearer_auth(&educator.token);
        let settled = settled.send().await.unwrap();
        assert_eq!(settled.status(), StatusCode::GATEWAY_TIMEOUT);
        let waiting_for = problem(settled).await.waiting_for;
        if waiting_for.iter().all(|what| what.starts_with("notification")) {
            return;
        }
    }
}

/// Waits until the folder has as many emails of a workspace.
async fn until_stored(app: &TestApp, educator: &Person, count: usize) {
    let folder = app.folder().join("mailbox").join(educator.workspace.to_string());
    let stored = || {
        let files = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        files
            .filter(|file| file.extension().is_some_and(|it| it == "eml"))
            .count()
    };
    let waiting = async {
        while stored() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, waiting).await.unwrap();
}

async fn rebuild(app: &TestApp, educator: &Person, view: &str) {
    let path = format!("/api/v1/lab/projections/{view}/rebuild");
    let request = app.request(Method::POST, &path).bearer_auth(&educator.token);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn mails_wait_while_the_mail_server_is_away_and_then_go_out_each_once() {
    let app = TestApp::start().await;
    let ((educator, student), elsewhere) = (class(&app).await, class(&app).await);
    set(&app, &educator, &json!({"mail": {"away": true}})).await;
    for _ in 0..2 {
        let command = place_order(SystemClock.new_id(), "mug-01");
        app.command(&student, &command).await;
    }
    settled_but_for_mails(&app, &educator).await;
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome"]);
    order(&app, &elsewhere.0, &elsewhere.1).await;
    let confirmed = "Your order is confirmed";
    assert_eq!(sorted_subjects(&app, &elsewhere.0).await, ["Welcome", confirmed]);
    // what waits survives a restart, as the dial does
    let app = app.restart().await;
    settled_but_for_mails(&app, &educator).await;
    assert_eq!(sorted_subjects(&app, &educator).await, ["Welcome"]);
    reset(&app, &educator).await;
    app.settled(&educator).await;
    assert_eq!(
        sorted_subjects(&app, &educator).await,
        ["Welcome", confirmed, confirmed]
    );
}

#[tokio::test]
async fn a_mail_that_is_refused_a_few_times_goes_out_once() {
    let app = TestApp::start().await;
    let (educator, student) = class(&app).await;
    let confirmed = "Your order is confirmed";
    for (dial, value) in [("fail_next", 3), ("fail_every", 2), ("fail_percent", 50)] {
        set(&app, &educator, &json!({"seed": 7, "mail": {dial: value}})).await;
        order(&app, &educator, &student).await;
    }
    let expected = ["Welcome", confirmed, confirmed, confirmed];
    assert_eq!(sorted_subjects(&app, &educator).await, expected);
    let metrics = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    let failures = r#"foldline_projection_failures_total{view="notification"} "#;
    let failures = metrics.lines().find_map(|line| line.strip_prefix(failures));
    let failures: u64 = failures.unwrap().parse().unwrap();
    assert!(failures >= 3, "{failures}");
    reset(&app, &educator).await;
    order(&app, &educator, &student).await;
    assert_eq!(sorted_subjects(&app, &educator).await.len(), 5);
}

#[tokio::test]
async fn a_rebuild_sends_the_mails_again_only_while_the_guarantee_against_it_is_taken_away() {
    let app = TestApp::start().await;
    let ((educator, student), elsewhere) = (class(&app).await, class(&app).await);
    order(&app, &educator, &student).await;
    let once = ["Welcome", "Your order is confirmed"];
    rebuild(&app, &educator, "products").await;
    assert_eq!(sorted_subjects(&app, &educator).await, once);
    let without = json!({"guarantees": {"no_effects_on_replay": false}});
    set(&app, &educator, &without).await;
    rebuild(&app, &elsewhere.0, "orders").await;
    rebuild(&app, &educator, "orders").await;
    let twice = [
        "Welcome",
        "Welcome",
        "Your order is confirmed",
        "Your order is confirmed",
    ];
    until_stored(&app, &educator, twice.len()).await;
    assert_eq!(sorted_subjects(&app, &educator).await, twice);
    assert_eq!(sorted_subjects(&app, &elsewhere.0).await, ["Welcome"]);
    reset(&app, &educator).await;
    rebuild(&app, &educator, "inventory").await;
    app.settled(&educator).await;
    assert_eq!(sorted_subjects(&app, &educator).await, twice);
    // the log and the views are as before
    let verified = get(&app, &educator, "/api/v1/verify").await;
    assert_eq!(verified["findings"], json!([]), "{verified}");
}
