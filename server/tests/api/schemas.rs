//! `GET /schemas`, `GET /schemas/{type}/{version}`, and a log that older versions of the program wrote.

use clock::{Clock as _, SystemClock};
use domain::{
    access::Role,
    event::{ActorRef, Metadata},
    id::WorkspaceId,
};
use event_store::{Append, Expected, NewEvent, StreamAppend};
use serde_json::{Value, json, value::to_raw_value};

use server::settings::Settings;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use test_postgres::Database;

use crate::{
    app::{TestApp, fields, problem},
    dead_letters::{get, receive},
};

/// Appends an event as another version of the program would.
pub(crate) async fn append_as_of(
    settings: &Settings,
    workspace: WorkspaceId,
    stream: &str,
    (event_type, schema_version): (&str, u32),
    payload: &Value,
) {
    let clock = std::sync::Arc::new(SystemClock);
    let store = event_store::open(&settings.storage.event_store(), clock, None)
        .await
        .unwrap();
    let append = Append {
        workspace,
        body_digest: [1; 32],
        streams: vec![StreamAppend {
            stream: stream.parse().unwrap(),
            expected: Expected::StreamExists,
            events: vec![NewEvent {
                event_id: SystemClock.new_id(),
                event_type: event_type.to_owned(),
                schema_version,
                payload: to_raw_value(payload).unwrap(),
            }],
        }],
        max_events: None,
        metadata: Metadata {
            correlation_id: SystemClock.new_id(),
            causation_id: None,
            command_id: SystemClock.new_id(),
            actor: ActorRef {
                id: SystemClock.new_id(),
                role: Role::System,
            },
            traceparent: None,
        },
    };
    store.append(append).await.unwrap();
    store.close().await;
}

const FAILED: &str = "StockReservationFailed";

async fn an_old_log_is_read(further: &[&str]) {
    let app = TestApp::start_with(further).await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 2).await;
    let old = json!({"order": "1", "quantity": 3, "available": 2});
    let app = app
        .restart_after(async |settings: &Settings| {
            append_as_of(settings, educator.workspace, "inventory-mug", (FAILED, 1), &old).await;
        })
        .await
        .unwrap();
    // the log shows the stored version
    let stream = get(&app, &educator, "/api/v1/streams/inventory-mug").await;
    let stored = &stream["data"][1];
    assert_eq!(
        (&stored["type"], &stored["schema_version"], &stored["payload"]),
        (&json!(FAILED), &json!(1), &old)
    );
    // the aggregate loads it
    let received = receive(&app, &educator, "mug", 5).await;
    assert_eq!(received["version"], 3);
    // the views fold it, without a dead letter
    let path = format!(
        "/api/v1/views/inventory/mug?after={}",
        received["token"].as_str().unwrap()
    );
    assert_eq!(get(&app, &educator, &path).await["data"]["available"], 7);
    assert_eq!(
        get(&app, &educator, "/api/v1/dead-letters").await["data"],
        json!([])
    );
    // the hash covers the stored version
    let report = get(&app, &educator, "/api/v1/verify").await;
    assert_eq!((&report["events"], &report["findings"]), (&json!(3), &json!([])));
    // an event of a newer program is not read
    let refused = app
        .restart_after(async |settings: &Settings| {
            append_as_of(
                settings,
                educator.workspace,
                "inventory-mug",
                (FAILED, 3),
                &json!({}),
            )
            .await;
        })
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("cannot read stored events")
            && refused.contains("StockReservationFailed version 3")
            && refused.contains("2 is the newest known"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_old_log_is_read_from_a_file() {
    an_old_log_is_read(&[]).await;
}

#[tokio::test]
async fn an_old_log_is_read_from_postgresql() {
    let database = Database::new().await;
    an_old_log_is_read(&["--event-store", &database.url, "--read-model", &database.url]).await;
}

#[tokio::test]
async fn a_schema_that_has_changed_refuses_the_start() {
    let app = TestApp::start().await;
    let refused = app
        .restart_after(async |settings: &Settings| {
            let file = settings.storage.data_dir.join("events.db");
            let mut events = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file))
                .await
                .unwrap();
            let change = "update event_types set schema = replace(schema, '\"lines\"', '\"items\"') \
                          where name = 'OrderCreated'";
            let changed = sqlx::query(AssertSqlSafe(change))
                .execute(&mut events)
                .await
                .unwrap();
            assert_eq!(changed.rows_affected(), 1);
            events.close().await.unwrap();
        })
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        refused.contains("never changes") && refused.ends_with(": OrderCreated version 1"),
        "{refused}"
    );
}

#[tokio::test]
async fn every_version_of_every_event_is_described() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let customer = app.with_role(&educator, Role::Customer);
    let schemas = get(&app, &customer, "/api/v1/schemas").await;
    let named: Vec<_> = schemas["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|schema| {
            (
                schema["type"].as_str().unwrap(),
                schema["version"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(named.is_sorted(), "{named:?}");
    for wanted in [("OrderCreated", 1), (FAILED, 1), (FAILED, 2)] {
        assert!(named.contains(&wanted), "{wanted:?} {named:?}");
    }
    let old = get(&app, &customer, "/api/v1/schemas/StockReservationFailed/1").await;
    assert_eq!(old["schema"]["properties"]["quantity"]["type"], "integer");
    // also after a restart
    let app = app.restart().await;
    assert_eq!(get(&app, &customer, "/api/v1/schemas").await, schemas);
    assert_eq!(
        get(&app, &customer, "/api/v1/schemas/StockReservationFailed/1").await,
        old
    );
}

#[tokio::test]
async fn an_unknown_schema_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (path, said) in [
        ("/api/v1/schemas/OrderTeleported/1", "no event type of this name"),
        (
            "/api/v1/schemas/StockReservationFailed/3",
            "whose newest version is 2",
        ),
        ("/api/v1/schemas/StockReservationFailed/x", "no version x"),
    ] {
        let problem = problem(app.get(path).bearer_auth(&educator.token).send().await.unwrap()).await;
        assert_eq!(problem.status, 404, "{path}");
        assert!(problem.detail.contains(said), "{}", problem.detail);
    }
    let response = app
        .get("/api/v1/schemas?type=OrderCreated")
        .bearer_auth(&educator.token);
    let unknown = problem(response.send().await.unwrap()).await;
    assert_eq!((unknown.status, fields(&unknown)), (400, vec!["type"]));
    for path in ["/api/v1/schemas", "/api/v1/schemas/OrderCreated/1"] {
        assert_eq!(problem(app.get(path).send().await.unwrap()).await.status, 401);
    }
}
