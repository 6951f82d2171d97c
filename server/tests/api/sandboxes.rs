//! The quotas of a sandbox: events, documents and their bytes, people, live subscriptions; and the sandboxes
//! that one address may open.

use std::collections::HashSet;

use domain::wire::Problem;
use futures::future::join_all;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    app::{Person, TestApp, list_product, problem},
    mailbox::registered,
};

async fn list(app: &TestApp, person: &Person, sku: &str) -> Response {
    app.post("/api/v1/commands", &list_product(sku))
        .bearer_auth(&person.token)
        .header("idempotency-key", sku)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_full_sandbox_refuses_events_says_what_to_do_and_repeats_its_answers() {
    let app = TestApp::start_with(&["--sandbox-events", "3"]).await;
    let educator = app.educator().await;
    let first: Value = list(&app, &educator, "mug-1").await.json().await.unwrap();
    for sku in ["mug-2", "mug-3"] {
        assert_eq!(list(&app, &educator, sku).await.status(), StatusCode::OK);
    }
    for _ in 0..2 {
        let refused = list(&app, &educator, "mug-4").await;
        assert!(
            refused.headers().get(RETRY_AFTER).is_none(),
            "waiting does not help"
        );
        let refused = problem(refused).await;
        assert_eq!(
            (refused.status, refused.kind.as_str()),
            (429, "/problems/quota-exceeded")
        );
        for said in ["3 events", "export", "open a new workspace"] {
            assert!(refused.detail.contains(said), "{}", refused.detail);
        }
    }
    let again: Value = list(&app, &educator, "mug-1").await.json().await.unwrap();
    assert_eq!(again, first);
    // the same over the socket
    let mut live = app.live(&educator).await;
    live.send(
        &json!({"op": "command", "id": 1, "command": list_product("mug-5"), "idempotency_key": "mug-5"}),
    )
    .await;
    let result = live.next_of("result").await;
    assert_eq!(result["problem"]["type"], "/problems/quota-exceeded", "{result}");
    // another sandbox has its own count
    let other = app.educator().await;
    assert_eq!(list(&app, &other, "mug-1").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commands_fill_a_sandbox_exactly() {
    let app = TestApp::start_with(&["--sandbox-events", "10"]).await;
    let educator = app.educator_with_shards(4).await;
    let skus: Vec<_> = (0..40).map(|n| format!("mug-{n}")).collect();
    let answers = join_all(skus.iter().map(|sku| list(&app, &educator, sku))).await;
    let accepted: HashSet<_> = skus
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.status() == StatusCode::OK)
        .map(|(sku, _)| sku)
        .collect();
    assert_eq!(accepted.len(), 10);
    // a repeated command gets its first outcome
    for (sku, answer) in skus.iter().zip(answers) {
        let again = list(&app, &educator, sku).await.status();
        assert_eq!(again, answer.status(), "{sku}");
    }
}

#[tokio::test]
async fn a_person_in_a_full_sandbox_can_be_erased() {
    let app = TestApp::start_with(&["--sandbox-events", "2"]).await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    let full = problem(list(&app, &educator, "mug").await).await;
    assert_eq!(full.kind, "/problems/quota-exceeded");
    let erase = json!({"type": "EraseUser", "stream": format!("user-{user}"),
        "data": {"password": "correct horse battery"}});
    app.command(&ada, &erase).await;
}

/// Lists products until one is refused; how many were accepted, and the refusal.
async fn fill(app: &TestApp, person: &Person) -> (usize, Problem) {
    for listed in 0..5_000 {
        let mut product = list_product(&format!("mug-{listed}"));
        product["data"]["description"] = "x".repeat(2_000).into();
        let response = app
            .post("/api/v1/commands", &product)
            .bearer_auth(&person.token)
            .header("idempotency-key", format!("mug-{listed}"))
            .send()
            .await
            .unwrap();
        if response.status() != StatusCode::OK {
            assert!(response.headers().get(RETRY_AFTER).is_none());
            return (listed, problem(response).await);
        }
    }
    panic!("no product was refused");
}

/// The documents of a workspace's view as files, which is where these tests store them.
async fn stored_documents(app: &TestApp) -> i64 {
    let options = SqliteConnectOptions::new()
        .filename(app.folder().join("views.db"))
        .read_only(true);
    let mut views = SqliteConnection::connect_with(&options).await.unwrap();
    let (count,): (i64,) = sqlx::query_as("select count(*) from documents")
        .fetch_one(&mut views)
        .await
        .unwrap();
    views.close().await.unwrap();
    count
}

#[tokio::test]
async fn a_sandbox_that_is_full_of_documents_refuses_commands_and_names_the_quota() {
    let app = TestApp::start_with(&["--sandbox-documents", "60"]).await;
    let educator = app.educator().await;
    let (ada, user) = registered(&app, &educator, "ada@example.org").await;
    let (listed, refused) = fill(&app, &educator).await;
    assert!(listed >= 5, "{listed} were listed");
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (429, "/problems/quota-exceeded")
    );
    for said in ["60 documents", "export", "open a new workspace"] {
        assert!(refused.detail.contains(said), "{}", refused.detail);
    }
    app.settled(&educator).await;
    assert!(stored_documents(&app).await <= 60);
    // a repetition gets its answer, an erasure and the end of emails their right, and another sandbox its own
    assert_eq!(repeat(&app, &educator, "mug-0").await, StatusCode::OK);
    for command in [
        json!({"type": "StopMails", "stream": format!("inbox-{user}"), "data": {}}),
        json!({"type": "EraseUser", "stream": format!("user-{user}"),
            "data": {"password": "correct horse battery"}}),
    ] {
        app.command(&ada, &command).await;
    }
    let other = app.educator().await;
    assert_eq!(list(&app, &other, "mug-1").await.status(), StatusCode::OK);
}

/// Sends the command of [`fill`] again; its status.
async fn repeat(app: &TestApp, person: &Person, sku: &str) -> StatusCode {
    let mut product = list_product(sku);
    product["data"]["description"] = "x".repeat(2_000).into();
    let request = app.post("/api/v1/commands", &product).bearer_auth(&person.token);
    let response = request.header("idempotency-key", sku).send().await.unwrap();
    response.status()
}

#[tokio::test]
async fn a_sandbox_that_is_full_of_bytes_says_so() {
    let app = TestApp::start_with(&["--sandbox-megabytes", "1"]).await;
    let educator = app.educator().await;
    let (_, refused) = fill(&app, &educator).await;
    assert_eq!(refused.kind, "/problems/quota-exceeded");
    assert!(
        refused.detail.contains("1000000 bytes of documents"),
        "{}",
        refused.detail
    );
}

#[tokio::test]
async fn what_a_sandbox_has_stored_counts_again_after_a_restart() {
    let app = TestApp::start_with(&["--sandbox-documents", "60"]).await;
    let educator = app.educator().await;
    fill(&app, &educator).await;
    app.settled(&educator).await;
    let before = stored_documents(&app).await;
    let app = app.restart().await;
    app.settled(&educator).await;
    let (listed, _) = fill(&app, &educator).await;
    // The products of before are listed already: a repetition is answered, and each new one is a document.
    assert!(listed <= 60, "{listed} more were listed");
    app.settled(&educator).await;
    let after = stored_documents(&app).await;
    assert!(before <= after && after <= 60, "{before} became {after}");
}

#[tokio::test]
async fn commands_that_change_nothing_fill_a_sandbox_too() {
    let app = TestApp::start_with(&["--sandbox-documents", "60"]).await;
    let educator = app.educator().await;
    let session = app.get("/api/v1/session").bearer_auth(&educator.token);
    let session: Value = session.send().await.unwrap().json().await.unwrap();
    let stream = format!("inbox-{}", session["actor_id"].as_str().unwrap());
    // Each key is answered again when it is repeated, so each answer is kept.
    let send = async |command: &str, key: usize| {
        let command = json!({"type": command, "stream": stream, "data": {}});
        let request = app
            .post("/api/v1/commands", &command)
            .bearer_auth(&educator.token);
        let request = request.header("idempotency-key", format!("key-{key}"));
        request.send().await.unwrap()
    };
    // A full sandbox takes the end of emails, and only the first one ends them.
    for (command, keys) in [("ResumeMails", 0..1_000), ("StopMails", 1_000..2_000)] {
        let mut refused = None;
        for key in keys {
            let response = send(command, key).await;
            if response.status() != StatusCode::OK {
                refused = Some(problem(response).await.kind);
                break;
            }
        }
        assert_eq!(refused.as_deref(), Some("/problems/quota-exceeded"), "{command}");
    }
    let stopped = "/api/v1/events?type=MailsStopped";
    let stopped = app
        .get(stopped)
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    let stopped: Value = stopped.json().await.unwrap();
    assert_eq!(stopped["data"].as_array().unwrap().len(), 1, "{stopped}");
}

#[tokio::test]
async fn a_template_is_never_too_large_for_its_sandbox() {
    let app = TestApp::start_with(&["--sandbox-events", "1"]).await;
    let educator = app.educator_of("shop").await;
    assert_eq!(
        problem(list(&app, &educator, "mug").await).await.kind,
        "/problems/quota-exceeded"
    );
}

async fn post_form(app: &TestApp, path: &str, form: String) -> Response {
    app.request(Method::POST, path)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap()
}

async fn join(app: &TestApp, code: &str) -> Response {
    let body = json!({"code": code, "display_name": "Ada"});
    app.post("/api/v1/workspaces/join", &body).send().await.unwrap()
}

#[tokio::test]
async fn a_sandbox_has_a_quota_of_people() {
    let app = TestApp::start_with(&["--sandbox-people", "3"]).await;
    let educator = app.educator().await;
    for _ in 0..2 {
        app.student(&educator.join_code).await;
    }
    let refused = problem(join(&app, &educator.join_code).await).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (429, "/problems/quota-exceeded")
    );
    for said in ["3 people", "open a workspace of your own"] {
        assert!(refused.detail.contains(said), "{}", refused.detail);
    }
    let form = format!("code={}&display_name=Ada", educator.join_code);
    let sent_back = post_form(&app, "/session/join", form).await;
    let location = sent_back.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with("/join?problem=full"), "{location}");
    let page = app.get(&location).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("This workspace is full"));
    // a restart does not reset the count
    let app = app.restart().await;
    assert_eq!(join(&app, &educator.join_code).await.status(), 429);
    assert_eq!(join(&app, "NOSUCH1").await.status(), 404);
}

