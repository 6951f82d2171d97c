//! People with an account: they register and sign in, and an email has one account.

mod erasure;
mod language;
mod password_confirmation;
mod sessions;
mod sign_in;

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clock::{Clock as _, SystemClock};
use domain::access::Role;
use identity::PersonId;
use reqwest::{
    Method, Response, StatusCode,
    header::{RETRY_AFTER, SET_COOKIE},
};
use serde_json::{Value, json};

use test_postgres::Database;
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, list_product, place_order, problem},
    schemas::append_as_of,
};

const PASSWORD: &str = "correct horse battery";

/// The id of a token's person.
async fn id(app: &TestApp, person: &Person) -> Uuid {
    let session: Value = app
        .get("/api/v1/session")
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    session["actor_id"].as_str().unwrap().parse().unwrap()
}

fn register(user: Uuid, email: &str) -> Value {
    json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": email, "display_name": "Ada Lovelace", "password": PASSWORD,
    }})
}

async fn send(app: &TestApp, person: &Person, command: &Value) -> Response {
    app.post("/api/v1/commands", command)
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
}

/// A student who has registered; their id too.
async fn registered(app: &TestApp, educator: &Person, email: &str) -> (Person, Uuid) {
    let person = app.student(&educator.join_code).await;
    let user = id(app, &person).await;
    app.command(&person, &register(user, email)).await;
    (person, user)
}

async fn sign_in(app: &TestApp, body: &Value) -> Response {
    app.post("/api/v1/sessions", body).send().await.unwrap()
}

fn credentials(email: &str, password: &str, person: &Person) -> Value {
    json!({"email": email, "password": password, "workspace": person.workspace})
}

/// The value of a cookie that an answer sets.
fn cookie(response: &Response, name: &str) -> Option<String> {
    response.headers().get_all(SET_COOKIE).iter().find_map(|cookie| {
        let (found, value) = cookie.to_str().ok()?.split(';').next()?.split_once('=')?;
        (found == name).then(|| value.to_owned())
    })
}

async fn refresh(app: &TestApp, token: &str) -> Response {
    app.request(Method::POST, "/api/v1/sessions/refresh")
        .header("cookie", format!("foldline_refresh={token}"))
        .send()
        .await
        .unwrap()
}

