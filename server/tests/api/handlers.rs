//! `GET /lab/handlers` and `GET /lab/handled`: where views, process managers and consumers are, and what each
//! has done with an event; and their pages.

use domain::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::{damaged, get, receive},
    dials::{reset, set},
};

const HANDLERS: &str = "/api/v1/lab/handlers";
const HANDLED: &str = "/api/v1/lab/handled";

/// The status of a handler.
pub(crate) async fn handler(app: &TestApp, person: &Person, name: &str) -> Value {
    let answer = get(app, person, HANDLERS).await;
    let mut handlers = answer["data"].as_array().unwrap().iter();
    handlers
        .find(|handler| handler["status"]["view"] == name)
        .unwrap()
        .clone()
}

/// What a handler has done with an event.
pub(crate) async fn handling(app: &TestApp, person: &Person, event: &str, name: &str) -> Value {
    let answer = get(app, person, &format!("{HANDLED}?event={event}")).await;
    let mut handlers = answer["data"].as_array().unwrap().iter();
    handlers.find(|handler| handler["name"] == name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_handler_is_listed_with_its_kind_its_position_and_its_lag() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 1).await;
    app.settled(&educator).await;
    let student = app.with_role(&educator, Role::Student);
    let answer = get(&app, &student, HANDLERS).await;
    assert_eq!(answer["head"], "0:1");
    for handler in answer["data"].as_array().unwrap() {
        let status = &handler["status"];
        assert_eq!(
            (&status["as_of"], &status["behind"]),
            (&json!("0:1"), &json!(0)),
            "{handler}"
        );
        assert_eq!(handler["behind_ms"], Value::Null, "{handler}");
    }
    for (name, kind) in [
        ("orders", "view"),
        ("fulfilment", "process-manager"),
        ("notification", "consumer"),
        ("analytics", "consumer"),
        ("search", "consumer"),
        ("erasure", "consumer"),
    ] {
        assert_eq!(handler(&app, &student, name).await["kind"], kind, "{name}");
    }

    set(
        &app,
        &educator,
        &json!({"projections": {"inventory": {"paused": true}}}),
    )
    .await;
    let last = receive(&app, &educator, "mug", 2).await;
    let path = format!("/api/v1/views/orders?after={}", last["token"].as_str().unwrap());
    get(&app, &educator, &path).await;
    let stock = handler(&app, &student, "inventory").await;
    assert_eq!(
        (&stock["status"]["as_of"], &stock["status"]["behind"]),
        (&json!("0:1"), &json!(1))
    );
    assert!(
        stock["behind_ms"].is_u64() && stock["status"]["paused"] == true,
        "{stock}"
    );
    assert_eq!(handler(&app, &student, "orders").await["status"]["behind"], 0);
    // Another workspace has nothing of it.
    let elsewhere = app.educator().await;
    assert_eq!(
        handler(&app, &elsewhere, "inventory").await["status"]["behind"],
        0
    );
    assert_eq!(
        handling(&app, &student, "0:2", "inventory").await["handling"],
        "behind"
    );
    reset(&app, &educator).await;
    app.settled(&educator).await;
    assert_eq!(
        handling(&app, &student, "0:2", "inventory").await["handling"],
        "handled"
    );
}