#[tokio::test]
async fn one_address_takes_its_share_of_the_places_and_people_elsewhere_still_get_in() {
    let app = TestApp::start_with(&["--sandbox-people", "100", "--trusted-proxies", "127.0.0.0/8,::1"]).await;
    let educator = app.educator().await;
    let body = json!({"code": educator.join_code, "display_name": "Ada"});
    let join_from = async |address: &str| {
        let request = app.post("/api/v1/workspaces/join", &body);
        request.header("x-forwarded-for", address).send().await.unwrap()
    };
    let mut joined = 0;
    let refused = loop {
        let response = join_from("192.0.2.1").await;
        if response.status() != StatusCode::OK {
            break problem(response).await;
        }
        joined += 1;
        assert!(joined < 100, "one address has taken all places");
    };
    assert_eq!(joined, 60, "a class and more");
    assert_eq!(refused.kind, "/problems/quota-exceeded");
    assert!(refused.detail.contains("from your address"), "{}", refused.detail);
    let form = format!("code={}&display_name=Ada", educator.join_code);
    let sent_back = app
        .request(Method::POST, "/session/join")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("x-forwarded-for", "192.0.2.1")
        .body(form);
    let sent_back = sent_back.send().await.unwrap();
    let location = sent_back.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("/join?problem=full"), "{location}");
    assert_eq!(join_from("192.0.2.2").await.status(), StatusCode::OK);
    // Another sandbox has its own places.
    let other = app.educator().await;
    let body = json!({"code": other.join_code, "display_name": "Ada"});
    let request = app.post("/api/v1/workspaces/join", &body);
    let there = request
        .header("x-forwarded-for", "192.0.2.1")
        .send()
        .await
        .unwrap();
    assert_eq!(there.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_guest_who_did_nothing_and_is_gone_frees_the_place() {
    let app = TestApp::start_with(&["--sandbox-people", "3"]).await;
    let educator = app.educator().await;
    let acting = app.student(&educator.join_code).await;
    app.student(&educator.join_code).await;
    let session = app.get("/api/v1/session").bearer_auth(&acting.token);
    let session: Value = session.send().await.unwrap().json().await.unwrap();
    let stream = format!("inbox-{}", session["actor_id"].as_str().unwrap());
    app.command(
        &acting,
        &json!({"type": "StopMails", "stream": stream, "data": {}}),
    )
    .await;
    assert_eq!(
        join(&app, &educator.join_code).await.status(),
        429,
        "both are there"
    );
    app.pass_days(1);
    assert_eq!(join(&app, &educator.join_code).await.status(), StatusCode::OK);
    assert_eq!(
        join(&app, &educator.join_code).await.status(),
        429,
        "one has acted"
    );
}

#[tokio::test]
async fn a_sandbox_has_a_quota_of_open_subscriptions() {
    let app = TestApp::start_with(&["--sandbox-subscriptions", "2"]).await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    let (mut one, mut two) = (app.live(&educator).await, app.live(&student).await);
    let subscribe = |id: u64| json!({"op": "subscribe", "id": id, "view": "products"});
    one.send(&subscribe(1)).await;
    one.next_of("snapshot").await;
    two.send(&subscribe(1)).await;
    two.next_of("snapshot").await;
    for live in [&mut one, &mut two] {
        live.send(&subscribe(2)).await;
        let refused = live.next_of("error").await;
        assert_eq!(refused["id"], 2);
        assert_eq!(
            (&refused["problem"]["status"], &refused["problem"]["type"]),
            (&json!(429), &json!("/problems/quota-exceeded"))
        );
        let detail = refused["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains("2 live subscriptions"), "{detail}");
    }
    // a subscription that replaces another does not count twice; an ended one makes room
    one.send(&subscribe(1)).await;
    one.next_of("snapshot").await;
    one.send(&json!({"op": "unsubscribe", "id": 1})).await;
    one.send(&subscribe(3)).await;
    assert_eq!(one.next_of("snapshot").await["id"], 3);
    // a refused subscription does not count
    one.send(&json!({"op": "unsubscribe", "id": 3})).await;
    one.send(&json!({"op": "subscribe", "id": 4, "view": "no-such"}))
        .await;
    assert_eq!(one.next_of("error").await["problem"]["status"], 404);
    one.send(&subscribe(5)).await;
    assert_eq!(one.next_of("snapshot").await["id"], 5);
    let other = app.educator().await;
    let mut elsewhere = app.live(&other).await;
    elsewhere.send(&subscribe(1)).await;
    elsewhere.next_of("snapshot").await;
}

#[tokio::test]
async fn an_address_opens_sandboxes_up_to_its_limit() {
    let app = TestApp::start_with(&["--sandboxes-per-hour", "2"]).await;
    let educator = app.educator().await;
    app.educator().await;
    let body = json!({"template": "empty"});
    // signing in does not lift the limit
    for token in [None, Some(&educator.token)] {
        let mut request = app.post("/api/v1/workspaces", &body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let refused = request.send().await.unwrap();
        assert!(refused.headers().contains_key(RETRY_AFTER));
        let refused = problem(refused).await;
        assert_eq!(
            (refused.status, refused.kind.as_str()),
            (429, "/problems/rate-limited")
        );
        assert!(refused.detail.contains("2 workspaces"), "{}", refused.detail);
    }
    let sent_back = post_form(&app, "/session/open", "template=empty".to_owned()).await;
    assert_eq!(sent_back.headers()["location"], "/?problem=rate-limited");
    app.student(&educator.join_code).await;
}
