//! `GET /dead-letters`, `POST /dead-letters/{id}/{retry|discard}`, and `foldline dead-letters`.

use domain::access::Role;
use projection::dead_letters::Remedy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use monitor::{
    dead_letters::{DeadLetterRequest, on_server},
    tail::Remote,
    terminal::{Format, MonitorError},
};
use server::settings::Settings;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use crate::{
    app::{Person, TEST_TIMEOUT, TestApp, fields, problem},
    transfer::foldline,
};

/// Damages a read model: the document of a product's stock is replaced by one that its view cannot parse.
pub(crate) async fn set_document(app: &TestApp, sku: &str, data: &Value) {
    set_document_in(app.folder(), sku, data).await;
}

async fn set_document_in(folder: &std::path::Path, sku: &str, data: &Value) {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("views.db"))
        .busy_timeout(TEST_TIMEOUT);
    let mut views = SqliteConnection::connect_with(&options).await.unwrap();
    let changed = sqlx::query("update documents set data = ?1 where view = 'inventory' and key = ?2")
        .bind(data.to_string())
        .bind(sku)
        .execute(&mut views)
        .await
        .unwrap()
        .rows_affected();
    assert_eq!(changed, 1);
    views.close().await.unwrap();
}

pub(crate) async fn receive(app: &TestApp, person: &Person, sku: &str, quantity: u32) -> Value {
    let stock =
        json!({"type": "ReceiveStock", "stream": format!("inventory-{sku}"), "data": {"quantity": quantity}});
    app.command(person, &stock).await
}

/// The JSON answer to a `GET` by a person.
pub(crate) async fn get(app: &TestApp, person: &Person, path: &str) -> Value {
    let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{path}: {body}");
    body
}

async fn call(app: &TestApp, person: &Person, id: &Value, remedy: &str) -> reqwest::Response {
    let path = format!("/api/v1/dead-letters/{}/{remedy}", id.as_str().unwrap());
    app.request(Method::POST, &path)
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
}

/// An educator whose view `inventory` cannot apply two events of `mug`, and what they were.
pub(crate) async fn damaged(app: &TestApp) -> (Person, Value, Value) {
    let educator = app.educator().await;
    let token = receive(app, &educator, "mug", 1).await["token"].clone();
    let path = format!("/api/v1/views/inventory/mug?after={}", token.as_str().unwrap());
    let sound = get(app, &educator, &path).await["data"].clone();
    set_document(app, "mug", &json!({"broken": true})).await;
    receive(app, &educator, "mug", 2).await;
    let last = receive(app, &educator, "mug", 4).await;
    let path = format!(
        "/api/v1/views/inventory?after={}",
        last["token"].as_str().unwrap()
    );
    get(app, &educator, &path).await;
    (educator, sound, last)
}

#[tokio::test]
async fn a_dead_letter_is_listed_and_retried_once_also_after_a_restart() {
    let app = TestApp::start().await;
    let (educator, sound, _) = damaged(&app).await;
    let app = app.restart().await;
    let page = get(&app, &educator, "/api/v1/dead-letters?view=inventory").await;
    let letter = page["data"][0].clone();
    assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(
        (&letter["stream"], &letter["type"]),
        (&json!("inventory-mug"), &json!("StockReceived"))
    );
    assert_eq!((&letter["version"], &letter["waiting"]), (&json!(2), &json!(1)));
    assert!(
        letter["reason"].as_str().unwrap().contains("inventory"),
        "{letter}"
    );
    let metrics = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("foldline_dead_letters{view=\"inventory\"}"),
        "{metrics}"
    );
    // Still damaged: it stays a dead letter, tried once more.
    let outcome: Value = call(&app, &educator, &letter["id"], "retry")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&outcome["applied"], &outcome["dead_letter"]["attempts"]),
        (&json!(0), &json!(6))
    );
    set_document(&app, "mug", &sound).await;
    let staff = app.with_role(&educator, Role::Staff);
    let outcome: Value = call(&app, &staff, &letter["id"], "retry")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(outcome, json!({"applied": 2}));
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["data"]["on_hand"],
        7
    );
    let again = problem(call(&app, &educator, &letter["id"], "retry").await).await;
    assert_eq!(again.status, 404);
    assert_eq!(
        get(&app, &educator, "/api/v1/dead-letters").await,
        json!({"data": []})
    );
}

