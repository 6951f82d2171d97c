//! `GET /settled`.

use domain::wire::Problem;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::{TestApp, fields, problem},
    dead_letters::{damaged, get, receive},
};

#[tokio::test]
async fn a_settled_correlation_is_in_every_view() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for n in 1..=20 {
        let answer = receive(&app, &educator, &format!("mug-{n}"), 1).await;
        let correlation = answer["correlation_id"].as_str().unwrap();
        let settled = get(
            &app,
            &educator,
            &format!("/api/v1/settled?correlation={correlation}"),
        )
        .await;
        assert_eq!(settled, json!({"as_of": answer["token"], "events": 1}));
        let read = get(&app, &educator, &format!("/api/v1/views/inventory/mug-{n}")).await;
        assert_eq!(read["data"]["on_hand"], 1);
    }
    assert_eq!(
        get(&app, &educator, "/api/v1/settled").await,
        json!({"as_of": "0:20"})
    );
    assert_eq!(
        get(&app, &educator, "/api/v1/settled?after=0:3").await,
        json!({"as_of": "0:3"})
    );
    // A correlation without events is settled.
    let nothing = format!("/api/v1/settled?correlation={}", Uuid::from_u128(7));
    assert_eq!(get(&app, &educator, &nothing).await["events"], 0);
}

#[tokio::test]
async fn a_correlation_that_is_not_settled_in_time_names_what_it_waits_for() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    let path = "/api/v1/settled?after=0:1000&timeout_ms=1";
    let late = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
    assert_eq!((late.status, late.kind.as_str()), (504, "/problems/not-settled"));
    assert!(late.waiting_for.len() >= 3, "every view is named: {late:?}");
}

#[tokio::test]
async fn a_dead_letter_keeps_only_its_own_correlation_from_settling() {
    let app = TestApp::start().await;
    let (educator, _, last) = damaged(&app).await;
    let ask = async |query: &str| {
        let path = format!("/api/v1/settled?timeout_ms=1{query}");
        app.get(&path).bearer_auth(&educator.token).send().await.unwrap()
    };
    // The other views and the consumers do not depend on it, and may be slightly behind.
    let by_views = |held: Problem| -> Vec<String> {
        let mut waiting_for = held.waiting_for;
        waiting_for.retain(|what| what.contains("dead letters"));
        waiting_for
    };
    let held = problem(ask("").await).await;
    assert_eq!(
        by_views(held),
        ["inventory: 1 dead letters, 1 events wait behind one"]
    );
    let correlation = last["correlation_id"].as_str().unwrap();
    let held = problem(ask(&format!("&correlation={correlation}")).await).await;
    assert_eq!(
        by_views(held),
        ["inventory: 0 dead letters, 1 events wait behind one"]
    );
    let other = receive(&app, &educator, "cup", 1).await;
    let correlation = other["correlation_id"].as_str().unwrap();
    let path = format!("/api/v1/settled?correlation={correlation}");
    assert_eq!(get(&app, &educator, &path).await["events"], 1);
}

#[tokio::test]
async fn the_waiting_ends_when_nothing_but_dead_letters_is_left() {
    let app = TestApp::start().await;
    let (held, _, _) = damaged(&app).await;
    let paused = app.educator().await;
    let pause = "/api/v1/lab/projections/inventory/pause";
    let request = app.request(Method::POST, pause).bearer_auth(&paused.token);
    assert_eq!(request.send().await.unwrap().status(), 200);
    receive(&app, &paused, "mug", 1).await;
    let ask = |token: &str, timeout_ms: u32| {
        let path = format!("/api/v1/settled?timeout_ms={timeout_ms}");
        app.get(&path).bearer_auth(token).send()
    };
    // What is paused may go on by itself, so that one waits for its timeout.
    tokio::select! {
        answer = ask(&held.token, 60_000) => {
            let said = problem(answer.unwrap()).await;
            assert_eq!(said.status, 504);
            assert_eq!(said.waiting_for, ["inventory: 1 dead letters, 1 events wait behind one"]);
        }
        _ = ask(&paused.token, 30_000) => panic!("the dead letters were waited for"),
    }
}

#[tokio::test]
async fn another_workspace_is_not_waited_for_and_an_invalid_parameter_is_named() {
    let app = TestApp::start().await;
    let (_, here) = (damaged(&app).await, app.educator().await);
    assert_eq!(get(&app, &here, "/api/v1/settled").await, json!({"as_of": "0:0"}));
    for (query, field) in [
        ("correlation=x", "correlation"),
        ("after=x", "after"),
        ("after=64:1", "after"),
        ("timeout_ms=60001", "timeout_ms"),
        ("until=now", "until"),
    ] {
        let path = format!("/api/v1/settled?{query}");
        let problem = problem(app.get(&path).bearer_auth(&here.token).send().await.unwrap()).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{query}");
    }
    assert_eq!(
        problem(app.get("/api/v1/settled").send().await.unwrap())
            .await
            .status,
        401
    );
}
