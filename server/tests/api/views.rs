//! `GET /views/{view}/{key}`, `GET /views/{view}`.

use domain::access::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Person, TestApp, fields, list_product, place_order, problem};

async fn read(app: &TestApp, person: &Person, path: &str) -> Value {
    let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{path}: {body}");
    body
}

#[tokio::test]
async fn a_client_reads_its_own_writes() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for n in 0..5 {
        let sku = format!("mug-{n}");
        let token = app.command(&educator, &list_product(&sku)).await["token"].clone();
        let path = format!("/api/v1/views/products/{sku}?after={}", token.as_str().unwrap());
        let answer = read(&app, &educator, &path).await;
        assert_eq!(answer["data"]["sku"], sku);
        assert_eq!((&answer["behind"], &answer["as_of"]), (&json!(0), &token));
    }
}

#[tokio::test]
async fn a_listing_is_read_page_by_page() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut token = Value::Null;
    for n in 0..5 {
        token = app.command(&educator, &list_product(&format!("mug-{n}"))).await["token"].clone();
    }
    let mut path = format!(
        "/api/v1/views/products?listing=all&limit=2&after={}",
        token.as_str().unwrap()
    );
    let mut keys = Vec::new();
    loop {
        let page = read(&app, &educator, &path).await;
        keys.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["key"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/views/products?listing=all&limit=2&cursor={next}");
    }
    keys.sort();
    assert_eq!(keys, ["mug-0", "mug-1", "mug-2", "mug-3", "mug-4"]);
}

#[tokio::test]
async fn a_view_that_is_not_folded_in_time_names_what_it_waits_for() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let path = "/api/v1/views/products/mug-01?after=0:1000&timeout_ms=1";
    let problem = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
    assert_eq!(problem.status, 503);
    assert_eq!(problem.waiting_for.len(), 1, "{problem:?}");
}

#[tokio::test]
async fn an_unknown_document_is_not_found() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for path in [
        "/api/v1/views/products/no-such",
        "/api/v1/views/no-such/a",
        "/api/v1/views/no-such",
        "/api/v1/views/products?listing=no-such",
    ] {
        let response = app.get(path).bearer_auth(&educator.token).send().await.unwrap();
        assert_eq!(problem(response).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_invalid_parameter_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=all", "limit"),
        ("order=up", "order"),
        ("after=yesterday", "after"),
        ("after=0:1&timeout_ms=60001", "timeout_ms"),
        ("cursor=zz", "cursor"),
        ("sort=price", "sort"),
        ("limit=1&limit=2", "limit"),
    ] {
        let path = format!("/api/v1/views/products?{query}");
        let problem = problem(app.get(&path).bearer_auth(&educator.token).send().await.unwrap()).await;
        assert_eq!(
            (problem.status, fields(&problem)),
            (400, vec![field]),
            "{query}: {}",
            problem.detail
        );
    }
}

#[tokio::test]
async fn a_client_does_not_see_another_workspace() {
    let app = TestApp::start().await;
    let (here, there) = (app.educator().await, app.educator().await);
    let token = app.command(&here, &list_product("mug-01")).await["token"].clone();
    read(
        &app,
        &here,
        &format!("/api/v1/views/products/mug-01?after={}", token.as_str().unwrap()),
    )
    .await;
    let response = app
        .get("/api/v1/views/products/mug-01")
        .bearer_auth(&there.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 404);
    assert_eq!(
        read(&app, &there, "/api/v1/views/products").await["data"],
        json!([])
    );
}

#[tokio::test]
async fn a_customer_sees_no_orders_but_their_own() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let order = Uuid::from_u128(7);
    let token = app.command(&educator, &place_order(order, "mug-01")).await["token"].clone();
    let path = format!("/api/v1/views/orders/{order}?after={}", token.as_str().unwrap());
    assert_eq!(
        read(&app, &educator, &path).await["data"]["id"],
        order.to_string()
    );
    let customer = app.with_role(&educator, Role::Customer);
    let response = app.get(&path).bearer_auth(&customer.token).send().await.unwrap();
    assert_eq!(problem(response).await.status, 404);
    let response = app
        .get("/api/v1/views/orders")
        .bearer_auth(&customer.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 403);
}

#[tokio::test]
async fn a_repeated_query_gets_the_same_answer_with_the_same_headers() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for n in 0..12 {
        app.command(&educator, &list_product(&format!("mug-{n}"))).await;
    }
    app.settled(&educator).await;
    for path in [
        "/api/v1/views/products/mug-0",
        "/api/v1/views/products",
        "/api/v1/views/products?limit=10",
    ] {
        let mut answers = Vec::new();
        for _ in 0..3 {
            let answer = app.get(path).bearer_auth(&educator.token).send().await.unwrap();
            let mut headers = answer.headers().clone();
            assert!(headers.remove("x-request-id").is_some());
            headers.remove("date");
            answers.push((answer.status(), headers, answer.text().await.unwrap()));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        // Without a token and with a wrong one, nothing is in memory.
        let anonymous = app.get(path).send().await.unwrap();
        assert_eq!(problem(anonymous).await.status, 401);
        let forged = app.get(path).bearer_auth(format!("{}x", educator.token));
        assert_eq!(problem(forged.send().await.unwrap()).await.status, 401);
    }
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_a_client_that_accepts_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for n in 0..12 {
        app.command(&educator, &list_product(&format!("mug-{n}"))).await;
    }
    app.settled(&educator).await;
    let mut lengths = Vec::new();
    for (accepted, encoding) in [
        ("identity", None),
        ("gzip, br", Some("gzip")),
        ("gzip", Some("gzip")),
    ] {
        let request = app.get("/api/v1/views/products").bearer_auth(&educator.token);
        let answer = request.header("accept-encoding", accepted).send().await.unwrap();
        let headers = answer.headers();
        let sent = headers
            .get("content-encoding")
            .map(|value| value.to_str().unwrap());
        assert_eq!(sent, encoding);
        assert_eq!(headers["vary"], "accept-encoding");
        lengths.push(answer.bytes().await.unwrap().len());
    }
    assert!(lengths[1] < lengths[0] && lengths[1] == lengths[2], "{lengths:?}");
}
