//! The monitor over real stores: it accepts an intact store, and names what was tampered with.

use std::sync::Arc;

use domain::{id::WorkspaceId, timestamp::Timestamp, view};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use uuid::Uuid;

use clock::SystemClock;
use documents::{DocumentStore, sqlite::SqliteDocumentStore};
use event_store::SqliteEventStore;
use monitor::{
    rebuild,
    replay::{ReplayOptions, Source, replay},
    terminal::{self, Format, MonitorError},
    verify::{verify, verify_running},
};
use projection::{lane_controls::LaneDials, progress::Progress};

use crate::read_side::testing::{Shop, cancelled, created, customer, listed, received};

/// A shop over three partitions with a few events, all folded.
async fn shop() -> Shop {
    let shop = Shop::open(3).await;
    shop.append("product-mug-1", &[listed("mug-1", "Mug")]).await;
    shop.append("inventory-mug-1", &[received(5), received(2)]).await;
    shop.append("order-1", &[created(&customer(1)), cancelled()])
        .await;
    shop.settle().await;
    shop
}

/// Changes a file directly, as an attacker with a shell could.
pub(super) async fn tamper(shop: &Shop, file: &str, statements: &str) {
    let options = SqliteConnectOptions::new().filename(shop.folder.path().join(file));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn findings(shop: &Shop) -> Vec<String> {
    let workspace = shop.store.workspace(shop.workspace).await.unwrap().unwrap();
    verify(&*shop.store, &**shop.read.read_model(), &workspace)
        .await
        .unwrap()
        .findings
}

#[tokio::test]
async fn an_intact_workspace_has_no_findings() {
    let shop = shop().await;
    let workspace = shop.store.workspace(shop.workspace).await.unwrap().unwrap();
    let report = verify(&*shop.store, &**shop.read.read_model(), &workspace)
        .await
        .unwrap();
    // A product, its stock, an order, its customer, their notifications, and five entries of activity.
    assert_eq!(
        (report.events, report.documents, report.findings),
        (5, 10, Vec::new())
    );
}

#[tokio::test]
async fn an_event_that_was_changed_is_named() {
    let shop = shop().await;
    let change = "drop trigger events_are_never_updated;
        update events set payload = replace(payload, '5', '500') where payload like '%quantity%5%'";
    tamper(&shop, "events.db", change).await;
    let findings = findings(&shop).await;
    assert!(
        findings
            .iter()
            .any(|finding| finding.contains("StockReceived") && finding.contains("its hash")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn an_event_that_was_removed_is_noticed() {
    let shop = shop().await;
    let change = "drop trigger events_are_never_deleted;
        delete from events where version = 1 and payload like '%lines%'";
    tamper(&shop, "events.db", change).await;
    let findings = findings(&shop).await;
    assert!(
        findings.iter().any(|finding| finding.contains("was expected")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_view_that_differs_from_its_fold_is_named() {
    let shop = shop().await;
    let change = "update documents set data = replace(data, '\"available\":7', '\"available\":8')
            where view = 'inventory';
        delete from listings where view = 'products';
        delete from documents where view = 'orders';
        delete from listings where view = 'orders'";
    tamper(&shop, "views.db", change).await;
    assert_eq!(
        findings(&shop).await,
        [
            "inventory: mug-1 differs from its fold",
            "orders: 1 is missing",
            "products: mug-1 is not listed where it belongs"
        ]
    );
}

/// As by a server that takes the views for those of purged workspaces.
const LOSE_THE_VIEWS: &str = "
    delete from documents;
    delete from listings;
    delete from checkpoints;
    delete from generations;
";

#[tokio::test]
async fn views_that_are_lost_with_their_checkpoints_are_named() {
    let shop = shop().await;
    tamper(&shop, "views.db", LOSE_THE_VIEWS).await;
    let findings = findings(&shop).await;
    // Only partitions that have events.
    let behind = findings
        .iter()
        .filter(|finding| finding.contains("does not move"));
    let with_events = shop.head().await.iter().count();
    assert_eq!(behind.count(), view::all().len() * with_events, "{findings:?}");
    assert_eq!(findings.len(), view::all().len() * with_events);
}

#[tokio::test]
async fn views_that_a_running_server_has_lost_are_named_at_once() {
    let shop = shop().await;
    assert_eq!(shop.findings().await, Vec::<String>::new());
    tamper(&shop, "views.db", LOSE_THE_VIEWS).await;
    let findings = shop.findings().await;
    assert_eq!(findings.len(), view::all().len(), "{findings:?}");
    let folded = shop.head().await;
    let output = format!("orders: it was folded as far as {folded}, and is as of 0:0 now");
    assert!(findings.contains(&output), "{findings:?}");
}

#[tokio::test]
async fn a_paused_view_is_behind_and_no_finding() {
    let shop = shop().await;
    let projections = &shop.read.projections;
    let paused = LaneDials {
        paused: true,
        ..LaneDials::default()
    };
    assert!(projections.bend(shop.workspace, "inventory", Some(paused)));
    shop.append("inventory-mug-1", &[received(1)]).await;
    let workspace = shop.store.workspace(shop.workspace).await.unwrap().unwrap();
    let report = verify_running(&*shop.store, &**shop.read.read_model(), projections, &workspace)
        .await
        .unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    // Over the files it does not move, once the other views are caught up.
    let head = shop.head().await;
    for view in view::all().iter().filter(|view| view.name() != "inventory") {
        let progress = shop.read.progress.of(shop.workspace, view.name()).unwrap();
        progress.reaches(&head).await;
    }
    assert_eq!(findings(&shop).await.len(), 1);
}

#[tokio::test]
async fn the_terminal_reads_files_that_a_server_has_open() {
    let shop = shop().await;
    let folder = shop.folder.path();
    let store = SqliteEventStore::open_to_read(&folder.join("events.db"))
        .await
        .unwrap();
    let read_model = SqliteDocumentStore::open_to_read(&folder.join("views.db"))
        .await
        .unwrap();
    let mut out = Vec::new();
    terminal::workspaces(&store, &mut out).await.unwrap();
    terminal::streams(&store, shop.workspace, "in", &mut out)
        .await
        .unwrap();
    let stream = "order-1".parse().unwrap();
    terminal::stream(&store, shop.workspace, &stream, Format::Text, &mut out)
        .await
        .unwrap();
    terminal::verify_all(&store, &read_model, None, &mut out)
        .await
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    for expected in [
        "inventory-mug-1",
        "OrderCreated",
        "OrderCancelled",
        "order-1 v2",
        "ok  5 events, 10 documents",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert!(!text.contains("product-mug-1"), "{text}");
}

#[tokio::test]
async fn an_unknown_workspace_is_named_and_findings_are_a_failure() {
    let shop = shop().await;
    let unknown = "01a20048-4550-7c84-b60a-af45ee4b4270".parse().unwrap();
    let refused = terminal::streams(&*shop.store, unknown, "", &mut Vec::new()).await;
    assert!(matches!(refused, Err(MonitorError::UnknownWorkspace(id)) if id == unknown));
    tamper(&shop, "views.db", "delete from documents; delete from listings").await;
    let mut out = Vec::new();
    let verdict = terminal::verify_all(&*shop.store, &**shop.read.read_model(), None, &mut out).await;
    assert!(
        matches!(verdict, Err(MonitorError::FindingsReported(10))),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn a_view_is_rebuilt_in_the_files() {
    let shop = shop().await;
    shop.read.shutdown().await;
    tamper(
        &shop,
        "views.db",
        "update documents set data = '{}' where view = 'inventory'",
    )
    .await;
    let open = async || {
        let views = shop.folder.path().join("views.db");
        Arc::new(SqliteDocumentStore::open(&views).await.unwrap())
    };
    let rebuild = async |workspace, view: &str| {
        let mut out = Vec::new();
        let store = Arc::clone(&shop.store);
        let clock = Arc::new(SystemClock);
        let read_model: Arc<dyn DocumentStore> = open().await;
        let files = (read_model, Progress::default());
        rebuild::rebuild_files(store, files, clock, workspace, view, &mut out)
            .await
            .map(|()| String::from_utf8(out).unwrap())
    };
    let output = rebuild(shop.workspace, "inventory").await.unwrap();
    assert!(output.ends_with("inventory  generation 2 is read\n"), "{output}");
    let unknown = rebuild(shop.workspace, "nonsense").await;
    assert!(matches!(unknown, Err(MonitorError::Rebuild(_))), "{unknown:?}");
    let unknown = rebuild(WorkspaceId(Uuid::from_u128(7)), "inventory").await;
    assert!(
        matches!(unknown, Err(MonitorError::UnknownWorkspace(_))),
        "{unknown:?}"
    );
    let workspace = shop.store.workspace(shop.workspace).await.unwrap().unwrap();
    let report = verify(&*shop.store, &*open().await, &workspace).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
}

async fn replayed(
    shop: &Shop,
    source: Source,
    options: ReplayOptions,
    format: Format,
) -> Result<String, MonitorError> {
    let mut out = Vec::new();
    replay(&*shop.store, shop.workspace, &source, options, format, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

fn everything() -> ReplayOptions {
    ReplayOptions {
        states: true,
        views: view::all().to_vec(),
        ..ReplayOptions::default()
    }
}

#[tokio::test]
async fn a_stream_is_replayed_with_the_result_of_each_event() {
    let shop = shop().await;
    let order = || Source::Stream("order-1".parse().unwrap());
    let text = replayed(&shop, order(), everything(), Format::Json)
        .await
        .unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let order_in = |line: &Value| {
        let documents = line["documents"].as_array().unwrap();
        let order = documents.iter().find(|document| document["view"] == "orders");
        order.unwrap()["data"].clone()
    };
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["event"]["version"].clone(),
                line["state"]["placed"]["status"].clone(),
                order_in(line)["status"].clone(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (json!(1), json!("created"), json!("created")),
            (json!(2), json!("cancelled"), json!("cancelled"))
        ]
    );
    // The last one is the document that a query returns.
    assert_eq!(order_in(&lines[1]), shop.document("orders", "1").await);
    // Up to a version, and up to a time.
    let first = ReplayOptions {
        to: Some(1),
        ..everything()
    };
    let text = replayed(&shop, order(), first, Format::Text).await.unwrap();
    assert!(
        text.contains("OrderCreated") && !text.contains("OrderCancelled"),
        "{text}"
    );
    assert!(
        text.contains("state  {") && text.contains("orders/1  {"),
        "{text}"
    );
    // A moment before the first there was no event, which is no error. The second, appended with it, is
    // later.
    let [first, second] = [0, 1].map(|line: usize| {
        let at: Timestamp = lines[line]["event"]["recorded_at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        at.as_micros()
    });
    for (at, shown) in [(first - 1, 0), (first, 1), (second, 2)] {
        let then = ReplayOptions {
            at: Some(Timestamp::from_micros(at)),
            ..ReplayOptions::default()
        };
        let text = replayed(&shop, order(), then, Format::Text).await.unwrap();
        assert_eq!(text.lines().count(), shown, "{text}");
    }
    let plain = replayed(&shop, order(), ReplayOptions::default(), Format::Text)
        .await
        .unwrap();
    assert_eq!(plain.lines().count(), 2, "{plain}");
    assert_eq!(shop.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_partition_is_replayed_in_its_order() {
    let shop = shop().await;
    let mut positions = 0;
    for partition in 0..3 {
        let text = replayed(&shop, Source::Partition(partition), everything(), Format::Json)
            .await
            .unwrap();
        for (line, position) in text.lines().zip(1..) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&line["event"]["partition"], &line["event"]["position"]),
                (&json!(partition), &json!(position))
            );
            positions += 1;
        }
    }
    assert_eq!(positions, 5);
    for (source, output) in [
        (Source::Partition(3), "partitions 0 to 2"),
        (
            Source::Stream("order-9".parse().unwrap()),
            "there is no stream order-9",
        ),
    ] {
        let refused = replayed(&shop, source, everything(), Format::Text)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(output), "{refused}");
    }
}
