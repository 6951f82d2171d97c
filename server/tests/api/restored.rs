//! A log that was restored from a backup while its views, its index and its consumers' checkpoints are newer:
//! what they had of events that the log does not have is gone, and everything goes on from the log.
//!
//! A restore is simulated in the database: the triggers that keep events are dropped, and the newest events
//! deleted.

use std::sync::Arc;

use clock::SystemClock;
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::settings::{Settings, StoreUrl};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};
use test_postgres::Database;
use test_support::{append, received};

use crate::{
    app::{Person, TestApp, list_product},
    dead_letters::{get, receive},
    mailbox::{registered, subjects},
};

/// Restores the log of a server that does not run: of its only partition with events the first `kept` stay.
async fn restore(settings: &Settings, kept: u64) {
    match settings.storage.event_store() {
        StoreUrl::Sqlite(url) => {
            let path = url.file().to_str().unwrap();
            let mut log = SqliteConnection::connect(&format!("sqlite:{path}"))
                .await
                .unwrap();
            let statements = format!(
                "drop trigger if exists events_are_never_deleted;
                 delete from events where place & 1099511627775 > {kept};
                 update partitions set head = {kept}, head_hash = (
                     select hash from events where place = (partitions.no << 40) + {kept}
                 ) where head > {kept};
                 delete from snapshots where stream_no not in (select stream_no from events);
                 delete from streams where no not in (select stream_no from events);"
            );
            log.execute(AssertSqlSafe(statements)).await.unwrap();
            log.close().await.unwrap();
        }
        StoreUrl::Postgres(url) => {
            let mut log = PgConnection::connect(url.expose()).await.unwrap();
            for statement in [
                "set search_path to foldline_events".to_owned(),
                "drop trigger if exists events_are_never_changed on events".to_owned(),
                format!("delete from events where position > {kept}"),
                format!(
                    "update partitions p set head = {kept}, head_hash = (
                         select hash from events where partition_no = p.no and position = {kept}
                     ) where head > {kept}"
                ),
                "delete from streams where no not in (select stream_no from events)".to_owned(),
            ] {
                log.execute(AssertSqlSafe(statement)).await.unwrap();
            }
            log.close().await.unwrap();
        }
    }
}

/// Appends to the log of a server that does not run, so that it goes on differently from what was lost.
async fn go_on(settings: &Settings, person: &Person, events: usize) {
    let url = settings.storage.event_store();
    let store = event_store::open(&url, Arc::new(SystemClock), None)
        .await
        .unwrap();
    for _ in 0..events {
        append(&*store, person.workspace, "inventory-mug-1", &[received(1)]).await;
    }
    store.close().await;
}

async fn events(app: &TestApp, person: &Person) -> u64 {
    let page = get(app, person, "/api/v1/events?limit=200").await;
    page["data"].as_array().unwrap().len() as u64
}

async fn status(app: &TestApp, person: &Person, path: &str) -> StatusCode {
    let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
    response.status()
}

/// Whether a search finds a product; all of them have the same name.
async fn is_found(app: &TestApp, person: &Person, sku: &str) -> bool {
    let found = get(app, person, "/api/v1/search?q=mug&kinds=products&limit=50").await;
    found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .any(|hit| hit["key"] == sku)
}

