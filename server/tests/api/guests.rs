//! Guests who register: the token that registered becomes a session, every other token of the guest is
//! refused, and an ended session is refused at once, by requests and by sockets, at this server and at
//! another.

use futures::future::join_all;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use serde_json::{Value, json};
use test_postgres::Database;
use uuid::Uuid;

use crate::{
    app::{Live, Person, TestApp, problem},
    dead_letters::get,
    servers::{cut, two},
};

const PASSWORD: &str = "correct horse battery";
const NONE: [&str; 0] = [];
const SESSION_ENDED: &str = "this session has ended; sign in again";

/// A guest, and their id.
async fn guest(app: &TestApp, educator: &Person) -> (Person, Uuid) {
    let guest = app.student(&educator.join_code).await;
    let session = get(app, &guest, "/api/v1/session").await;
    let id = session["actor_id"].as_str().unwrap().parse().unwrap();
    (guest, id)
}

/// The same person with another token.
fn another(app: &TestApp, person: &Person, id: Uuid) -> Person {
    by(person, app.another_token(person, id))
}

fn by(person: &Person, token: String) -> Person {
    Person {
        token,
        ..person.clone()
    }
}

fn register(user: Uuid) -> Value {
    json!({"type": "RegisterUser", "stream": format!("user-{user}"), "data": {
        "email": "ada@example.org", "display_name": "Ada Lovelace", "password": PASSWORD,
    }})
}

async fn status(app: &TestApp, person: &Person) -> StatusCode {
    let asked = app.get("/api/v1/session").bearer_auth(&person.token);
    asked.send().await.unwrap().status()
}

async fn is_refused(app: &TestApp, person: &Person) {
    let asked = app.get("/api/v1/session").bearer_auth(&person.token);
    let refused = problem(asked.send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (401, "/problems/unauthenticated")
    );
    let bearer = format!("Bearer {}", person.token);
    let socket = app.try_live(&[("authorization", &bearer)]).await;
    assert_eq!(socket.err(), Some(401));
}

async fn is_served(live: &mut Live, id: u64) {
    live.send(&json!({"op": "subscribe", "id": id, "view": "products"}))
        .await;
    live.next_of("snapshot").await;
}

async fn is_over(live: &mut Live) {
    assert_eq!(live.closed().await.reason.as_str(), SESSION_ENDED);
}

/// The person, signed in with the password; their refresh token too.
async fn signed_in(app: &TestApp, person: &Person) -> (Person, String) {
    let body = json!({"email": "ada@example.org", "password": PASSWORD, "workspace": person.workspace});
    let response = app.post("/api/v1/sessions", &body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let renews = cookie(&response, "foldline_refresh").unwrap();
    let access: Value = response.json().await.unwrap();
    (by(person, access["token"].as_str().unwrap().to_owned()), renews)
}

/// The value of a cookie that an answer sets.
fn cookie(response: &Response, name: &str) -> Option<String> {
    response.headers().get_all(SET_COOKIE).iter().find_map(|cookie| {
        let (found, value) = cookie.to_str().ok()?.split(';').next()?.split_once('=')?;
        (found == name).then(|| value.to_owned())
    })
}

/// A page that a browser requests with a token in its cookie.
async fn page(app: &TestApp, person: &Person) -> Response {
    let asked = app
        .get("/shop")
        .header("cookie", format!("foldline_session={}", person.token));
    asked.send().await.unwrap()
}

/// The names of the session's cookies that an answer sets.
fn session_cookies(response: &Response) -> Vec<&'static str> {
    ["foldline_session", "foldline_refresh"]
        .into_iter()
        .filter(|name| cookie(response, name).is_some())
        .collect()
}

/// Registers by the browser's form.
async fn register_by_form(app: &TestApp, person: &Person) -> Response {
    let form = "display_name=Ada+Lovelace&email=ada%40example.org&password=correct+horse+battery";
    let response = app
        .request(Method::POST, "/session/register")
        .header("origin", app.origin())
        .header("cookie", format!("foldline_session={}", person.token))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[LOCATION], "/account");
    response
}

/// Registers over a socket that a browser has opened.
async fn register_by_socket(app: &TestApp, person: &Person, user: Uuid) -> Live {
    let (cookie, origin) = (format!("foldline_session={}", person.token), app.origin());
    let mut socket = app
        .try_live(&[("cookie", &cookie), ("origin", &origin)])
        .await
        .unwrap();
    socket
        .send(&json!({"op": "command", "id": 1, "command": register(user), "idempotency_key": "register"}))
        .await;
    let result = socket.next_of("result").await;
    assert_eq!(result["result"]["version"], 1, "{result}");
    socket
}

