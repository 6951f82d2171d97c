//! A log that was changed behind the store's back, on both databases: events cut off at the end, heads,
//! streams, stored answers, snapshots and blocks of types that do not fit the events.

use std::sync::Arc;

use domain::event::{StoredEvent, before_first_event};
use serde_json::value::RawValue;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use test_postgres::Database;

use super::{LIMITS, Limits, TIGHT, compare_views};
use clock::SystemClock;
use database::connections::ConnectionLimit;
use documents::sqlite::SqliteDocumentStore;
use event_store::{EventStore, PostgresEventStore, Snapshot, SqliteEventStore, Workspace};
use test_support::{append, confirmed, created, customer, open_workspace, received};

/// Where the log is.
enum Place {
    File,
    Database(Database),
}

/// A log of two streams in one partition: five receipts of stock, and an order.
struct Log {
    place: Place,
    store: Arc<dyn EventStore>,
    workspace: Workspace,
    folder: TempDir,
}

impl Log {
    async fn open(place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let store: Arc<dyn EventStore> = match &place {
            Place::File => {
                let file = folder.path().join("events.db");
                Arc::new(SqliteEventStore::open(&file, clock, None).await.unwrap())
            }
            Place::Database(database) => {
                let url = &database.url;
                let opened = PostgresEventStore::open(url, ConnectionLimit::default(), clock, None).await;
                Arc::new(opened.unwrap())
            }
        };
        let workspace = open_workspace(&*store, 1).await;
        let workspace = store.workspace(workspace).await.unwrap().unwrap();
        for _ in 0..5 {
            append(&*store, workspace.id, "inventory-mug-1", &[received(3)]).await;
        }
        let order = [created(&customer(1)), confirmed()];
        append(&*store, workspace.id, "order-1", &order).await;
        Self {
            place,
            store,
            workspace,
            folder,
        }
    }

    /// One on each database.
    async fn both() -> [Self; 2] {
        [
            Self::open(Place::File).await,
            Self::open(Place::Database(Database::new().await)).await,
        ]
    }

    /// Runs statements on the database, of which one is of each kind.
    async fn tamper(&self, sqlite: &[&str], postgres: &[&str]) {
        match &self.place {
            Place::File => {
                let options = SqliteConnectOptions::new().filename(self.folder.path().join("events.db"));
                let mut raw = options.connect().await.unwrap();
                for statement in sqlite {
                    raw.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
                }
                raw.close().await.unwrap();
            }
            Place::Database(database) => {
                let mut raw = PgConnection::connect(&database.url).await.unwrap();
                raw.execute("set search_path to foldline_events").await.unwrap();
                for statement in postgres {
                    raw.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
                }
                raw.close().await.unwrap();
            }
        }
    }

    async fn findings(&self) -> Vec<String> {
        let findings = self.findings_within(LIMITS).await;
        assert_eq!(self.findings_within(TIGHT).await, findings);
        findings
    }

    async fn findings_within(&self, limits: Limits) -> Vec<String> {
        // no view has folded anything, so none is compared
        let views = SqliteDocumentStore::open(&self.folder.path().join("views.db"))
            .await
            .unwrap();
        let compared = compare_views(&*self.store, &views, &self.workspace, limits).await;
        compared.unwrap().0.findings
    }

    async fn events(&self) -> Vec<StoredEvent> {
        let page = self.store.read_partition(self.workspace.id, 0, 0, 100);
        page.await.unwrap()
    }

    /// Saves a snapshot of the stock with its right state after some events, or another one.
    async fn save_snapshot(&self, version: u64, state: Option<&str>) {
        let mut stock = before_first_event("inventory").unwrap();
        for event in self.events().await.iter().take(usize::try_from(version).unwrap()) {
            stock.evolve(&event.decode().unwrap().payload);
        }
        let right = stock.state().unwrap().to_string();
        let state = state.map_or(right, str::to_owned);
        let snapshot = Snapshot {
            version,
            schema_version: stock.snapshot_version(),
            state: RawValue::from_string(state).unwrap(),
        };
        let stream = "inventory-mug-1".parse().unwrap();
        let saved = self.store.save_snapshot(self.workspace.id, &stream, &snapshot);
        saved.await.unwrap();
    }
}