/// Nothing of the product is left, and all of the workspace follows from the log.
async fn assert_unknown(app: &TestApp, person: &Person, sku: &str, head: u64) {
    app.settled(person).await;
    for path in [
        format!("/api/v1/views/products/{sku}"),
        format!("/api/v1/views/inventory/{sku}"),
    ] {
        assert_eq!(status(app, person, &path).await, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!is_found(app, person, sku).await);
    let known = get(app, person, "/api/v1/views/inventory/mug-1").await;
    assert_eq!(
        (&known["as_of"], &known["behind"]),
        (&json!(format!("0:{head}")), &json!(0))
    );
    let listed = get(app, person, "/api/v1/views/products").await;
    assert_eq!(listed["as_of"], json!(format!("0:{head}")));
    let verified = get(app, person, "/api/v1/verify").await;
    assert_eq!(verified["findings"], json!([]));
}

/// A new product can be read with the token of its command, and is found.
async fn assert_goes_on(app: &TestApp, person: &Person, sku: &str) {
    let listed = app.command(person, &list_product(sku)).await;
    let token = listed["token"].as_str().unwrap();
    let product: Value = get(
        app,
        person,
        &format!("/api/v1/views/products/{sku}?after={token}"),
    )
    .await;
    assert_eq!(product["data"]["sku"], json!(sku));
    app.settled(person).await;
    assert!(is_found(app, person, sku).await);
}

async fn an_older_log_under_newer_views_loses_nothing_and_shows_nothing_else(further: &[&str]) {
    let app = TestApp::start_with(further).await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-1")).await;
    receive(&app, &educator, "mug-1", 3).await;
    let (ada, _) = registered(&app, &educator, "ada@mail.test").await;
    let mails = subjects(&app, &ada, "").await;
    assert_eq!(mails, ["Welcome"]);
    let kept = events(&app, &educator).await;
    app.command(&educator, &list_product("phantom")).await;
    receive(&app, &educator, "phantom", 7).await;
    app.settled(&educator).await;
    assert!(is_found(&app, &educator, "phantom").await);

    // Shorter than what was folded.
    let app = app
        .restart_after(async |settings| restore(settings, kept).await)
        .await
        .unwrap();
    assert_unknown(&app, &educator, "phantom", kept).await;
    assert_eq!(subjects(&app, &ada, "").await, mails, "none is sent again");
    assert_goes_on(&app, &educator, "bowl").await;

    // Longer than what was folded, and different.
    let kept = events(&app, &educator).await;
    app.command(&educator, &list_product("ghost")).await;
    receive(&app, &educator, "ghost", 7).await;
    app.settled(&educator).await;
    let app = app
        .restart_after(async |settings| {
            restore(settings, kept).await;
            go_on(settings, &educator, 5).await;
        })
        .await
        .unwrap();
    assert_unknown(&app, &educator, "ghost", kept + 5).await;
    let stock = get(&app, &educator, "/api/v1/views/inventory/mug-1").await;
    assert_eq!(stock["data"]["on_hand"], json!(8));
    assert_eq!(subjects(&app, &ada, "").await, mails);
    assert_goes_on(&app, &educator, "glass").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_file_under_newer_views_shows_what_it_has() {
    an_older_log_under_newer_views_loses_nothing_and_shows_nothing_else(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_under_newer_views_shows_what_it_has() {
    let database = Database::new().await;
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    an_older_log_under_newer_views_loses_nothing_and_shows_nothing_else(&arguments).await;
}

/// Deletes checkpoints of a server that does not run, and leaves the documents: those of all lanes, or of one
/// partition.
async fn lose_checkpoints(url: &StoreUrl, schema: &str, partition: Option<u32>) {
    let statement = match partition {
        Some(partition) => format!("delete from checkpoints where partition = {partition}"),
        None => "delete from checkpoints".to_owned(),
    };
    match url {
        StoreUrl::Sqlite(url) => {
            let path = url.file().to_str().unwrap();
            let mut store = SqliteConnection::connect(&format!("sqlite:{path}"))
                .await
                .unwrap();
            store.execute(AssertSqlSafe(statement)).await.unwrap();
            store.close().await.unwrap();
        }
        StoreUrl::Postgres(url) => {
            let mut store = PgConnection::connect(url.expose()).await.unwrap();
            let path = format!("set search_path to {schema}");
            store.execute(AssertSqlSafe(path)).await.unwrap();
            store.execute(AssertSqlSafe(statement)).await.unwrap();
            store.close().await.unwrap();
        }
    }
}

async fn documents_without_a_checkpoint_are_folded_anew(further: &[&str]) {
    let mut app = TestApp::start_with(further).await;
    let educator = app.educator_with_shards(3).await;
    let skus = ["mug-1", "bowl-2", "glass-3"];
    for sku in skus {
        app.command(&educator, &list_product(sku)).await;
        receive(&app, &educator, sku, 3).await;
    }
    let (ada, _) = registered(&app, &educator, "ada@mail.test").await;
    app.settled(&educator).await;
    let mails = subjects(&app, &ada, "").await;
    let customers = get(&app, &educator, "/api/v1/views/customers").await;
    for partition in [None, Some(0), Some(1), Some(2)] {
        app = app
            .restart_after(async |settings| {
                let storage = &settings.storage;
                lose_checkpoints(&storage.read_model(), "foldline_views", partition).await;
                lose_checkpoints(&storage.process_store(), "foldline_processes", partition).await;
            })
            .await
            .unwrap();
        app.settled(&educator).await;
        for sku in skus {
            let stock = get(&app, &educator, &format!("/api/v1/views/inventory/{sku}")).await;
            assert_eq!(stock["data"]["on_hand"], json!(3), "{partition:?}");
        }
        let again = get(&app, &educator, "/api/v1/views/customers").await;
        assert_eq!(again["data"], customers["data"], "{partition:?}");
        let verified = get(&app, &educator, "/api/v1/verify").await;
        assert_eq!(verified["findings"], json!([]), "{partition:?}");
        assert_eq!(subjects(&app, &ada, "").await, mails, "none is sent again");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_in_a_file_without_their_checkpoints_are_folded_anew() {
    documents_without_a_checkpoint_are_folded_anew(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_in_a_database_without_their_checkpoints_are_folded_anew() {
    let database = Database::new().await;
    let arguments = ["--event-store", &database.url, "--read-model", &database.url];
    documents_without_a_checkpoint_are_folded_anew(&arguments).await;
}
