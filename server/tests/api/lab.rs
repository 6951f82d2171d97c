//! `POST /lab/projections/{name}/{pause|resume|crash}`, `GET` and `POST /lab/clock`.

use domain::{access::Role, timestamp::Timestamp};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::{get, receive},
};

async fn call(app: &TestApp, person: &Person, name: &str, what: &str) -> Response {
    let path = format!("/api/v1/lab/projections/{name}/{what}");
    app.request(Method::POST, &path)
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
}

/// The state of the projection of the stock after a call.
async fn stock(app: &TestApp, person: &Person, what: &str) -> Value {
    let response = call(app, person, "inventory", what).await;
    assert_eq!(response.status(), StatusCode::OK, "{what}");
    let status: Value = response.json().await.unwrap();
    assert_eq!(status["view"], "inventory");
    status
}

async fn on_hand(app: &TestApp, person: &Person, answer: &Value) -> Value {
    let token = answer["token"].as_str().unwrap();
    get(app, person, &format!("/api/v1/views/inventory/mug?after={token}")).await
}

#[tokio::test]
async fn a_paused_projection_is_shown_as_paused_and_catches_up_when_it_is_resumed() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let first = receive(&app, &educator, "mug", 1).await;
    on_hand(&app, &educator, &first).await;
    for _ in 0..2 {
        assert_eq!(stock(&app, &educator, "pause").await["paused"], true);
    }
    let second = receive(&app, &educator, "mug", 2).await;
    // the other projections continue
    get(&app, &educator, "/api/v1/views/orders?after=0:2").await;
    let read = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(
        (&read["data"]["on_hand"], &read["as_of"], &read["behind"]),
        (&json!(1), &json!("0:1"), &json!(1))
    );
    let path = "/api/v1/views/inventory/mug?after=0:2&timeout_ms=1";
    let late = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
    assert_eq!(
        (late.status, late.waiting_for),
        (503, vec!["inventory 0:1 of 0:2 (paused)".to_owned()])
    );
    assert!(late.detail.contains("paused"), "{}", late.detail);
    let path = "/api/v1/settled?timeout_ms=1";
    let waiting = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
    assert_eq!(waiting.status, 504);
    assert!(
        waiting
            .waiting_for
            .contains(&"inventory 0:1 of 0:2 (paused)".to_owned()),
        "{waiting:?}"
    );
    let student = app.student(&educator.join_code).await;
    let listed = get(&app, &student, "/api/v1/lab/projections").await;
    let listed = listed.as_array().unwrap();
    let inventory = listed.iter().find(|it| it["view"] == "inventory").unwrap();
    assert_eq!(
        (&inventory["paused"], &inventory["behind"]),
        (&json!(true), &json!(1))
    );
    let paused = listed.iter().filter(|it| it["paused"] == true);
    assert_eq!(paused.count(), 1, "the others go on");
    // a workspace has its own lanes
    let there = receive(&app, &elsewhere, "mug", 7).await;
    assert_eq!(on_hand(&app, &elsewhere, &there).await["data"]["on_hand"], 7);

    for _ in 0..2 {
        assert_eq!(stock(&app, &educator, "resume").await["paused"], false);
    }
    let read = on_hand(&app, &educator, &second).await;
    assert_eq!(
        (&read["data"]["on_hand"], &read["behind"]),
        (&json!(3), &json!(0))
    );
    get(&app, &educator, "/api/v1/settled").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paused_lanes_do_not_delay_other_workspaces() {
    let app = TestApp::start().await;
    // more lanes than may fold at a time
    let held = app.educator_with_shards(16).await;
    stock(&app, &held, "pause").await;
    for n in 0..40 {
        receive(&app, &held, &format!("mug-{n}"), 1).await;
    }
    let elsewhere = app.educator().await;
    let answer = receive(&app, &elsewhere, "mug", 7).await;
    assert_eq!(on_hand(&app, &elsewhere, &answer).await["data"]["on_hand"], 7);
    stock(&app, &held, "resume").await;
    get(&app, &held, "/api/v1/settled").await;
    assert_eq!(get(&app, &held, "/api/v1/verify").await["findings"], json!([]));
}

#[tokio::test]
async fn a_pause_outlasts_the_server() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator, "pause").await;
    let answer = receive(&app, &educator, "mug", 4).await;
    let app = app.restart().await;
    let listed = get(&app, &educator, "/api/v1/lab/projections").await;
    let listed = listed.as_array().unwrap().iter();
    let paused: Vec<_> = listed.filter(|status| status["paused"] == true).collect();
    assert_eq!((paused.len(), &paused[0]["view"]), (1, &json!("inventory")));
    stock(&app, &educator, "resume").await;
    assert_eq!(on_hand(&app, &educator, &answer).await["data"]["on_hand"], 4);
}

