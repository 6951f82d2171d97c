//! `DELETE /workspace`: a purge deletes a whole workspace, for every person in it, and nothing of another.

use std::collections::BTreeMap;

use domain::{access::Role, id::WorkspaceId};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use test_postgres::Database;
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, list_product, problem},
    dead_letters::{get, receive},
    dials, own_views,
    recordings::keep,
};

async fn purge(app: &TestApp, person: &Person, query: &str) -> Response {
    app.request(Method::DELETE, &format!("/api/v1/workspace{query}"))
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap()
}

async fn confirmed(app: &TestApp, person: &Person) -> Response {
    purge(app, person, &format!("?confirm={}", person.workspace)).await
}

/// A workspace with data in every store.
async fn used(app: &TestApp) -> Person {
    let educator = app.educator_of("shop").await;
    app.student(&educator.join_code).await;
    let mut token = Value::Null;
    for n in 0..30 {
        token = receive(app, &educator, &format!("mug-{}", n % 4), 1).await["token"].clone();
    }
    let clock = app.post("/api/v1/lab/clock", &json!({"advance_ms": 1_000}));
    let moved = clock.bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(moved.status(), StatusCode::OK);
    for view in ["products", "inventory", "orders"] {
        let path = format!("/api/v1/views/{view}?after={}", token.as_str().unwrap());
        get(app, &educator, &path).await;
    }
    keep(app, &educator, &json!({"title": "All of it"})).await;
    dials::set(app, &educator, &json!({"payment": {"delay_ms": 1}})).await;
    own_views::create(app, &educator, &own_views::received("stock_of_mine")).await;
    // consumers write rows too
    app.settled(&educator).await;
    educator
}

/// The row counts of every table that holds data of workspaces, except the table of purged ids.
async fn rows(app: &TestApp) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for file in ["events.db", "views.db", "consumers.db", "people.db"] {
        let options = SqliteConnectOptions::new().filename(app.folder().join(file));
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "select name from sqlite_master where type = 'table'
                and name not in ('_sqlx_migrations', 'event_types', 'purged_workspaces')",
        )
        .fetch_all(&mut database)
        .await
        .unwrap();
        for table in tables {
            let count = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
                .fetch_one(&mut database)
                .await
                .unwrap();
            rows.insert(format!("{file} {table}"), count);
        }
        database.close().await.unwrap();
    }
    rows
}

async fn is_gone(app: &TestApp, person: &Person) {
    for path in [
        "/api/v1/session",
        "/api/v1/views/products",
        "/api/v1/streams",
        "/api/v1/lab/projections",
    ] {
        let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
        let gone = problem(response).await;
        assert_eq!(
            (gone.status, gone.kind.as_str()),
            (410, "/problems/workspace-gone"),
            "{path}"
        );
        assert!(gone.detail.contains("this workspace is gone"), "{}", gone.detail);
    }
    let command = app.post("/api/v1/commands", &list_product("mug"));
    let refused = command.bearer_auth(&person.token).send().await.unwrap();
    assert_eq!(problem(refused).await.status, 410);
    let bearer = format!("Bearer {}", person.token);
    let live = app.try_live(&[("authorization", &bearer)]).await;
    assert_eq!(live.err(), Some(410));
    let body = json!({"code": person.join_code, "display_name": "Ada"});
    let join = app.post("/api/v1/workspaces/join", &body).send().await.unwrap();
    assert_eq!(problem(join).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_deletes_a_whole_workspace_and_nothing_of_another() {
    let app = TestApp::start().await;
    let stays = used(&app).await;
    let before = rows(&app).await;
    assert!(
        before.iter().filter(|(_, count)| **count > 0).count() > 7,
        "{before:?}"
    );
    let goes = used(&app).await;
    let student = app.student(&goes.join_code).await;
    let mut live = app.live(&student).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products"}))
        .await;
    live.next_of("snapshot").await;

    // during other work: lanes are paused with events to fold, and a view is being rebuilt
    for path in ["inventory/pause", "products/rebuild"] {
        let path = format!("/api/v1/lab/projections/{path}");
        let response = app.request(Method::POST, &path).bearer_auth(&goes.token);
        assert!(response.send().await.unwrap().status().is_success());
        receive(&app, &goes, "mug-1", 1).await;
    }

    let response = confirmed(&app, &goes).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer, json!({"workspace": goes.workspace}));
    let goodbye = live.closed().await;
    assert!(
        goodbye.reason.contains("the workspace is gone"),
        "{}",
        goodbye.reason
    );
    for person in [&goes, &student] {
        is_gone(&app, person).await;
    }
    assert_eq!(problem(confirmed(&app, &goes).await).await.status, 410, "again");
    // a page is rendered without a session
    let page = app.get("/").bearer_auth(&goes.token).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);

    app.swept().await;
    assert_eq!(rows(&app).await, before);
    is_gone(&app, &goes).await;
    assert_eq!(get(&app, &stays, "/api/v1/verify").await["findings"], json!([]));
    let more = receive(&app, &stays, "mug-1", 1).await;
    let path = format!(
        "/api/v1/views/inventory/mug-1?after={}",
        more["token"].as_str().unwrap()
    );
    assert_eq!(get(&app, &stays, &path).await["behind"], 0);
    let app = app.restart().await;
    is_gone(&app, &goes).await;
    get(&app, &stays, "/api/v1/views/products").await;
}

