//! A server with its stores in a PostgreSQL, which fails and recovers.

use std::sync::Arc;

use domain::access::Role;
use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use test_postgres::{Cluster, Database};

use crate::app::{TEST_TIMEOUT, TestApp, list_product, problem};

async fn readiness(app: &TestApp) -> (StatusCode, Value) {
    let response = app.get("/readyz").send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_on_postgresql_survives_a_restart() {
    let database = Database::new().await;
    // one database for both stores
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    let educator = app.educator_of("shop").await;
    let staff = app.with_role(&educator, Role::Staff);
    let listed = app.command(&staff, &list_product("postgres-mug")).await;
    let app = app.restart().await;
    let token = listed["token"].as_str().unwrap();
    let product: Value = app
        .get(&format!("/api/v1/views/products/postgres-mug?after={token}"))
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(product["data"]["name"], "Mug", "{product}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unavailable_database_is_reported_and_a_refused_command_succeeds_later() {
    let cluster = Arc::new(
        tokio::task::spawn_blocking(|| Cluster::start(true))
            .await
            .unwrap(),
    );
    let database = Database::on(&cluster).await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    let educator = app.educator().await;
    let staff = app.with_role(&educator, Role::Staff);
    app.command(&staff, &list_product("mug-1")).await;

    let crashing = cluster.clone();
    tokio::task::spawn_blocking(move || crashing.crash())
        .await
        .unwrap();
    let send = async |sku: &str| {
        app.post("/api/v1/commands", &list_product(sku))
            .bearer_auth(&staff.token)
            .header("idempotency-key", sku)
            .send()
            .await
            .unwrap()
    };
    let refused = send("mug-2").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    let refused = problem(refused).await;
    assert_eq!(refused.kind, "/problems/unavailable");
    let (status, said) = readiness(&app).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    for store in ["the event store", "the read model"] {
        assert!(said["waiting_for"].to_string().contains(store), "{said}");
    }

    let resuming = cluster.clone();
    tokio::task::spawn_blocking(move || resuming.resume())
        .await
        .unwrap();
    // A recovered database may not answer in time at first; a client that repeats its command succeeds.
    let back = async {
        while readiness(&app).await.0 != StatusCode::OK {}
        loop {
            let answer = send("mug-2").await;
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                return answer;
            }
        }
    };
    let accepted = tokio::time::timeout(TEST_TIMEOUT, back)
        .await
        .expect("it is back");
    assert_eq!(accepted.status(), StatusCode::OK);
    let first: Value = accepted.json().await.unwrap();
    let again = send("mug-2").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    let token = first["token"].clone();
    let product: Value = app
        .get(&format!(
            "/api/v1/views/products/mug-2?after={}",
            token.as_str().unwrap()
        ))
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(product["data"]["name"], "Mug", "the lanes continue: {product}");
    let log: Value = app
        .get("/api/v1/events?type=ProductListed")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let listed: Vec<_> = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["payload"]["sku"].clone())
        .collect();
    assert_eq!(listed, [json!("mug-1"), json!("mug-2")]);
    app.stop().await;
}