#[tokio::test]
async fn after_a_discard_the_stream_is_folded_again() {
    let app = TestApp::start().await;
    let (educator, sound, _) = damaged(&app).await;
    let letter = get(&app, &educator, "/api/v1/dead-letters").await["data"][0].clone();
    set_document(&app, "mug", &sound).await;
    let outcome: Value = call(&app, &educator, &letter["id"], "discard")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(outcome, json!({"applied": 1}));
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["data"]["on_hand"],
        5
    );
    let again = problem(call(&app, &educator, &letter["id"], "discard").await).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn only_roles_that_run_the_shop_handle_its_dead_letters_and_students_look_at_them() {
    let app = TestApp::start().await;
    let (educator, ..) = damaged(&app).await;
    let letter = get(&app, &educator, "/api/v1/dead-letters").await["data"][0]["id"].clone();
    let there = app.educator().await;
    assert_eq!(
        get(&app, &there, "/api/v1/dead-letters").await,
        json!({"data": []})
    );
    assert_eq!(
        problem(call(&app, &there, &letter, "retry").await).await.status,
        404
    );
    let id = letter.as_str().unwrap();
    for (role, reads) in [(Role::Customer, false), (Role::Student, true)] {
        let person = app.with_role(&educator, role);
        for path in [
            "/api/v1/dead-letters".to_owned(),
            format!("/api/v1/dead-letters/{id}/waiting"),
        ] {
            let response = app.get(&path).bearer_auth(&person.token).send().await.unwrap();
            let expected = if reads {
                StatusCode::OK
            } else {
                StatusCode::FORBIDDEN
            };
            assert_eq!(response.status(), expected, "{path} by {role:?}");
        }
        let retry = app.request(Method::POST, "/api/v1/dead-letters/retry");
        let retry = retry.bearer_auth(&person.token).send().await.unwrap();
        assert_eq!(problem(retry).await.status, 403);
        for remedy in ["retry", "discard"] {
            assert_eq!(
                problem(call(&app, &person, &letter, remedy).await).await.status,
                403
            );
        }
    }
    let response = app.get("/api/v1/dead-letters").send().await.unwrap();
    assert_eq!(problem(response).await.status, 401);
}

#[tokio::test]
async fn what_waits_behind_a_dead_letter_is_listed_in_its_order_page_by_page() {
    let app = TestApp::start().await;
    let (educator, ..) = damaged(&app).await;
    receive(&app, &educator, "mug", 8).await;
    get(&app, &educator, "/api/v1/views/inventory?after=0:4").await;
    let letters = get(&app, &educator, "/api/v1/dead-letters?view=inventory").await;
    let letter = &letters["data"][0];
    assert_eq!((&letter["position"], &letter["waiting"]), (&json!(2), &json!(2)));
    let path = format!("/api/v1/dead-letters/{}/waiting", letter["id"].as_str().unwrap());
    let first = get(&app, &educator, &format!("{path}?limit=1")).await;
    assert_eq!(
        (
            &first["data"][0]["type"],
            &first["data"][0]["version"],
            &first["next"]
        ),
        (&json!("StockReceived"), &json!(3), &json!("3"))
    );
    let second = get(&app, &educator, &format!("{path}?limit=1&cursor=3")).await;
    assert_eq!(
        (&second["data"][0]["position"], &second["next"]),
        (&json!(4), &Value::Null)
    );

    let there = app.educator().await;
    let elsewhere = app.get(&path).bearer_auth(&there.token).send().await.unwrap();
    assert_eq!(problem(elsewhere).await.status, 404);
    for (query, field) in [
        ("cursor=0", "cursor"),
        ("limit=201", "limit"),
        ("after=1", "after"),
    ] {
        let response = app
            .get(&format!("{path}?{query}"))
            .bearer_auth(&educator.token)
            .send();
        let problem = problem(response.await.unwrap()).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{query}");
    }
}

#[tokio::test]
async fn all_dead_letters_are_retried_page_by_page_and_what_still_fails_is_counted() {
    let app = TestApp::start().await;
    let (educator, sound, _) = damaged(&app).await;
    let letters = get(&app, &educator, "/api/v1/dead-letters").await;
    let count = letters["data"].as_array().unwrap().len();
    assert!(count > 0, "{letters}");
    let retry = async |query: &str| {
        let path = format!("/api/v1/dead-letters/retry{query}");
        let request = app.request(Method::POST, &path).bearer_auth(&educator.token);
        request.send().await.unwrap()
    };
    let still: Value = retry("?view=inventory").await.json().await.unwrap();
    assert_eq!(still, json!({"retried": 1, "applied": 0, "left": 1}));

    set_document(&app, "mug", &sound).await;
    let none: Value = retry("?view=orders").await.json().await.unwrap();
    assert_eq!(none, json!({"retried": 0, "applied": 0, "left": 0}));
    let done: Value = retry("?view=inventory&limit=1").await.json().await.unwrap();
    assert_eq!(done, json!({"retried": 1, "applied": 2, "left": 0}));
    let path = "/api/v1/dead-letters?view=inventory";
    assert_eq!(get(&app, &educator, path).await, json!({"data": []}));
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["data"]["on_hand"],
        7
    );
    assert_eq!(problem(retry("?limit=0").await).await.status, 400);
}

