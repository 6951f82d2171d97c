//! `GET /lab/projections`, `POST` and `DELETE /lab/projections/{name}/rebuild`.

use domain::access::Role;
use monitor::{rebuild::rebuild_server, tail::Remote, terminal::MonitorError};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::{damaged, get, receive},
};

async fn call(app: &TestApp, person: &Person, method: Method, name: &str) -> Response {
    let path = format!("/api/v1/lab/projections/{name}/rebuild");
    app.request(method, &path)
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_rebuild_replaces_the_view_and_sends_subscribers_a_snapshot() {
    let app = TestApp::start().await;
    let (educator, ..) = damaged(&app).await;
    let mut live = app.live(&educator).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "inventory"}))
        .await;
    assert_eq!(live.next_of("snapshot").await["generation"], 1);
    let response = call(&app, &educator, Method::POST, "inventory").await;
    assert_eq!(response.status(), 202);
    let progress: Value = response.json().await.unwrap();
    assert_eq!(progress["generation"], 2);
    assert!(
        progress["events_done"].as_u64() <= progress["events_total"].as_u64(),
        "{progress}"
    );
    let snapshot = live.next_of("snapshot").await;
    assert_eq!(
        (&snapshot["generation"], &snapshot["data"][0]["data"]["on_hand"]),
        (&json!(2), &json!(7))
    );
    let read = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(
        (&read["generation"], &read["data"]["on_hand"]),
        (&json!(2), &json!(7))
    );
    assert_eq!(
        get(&app, &educator, "/api/v1/dead-letters").await,
        json!({"data": []})
    );
    assert_eq!(
        get(&app, &educator, "/api/v1/verify").await["findings"],
        json!([])
    );
    receive(&app, &educator, "mug", 8).await;
    assert_eq!(live.next_of("change").await["data"]["on_hand"], 15);
    let student = app.student(&educator.join_code).await;
    let status = get(&app, &student, "/api/v1/lab/projections").await;
    let listed = status.as_array().unwrap();
    let inventory = listed.iter().find(|it| it["view"] == "inventory").unwrap();
    assert_eq!(inventory["generation"], 2);
    assert_eq!(
        (&inventory["dead_letters"], &inventory["failing"]),
        (&json!(0), &json!([]))
    );
    // After a restart the same generation is read.
    let app = app.restart().await;
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["generation"],
        2
    );
}

#[tokio::test]
async fn the_terminal_makes_a_running_server_rebuild_a_view() {
    let app = TestApp::start().await;
    let (educator, ..) = damaged(&app).await;
    let remote = |person: &Person| Remote {
        url: app.url("").parse().unwrap(),
        token: person.token.clone(),
    };
    let mut out = Vec::new();
    rebuild_server(&remote(&educator), "inventory", &mut out)
        .await
        .unwrap();
    let said = String::from_utf8(out).unwrap();
    assert!(said.ends_with("inventory  generation 2 is read\n"), "{said}");
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["data"]["on_hand"],
        7
    );
    let student = app.student(&educator.join_code).await;
    for (person, view) in [(&educator, "no-such"), (&student, "inventory")] {
        let refused = rebuild_server(&remote(person), view, &mut Vec::new()).await;
        assert!(matches!(refused, Err(MonitorError::Remote(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_rebuild_does_not_affect_another_workspace() {
    let app = TestApp::start().await;
    let (here, there) = (app.educator().await, app.educator().await);
    receive(&app, &here, "mug", 1).await;
    receive(&app, &there, "mug", 1).await;
    let mut live = app.live(&there).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "inventory"}))
        .await;
    live.next_of("snapshot").await;
    assert_eq!(call(&app, &there, Method::POST, "inventory").await.status(), 202);
    live.next_of("snapshot").await;
    let settled = "/api/v1/settled";
    get(&app, &here, settled).await;
    assert_eq!(
        get(&app, &here, "/api/v1/views/inventory/mug").await["generation"],
        1
    );
    assert_eq!(
        get(&app, &there, "/api/v1/views/inventory/mug").await["generation"],
        2
    );
}

#[tokio::test]
async fn an_unknown_projection_and_a_role_without_permission_are_refused() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (method, name) in [
        (Method::POST, "no-such"),
        (Method::DELETE, "no-such"),
        // No rebuild is running.
        (Method::DELETE, "inventory"),
    ] {
        assert_eq!(
            problem(call(&app, &educator, method, name).await).await.status,
            404
        );
    }
    for role in [Role::Customer, Role::Student, Role::Staff] {
        let person = app.with_role(&educator, role);
        for method in [Method::POST, Method::DELETE] {
            assert_eq!(
                problem(call(&app, &person, method, "inventory").await)
                    .await
                    .status,
                403
            );
        }
    }
    let customer = app.with_role(&educator, Role::Customer);
    let response = app
        .get("/api/v1/lab/projections")
        .bearer_auth(&customer.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 403);
    let response = app
        .get("/api/v1/lab/projections?a=1")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    let problem = problem(response).await;
    assert_eq!((problem.status, fields(&problem)), (400, vec!["a"]));
}