async fn sign_out(app: &TestApp, person: &Person) {
    let out = app
        .request(Method::DELETE, "/api/v1/sessions")
        .bearer_auth(&person.token);
    assert_eq!(out.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

async fn change_password(app: &TestApp, person: &Person) {
    let changed = app
        .request(Method::PUT, "/api/v1/sessions/password")
        .bearer_auth(&person.token)
        .json(&json!({"current": PASSWORD, "new": "another horse"}));
    assert_eq!(changed.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

/// A guest registers with one of two tokens, signs in elsewhere, and signs out everywhere.
async fn one_token_becomes_a_session(app: TestApp) {
    let educator = app.educator().await;
    let (first, user) = guest(&app, &educator).await;
    let second = another(&app, &first, user);
    let (mut socket, mut others) = (app.live(&first).await, app.live(&second).await);
    is_served(&mut socket, 1).await;
    is_served(&mut others, 1).await;

    app.command(&first, &register(user)).await;
    is_over(&mut others).await;
    is_refused(&app, &second).await;
    assert_eq!(status(&app, &first).await, StatusCode::OK);
    is_served(&mut socket, 2).await;
    // also a token that is made later and was never sent before
    is_refused(&app, &another(&app, &first, user)).await;

    // a new password ends every session but the one that changed it
    let (elsewhere, renews) = signed_in(&app, &first).await;
    let mut there = app.live(&elsewhere).await;
    is_served(&mut there, 1).await;
    change_password(&app, &first).await;
    is_over(&mut there).await;
    is_refused(&app, &elsewhere).await;
    let renewed = app
        .request(Method::POST, "/api/v1/sessions/refresh")
        .header("cookie", format!("foldline_refresh={renews}"));
    assert_eq!(renewed.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(status(&app, &first).await, StatusCode::OK);

    sign_out(&app, &first).await;
    is_over(&mut socket).await;
    is_refused(&app, &first).await;
    // another guest is not affected
    let (guest, _) = guest(&app, &educator).await;
    assert_eq!(status(&app, &guest).await, StatusCode::OK);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_that_registered_is_a_session_and_every_other_is_refused() {
    one_token_becomes_a_session(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_that_registered_is_a_session_on_postgresql_too() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    one_token_becomes_a_session(app).await;
}

#[tokio::test]
async fn a_guest_changes_the_password_elsewhere_and_the_token_that_registered_is_refused() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    app.command(&guest, &register(user)).await;
    let (elsewhere, _) = signed_in(&app, &guest).await;
    let mut socket = app.live(&guest).await;
    is_served(&mut socket, 1).await;
    change_password(&app, &elsewhere).await;
    is_over(&mut socket).await;
    is_refused(&app, &guest).await;
    assert_eq!(status(&app, &elsewhere).await, StatusCode::OK);
}

#[tokio::test]
async fn a_refused_registration_makes_no_session_and_ends_none() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (ada, user) = guest(&app, &educator).await;
    app.command(&ada, &register(user)).await;
    // again, with the token that is a session now
    let send = |person: &Person, user: Uuid| {
        let command = app.post("/api/v1/commands", &register(user));
        command.bearer_auth(&person.token).send()
    };
    assert_eq!(problem(send(&ada, user).await.unwrap()).await.status, 422);
    assert_eq!(status(&app, &ada).await, StatusCode::OK);
    // the email is taken: this guest stays a guest, with all tokens
    let (bob, other) = guest(&app, &educator).await;
    assert_eq!(problem(send(&bob, other).await.unwrap()).await.status, 422);
    for token in [&bob, &another(&app, &bob, other)] {
        assert_eq!(status(&app, token).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_guest_whom_an_educator_registers_signs_in() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    app.command(&educator, &register(user)).await;
    is_refused(&app, &guest).await;
    assert_eq!(status(&app, &educator).await, StatusCode::OK);
    let (signed_in, _) = signed_in(&app, &guest).await;
    assert_eq!(status(&app, &signed_in).await, StatusCode::OK);
}

#[tokio::test]
async fn a_browser_that_registers_gets_the_cookies_of_a_session() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    let cookies = format!("foldline_session={}", guest.token);
    let response = app
        .post("/api/v1/commands", &register(user))
        .header("cookie", &cookies)
        .header("origin", app.origin())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let session = cookie(&response, "foldline_session").unwrap();
    let renews = cookie(&response, "foldline_refresh").unwrap();
    let session = by(&guest, session);
    assert_eq!(status(&app, &session).await, StatusCode::OK);
    // another tab sends the old cookie
    assert_eq!(status(&app, &guest).await, StatusCode::OK);
    let renewed = app
        .request(Method::POST, "/api/v1/sessions/refresh")
        .header("cookie", format!("foldline_refresh={renews}"));
    assert_eq!(renewed.send().await.unwrap().status(), StatusCode::OK);
    // both tokens belong to one session
    sign_out(&app, &session).await;
    is_refused(&app, &session).await;
    is_refused(&app, &guest).await;
}

#[tokio::test]
async fn a_token_that_registers_over_the_socket_becomes_a_session() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    let mut socket = register_by_socket(&app, &guest, user).await;
    is_served(&mut socket, 2).await;
    assert_eq!(status(&app, &guest).await, StatusCode::OK);
    is_refused(&app, &another(&app, &guest, user)).await;
    // the browser's next request gets the session's cookies, and no later one does
    let asked = app
        .get("/api/v1/session")
        .header("cookie", format!("foldline_session={}", guest.token));
    let answer = asked.send().await.unwrap();
    assert_eq!(session_cookies(&answer), ["foldline_session", "foldline_refresh"]);
    assert_eq!(session_cookies(&page(&app, &guest).await), NONE);
}

/// The answer to the form sets the session's cookies; a copy of the guest's cookie gets none, and ends with
/// the session.
async fn a_copy_gets_no_session(app: TestApp) {
    let educator = app.educator().await;
    let (guest, _) = guest(&app, &educator).await;
    let answer = register_by_form(&app, &guest).await;
    assert_eq!(session_cookies(&answer), ["foldline_session", "foldline_refresh"]);
    for _ in 0..3 {
        let copy = page(&app, &guest).await;
        assert_eq!(copy.status(), StatusCode::OK);
        assert_eq!(session_cookies(&copy), NONE);
    }
    // the owner's cookies stay valid, and signing out with them ends the copy
    let session = by(&guest, cookie(&answer, "foldline_session").unwrap());
    let renews = cookie(&answer, "foldline_refresh").unwrap();
    let renewed = app
        .request(Method::POST, "/api/v1/sessions/refresh")
        .header("cookie", format!("foldline_refresh={renews}"));
    assert_eq!(renewed.send().await.unwrap().status(), StatusCode::OK);
    sign_out(&app, &session).await;
    is_refused(&app, &guest).await;
    assert_eq!(session_cookies(&page(&app, &guest).await), NONE);
    app.stop().await;
}

#[tokio::test]
async fn a_copy_of_the_cookie_that_registered_gets_no_session() {
    a_copy_gets_no_session(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_cookie_that_registered_gets_no_session_on_postgresql_either() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    a_copy_gets_no_session(app).await;
}

/// Of concurrent requests after a registration over the socket, one gets the cookies.
async fn one_of_many_gets_the_session(app: TestApp) {
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    let _socket = register_by_socket(&app, &guest, user).await;
    let answers = join_all((0..8).map(|_| page(&app, &guest))).await;
    let given: Vec<_> = answers.iter().flat_map(session_cookies).collect();
    assert_eq!(given, ["foldline_session", "foldline_refresh"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_concurrent_requests_gets_the_session() {
    one_of_many_gets_the_session(TestApp::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_concurrent_requests_gets_the_session_on_postgresql_too() {
    let database = Database::new().await;
    let app = TestApp::start_with(&["--event-store", &database.url, "--read-model", &database.url]).await;
    one_of_many_gets_the_session(app).await;
}

#[tokio::test]
async fn a_program_that_registers_gets_no_refresh_token() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    let registered = app
        .post("/api/v1/commands", &register(user))
        .bearer_auth(&guest.token);
    let registered = registered.send().await.unwrap();
    assert_eq!(
        (registered.status(), session_cookies(&registered)),
        (StatusCode::OK, Vec::new())
    );
    // nor does its token in a cookie later
    let later = page(&app, &guest).await;
    assert_eq!(later.status(), StatusCode::OK);
    assert_eq!(session_cookies(&later), NONE);
    assert_eq!(status(&app, &guest).await, StatusCode::OK);
    sign_out(&app, &guest).await;
    is_refused(&app, &guest).await;
}

#[tokio::test]
async fn a_guests_token_renews_itself_until_there_is_an_account() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let (guest, user) = guest(&app, &educator).await;
    let ageing = app.ageing_token(&guest, user);
    let ask = || {
        app.get("/api/v1/session")
            .header("cookie", format!("foldline_session={ageing}"))
            .send()
    };
    let before = ask().await.unwrap();
    assert_eq!(before.status(), StatusCode::OK);
    assert!(cookie(&before, "foldline_session").is_some());
    app.command(&guest, &register(user)).await;
    let after = ask().await.unwrap();
    assert_eq!(after.status(), StatusCode::UNAUTHORIZED);
    assert!(after.headers().get(SET_COOKIE).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_at_one_server_is_refused_at_the_other() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let (first, user) = guest(&one, &educator).await;
    let second = another(&one, &first, user);
    let mut sockets = [two.live(&first).await, two.live(&second).await];
    for socket in &mut sockets {
        is_served(socket, 1).await;
    }
    one.command(&first, &register(user)).await;
    let [socket, others] = &mut sockets;
    is_over(others).await;
    is_refused(&two, &second).await;
    is_served(socket, 2).await;
    assert_eq!(status(&two, &first).await, StatusCode::OK);
    // a session that begins at one server is valid at the other at once
    let (elsewhere, _) = signed_in(&one, &first).await;
    let mut there = two.live(&elsewhere).await;
    is_served(&mut there, 1).await;
    change_password(&two, &elsewhere).await;
    is_over(socket).await;
    is_refused(&two, &first).await;
    // also where the other server missed the notification
    cut(&database).await;
    sign_out(&one, &elsewhere).await;
    is_over(&mut there).await;
    is_refused(&two, &elsewhere).await;
    one.stop().await;
    two.stop().await;
}
