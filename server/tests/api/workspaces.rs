//! `POST /workspaces`, `POST /workspaces/join`, `GET /session`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{TestApp, fields, problem};

#[tokio::test]
async fn the_person_who_opens_a_workspace_is_its_educator() {
    let app = TestApp::start().await;
    let body = json!({"template": "empty", "name": "Class 7b"});
    let opened: Value = app
        .post("/api/v1/workspaces", &body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let session = app
        .get("/api/v1/session")
        .bearer_auth(opened["token"].as_str().unwrap());
    let session: Value = session.send().await.unwrap().json().await.unwrap();
    assert_eq!(session["workspace"], opened["workspace"]);
    assert_eq!(session["join_code"], opened["join_code"]);
    assert_eq!(
        (&session["workspace_name"], &session["role"]),
        (&json!("Class 7b"), &json!("educator"))
    );
    assert!(session.get("token").is_none());
}

#[tokio::test]
async fn two_openings_are_two_workspaces() {
    let app = TestApp::start().await;
    let (one, two) = (app.educator().await, app.educator().await);
    assert_ne!(one.workspace, two.workspace);
    assert_ne!(one.join_code, two.join_code);
}

#[tokio::test]
async fn a_person_who_joins_is_a_student_of_the_same_workspace() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code.to_lowercase()).await;
    assert_eq!(student.workspace, educator.workspace);
    let session: Value = app
        .get("/api/v1/session")
        .bearer_auth(&student.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&session["role"], &session["display_name"]),
        (&json!("student"), &json!("Ada"))
    );
}

#[tokio::test]
async fn an_unknown_code_is_not_found() {
    let app = TestApp::start().await;
    let body = json!({"code": "NOSUCH1", "display_name": "Ada"});
    let problem = problem(app.post("/api/v1/workspaces/join", &body).send().await.unwrap()).await;
    assert_eq!(
        (problem.status, problem.kind.as_str()),
        (404, "/problems/not-found")
    );
}

#[tokio::test]
async fn an_invalid_field_is_named() {
    let app = TestApp::start().await;
    for (path, body, field) in [
        ("/api/v1/workspaces", json!({}), "template"),
        ("/api/v1/workspaces", json!({"template": "zoo"}), "template"),
        (
            "/api/v1/workspaces",
            json!({"template": "empty", "shards": 0}),
            "shards",
        ),
        (
            "/api/v1/workspaces",
            json!({"template": "empty", "shards": "two"}),
            "shards",
        ),
        (
            "/api/v1/workspaces",
            json!({"template": "empty", "name": "x".repeat(81)}),
            "name",
        ),
        (
            "/api/v1/workspaces",
            json!({"template": "empty", "colour": "green"}),
            "colour",
        ),
        ("/api/v1/workspaces/join", json!({"code": "ABC"}), "display_name"),
        (
            "/api/v1/workspaces/join",
            json!({"code": "ABC", "display_name": ""}),
            "display_name",
        ),
        (
            "/api/v1/workspaces/join",
            json!({"code": "ABC", "display_name": "x".repeat(41)}),
            "display_name",
        ),
    ] {
        let problem = problem(app.post(path, &body).send().await.unwrap()).await;
        assert_eq!(
            (problem.status, fields(&problem)),
            (400, vec![field]),
            "{body}: {}",
            problem.detail
        );
    }
}

#[tokio::test]
async fn without_a_token_there_is_no_session() {
    let app = TestApp::start().await;
    let response = app.get("/api/v1/session").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer realm=\"foldline\""
    );
    problem(response).await;
}
