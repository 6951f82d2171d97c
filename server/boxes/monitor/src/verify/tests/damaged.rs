//! Rows that cannot be read, in the log and in the views, on both databases: each is a finding, and hides
//! nothing else.

use std::sync::Arc;

use database::url::StoreUrl;
use domain::view::{self, FoldTarget};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use test_postgres::Database;

use super::{LIMITS, TIGHT, compare_views, write_of};
use clock::SystemClock;
use documents::{DocumentStore, FIRST_GENERATION, FoldInput, FoldOutput, LaneId, Scope};
use event_store::{EventStore, Workspace};
use test_support::{append, listed, open_workspace, received};

const SCHEMA: &str = "foldline_views";

/// A log of one partition, and the view of the stock, which has folded it.
struct Stores {
    events: StoreUrl,
    views: StoreUrl,
    log: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    workspace: Workspace,
    _place: (TempDir, Option<Database>),
}

impl Stores {
    async fn open(database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (events, views) = match &database {
            Some(database) => {
                let url: StoreUrl = database.url.parse().unwrap();
                (url.clone(), url)
            }
            None => (
                StoreUrl::from(folder.path().join("events.db")),
                StoreUrl::from(folder.path().join("views.db")),
            ),
        };
        let log = event_store::open(&events, Arc::new(SystemClock), None)
            .await
            .unwrap();
        let read_model = documents::open(&views, SCHEMA).await.unwrap();
        let workspace = open_workspace(&*log, 1).await;
        let workspace = log.workspace(workspace).await.unwrap().unwrap();
        append(&*log, workspace.id, "product-mug-1", &[listed("mug-1", "Mug")]).await;
        for sku in 1..=3 {
            append(
                &*log,
                workspace.id,
                &format!("inventory-mug-{sku}"),
                &[received(3)],
            )
            .await;
        }
        let stores = Self {
            events,
            views,
            log,
            read_model,
            workspace,
            _place: (folder, database),
        };
        stores.fold().await;
        stores
    }

    /// One on each database.
    async fn both() -> [Self; 2] {
        [
            Self::open(None).await,
            Self::open(Some(Database::new().await)).await,
        ]
    }

    async fn fold(&self) {
        let events = self
            .log
            .read_partition(self.workspace.id, 0, 0, 100)
            .await
            .unwrap();
        for view in view::all() {
            let mut folds = std::collections::BTreeMap::<String, Box<dyn FoldTarget>>::new();
            for event in &events {
                let typed = event.decode().unwrap();
                for key in view.keys(&typed) {
                    folds
                        .entry(key)
                        .or_insert_with_key(|key| view.load(key, None).unwrap())
                        .fold(&typed);
                }
            }
            let writes: Vec<_> = folds.iter().map(|(key, of)| write_of(key, &**of)).collect();
            let mut effect = |_: FoldInput| {
                Ok(FoldOutput {
                    writes: writes.clone(),
                    ..FoldOutput::default()
                })
            };
            let lane = LaneId {
                scope: Scope {
                    workspace: self.workspace.id,
                    view: view.name(),
                    generation: FIRST_GENERATION,
                },
                partition: 0,
            };
            let to = (events.len() as u64).into();
            let folded = self.read_model.update(&lane, 0, &to, &[], &mut effect);
            folded.await.unwrap();
        }
    }

    async fn tamper(&self, url: &StoreUrl, schema: &str, statements: &[&str]) {
        match url {
            StoreUrl::Sqlite(url) => {
                let options = SqliteConnectOptions::new().filename(url.file());
                let mut raw = options.connect().await.unwrap();
                for statement in statements {
                    raw.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
                }
                raw.close().await.unwrap();
            }
            StoreUrl::Postgres(url) => {
                let mut raw = PgConnection::connect(url.expose()).await.unwrap();
                let path = format!("set search_path to {schema}");
                raw.execute(AssertSqlSafe(path)).await.unwrap();
                for statement in statements {
                    raw.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
                }
                raw.close().await.unwrap();
            }
        }
    }