#[tokio::test]
async fn an_unknown_id_and_an_invalid_parameter_are_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for id in [Uuid::from_u128(7).to_string(), "nonsense".to_owned()] {
        let response = call(&app, &educator, &id.into(), "retry").await;
        assert_eq!(problem(response).await.status, StatusCode::NOT_FOUND);
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=a:1:0:99999999999999999999", "cursor"),
        ("views=inventory", "views"),
    ] {
        let path = format!("/api/v1/dead-letters?{query}");
        let problem = problem(app.get(&path).bearer_auth(&educator.token).send().await.unwrap()).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{query}");
    }
}

fn remote(app: &TestApp, person: &Person) -> Remote {
    Remote {
        url: app.url("").parse().unwrap(),
        token: person.token.clone(),
    }
}

async fn at_server(
    app: &TestApp,
    person: &Person,
    request: DeadLetterRequest<'_>,
) -> Result<String, MonitorError> {
    let mut out = Vec::new();
    on_server(&remote(app, person), request, Format::Text, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn the_terminal_handles_dead_letters_of_a_running_server() {
    let app = TestApp::start().await;
    let (educator, sound, _) = damaged(&app).await;
    let listed = at_server(&app, &educator, DeadLetterRequest::List(Some("inventory")))
        .await
        .unwrap();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(
        listed.contains("inventory-mug v2") && listed.contains("1 waiting"),
        "{listed}"
    );
    assert_eq!(
        at_server(&app, &educator, DeadLetterRequest::List(Some("orders")))
            .await
            .unwrap(),
        ""
    );
    let id = listed.split_whitespace().next().unwrap().parse().unwrap();
    let still = at_server(&app, &educator, DeadLetterRequest::Remedy(id, Remedy::Retry))
        .await
        .unwrap();
    assert!(
        still.contains("0 events were applied") && still.contains("waits behind"),
        "{still}"
    );
    let customer = app.with_role(&educator, Role::Customer);
    let refused = at_server(&app, &customer, DeadLetterRequest::Remedy(id, Remedy::Retry)).await;
    assert!(matches!(refused, Err(MonitorError::Remote(_))), "{refused:?}");
    set_document(&app, "mug", &sound).await;
    let done = at_server(&app, &educator, DeadLetterRequest::Remedy(id, Remedy::Discard))
        .await
        .unwrap();
    assert_eq!(done, "1 events were applied\n");
    let again = at_server(&app, &educator, DeadLetterRequest::Remedy(id, Remedy::Discard)).await;
    assert!(matches!(again, Err(MonitorError::Remote(_))), "{again:?}");
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["data"]["on_hand"],
        5
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_handles_dead_letters_in_the_files() {
    let app = TestApp::start().await;
    let (educator, sound, _) = damaged(&app).await;
    let app = app
        .restart_after(async |settings: &Settings| {
            let folder = settings.storage.data_dir.to_str().unwrap().to_owned();
            let workspace = educator.workspace.to_string();
            let run = async |action: &[&str]| {
                let whose = ["--data-dir", folder.as_str(), "--workspace", workspace.as_str()];
                foldline(&[["dead-letters"].as_slice(), action, whose.as_slice()].concat()).await
            };
            let (ok, listed, said) = run(&["list", "--format", "json"]).await;
            assert!(ok, "{said}");
            let letter: Value = serde_json::from_str(&listed).unwrap();
            assert_eq!(
                (&letter["stream"], &letter["waiting"]),
                (&json!("inventory-mug"), &json!(1))
            );
            let id = letter["id"].as_str().unwrap();
            let (ok, still, _) = run(&["retry", id]).await;
            assert!(ok && still.contains("0 events were applied"), "{still}");
            set_document_in(&settings.storage.data_dir, "mug", &sound).await;
            let (ok, done, said) = run(&["retry", id]).await;
            assert!(ok && done == "2 events were applied\n", "{done}{said}");
            let (ok, _, said) = run(&["retry", id]).await;
            assert!(!ok && said.contains("no dead letter of this id"), "{said}");
            let (ok, _, said) = run(&["retry"]).await;
            assert!(!ok && said.contains("<ID>"), "{said}");
            assert_eq!(run(&["list"]).await.1, "");
        })
        .await
        .unwrap();
    assert_eq!(
        get(&app, &educator, "/api/v1/views/inventory/mug").await["data"]["on_hand"],
        7
    );
    assert_eq!(
        get(&app, &educator, "/api/v1/verify").await["findings"],
        json!([])
    );
}