async fn document(app: &TestApp, person: &Person, path: &str, after: &Value) -> Value {
    let path = format!("/api/v1/views/{path}?after={}", after.as_str().unwrap());
    let response = app.get(&path).bearer_auth(&person.token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

/// The files under the data folder whose bytes hold a text.
fn files_with(app: &TestApp, text: &str) -> BTreeSet<String> {
    let mut folders = vec![app.folder().to_owned()];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if memchr::memmem::find(&std::fs::read(&path).unwrap(), text.as_bytes()).is_some() {
                found.insert(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_person_registers_signs_in_and_is_the_same_person() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, " Ada@Example.org ").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let set: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    let flags = set[0].to_str().unwrap().to_owned();
    for flag in ["foldline_refresh=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(flags.contains(flag), "{flags}");
    }
    assert!(!flags.contains("Secure"), "not without HTTPS: {flags}");
    let access: Value = response.json().await.unwrap();
    assert_eq!(access["workspace"], json!(person.workspace));
    assert_eq!(access["expires_in"], 900);
    let session: Value = app
        .get("/api/v1/session")
        .bearer_auth(access["token"].as_str().unwrap())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(session["actor_id"], json!(user));
    assert_eq!(session["role"], "customer");
    assert_eq!(session["display_name"], "Ada Lovelace");
    // without a workspace: the only one where email and password match, or the one of the caller's token
    let body = json!({"email": "ADA@example.org", "password": PASSWORD});
    assert_eq!(sign_in(&app, &body).await.status(), StatusCode::OK);
    let elsewhere = app.educator().await;
    let there = app
        .post("/api/v1/sessions", &body)
        .bearer_auth(&elsewhere.token)
        .send()
        .await
        .unwrap();
    assert_eq!(there.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unknown_email_and_a_wrong_password_have_the_same_answer() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let wrong =
        problem(sign_in(&app, &credentials("ada@example.org", "wrong password", &person)).await).await;
    let unknown = problem(sign_in(&app, &credentials("eve@example.org", PASSWORD, &person)).await).await;
    assert_eq!(wrong, unknown);
    assert_eq!(
        (wrong.status, wrong.kind.as_str()),
        (401, "/problems/wrong-credentials")
    );
    for body in [
        json!({"email": "ada@example.org"}),
        json!({"email": "", "password": PASSWORD}),
        json!({"email": "ada@example.org", "password": "x".repeat(201)}),
        json!({"email": "ada@example.org", "password": PASSWORD, "workspace": "nonsense"}),
        json!({"email": "ada@example.org", "password": PASSWORD, "remember": true}),
    ] {
        let refused = problem(sign_in(&app, &body).await).await;
        assert_eq!(refused.status, 400, "{body}");
        assert_eq!(refused.violations.len(), 1, "{refused:?}");
    }
}

#[tokio::test]
async fn in_several_workspaces_the_account_that_was_used_last_is_signed_in_to() {
    let app = TestApp::start().await;
    let (first, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let (second, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    for person in [&first, &second, &first] {
        let named = sign_in(&app, &credentials("ada@example.org", PASSWORD, person)).await;
        assert_eq!(named.status(), StatusCode::OK);
        let anywhere = sign_in(&app, &body).await;
        assert_eq!(anywhere.status(), StatusCode::OK);
        let access: Value = anywhere.json().await.unwrap();
        assert_eq!(access["workspace"], json!(person.workspace));
    }
}

#[tokio::test]
async fn attempts_at_a_password_are_limited() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let mut refused = None;
    // The limit is ten, and one more every six seconds, which a slow machine may need for one.
    for _ in 0..100 {
        let response = sign_in(&app, &credentials("ada@example.org", "wrong password", &person)).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert!(refused.headers().contains_key(RETRY_AFTER));
    problem(refused).await;
    // another email has its own count
    let other = sign_in(&app, &credentials("eve@example.org", PASSWORD, &person)).await;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
}

async fn one_email_has_one_account(app: TestApp) {
    let educator = app.educator_with_shards(4).await;
    let registrations = (0..32).map(|_| {
        let user = SystemClock.new_id();
        let (app, educator) = (&app, &educator);
        async move {
            (
                user,
                send(app, educator, &register(user, "ada@example.org")).await,
            )
        }
    });
    let (mut registered, mut refused) = (Vec::new(), 0);
    for (user, response) in futures::future::join_all(registrations).await {
        if response.status() == StatusCode::OK {
            registered.push(user);
        } else {
            let problem = problem(response).await;
            assert_eq!(
                (problem.status, fields(&problem)),
                (422, vec!["data.email"]),
                "{problem:?}"
            );
            assert_eq!(problem.rule.as_deref(), Some("email-taken"));
            refused += 1;
        }
    }
    assert_eq!((registered.len(), refused), (1, 31));
    // after the erasure the email is free for another account
    let user = registered[0];
    let erased = json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": {}});
    app.command(&educator, &erased).await;
    app.command(&educator, &register(SystemClock.new_id(), "ada@example.org"))
        .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_registrations_with_one_email_one_succeeds() {
    one_email_has_one_account(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_registrations_with_one_email_one_succeeds_on_postgresql() {
    let database = Database::new().await;
    let stores = ["--event-store", &database.url, "--read-model", &database.url];
    let app = TestApp::start_with(&stores).await;
    one_email_has_one_account(app).await;
}

#[tokio::test]
async fn after_a_change_the_new_email_signs_in_and_the_old_one_is_free() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let changed = json!({"type": "ChangeEmail", "stream": format!("user-{user}"),
        "data": {"email": "countess@example.org", "password": PASSWORD}});
    app.command(&person, &changed).await;
    for (email, status) in [
        ("ada@example.org", StatusCode::UNAUTHORIZED),
        ("countess@example.org", StatusCode::OK),
    ] {
        let named = sign_in(&app, &credentials(email, PASSWORD, &person)).await;
        assert_eq!(named.status(), status, "{email}");
        let anywhere = sign_in(&app, &json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(anywhere.status(), status, "{email}");
    }
    registered(&app, &educator, "ada@example.org").await;
    // back to the old email, which another account has now
    let back = json!({"type": "ChangeEmail", "stream": format!("user-{user}"),
        "data": {"email": "ada@example.org", "password": PASSWORD}});
    let refused = problem(send(&app, &person, &back).await).await;
    assert_eq!((refused.status, fields(&refused)), (422, vec!["data.email"]));
    // the own email in another spelling is accepted
    let same = json!({"type": "ChangeEmail", "stream": format!("user-{user}"),
        "data": {"email": "Countess@example.org", "password": PASSWORD}});
    app.command(&person, &same).await;
    let still = sign_in(&app, &credentials("countess@example.org", PASSWORD, &person)).await;
    assert_eq!(still.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_password_is_in_no_file_and_in_no_answer() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let person = app.student(&educator.join_code).await;
    let user = id(&app, &person).await;
    let send = || {
        app.post("/api/v1/commands", &register(user, "ada@example.org"))
            .bearer_auth(&person.token)
            .header("idempotency-key", "register")
            .send()
    };
    let first = send().await.unwrap().text().await.unwrap();
    let again = send().await.unwrap().text().await.unwrap();
    assert_eq!(first, again);
    assert!(!first.contains(PASSWORD));
    let signed_in = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(signed_in.status(), StatusCode::OK);
    assert!(files_with(&app, PASSWORD).is_empty());
}

#[tokio::test]
async fn a_copied_ciphertext_in_a_command_is_refused() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let (_, user) = registered(&app, &educator, "ada@example.org").await;
    let log: Value = app
        .get(&format!("/api/v1/streams/user-{user}"))
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let sealed = &log["data"][0]["payload"]["email"];
    let thief = app.student(&educator.join_code).await;
    let order = SystemClock.new_id();
    app.command(&thief, &place_order(order, "mug-01")).await;
    let cancel =
        json!({"type": "CancelOrder", "stream": format!("order-{order}"), "data": {"reason": sealed}});
    let refused = problem(send(&app, &thief, &cancel).await).await;
    assert_eq!((refused.status, fields(&refused)), (400, vec!["data"]));
}

#[tokio::test]
async fn staff_is_registered_by_educators_and_acts_as_staff() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let user = SystemClock.new_id();
    let mut command = register(user, "staff@example.org");
    command["data"]["role"] = json!("staff");
    let student = app.student(&educator.join_code).await;
    let refused = problem(send(&app, &student, &command).await).await;
    assert_eq!(
        (refused.status, refused.rule.as_deref()),
        (422, Some("not-your-account"))
    );
    app.command(&educator, &command).await;
    let response = sign_in(&app, &credentials("staff@example.org", PASSWORD, &educator)).await;
    let access: Value = response.json().await.unwrap();
    let staff = Person {
        token: access["token"].as_str().unwrap().to_owned(),
        ..educator.clone()
    };
    app.command(&staff, &list_product("mug-02")).await;
    // no role may reserve an email by a command
    let reserve = json!({"type": "ReserveEmail", "stream": "email-1", "data": {"user": user}});
    assert_eq!(problem(send(&app, &educator, &reserve).await).await.status, 403);
}

#[tokio::test]
async fn the_password_of_a_refused_registration_does_not_sign_in() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let mut again = register(user, "ada@example.org");
    again["data"]["password"] = json!("another password");
    let refused = problem(send(&app, &person, &again).await).await;
    assert_eq!(refused.rule.as_deref(), Some("user-already-registered"));
    for (password, status) in [("another password", 401), (PASSWORD, 200)] {
        let response = sign_in(&app, &credentials("ada@example.org", password, &person)).await;
        assert_eq!(response.status().as_u16(), status, "{password}");
    }
}

#[tokio::test]
async fn a_template_has_three_customers_who_cannot_sign_in() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    app.settled(&educator).await;
    let customers: Value = app
        .get("/api/v1/views/customers")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let names: BTreeSet<_> = customers["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["data"]["display_name"].as_str().unwrap().to_owned())
        .collect();
    for name in ["Noor Haddad", "Mateo Rossi", "Yuki Tanaka"] {
        assert!(names.contains(name), "{names:?}");
    }
    let refused = sign_in(&app, &credentials("noor@example.org", "", &educator)).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let refused = sign_in(&app, &credentials("noor@example.org", PASSWORD, &educator)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn customers_read_their_own_document_and_no_others() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let access: Value = response.json().await.unwrap();
    let ada = Person {
        token: access["token"].as_str().unwrap().to_owned(),
        ..person
    };
    let (_, other) = registered(&app, &educator, "bob@example.org").await;
    let changed = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"),
        "data": {"display_name": "Ada"}});
    let token = app.command(&ada, &changed).await["token"].clone();
    let own = document(&app, &ada, &format!("customers/{user}"), &token).await;
    assert_eq!(own["data"]["display_name"], "Ada");
    let get = |path: String| app.get(&path).bearer_auth(&ada.token).send();
    let others = get(format!("/api/v1/views/customers/{other}")).await.unwrap();
    assert_eq!(others.status(), StatusCode::NOT_FOUND);
    let unknown = get(format!("/api/v1/views/customers/{}", SystemClock.new_id()))
        .await
        .unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    for listing in ["all", "by_spend"] {
        let refused = get(format!("/api/v1/views/customers?listing={listing}"))
            .await
            .unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{listing}");
    }
    let mut live = app.live(&ada).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "customers", "listing": "all"}))
        .await;
    assert_eq!(live.next_of("error").await["problem"]["status"], 403);
    live.send(&json!({"op": "subscribe", "id": 2, "view": "customers", "key": other}))
        .await;
    assert_eq!(live.next_of("snapshot").await["data"], Value::Null);
}