#[tokio::test]
async fn a_paused_projection_is_not_rebuilt() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    stock(&app, &educator, "pause").await;
    let refused = problem(call(&app, &educator, "inventory", "rebuild").await).await;
    assert_eq!((refused.status, refused.kind.as_str()), (409, "/problems/busy"));
    assert!(refused.detail.contains("resume it first"), "{}", refused.detail);
    stock(&app, &educator, "resume").await;
    let begun = call(&app, &educator, "inventory", "rebuild").await;
    assert_eq!(begun.status(), StatusCode::ACCEPTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_projection_resumes_at_its_checkpoint() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    // no event was folded yet: there is no lane
    assert_eq!(stock(&app, &educator, "crash").await["panics"], 0);
    let mut answer = receive(&app, &educator, "mug", 1).await;
    for panics in 1..=3 {
        assert_eq!(stock(&app, &educator, "crash").await["panics"], panics);
        answer = receive(&app, &educator, "mug", 1).await;
    }
    assert_eq!(on_hand(&app, &educator, &answer).await["data"]["on_hand"], 4);
    assert_eq!(
        get(&app, &educator, "/api/v1/verify").await["findings"],
        json!([])
    );
    let metrics = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("foldline_projection_panics_total{view=\"inventory\"}"));
    // a paused projection crashes too, and stays paused
    stock(&app, &educator, "pause").await;
    let status = stock(&app, &educator, "crash").await;
    assert_eq!((&status["panics"], &status["paused"]), (&json!(4), &json!(true)));
    answer = receive(&app, &educator, "mug", 1).await;
    stock(&app, &educator, "resume").await;
    assert_eq!(on_hand(&app, &educator, &answer).await["data"]["on_hand"], 5);
}

#[tokio::test]
async fn only_educators_control_projections() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let others = [Role::Student, Role::Staff, Role::Customer].map(|role| app.with_role(&educator, role));
    for what in ["pause", "resume", "crash"] {
        for person in &others {
            assert_eq!(
                problem(call(&app, person, "inventory", what).await).await.status,
                403
            );
        }
        let unknown = problem(call(&app, &educator, "no-such", what).await).await;
        assert_eq!(unknown.status, 404, "{what}");
        let wrong = problem(call(&app, &educator, "inventory", &format!("{what}?for=ever")).await).await;
        assert_eq!((wrong.status, fields(&wrong)), (400, vec!["for"]));
        let path = format!("/api/v1/lab/projections/inventory/{what}");
        let anonymous = app.request(Method::POST, &path).send().await.unwrap();
        assert_eq!(problem(anonymous).await.status, 401);
    }
}

async fn move_clock(app: &TestApp, person: &Person, body: &Value) -> Response {
    app.post("/api/v1/lab/clock", body)
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_workspaces_clock_is_moved_forward_and_stays_there() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    assert_eq!(get(&app, &educator, "/api/v1/lab/clock").await["ahead_ms"], 0);
    for ahead in [60_000, 120_000] {
        let moved = move_clock(&app, &educator, &json!({"advance_ms": 60_000})).await;
        assert_eq!(moved.status(), StatusCode::OK);
        let clock: Value = moved.json().await.unwrap();
        assert_eq!(clock["ahead_ms"], ahead, "what is repeated advances again");
    }
    let now = |clock: &Value| -> Timestamp { clock["now"].as_str().unwrap().parse().unwrap() };
    let before = now(&get(&app, &educator, "/api/v1/lab/clock").await);
    let to = Timestamp::from_micros(before.as_micros() + 3_600_000_000);
    let set = json!({"set": to.to_string()});
    let clock: Value = move_clock(&app, &educator, &set).await.json().await.unwrap();
    assert!(now(&clock) >= to);
    // the clock has advanced since, so the same time again would set it back
    let back = problem(move_clock(&app, &educator, &set).await).await;
    assert_eq!(
        (back.status, back.rule.as_deref()),
        (422, Some("clock-goes-forward"))
    );
    assert!(back.detail.contains("goes forward only"), "{}", back.detail);

    assert_eq!(get(&app, &elsewhere, "/api/v1/lab/clock").await["ahead_ms"], 0);
    let app = app.restart().await;
    let student = app.student(&educator.join_code).await;
    let clock = get(&app, &student, "/api/v1/lab/clock").await;
    assert!(now(&clock) >= to, "also after a restart: {clock}");
}

#[tokio::test]
async fn only_educators_move_a_clock_and_an_invalid_field_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (body, status, field) in [
        (json!({}), 400, "advance_ms"),
        (
            json!({"advance_ms": 1, "set": "2030-01-01T00:00:00Z"}),
            400,
            "set",
        ),
        (json!({"advance_ms": "soon"}), 400, "advance_ms"),
        (json!({"set": "tomorrow"}), 400, "set"),
        (json!({"back_ms": 1}), 400, "back_ms"),
    ] {
        let problem = problem(move_clock(&app, &educator, &body).await).await;
        assert_eq!(
            (problem.status, fields(&problem)),
            (status, vec![field]),
            "{body}"
        );
    }
    for (body, rule) in [
        (json!({"advance_ms": -1}), "clock-goes-forward"),
        (json!({"set": "2001-01-01T00:00:00Z"}), "clock-goes-forward"),
        (json!({"advance_ms": i64::MAX}), "clock-within-a-century"),
        (json!({"set": "9999-01-01T00:00:00Z"}), "clock-within-a-century"),
    ] {
        let problem = problem(move_clock(&app, &educator, &body).await).await;
        assert_eq!(
            (problem.status, problem.rule.as_deref()),
            (422, Some(rule)),
            "{body}"
        );
    }
    assert_eq!(get(&app, &educator, "/api/v1/lab/clock").await["ahead_ms"], 0);
    let forward = json!({"advance_ms": 1});
    for role in [Role::Student, Role::Staff, Role::Customer] {
        let person = app.with_role(&educator, role);
        assert_eq!(
            problem(move_clock(&app, &person, &forward).await).await.status,
            403
        );
    }
    let customer = app.with_role(&educator, Role::Customer);
    let read = app.get("/api/v1/lab/clock").bearer_auth(&customer.token);
    assert_eq!(problem(read.send().await.unwrap()).await.status, 403);
}
