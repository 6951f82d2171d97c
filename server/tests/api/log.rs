//! `GET /streams`, `GET /streams/{stream}`, `GET /events`, `GET /verify`.

use domain::access::Role;
use serde_json::{Value, json};

use server::settings::Settings;

use crate::{
    app::{Person, TestApp, fields, list_product, problem},
    schemas::append_as_of,
};

async fn read(app: &TestApp, person: &Person, path: &str) -> Value {
    let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{path}: {body}");
    body
}

async fn class(app: &TestApp) -> (Person, Person) {
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    for n in 0..3 {
        app.command(&educator, &list_product(&format!("mug-{n}"))).await;
        let stock =
            json!({"type": "ReceiveStock", "stream": format!("inventory-mug-{n}"), "data": {"quantity": 5}});
        app.command(&educator, &stock).await;
    }
    let price = json!({"type": "ChangePrice", "stream": "product-mug-0",
        "data": {"price": {"amount": 900, "currency": "EUR"}}});
    app.command(&educator, &price).await;
    (educator, student)
}

#[tokio::test]
async fn students_read_the_log() {
    let app = TestApp::start().await;
    let (_, student) = class(&app).await;
    let streams = read(&app, &student, "/api/v1/streams?prefix=product-").await;
    assert_eq!(streams["data"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&streams["data"][0]["stream"], &streams["data"][0]["version"]),
        (&json!("product-mug-0"), &json!(2))
    );
    let stream = read(&app, &student, "/api/v1/streams/product-mug-0").await;
    let types: Vec<_> = stream["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(types, ["ProductListed", "PriceChanged"]);
    assert!(stream.get("next").is_none());
    let events = read(&app, &student, "/api/v1/events?type=PriceChanged").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let app = TestApp::start().await;
    let (_, student) = class(&app).await;
    let (mut after, mut positions) = (String::from("0:0"), Vec::new());
    loop {
        let page = read(&app, &student, &format!("/api/v1/events?limit=2&after={after}")).await;
        positions.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["position"].as_u64().unwrap()),
        );
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    assert_eq!(positions, [1, 2, 3, 4, 5, 6, 7]);
    let first = read(&app, &student, "/api/v1/streams/product-mug-0?limit=1").await;
    assert_eq!(first["next"], "2");
    let newest = read(&app, &student, "/api/v1/streams/product-mug-0?limit=1&order=desc").await;
    assert_eq!(
        (&newest["data"][0]["version"], &newest["next"]),
        (&json!(2), &json!("1"))
    );
    let streams = read(&app, &student, "/api/v1/streams?limit=4").await;
    let cursor = streams["next"].as_str().unwrap();
    let rest = read(
        &app,
        &student,
        &format!("/api/v1/streams?limit=4&cursor={cursor}"),
    )
    .await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_log_is_read_by_category_and_correlation_and_a_stream_backwards() {
    let app = TestApp::start().await;
    let (educator, student) = class(&app).await;
    let types = |page: &Value| {
        let events = page["data"].as_array().unwrap().iter();
        events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (mut path, mut found) = ("/api/v1/events?category=inventory&limit=2".to_owned(), Vec::new());
    loop {
        let page = read(&app, &student, &path).await;
        found.extend(types(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/events?category=inventory&limit=2&after={next}");
    }
    assert_eq!(found, ["StockReceived"; 3]);
    let both = read(
        &app,
        &student,
        "/api/v1/events?category=product&type=PriceChanged",
    )
    .await;
    assert_eq!(types(&both), ["PriceChanged"]);
    let price = json!({"type": "ChangePrice", "stream": "product-mug-0",
        "data": {"price": {"amount": 800, "currency": "EUR"}}});
    let answer = app.command(&educator, &price).await;
    let correlation = answer["correlation_id"].as_str().unwrap();
    let caused = read(
        &app,
        &student,
        &format!("/api/v1/events?correlation={correlation}"),
    )
    .await;
    assert_eq!(
        (types(&caused), &caused["data"][0]["version"]),
        (vec!["PriceChanged".to_owned()], &json!(3))
    );
    let (mut from, mut versions) = (String::new(), Vec::new());
    loop {
        let page = read(
            &app,
            &student,
            &format!("/api/v1/streams/product-mug-0?order=desc&limit=1{from}"),
        )
        .await;
        versions.push(page["data"][0]["version"].clone());
        let Some(next) = page["next"].as_str() else { break };
        from = format!("&from={next}");
    }
    assert_eq!(versions, [3, 2, 1]);
}

#[tokio::test]
async fn customers_and_staff_do_not_read_the_log() {
    let app = TestApp::start().await;
    let (educator, _) = class(&app).await;
    for role in [Role::Customer, Role::Staff] {
        let person = app.with_role(&educator, role);
        for path in [
            "/api/v1/streams",
            "/api/v1/streams/product-mug-0",
            "/api/v1/events",
        ] {
            let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
            assert_eq!(problem(response).await.status, 403, "{role:?} {path}");
        }
    }
}

#[tokio::test]
async fn the_streams_of_another_workspace_are_not_found() {
    let app = TestApp::start().await;
    class(&app).await;
    let stranger = app.educator().await;
    let path = "/api/v1/streams/product-mug-0";
    assert_eq!(
        problem(app.get(path).bearer_auth(&stranger.token).send().await.unwrap())
            .await
            .status,
        404
    );
    assert_eq!(read(&app, &stranger, "/api/v1/streams").await["data"], json!([]));
    assert_eq!(read(&app, &stranger, "/api/v1/events").await["data"], json!([]));
}

#[tokio::test]
async fn an_unknown_stream_is_not_found() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for name in ["product-no-such", "nonsense", "ORDER-1", &"a-".repeat(500)] {
        let path = format!("/api/v1/streams/{name}");
        assert_eq!(
            problem(app.get(&path).bearer_auth(&educator.token).send().await.unwrap())
                .await
                .status,
            404,
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_invalid_parameter_is_named() {
    let app = TestApp::start().await;
    let (educator, _) = class(&app).await;
    for (path, field) in [
        ("/api/v1/streams?limit=0", "limit"),
        ("/api/v1/streams?from=1", "from"),
        ("/api/v1/streams/product-mug-0?from=0", "from"),
        ("/api/v1/streams/product-mug-0?from=-1", "from"),
        ("/api/v1/streams/product-mug-0?from=99999999999999999999", "from"),
        ("/api/v1/events?correlation=7", "correlation"),
        ("/api/v1/events?after=7", "after"),
    ] {
        let problem = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_log_has_no_findings() {
    let app = TestApp::start().await;
    let (educator, student) = class(&app).await;
    // An event that is not folded yet is not a finding: views are compared at their checkpoints.
    let report = read(&app, &student, "/api/v1/verify").await;
    assert_eq!((&report["events"], &report["findings"]), (&json!(7), &json!([])));
    let customer = app.with_role(&educator, Role::Customer);
    let response = app
        .get("/api/v1/verify")
        .bearer_auth(&customer.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_large_events_ends_early_and_the_next_one_goes_on() {
    const LARGE: usize = 400_000;
    let app = TestApp::start().await;
    let (educator, student) = class(&app).await;
    // As an import of an earlier version took them.
    let app = app
        .restart_after(async |settings: &Settings| {
            for _ in 0..5 {
                let padded = json!({"quantity": 1, "note": "x".repeat(LARGE)});
                let stream = "inventory-mug-0";
                append_as_of(
                    settings,
                    educator.workspace,
                    stream,
                    ("StockReceived", 1),
                    &padded,
                )
                .await;
            }
        })
        .await
        .unwrap();
    let student = app.with_role(&student, Role::Student);
    for (path, parameter) in [
        ("/api/v1/streams/inventory-mug-0?limit=200", "from"),
        ("/api/v1/streams/inventory-mug-0?limit=200&order=desc", "from"),
        ("/api/v1/events?limit=200&type=StockReceived", "after"),
    ] {
        let (mut next, mut ids) = (String::new(), Vec::new());
        loop {
            let page = read(&app, &student, &format!("{path}{next}")).await;
            assert!(page.to_string().len() < 4 * LARGE, "{path}");
            let events = page["data"].as_array().unwrap();
            ids.extend(events.iter().map(|event| event["event_id"].to_string()));
            let Some(token) = page["next"].as_str() else { break };
            next = format!("&{parameter}={token}");
        }
        let count = ids.len();
        assert_eq!(count, if parameter == "after" { 8 } else { 6 }, "{path}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{path}: none is there twice");
    }
}