    async fn tamper_views(&self, statements: &[&str]) {
        self.tamper(&self.views, SCHEMA, statements).await;
    }

    async fn tamper_log(&self, statement: &str) {
        let unlock = match &self.events {
            StoreUrl::Sqlite(_) => "drop trigger if exists events_are_never_updated",
            StoreUrl::Postgres(_) => "drop trigger if exists events_are_never_changed on events",
        };
        self.tamper(&self.events, "foldline_events", &[unlock, statement])
            .await;
    }

    async fn findings(&self) -> Vec<String> {
        let compare = async |limits| {
            let compared = compare_views(&*self.log, &*self.read_model, &self.workspace, limits).await;
            compared.unwrap().0.findings
        };
        let findings = compare(LIMITS).await;
        assert_eq!(compare(TIGHT).await, findings);
        findings
    }
}

#[tokio::test]
async fn an_intact_workspace_has_no_findings() {
    for stores in Stores::both().await {
        assert_eq!(stores.findings().await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn damaged_documents_and_ghosts_in_listings_are_named() {
    for stores in Stores::both().await {
        stores
            .tamper_views(&[
                "update documents set data = '{' where view = 'inventory' and key = 'mug-1'",
                "delete from documents where view = 'inventory' and key = 'mug-2'",
                "insert into listings (workspace, view, generation, listing, group_key, sort_key, key)
                 select workspace, view, generation, 'all', '', 'x', 'ghost' from documents
                 where view = 'inventory' and key = 'mug-3'",
            ])
            .await;
        let findings = stores.findings().await;
        let [ghost, gone, broken, missing] = findings.as_slice() else {
            panic!("{findings:?}");
        };
        assert_eq!(ghost, "inventory: it lists ghost, of which there is no document");
        assert_eq!(gone, "inventory: it lists mug-2, of which there is no document");
        assert!(broken.starts_with("inventory: mug-1 is not JSON"), "{broken}");
        assert_eq!(missing, "inventory: mug-2 is missing");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named_and_those_behind_it_are_checked() {
    for stores in Stores::both().await {
        stores
            .tamper_log(
                "update events set actor_role = 'wizard' where command_id = (
                select e.command_id from events e join streams s on s.no = e.stream_no
                where s.name = 'inventory-mug-1'
            )",
            )
            .await;
        let findings = stores.findings().await;
        let named = findings.iter().find(|finding| finding.contains("cannot be read"));
        let named = named.unwrap();
        assert!(named.starts_with("partition 0, position 2: "), "{findings:?}");
        assert!(
            named.contains(&format!("of workspace {}", stores.workspace.id)),
            "{findings:?}"
        );
        assert!(
            findings.contains(&"inventory: mug-1 is there, and no event makes it".to_owned()),
            "{findings:?}"
        );
        assert!(
            !findings.iter().any(|finding| finding.contains("mug-2")),
            "{findings:?}"
        );

        // A change behind it shows as well.
        stores
            .tamper_log(
                "update events set payload = replace(payload, '3', '4') where command_id = (
                select e.command_id from events e join streams s on s.no = e.stream_no
                where s.name = 'inventory-mug-3'
            )",
            )
            .await;
        let findings = stores.findings().await;
        assert!(
            findings
                .iter()
                .any(|finding| finding.contains("position 4") && finding.contains("its hash")),
            "{findings:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_answer_and_white_space_around_a_payload_are_named() {
    for stores in Stores::both().await {
        stores
            .tamper_log("update events set answer = '{' where version = 1")
            .await;
        let findings = stores.findings().await;
        assert_eq!(findings.len(), 4, "{findings:?}");
        assert!(
            findings
                .iter()
                .all(|finding| finding.contains("its stored answer cannot be read")),
            "{findings:?}"
        );
        stores
            .tamper_log("update events set answer = null, payload = payload || ' ' where version = 1")
            .await;
        let findings = stores.findings().await;
        assert_eq!(findings.len(), 4, "{findings:?}");
        assert!(
            findings[0].starts_with("partition 0, position 1: white space is stored around the payload"),
            "{findings:?}"
        );
    }
}
