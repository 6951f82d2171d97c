//! `POST /lab/reset`: a new workspace under the same join code, whose people follow with their names.

use domain::{access::Role, wire::WorkspaceAccess};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_TYPE, COOKIE, SET_COOKIE},
};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use test_postgres::Database;

use crate::{
    app::{Person, TestApp, fields, list_product, person, problem},
    dead_letters::get,
    servers::two,
};

const RESET: &str = "/api/v1/lab/reset";
const FOLLOW: &str = "/api/v1/sessions/follow";

async fn reset(app: &TestApp, person: &Person, body: &Value) -> Response {
    let path = format!("{RESET}?confirm={}", person.workspace);
    let request = app.post(&path, body).bearer_auth(&person.token);
    request.send().await.unwrap()
}

/// Resets a workspace; its educator in the new one.
async fn new_workspace(app: &TestApp, educator: &Person, body: &Value) -> Person {
    let answer = reset(app, educator, body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let access: WorkspaceAccess = answer.json().await.unwrap();
    assert_ne!(access.workspace, educator.workspace);
    Person {
        workspace: access.workspace,
        join_code: access.join_code,
        token: access.token,
    }
}

async fn follow(app: &TestApp, token: &str) -> Response {
    let request = app.request(Method::POST, FOLLOW).bearer_auth(token);
    request.send().await.unwrap()
}

/// The person in the workspace to which they follow.
async fn followed(app: &TestApp, left: &Person) -> Person {
    let answer = follow(app, &left.token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let access: Value = answer.json().await.unwrap();
    Person {
        workspace: serde_json::from_value(access["workspace"].clone()).unwrap(),
        join_code: left.join_code.clone(),
        token: access["token"].as_str().unwrap().to_owned(),
    }
}

async fn joined(app: &TestApp, code: &str, name: &str) -> Person {
    let body = json!({"code": code, "display_name": name});
    person(app.post("/api/v1/workspaces/join", &body).send().await.unwrap()).await
}

async fn product_count(app: &TestApp, person: &Person) -> usize {
    app.settled(person).await;
    let products = get(app, person, "/api/v1/views/products?limit=200").await;
    products["data"].as_array().unwrap().len()
}

/// Given a class with a product of its own, when its educator resets it, then there is a new workspace of the
/// same template under the same code and name, and nothing of the old one is in it.
#[tokio::test]
async fn a_reset_workspace_begins_anew_under_the_same_code() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    let before = product_count(&app, &educator).await;
    app.command(&educator, &list_product("own-mug")).await;
    let session = get(&app, &educator, "/api/v1/session").await;

    let new = new_workspace(&app, &educator, &json!({})).await;
    assert_eq!(new.join_code, educator.join_code);
    assert_eq!(product_count(&app, &new).await, before);
    let after = get(&app, &new, "/api/v1/session").await;
    for kept in ["actor_id", "display_name", "role", "workspace_name", "join_code"] {
        assert_eq!(after[kept], session[kept], "{kept}");
    }
    let student = joined(&app, &educator.join_code, "Ada").await;
    assert_eq!(student.workspace, new.workspace);
}

/// Given a student, when the class is reset, then requests with the old token are answered with the way to
/// the new workspace, and the student follows under the same name.
#[tokio::test]
async fn people_follow_with_their_names_and_roles() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = joined(&app, &educator.join_code, "Ada Lovelace").await;
    let before = get(&app, &student, "/api/v1/session").await;
    let new = new_workspace(&app, &educator, &json!({})).await;

    let request = app.get("/api/v1/session").bearer_auth(&student.token);
    let refused = problem(request.send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (410, "/problems/workspace-moved")
    );
    assert_eq!(refused.workspace, Some(new.workspace));

    let moved = followed(&app, &student).await;
    assert_eq!(moved.workspace, new.workspace);
    let after = get(&app, &moved, "/api/v1/session").await;
    for kept in ["actor_id", "display_name", "role", "join_code"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    // Again: also a client that has lost the answer comes along.
    assert_eq!(followed(&app, &student).await.workspace, new.workspace);
    let there = follow(&app, &moved.token).await;
    assert_eq!(there.status(), StatusCode::CONFLICT, "it is there already");
    let made_up = follow(&app, "a.b.c").await;
    assert_eq!(made_up.status(), StatusCode::UNAUTHORIZED);
}

/// Given a workspace that is reset twice, when a person of the first one follows, then they come to the
/// newest.
#[tokio::test]
async fn a_person_who_missed_a_reset_comes_to_the_newest_workspace() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    let second = new_workspace(&app, &educator, &json!({})).await;
    let third = new_workspace(&app, &second, &json!({"to": "shop"})).await;
    assert_eq!(followed(&app, &student).await.workspace, third.workspace);
    assert!(
        product_count(&app, &third).await > 0,
        "it has the template that was asked for"
    );
    let forth = new_workspace(&app, &third, &json!({"to": "empty"})).await;
    assert_eq!(product_count(&app, &forth).await, 0);
    let app = app.restart().await;
    assert_eq!(followed(&app, &student).await.workspace, forth.workspace);
}

