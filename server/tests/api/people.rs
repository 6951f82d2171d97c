//! People with an account: registered, signed in, renewed, erased; and that one email has one account.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::access::Role;
use reqwest::{
    Method, Response, StatusCode,
    header::{RETRY_AFTER, SET_COOKIE},
};
use serde_json::{Value, json};
use server::{
    clock::{Clock as _, SystemClock},
    people::{self, PersonId},
};
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, list_product, place_order, problem},
    postgres::Database,
    schemas::append_as_of,
};

const PASSWORD: &str = "correct horse battery";

/// Who a token speaks for.
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
    let path = format!(
        "/api/v1/views/{path}?after={}&timeout_ms=9000",
        after.as_str().unwrap()
    );
    let response = app.get(&path).bearer_auth(&person.token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn somebody_registers_signs_in_and_is_the_same_person() {
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
    // without a workspace: the only one where email and password fit; or the one of the sender's token
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
async fn an_unknown_email_and_a_wrong_password_are_one_answer() {
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
async fn in_several_workspaces_the_workspace_must_be_named() {
    let app = TestApp::start().await;
    let (first, _) = registered(&app, &app.educator().await, "ada@example.org").await;
    registered(&app, &app.educator().await, "ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let refused = problem(sign_in(&app, &body).await).await;
    assert_eq!((refused.status, fields(&refused)), (400, vec!["workspace"]));
    let named = sign_in(&app, &credentials("ada@example.org", PASSWORD, &first)).await;
    assert_eq!(named.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_email_is_not_tried_for_ever() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let mut refused = None;
    for _ in 0..12 {
        let response = sign_in(&app, &credentials("ada@example.org", "wrong password", &person)).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert!(refused.headers().contains_key(RETRY_AFTER));
    problem(refused).await;
    // somebody else's is another count
    let other = sign_in(&app, &credentials("eve@example.org", PASSWORD, &person)).await;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_is_renewed_and_a_token_that_comes_again_ends_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let first = cookie(&response, "foldline_refresh").unwrap();
    let renewed = refresh(&app, &first).await;
    assert_eq!(renewed.status(), StatusCode::OK);
    let second = cookie(&renewed, "foldline_refresh").unwrap();
    assert_ne!(first, second);
    // another tab of the same browser had sent the first one too
    let other_tab = refresh(&app, &first).await;
    assert_eq!(other_tab.status(), StatusCode::OK);
    let third = cookie(&other_tab, "foldline_refresh").unwrap();
    // much later it is no tab
    app.pass_days(1);
    let reused = refresh(&app, &first).await;
    assert_eq!(reused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(cookie(&reused, "foldline_refresh").as_deref(), Some(""));
    problem(reused).await;
    for of_the_family in [second, third] {
        let ended = refresh(&app, &of_the_family).await;
        assert_eq!(ended.status(), StatusCode::UNAUTHORIZED);
    }
    for nothing in ["", "nonsense"] {
        assert_eq!(refresh(&app, nothing).await.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn signed_out_is_signed_out_everywhere_and_again() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let token = cookie(&response, "foldline_refresh").unwrap();
    for _ in 0..2 {
        let out = app
            .request(Method::DELETE, "/api/v1/sessions")
            .header("cookie", format!("foldline_refresh={token}"))
            .send()
            .await
            .unwrap();
        assert_eq!(out.status(), StatusCode::NO_CONTENT);
        assert_eq!(cookie(&out, "foldline_session").as_deref(), Some(""));
        assert_eq!(cookie(&out, "foldline_refresh").as_deref(), Some(""));
    }
    assert_eq!(refresh(&app, &token).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_sites_page_neither_signs_in_nor_out() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, _) = registered(&app, &educator, "ada@example.org").await;
    for (method, path) in [
        (Method::POST, "/api/v1/sessions"),
        (Method::POST, "/api/v1/sessions/refresh"),
        (Method::DELETE, "/api/v1/sessions"),
    ] {
        let response = app
            .request(method, path)
            .header("origin", "http://evil.test")
            .json(&credentials("ada@example.org", PASSWORD, &person))
            .send()
            .await
            .unwrap();
        assert_eq!(problem(response).await.kind, "/problems/foreign-origin", "{path}");
    }
}

#[tokio::test]
async fn a_browser_stays_signed_in_as_long_as_its_cookie_renews_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let token = cookie(&response, "foldline_refresh").unwrap();
    let get = |cookies: String| app.get("/api/v1/session").header("cookie", cookies).send();
    // no access token at all: a page or a request gets one
    let renewed = get(format!("foldline_refresh={token}")).await.unwrap();
    assert_eq!(renewed.status(), StatusCode::OK);
    let access = cookie(&renewed, "foldline_session").unwrap();
    let next = cookie(&renewed, "foldline_refresh").unwrap();
    let session: Value = renewed.json().await.unwrap();
    assert_eq!(session["actor_id"], json!(user));
    // a young one is left alone
    let cookies = format!("foldline_session={access}; foldline_refresh={next}");
    assert!(
        get(cookies.clone())
            .await
            .unwrap()
            .headers()
            .get(SET_COOKIE)
            .is_none()
    );
    // an old one is renewed, but not without the cookie that renews it
    app.pass_days(1);
    let alone = get(format!("foldline_session={access}")).await.unwrap();
    assert_eq!(alone.status(), StatusCode::UNAUTHORIZED);
    let again = get(cookies).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    assert!(cookie(&again, "foldline_session").is_some() && cookie(&again, "foldline_refresh").is_some());
    let page = app
        .get("/orders")
        .header(
            "cookie",
            format!("foldline_refresh={}", cookie(&again, "foldline_refresh").unwrap()),
        )
        .send()
        .await
        .unwrap();
    assert!(cookie(&page, "foldline_session").is_some());
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
    // given back, it is free for somebody else
    let user = registered[0];
    let erased = json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": {}});
    app.command(&educator, &erased).await;
    app.command(&educator, &register(SystemClock.new_id(), "ada@example.org"))
        .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_register_one_email_at_once_one_does() {
    let patient = ["--request-timeout-ms", "60000"];
    one_email_has_one_account(TestApp::start_with(&patient).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_register_one_email_at_once_one_does_on_postgresql() {
    let database = Database::new().await;
    let stores = ["--event-store", &database.url, "--read-model", &database.url];
    // 32 hashes of passwords on whatever machine this is
    let patient = ["--request-timeout-ms", "60000"];
    let app = TestApp::start_with(&[&stores[..], &patient[..]].concat()).await;
    one_email_has_one_account(app).await;
}

#[tokio::test]
async fn another_email_is_signed_in_with_and_the_old_one_is_free() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let changed = json!({"type": "ChangeEmail", "stream": format!("user-{user}"), "data": {"email": "countess@example.org"}});
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
    // back to one that is somebody else's now
    let back = json!({"type": "ChangeEmail", "stream": format!("user-{user}"), "data": {"email": "ada@example.org"}});
    let refused = problem(send(&app, &person, &back).await).await;
    assert_eq!((refused.status, fields(&refused)), (422, vec!["data.email"]));
    // and the same one, spelled in another way, stays one's own
    let same = json!({"type": "ChangeEmail", "stream": format!("user-{user}"), "data": {"email": "Countess@example.org"}});
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

/// Somebody orders, registers, changes their name and is erased: what everybody else sees then, and what is left.
async fn erased_everywhere(app: TestApp, files: bool) {
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let person = app.student(&educator.join_code).await;
    let user = id(&app, &person).await;
    let order = SystemClock.new_id();
    app.command(&person, &register(user, "ada@example.org")).await;
    let signed_in = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let renews = cookie(&signed_in, "foldline_refresh").unwrap();
    let placed = app.command(&person, &place_order(order, "mug-01")).await;
    let customer = document(&app, &educator, &format!("customers/{user}"), &placed["token"]).await;
    assert_eq!(customer["data"]["email"], "ada@example.org");
    assert_eq!(customer["data"]["display_name"], "Ada Lovelace");
    assert_eq!(customer["data"]["orders"], 1);
    let shown = document(&app, &educator, &format!("orders/{order}"), &placed["token"]).await;
    assert_eq!(shown["data"]["customer"]["name"], "Ada");
    // a listing and a live frame say it too
    let mut live = app.live(&educator).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "customers", "listing": "all"}))
        .await;
    let snapshot = live.next_of("snapshot").await;
    assert_eq!(snapshot["data"][0]["data"]["display_name"], "Ada Lovelace");
    let name = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"), "data": {"display_name": "Countess Lovelace"}});
    app.command(&person, &name).await;
    let change = live.next_of("change").await;
    assert_eq!(change["data"]["display_name"], "Countess Lovelace");
    // the log itself is sealed
    let log: Value = app
        .get(&format!("/api/v1/streams/user-{user}"))
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let sealed = format!("sealed:{user}:");
    assert!(
        log["data"][0]["payload"]["email"]
            .as_str()
            .unwrap()
            .starts_with(&sealed)
    );

    // staff does not erase anybody, and the person does
    let erase = json!({"type": "EraseUser", "stream": format!("user-{user}"), "data": {}});
    let staff = app.with_role(&educator, Role::Staff);
    assert_eq!(problem(send(&app, &staff, &erase).await).await.status, 422);
    let erased = app.command(&person, &erase).await;
    let customer = document(&app, &educator, &format!("customers/{user}"), &erased["token"]).await;
    assert_eq!(customer["data"]["display_name"], "erased");
    assert_eq!(customer["data"]["erased"], true);
    assert!(customer["data"].get("email").is_none());
    let shown = document(&app, &educator, &format!("orders/{order}"), &erased["token"]).await;
    assert_eq!(shown["data"]["customer"]["name"], "erased");
    assert_eq!(shown["data"]["customer"]["id"], json!(user));
    let gone = live
        .next_where("the erasure", |frame| {
            frame["op"] == "change" && frame["data"]["erased"] == true
        })
        .await;
    assert_eq!(gone["data"]["display_name"], "erased");
    // nobody signs in any more, and nobody stays signed in
    let refused = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&app, &renews).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        send(&app, &person, &name).await.status(),
        StatusCode::UNAUTHORIZED
    );
    // again is the same
    let again = app.command(&educator, &erase).await;
    assert_eq!(again["events"], json!([]));
    // the chain is whole, and the views follow from the log
    let verified: Value = app
        .get("/api/v1/verify")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(verified["findings"], json!([]), "{verified}");
    if files {
        // files are looked at when they are closed: what was on its way to them has arrived
        app.settled(&educator).await;
        let app = app.restart().await;
        for text in ["ada@example.org", "Ada Lovelace", "Countess Lovelace"] {
            assert_eq!(files_with(&app, text), BTreeSet::new(), "{text}");
        }
        let customer = document(&app, &educator, &format!("customers/{user}"), &erased["token"]).await;
        assert_eq!(customer["data"]["display_name"], "erased", "also after a restart");
        app.stop().await;
    } else {
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_is_unreadable_everywhere_and_the_chain_is_whole() {
    erased_everywhere(TestApp::start().await, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_is_unreadable_on_postgresql_too() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    erased_everywhere(app, false).await;
}

#[tokio::test]
async fn nobody_sends_a_text_that_would_be_opened_where_it_is_shown() {
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
    // who holds an email is nobody's to say
    let reserve = json!({"type": "ReserveEmail", "stream": "email-1", "data": {"user": user}});
    assert_eq!(problem(send(&app, &educator, &reserve).await).await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let (other, other_user) = registered(&app, &educator, "bob@example.org").await;
    let orders = [SystemClock.new_id(), SystemClock.new_id()];
    app.command(&person, &place_order(orders[0], "mug-01")).await;
    let placed = app.command(&other, &place_order(orders[1], "mug-01")).await;
    let app = app
        .restart_after(async |settings| {
            // Both were about to be erased; of one it was stored.
            let store = people::open_store(&settings.storage.people()).await.unwrap();
            for person in [user, other_user] {
                let of = PersonId {
                    workspace: educator.workspace,
                    person,
                };
                store.note_erasure(of, SystemClock.now()).await.unwrap();
            }
            store.close().await;
            let stream = format!("user-{user}");
            append_as_of(
                settings,
                educator.workspace,
                &stream,
                ("UserErased", 1),
                &json!({}),
            )
            .await;
        })
        .await
        .unwrap();
    let names = async || {
        let mut names = Vec::new();
        for order in orders {
            let shown = document(&app, &educator, &format!("orders/{order}"), &placed["token"]).await;
            names.push(shown["data"]["customer"]["name"].clone());
        }
        names
    };
    assert_eq!(names().await, ["erased", "Ada"]);
    let refused = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let stays = sign_in(&app, &credentials("bob@example.org", PASSWORD, &person)).await;
    assert_eq!(stays.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_a_refused_registration_leaves_behind_signs_nobody_in() {
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
    let changed = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"), "data": {"display_name": "Ada"}});
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

#[tokio::test]
async fn a_browsers_socket_outlives_its_token_as_long_as_somebody_is_signed_in() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (person, user) = registered(&app, &educator, "ada@example.org").await;
    let response = sign_in(&app, &credentials("ada@example.org", PASSWORD, &person)).await;
    let renews = cookie(&response, "foldline_refresh").unwrap();
    let access: Value = response.json().await.unwrap();
    let claims = access["token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let session: Uuid = claims["sid"].as_str().unwrap().parse().unwrap();
    let cookies = format!("foldline_session={}", app.ending(&person, user, session));
    let origin = app.origin();
    let headers = [
        ("cookie", cookies.as_str()),
        ("origin", origin.as_str()),
        ("sec-websocket-protocol", "foldline.v1"),
    ];
    let mut live = app.try_live(&headers).await.unwrap();
    live.send(&json!({"op": "subscribe", "id": 1, "view": "customers", "key": user}))
        .await;
    live.next_of("snapshot").await;
    for name in ["Countess", "Lovelace"] {
        let changed = json!({"type": "ChangeDisplayName", "stream": format!("user-{user}"), "data": {"display_name": name}});
        app.command(&person, &changed).await;
        assert_eq!(live.next_of("change").await["data"]["display_name"], name);
    }
    let out = app
        .request(Method::DELETE, "/api/v1/sessions")
        .header("cookie", format!("foldline_refresh={renews}"))
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let mut live = app.try_live(&headers).await.unwrap();
    let goodbye = live.closed().await;
    assert_eq!(goodbye.reason.as_str(), "the access token has expired");
}
