//! `POST /commands`.

use domain::access::Role;
use reqwest::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{TestApp, fields, list_product, place_order, problem};

#[tokio::test]
async fn a_command_answers_what_it_appended() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let answer = app.command(&educator, &list_product("mug-01")).await;
    assert_eq!(
        (&answer["stream"], &answer["version"]),
        (&json!("product-mug-01"), &json!(1))
    );
    let event = &answer["events"][0];
    assert_eq!(
        (&event["type"], &event["version"], &event["position"]),
        (&json!("ProductListed"), &json!(1), &json!(1))
    );
    assert_eq!(answer["token"], "0:1");
}

#[tokio::test]
async fn a_repeated_command_is_carried_out_once() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let send = |body: Value| {
        let request = app
            .post("/api/v1/commands", &body)
            .header("Idempotency-Key", "order-7");
        request.bearer_auth(&educator.token).send()
    };
    let first: Value = send(list_product("mug-01")).await.unwrap().json().await.unwrap();
    let second: Value = send(list_product("mug-01")).await.unwrap().json().await.unwrap();
    assert_eq!(first, second);
    let other = problem(send(list_product("mug-02")).await.unwrap()).await;
    assert_eq!(
        (other.status, other.rule.as_deref()),
        (409, Some("idempotency-key-reused"))
    );
}

#[tokio::test]
async fn a_stale_version_is_a_conflict_that_names_the_version() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let mut again = list_product("mug-01");
    again["expected_version"] = json!("no_stream");
    let response = app
        .post("/api/v1/commands", &again)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    let problem = problem(response).await;
    assert_eq!((problem.status, problem.current_version), (409, Some(1)));
}

#[tokio::test]
async fn a_rejection_names_its_rule() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = place_order(Uuid::from_u128(7), "no-such");
    let response = app
        .post("/api/v1/commands", &order)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    let problem = problem(response).await;
    assert_eq!(problem.status, 422);
    assert!(problem.rule.is_some());
}

#[tokio::test]
async fn an_unknown_command_is_not_found() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let body = json!({"type": "Explode", "stream": "product-mug-01", "data": {}});
    let response = app
        .post("/api/v1/commands", &body)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 404);
}

#[tokio::test]
async fn a_role_without_permission_is_refused() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for role in [Role::Customer, Role::Student] {
        let person = app.with_role(&educator, role);
        let response = app
            .post("/api/v1/commands", &list_product("mug-01"))
            .bearer_auth(&person.token)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(response).await.status, 403, "{role:?}");
    }
}

#[tokio::test]
async fn an_invalid_field_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut cheap = list_product("mug-01");
    cheap["data"]["price"]["amount"] = json!("cheap");
    let mut late = list_product("mug-01");
    late["expected_version"] = json!("later");
    for (body, field) in [
        (json!({"stream": "product-a", "data": {}}), "type"),
        (json!({"type": "ListProduct", "data": {}}), "stream"),
        (json!({"type": "ListProduct", "stream": "product-a"}), "data"),
        (json!({"type": 7, "stream": "product-a", "data": {}}), "type"),
        (
            json!({"type": "ListProduct", "stream": "nonsense", "data": {}}),
            "stream",
        ),
        (
            json!({"type": "ListProduct", "stream": "order-1", "data": {}}),
            "stream",
        ),
        (
            json!({"type": "ListProduct", "stream": "product-a", "data": {}, "extra": 1}),
            "extra",
        ),
        (cheap, "data.price.amount"),
        (late, "expected_version"),
    ] {
        let response = app
            .post("/api/v1/commands", &body)
            .bearer_auth(&educator.token)
            .send()
            .await
            .unwrap();
        let problem = problem(response).await;
        assert_eq!(problem.status, 400, "{body}: {}", problem.detail);
        assert_eq!(fields(&problem), [field], "{body}: {}", problem.detail);
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let send = |content_type: &'static str, body: String| {
        let request = app
            .request(reqwest::Method::POST, "/api/v1/commands")
            .header(CONTENT_TYPE, content_type);
        request.body(body).bearer_auth(&educator.token).send()
    };
    for body in ["", "{", "[1,2", "\"text\"", "{\"type\":\"A\"}}"] {
        let response = send("application/json", body.to_owned()).await.unwrap();
        assert_eq!(problem(response).await.status, 400, "{body}");
    }
    let response = send("text/plain", list_product("a").to_string()).await.unwrap();
    assert_eq!(problem(response).await.status, 415);
    let response = send("application/json", format!("\"{}\"", "x".repeat(300_000)))
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 413);
}

#[tokio::test]
async fn an_idempotency_key_has_its_form() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for key in ["", "a b\u{e9}", &"x".repeat(201)] {
        let request = app
            .post("/api/v1/commands", &list_product("a"))
            .header("Idempotency-Key", key);
        let response = request.bearer_auth(&educator.token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{key}");
        problem(response).await;
    }
}

#[tokio::test]
async fn a_trace_is_kept_with_the_events() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = app
        .post("/api/v1/commands", &list_product("mug-01"))
        .header("traceparent", trace);
    request
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let page: Value = app
        .get("/api/v1/streams/product-mug-01")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(page["data"][0]["metadata"]["traceparent"], trace);
}

#[tokio::test]
async fn a_command_is_refused_where_another_person_has_signed_in_meanwhile() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let session = app.get("/api/v1/session").bearer_auth(&educator.token);
    let session: Value = session.send().await.unwrap().json().await.unwrap();
    let me: Uuid = session["actor_id"].as_str().unwrap().parse().unwrap();
    let send = |actor: String| {
        app.post("/api/v1/commands", &list_product("mug-01"))
            .bearer_auth(&educator.token)
            .header("Foldline-Actor", actor)
            .header("Idempotency-Key", "list")
            .send()
    };
    let of_another = problem(send(Uuid::from_u128(7).to_string()).await.unwrap()).await;
    assert_eq!(of_another.kind, "/problems/unauthenticated");
    let malformed = problem(send("Ada".to_owned()).await.unwrap()).await;
    assert_eq!(
        (malformed.status, fields(&malformed)),
        (400, vec!["Foldline-Actor"])
    );
    let own: Value = send(me.to_string()).await.unwrap().json().await.unwrap();
    assert_eq!(own["version"], 1, "nothing was done before");
}