/// Given a browser with a session, when the class is reset, then its next page is that of the new workspace,
/// with a cookie for it; requests of the page before are refused.
#[tokio::test]
async fn a_browser_follows_with_its_next_page() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let form = format!("code={}&display_name=Ada", educator.join_code);
    let joined = app
        .request(Method::POST, "/session/join")
        .header("origin", app.origin())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form);
    let old = session_of(&joined.send().await.unwrap());
    let new = new_workspace(&app, &educator, &json!({})).await;

    let by_script = app
        .get("/api/v1/session")
        .header(COOKIE, &old)
        .send()
        .await
        .unwrap();
    assert!(
        by_script.headers().get(SET_COOKIE).is_none(),
        "the page shows the old workspace"
    );
    assert_eq!(problem(by_script).await.workspace, Some(new.workspace));

    let page = app.get("/shop").header(COOKIE, &old).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let cookie = session_of(&page);
    assert_ne!(cookie, old);
    let session = app
        .get("/api/v1/session")
        .header(COOKIE, &cookie)
        .send()
        .await
        .unwrap();
    let session: Value = session.json().await.unwrap();
    assert_eq!(session["workspace"], json!(new.workspace));
    assert_eq!(session["display_name"], "Ada");

    let foreign = app
        .request(Method::POST, FOLLOW)
        .header(COOKIE, &old)
        .header("origin", "https://elsewhere.example");
    assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

/// The session cookie that an answer sets.
fn session_of(answer: &Response) -> String {
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    let cookie = cookies
        .map(|cookie| cookie.to_str().unwrap())
        .find(|cookie| cookie.starts_with("foldline_session="))
        .expect("a session cookie");
    cookie.split(';').next().unwrap().to_owned()
}

/// Given the open sockets of a class, when it is reset, then each is told where the class goes on, and
/// closed.
#[tokio::test]
async fn every_socket_is_told_where_the_class_goes_on() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut sockets = vec![app.live(&educator).await];
    for _ in 0..3 {
        let student = app.student(&educator.join_code).await;
        sockets.push(app.live(&student).await);
    }
    for socket in &mut sockets {
        socket
            .send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
            .await;
        socket.next_of("snapshot").await;
    }
    let new = new_workspace(&app, &educator, &json!({})).await;
    for socket in &mut sockets {
        let moved = socket.next_of("moved").await;
        assert_eq!(moved["workspace"], json!(new.workspace));
        let end = socket.closed().await;
        assert_eq!(u16::from(end.code), 1008);
        assert!(end.reason.contains("was reset"), "{}", end.reason);
    }
}

/// Given each role, when it resets the workspace, then only an educator can, who names it; an unknown content
/// is refused.
#[tokio::test]
async fn only_an_educator_resets_a_workspace() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for role in [Role::Customer, Role::Staff, Role::Student] {
        let other = app.with_role(&educator, role);
        assert_eq!(
            problem(reset(&app, &other, &json!({})).await).await.status,
            403,
            "{role:?}"
        );
    }
    for (body, field) in [
        (json!({"to": "zoo"}), "to"),
        (json!({"colour": "green"}), "colour"),
    ] {
        let refused = problem(reset(&app, &educator, &body).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]), "{body}");
    }
    let other = app.educator().await;
    for query in [
        String::new(),
        "?confirm=".to_owned(),
        format!("?confirm={}", other.workspace),
    ] {
        let request = app.post(&format!("{RESET}{query}"), &json!({}));
        let refused = problem(request.bearer_auth(&educator.token).send().await.unwrap()).await;
        assert_eq!(
            (refused.status, fields(&refused)),
            (400, vec!["confirm"]),
            "{query}"
        );
    }
    // nothing was reset
    get(&app, &educator, "/api/v1/session").await;
}

/// The number of workspaces that are marked, and not deleted yet.
async fn ended_workspaces(app: &TestApp) -> i64 {
    let options = SqliteConnectOptions::new().filename(app.folder().join("events.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let marked = "select count(*) from workspaces where purging_since is not null";
    let count = sqlx::query_scalar(marked).fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    count
}

/// Given a workspace that was reset, when its people have had time to follow, then its data is deleted, and a
/// guest who comes later still follows.
#[tokio::test]
async fn what_was_reset_is_deleted_once_its_people_have_had_time_to_follow() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    app.command(&educator, &list_product("mug-01")).await;
    let new = new_workspace(&app, &educator, &json!({})).await;
    app.swept().await;
    assert_eq!(ended_workspaces(&app).await, 1);
    app.pass_minutes(16);
    app.swept().await;
    assert_eq!(ended_workspaces(&app).await, 0);
    assert_eq!(followed(&app, &student).await.workspace, new.workspace);
    let request = app.get("/api/v1/session").bearer_auth(&educator.token);
    assert_eq!(
        problem(request.send().await.unwrap()).await.kind,
        "/problems/workspace-moved"
    );
}

/// Given a workspace that was reset, when the new one is purged, then its people are told that it is gone.
#[tokio::test]
async fn no_person_follows_to_a_workspace_that_is_gone() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let new = new_workspace(&app, &educator, &json!({})).await;
    let path = format!("/api/v1/workspace?confirm={}", new.workspace);
    let purged = app.request(Method::DELETE, &path).bearer_auth(&new.token);
    assert_eq!(purged.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let request = app.get("/api/v1/session").bearer_auth(&educator.token);
    let refused = problem(request.send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (410, "/problems/workspace-gone")
    );
}

/// Given two servers with sockets of one class, when it is reset at one of them, then the sockets of the
/// other are told too, and people follow at either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sockets_of_another_server_are_told_too() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator().await;
    let student = two.student(&educator.join_code).await;
    let mut live = two.live(&student).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
        .await;
    live.next_of("snapshot").await;
    let new = new_workspace(&one, &educator, &json!({})).await;
    let moved = live.next_of("moved").await;
    assert_eq!(moved["workspace"], json!(new.workspace));
    for app in [&one, &two] {
        let follower = followed(app, &student).await;
        assert_eq!(follower.workspace, new.workspace);
        get(app, &follower, "/api/v1/session").await;
    }
    one.stop().await;
    two.stop().await;
}