#[tokio::test]
async fn what_a_handler_has_done_with_an_event_is_known_by_the_events_id_and_by_its_place() {
    let app = TestApp::start().await;
    let (educator, _, last) = damaged(&app).await;
    for (event, expected) in [("0:1", "handled"), ("0:2", "dead-letter"), ("0:3", "waiting")] {
        let handled = handling(&app, &educator, event, "inventory").await;
        assert_eq!(
            (&handled["kind"], &handled["handling"]),
            (&json!("view"), &json!(expected))
        );
        assert_eq!(
            handled["reason"].is_string(),
            expected == "dead-letter",
            "{handled}"
        );
    }
    assert_eq!(
        handling(&app, &educator, "0:2", "orders").await["handling"],
        "handled"
    );
    let id = last["events"][0]["event_id"].as_str().unwrap();
    let by_id = get(&app, &educator, &format!("{HANDLED}?event={id}")).await;
    assert_eq!(by_id, get(&app, &educator, &format!("{HANDLED}?event=0:3")).await);
    assert_eq!(
        (
            &by_id["event_id"],
            &by_id["type"],
            &by_id["stream"],
            &by_id["version"]
        ),
        (
            &json!(id),
            &json!("StockReceived"),
            &json!("inventory-mug"),
            &json!(3)
        )
    );

    let letters = get(&app, &educator, "/api/v1/dead-letters?view=inventory").await;
    let letter = letters["data"][0]["id"].as_str().unwrap();
    let discard = format!("/api/v1/dead-letters/{letter}/discard");
    let discard = app
        .request(reqwest::Method::POST, &discard)
        .bearer_auth(&educator.token);
    assert_eq!(discard.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        handling(&app, &educator, "0:2", "inventory").await["handling"],
        "discarded"
    );
}

#[tokio::test]
async fn an_event_that_is_none_of_the_workspace_and_one_without_a_name_are_refused() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let there = app.educator().await;
    let answer = receive(&app, &there, "mug", 1).await;
    let id = answer["events"][0]["event_id"].as_str().unwrap();
    for event in ["0:1", "7:1", id] {
        let path = format!("{HANDLED}?event={event}");
        let response = app.get(&path).bearer_auth(&educator.token).send().await.unwrap();
        assert_eq!(problem(response).await.status, 404, "{event}");
    }
    for (query, field) in [
        ("", "event"),
        ("?event=", "event"),
        ("?event=order-1", "event"),
        ("?event=0:0", "event"),
        ("?event=0:1,1:1", "event"),
        ("?event=0:1&at=1", "at"),
    ] {
        let response = app
            .get(&format!("{HANDLED}{query}"))
            .bearer_auth(&educator.token)
            .send();
        let problem = problem(response.await.unwrap()).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{query}");
    }
    let customer = app.with_role(&educator, Role::Customer);
    let response = app
        .get(HANDLERS)
        .bearer_auth(&customer.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(response).await.status, 403);
}

/// A page of the lab, as a person without a script reads it.
async fn page(app: &TestApp, person: &Person, path: &str) -> String {
    let request = app
        .get(path)
        .header("cookie", format!("foldline_session={}", person.token));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_pages_are_whole_without_a_script() {
    let app = TestApp::start().await;
    let (educator, ..) = damaged(&app).await;
    let student = app.with_role(&educator, Role::Student);
    let handlers = page(&app, &student, "/lab/projections?event=0:2").await;
    for part in [
        "data-handler=\"inventory\"",
        "data-handler=\"fulfilment\"",
        "data-handler=\"notification\"",
        "data-handling=\"dead-letter\"",
        "href=\"/lab/dead-letters?view=inventory\"",
        "StockReceived",
    ] {
        assert!(handlers.contains(part), "{part}");
    }
    assert!(!handlers.contains("data-action="), "a student has no buttons");
    let unknown = page(&app, &student, "/lab/projections?event=0:99").await;
    assert!(unknown.contains("The log of this workspace has no such event."));

    let letters = page(&app, &student, "/lab/dead-letters?view=inventory").await;
    for part in [
        "data-letter=",
        "StockReceived",
        "1 event waits behind",
        "/lab/streams/inventory-mug",
    ] {
        assert!(letters.contains(part), "{part}");
    }
    let none = page(&app, &educator, "/lab/dead-letters?view=orders").await;
    assert!(none.contains("No dead letters"));
    let bent = json!({"projections": {"inventory": {"poison_type": "StockReceived"}}});
    set(&app, &educator, &bent).await;
    let poisoned = page(&app, &educator, "/lab/dead-letters").await;
    assert!(poisoned.contains("/lab/dials#projections.inventory.poison_type"));
    assert!(poisoned.contains("data-action=\"retry-all\""));
}