#[tokio::test]
async fn an_interrupted_purge_resumes_after_the_start() {
    let app = TestApp::start().await;
    let stays = app.educator().await;
    let before = rows(&app).await;
    let goes = used(&app).await;
    let name = purge(&app, &goes, "?confirm=Sandbox").await;
    assert_eq!(name.status(), StatusCode::ACCEPTED, "its name will do");
    let app = app.restart().await;
    is_gone(&app, &goes).await;
    app.swept().await;
    assert_eq!(rows(&app).await, before);
    get(&app, &stays, "/api/v1/views/products").await;
}

/// The stores that keep documents.
const DOCUMENTS: [&str; 2] = ["views.db", "consumers.db"];

async fn documents(app: &TestApp, file: &str) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(app.folder().join(file));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Writes a document of a workspace without the server, as another server could that does not know of a
/// purge.
async fn leave_a_document(app: &TestApp, workspace: WorkspaceId) {
    for file in DOCUMENTS {
        let mut documents = documents(app, file).await;
        sqlx::query(
            "insert into documents (workspace, view, generation, key, data)
             values (?, 'products', 1, 'left', '{}')",
        )
        .bind(workspace.0)
        .execute(&mut documents)
        .await
        .unwrap();
        documents.close().await.unwrap();
    }
}

/// The workspaces of these documents, by store.
async fn left(app: &TestApp) -> [Vec<Uuid>; 2] {
    let mut left = [const { Vec::new() }; 2];
    for (file, left) in DOCUMENTS.into_iter().zip(&mut left) {
        let mut documents = documents(app, file).await;
        *left = sqlx::query_scalar("select workspace from documents where key = 'left'")
            .fetch_all(&mut documents)
            .await
            .unwrap();
        documents.close().await.unwrap();
    }
    left
}

#[tokio::test]
async fn leftover_documents_of_a_purged_workspace_are_deleted_and_those_of_another_event_store_stay() {
    let app = TestApp::start().await;
    let (stays, goes) = (app.educator().await, app.educator().await);
    receive(&app, &stays, "mug", 1).await;
    app.settled(&stays).await;
    assert_eq!(confirmed(&app, &goes).await.status(), StatusCode::ACCEPTED);
    app.swept().await;
    let foreign = Uuid::from_u128(7);
    for workspace in [goes.workspace, WorkspaceId(foreign)] {
        leave_a_document(&app, workspace).await;
    }
    app.swept().await;
    assert_eq!(left(&app).await, [[foreign], [foreign]]);
    // the purged workspace is known after a restart too
    leave_a_document(&app, goes.workspace).await;
    let app = app.restart().await;
    app.swept().await;
    assert_eq!(left(&app).await, [[foreign], [foreign]]);
    assert_eq!(get(&app, &stays, "/api/v1/verify").await["findings"], json!([]));
}

#[tokio::test]
async fn a_purge_needs_a_confirmation_and_an_educator() {
    let app = TestApp::start().await;
    let (educator, other) = (app.educator().await, app.educator().await);
    for query in [
        String::new(),
        "?confirm=".to_owned(),
        "?confirm=sandbox".to_owned(),
        format!("?confirm={}", other.workspace),
    ] {
        let problem = problem(purge(&app, &educator, &query).await).await;
        assert_eq!(
            (problem.status, fields(&problem)),
            (400, vec!["confirm"]),
            "{query}"
        );
    }
    let query = format!("?confirm={}", educator.workspace);
    let unknown = problem(purge(&app, &educator, &format!("{query}&force=1")).await).await;
    assert_eq!((unknown.status, fields(&unknown)), (400, vec!["force"]));
    let student = app.student(&educator.join_code).await;
    let others = [Role::Staff, Role::Customer].map(|role| app.with_role(&educator, role));
    for person in others.iter().chain([&student]) {
        assert_eq!(problem(purge(&app, person, &query).await).await.status, 403);
    }
    let anonymous = app.request(Method::DELETE, &format!("/api/v1/workspace{query}"));
    assert_eq!(problem(anonymous.send().await.unwrap()).await.status, 401);
    app.swept().await;
    get(&app, &educator, "/api/v1/session").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_of_two_servers_refuse_a_purged_workspace_and_its_data_is_gone() {
    let database = Database::new().await;
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    let one = TestApp::start_with(&arguments).await;
    let goes = used(&one).await;
    let two = one.start_second(&arguments).await;
    let mut live = two.live(&goes).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "inventory"}))
        .await;
    live.next_of("snapshot").await;

    assert_eq!(confirmed(&one, &goes).await.status(), StatusCode::ACCEPTED);
    tokio::join!(one.swept(), two.swept());
    let goodbye = live.closed().await;
    assert!(goodbye.reason.contains("gone"), "{}", goodbye.reason);
    for app in [&one, &two] {
        is_gone(app, &goes).await;
    }
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    for table in [
        "foldline_events.workspaces",
        "foldline_events.partitions",
        "foldline_events.streams",
        "foldline_events.events",
        "foldline_events.commands",
        "foldline_events.snapshots",
        "foldline_views.documents",
        "foldline_views.listings",
        "foldline_views.checkpoints",
        "foldline_views.parked",
        "foldline_views.generations",
        "foldline_views.changes",
        "foldline_processes.documents",
        "foldline_processes.checkpoints",
        "foldline_processes.generations",
        "foldline_people.person_keys",
        "foldline_people.credentials",
        "foldline_people.logins",
        "foldline_people.refresh_tokens",
        "foldline_people.password_resets",
        "foldline_people.password_changes",
        "foldline_people.erasures",
    ] {
        let count: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
    one.stop().await;
    two.stop().await;
}
