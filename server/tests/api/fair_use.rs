//! What one client uses takes nothing from the others: limits of people, of addresses and of workspaces.

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use futures::future::join_all;
use reqwest::{Method, Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, problem},
    mailbox::subjects,
};

/// More requests than any limit of these tests has room for.
const MANY: usize = 1_000;

fn register(user: Uuid) -> Value {
    json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": format!("{}@example.org", user.simple()), "display_name": "Ada Lovelace",
        "password": "correct horse battery",
    }})
}

async fn session(app: &TestApp, token: &str) -> Response {
    let request = app.get("/api/v1/session").bearer_auth(token);
    request.send().await.unwrap()
}

async fn id(app: &TestApp, person: &Person) -> Uuid {
    let session: Value = session(app, &person.token).await.json().await.unwrap();
    session["actor_id"].as_str().unwrap().parse().unwrap()
}

/// Sends requests until one is refused by a limit; the refusal.
async fn refused(mut send: impl AsyncFnMut() -> Response) -> Response {
    for _ in 0..MANY {
        let response = send().await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(response.headers().contains_key(RETRY_AFTER));
            return response;
        }
    }
    panic!("nothing was refused");
}

async fn call(app: &TestApp, person: &Person, method: Method, path: &str) -> Response {
    let request = app.request(method, path).bearer_auth(&person.token);
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_person_of_the_same_id_in_another_workspace_uses_nothing_of_the_limit() {
    let app = TestApp::start_with(&["--requests-per-minute", "200"]).await;
    let educator = app.educator().await;
    let victim = app.student(&educator.join_code).await;
    let sandbox = app.educator().await;
    let double = app.another_token(&sandbox, id(&app, &victim).await);
    refused(async || session(&app, &double).await).await;
    assert_eq!(session(&app, &victim.token).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn registrations_by_commands_are_charged_to_the_address() {
    let app = TestApp::start_with(&["--requests-per-minute", "120"]).await;
    let educator = app.educator().await;
    // Each is of another person, who has not sent anything yet.
    let refusal = refused(async || {
        let person = app.with_role(&educator, Role::Educator);
        let command = register(SystemClock.new_id());
        let request = app.post("/api/v1/commands", &command);
        request.bearer_auth(&person.token).send().await.unwrap()
    });
    assert_eq!(problem(refusal.await).await.kind, "/problems/rate-limited");
}

#[tokio::test]
async fn registrations_over_the_socket_are_charged_to_the_address() {
    let app = TestApp::start_with(&["--requests-per-minute", "120"]).await;
    let educator = app.educator().await;
    for n in 0..MANY {
        let person = app.with_role(&educator, Role::Educator);
        let mut live = app.live(&person).await;
        let command = register(SystemClock.new_id());
        live.send(&json!({"op": "command", "id": 1, "command": command, "idempotency_key": n.to_string()}))
            .await;
        let result = live.next_of("result").await;
        if result["problem"]["status"] == 429 {
            return;
        }
        assert_eq!(result["problem"], Value::Null, "{result}");
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn work_on_a_whole_workspace_is_charged_to_the_address_and_the_workspace() {
    for (method, path) in [
        (Method::GET, "/api/v1/verify"),
        (Method::GET, "/api/v1/export"),
        (Method::POST, "/api/v1/lab/projections/orders/rebuild"),
        (Method::POST, "/api/v1/lab/projections/orders/crash"),
        (Method::POST, "/api/v1/dead-letters/retry"),
    ] {
        let app = TestApp::start_with(&["--requests-per-minute", "240"]).await;
        let educator = app.educator().await;
        let refusal = refused(async || {
            let person = app.with_role(&educator, Role::Educator);
            let response = call(&app, &person, method.clone(), path).await;
            assert!(
                response.status().is_success() || response.status().is_client_error(),
                "{path}: {}",
                response.status()
            );
            response
        });
        problem(refusal.await).await;
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_is_verified_once_at_a_time_and_others_do_not_wait_for_it() {
    let app = TestApp::start().await;
    let (tenant, other) = (app.educator_of("shop").await, app.educator_of("shop").await);
    let flood = (0..40).map(|_| call(&app, &tenant, Method::GET, "/api/v1/verify"));
    let (flood, others) = tokio::join!(join_all(flood), call(&app, &other, Method::GET, "/api/v1/verify"));
    assert_eq!(others.status(), StatusCode::OK);
    let mut verified = 0;
    for response in flood {
        if response.status() == StatusCode::OK {
            verified += 1;
        } else {
            assert!(response.headers().contains_key(RETRY_AFTER));
            let busy = problem(response).await;
            assert_eq!((busy.status, busy.kind.as_str()), (409, "/problems/busy"));
        }
    }
    assert!(verified > 0);
    // It has ended, so it can begin again.
    let again = call(&app, &tenant, Method::GET, "/api/v1/verify").await;
    assert_eq!(again.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_tests_verifications_of_one_workspace_wait_for_each_other() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let suites = (0..20).map(|_| call(&app, &educator, Method::GET, "/api/v1/verify"));
    for response in join_all(suites).await {
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_of_forty_behind_one_address_forgets_its_passwords_and_gets_its_links() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let class = (0..40).map(|_| async {
        let student = app.student(&educator.join_code).await;
        let user = id(&app, &student).await;
        app.command(&student, &register(user)).await;
        let forgotten = json!({"email": format!("{}@example.org", user.simple())});
        let answer = app.post("/api/v1/password-resets", &forgotten).send().await;
        assert_eq!(answer.unwrap().status(), StatusCode::ACCEPTED);
        user
    });
    let class = join_all(class).await;
    app.resets_done().await;
    app.settled(&educator).await;
    for user in class {
        let of_user = format!("?user={user}");
        assert_eq!(
            subjects(&app, &educator, &of_user).await,
            ["Set a new password", "Welcome"]
        );
    }
}

#[tokio::test]
async fn a_client_address_enters_so_many_email_addresses_in_an_hour_and_another_has_its_own_count() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1,::1"]).await;
    app.stop_clock();
    let educator = app.educator().await;
    // Each has a field that is missing: what counts is that a client enters addresses.
    let enter = async |address: &str, kind: &str| {
        let user = SystemClock.new_id();
        let data = json!({"email": format!("{}@example.org", user.simple())});
        let command = json!({"type": kind, "stream": format!("user-{user}"), "data": data});
        let request = app
            .post("/api/v1/commands", &command)
            .bearer_auth(&educator.token);
        request.header("x-forwarded-for", address).send().await.unwrap()
    };
    for _ in 0..300 {
        let entered = enter("192.0.2.1", "ChangeEmail").await;
        assert_ne!(entered.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    for kind in ["ChangeEmail", "RegisterUser"] {
        let refusal = enter("192.0.2.1", kind).await;
        assert!(refusal.headers().contains_key(RETRY_AFTER), "{kind}");
        assert_eq!(problem(refusal).await.kind, "/problems/rate-limited");
        let elsewhere = enter("192.0.2.2", kind).await;
        assert_ne!(elsewhere.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    app.pass_minutes(60);
    let later = enter("192.0.2.1", "RegisterUser").await;
    assert_ne!(later.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_of_forty_behind_one_address_joins_and_registers_by_default() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let class = (0..40).map(|_| async {
        let student = app.student(&educator.join_code).await;
        let user = id(&app, &student).await;
        app.command(&student, &register(user)).await;
        let sign_in = json!({"email": format!("{}@example.org", user.simple()),
            "password": "correct horse battery", "workspace": educator.workspace});
        let signed_in = app.post("/api/v1/sessions", &sign_in).send().await.unwrap();
        assert_eq!(signed_in.status(), StatusCode::OK);
        for page in ["/shop", "/api/v1/views/products"] {
            let shown = call(&app, &student, Method::GET, page).await;
            assert_eq!(shown.status(), StatusCode::OK, "{page}");
        }
    });
    join_all(class).await;
}