#[tokio::test]
async fn an_intact_log_has_no_findings() {
    for log in Log::both().await {
        log.save_snapshot(4, None).await;
        assert_eq!(log.findings().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn events_that_were_cut_off_are_missed_by_the_head_and_the_streams() {
    for log in Log::both().await {
        log.tamper(
            &[
                "drop trigger events_are_never_deleted",
                "delete from events where place & 1099511627775 > 5",
            ],
            &[
                "drop trigger events_are_never_changed on events",
                "delete from events where position > 5",
            ],
        )
        .await;
        let findings = log.findings().await;
        for expected in [
            "partition 0: its head is at position 7, and its last event at 5",
            "stream order-1: its events are missing",
        ] {
            assert!(
                findings.iter().any(|finding| finding == expected),
                "{expected}: {findings:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_head_of_other_events_is_named() {
    for log in Log::both().await {
        log.tamper(
            &["update partitions set head_hash = zeroblob(32)"],
            &["update partitions set head_hash = decode(repeat('00', 32), 'hex')"],
        )
        .await;
        assert_eq!(
            log.findings().await,
            ["partition 0: the hash of its head is not that of its event at position 7"]
        );
        log.tamper(
            &["update partitions set head = 6, head_hash = (select hash from events where version = 5)"],
            &["update partitions set head = 6, head_hash = (select hash from events where version = 5)"],
        )
        .await;
        assert_eq!(
            log.findings().await,
            [
                "partition 0: the hash of its head is not that of its event at position 6",
                "partition 0: its last event is at position 7, and its head at 6"
            ]
        );
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_events_is_named() {
    for log in Log::both().await {
        let events = log.events().await;
        let (stock, order) = (events[0].metadata.command_id, events[5].metadata.command_id);
        let unlock_sqlite = "drop trigger events_are_never_updated";
        let unlock_postgres = "drop trigger events_are_never_changed on events";
        let forget = "update events set workspace_no = null, body_digest = null, event_count = null
                      where version = 1 and event_count = 1";
        let shorten = "update events set event_count = 1 where event_count = 2";
        log.tamper(
            &[unlock_sqlite, forget, shorten],
            &[unlock_postgres, forget, shorten],
        )
        .await;
        let mut expected = [
            format!("command {stock}: it has events of inventory-mug-1 at 0:1, and no stored answer"),
            format!(
                "command {order}: its stored answer names 1 events of order-1 at 0:6, which are not there, \
                 or not its own"
            ),
            format!("command {order}: it has events of order-1 at 0:6 that its stored answer does not name"),
        ];
        expected.sort();
        let mut findings = log.findings().await;
        findings.sort();
        assert_eq!(findings, expected);
    }
}

#[tokio::test]
async fn an_answer_of_a_row_that_names_no_events_of_its_own_is_named() {
    for log in Log::both().await {
        let answer = r#"'{"token":"0:7","streams":[["order-9",1,0,7,1]]}'"#;
        let sqlite = format!(
            "insert into answers (workspace_no, command_id, body_digest, correlation_id, answer)
             select no, randomblob(16), zeroblob(32), randomblob(16), {answer} from workspaces"
        );
        let postgres = format!(
            "insert into answers (workspace_no, command_id, body_digest, correlation_id, answer)
             select no, gen_random_uuid(), decode(repeat('00', 32), 'hex'), gen_random_uuid(), {answer}
             from workspaces"
        );
        log.tamper(&[sqlite.as_str()], &[postgres.as_str()]).await;
        let findings = log.findings().await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        let expected = "names 1 events of order-9 at 0:7, which are not there, or not its own";
        assert!(findings[0].ends_with(expected), "{findings:?}");
    }
}

#[tokio::test]
async fn a_snapshot_that_differs_from_its_fold_is_named() {
    for log in Log::both().await {
        let mut stock = before_first_event("inventory").unwrap();
        stock.evolve(&log.events().await[0].decode().unwrap().payload);
        let early = stock.state().unwrap().to_string();
        log.save_snapshot(3, Some(&early)).await;
        assert_eq!(
            log.findings().await,
            ["the snapshot of inventory-mug-1 at version 3 differs from the fold of its stream"]
        );
        log.save_snapshot(9, None).await;
        assert_eq!(
            log.findings().await,
            ["the snapshot of inventory-mug-1 at version 9 is ahead of its stream, which is at 5"]
        );
    }
}

#[tokio::test]
async fn a_block_that_is_not_listed_and_one_too_many_are_named() {
    for log in Log::both().await {
        let remove = "delete from type_blocks where type_no = (select no from event_types \
                      where name = 'StockReceived')";
        let add = "insert into type_blocks (type_no, partition_no, block)
                   select type_no, partition_no, 3 from type_blocks where type_no = (
                       select no from event_types where name = 'OrderCreated'
                   )";
        log.tamper(&[remove, add], &[remove, add]).await;
        assert_eq!(
            log.findings().await,
            [
                "partition 0: block 0 is not listed as having StockReceived version 1",
                "partition 0: block 3 is listed as having OrderCreated version 1, and has none"
            ]
        );
    }
}
