//! The verifier over real stores, into which a test folds as lanes do. Every report is made twice: with the
//! limits of production, which hold all of it in memory, and with limits that hold next to nothing.

mod damaged;
mod tampered;

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    event::{DomainEvent, StoredEvent},
    view::{self, FoldTarget, ListingEntry},
    wire::VerifyReport,
};
use serde_json::value::RawValue;
use tempfile::TempDir;
use uuid::Uuid;

use super::{LIMITS, Limits, MAX_FINDINGS, compare_views};
use clock::SystemClock;
use documents::{
    Checkpoint, DocumentStore, DocumentWrite, FIRST_GENERATION, FoldInput, FoldOutput, LaneId, ParkedEvent,
    ParkedState, Scope, UpdateOutcome, sqlite::SqliteDocumentStore,
};
use event_store::{EventStore, SqliteEventStore, Workspace};
use test_support::{append, cancelled, confirmed, created, customer, listed, open_workspace, received};

/// Every page is full, and every document and every version leaves memory.
const TIGHT: Limits = Limits {
    page: 2,
    documents: 0,
    streams: 0,
};

const INVENTORY: &str = "inventory";

struct Shop {
    store: Arc<dyn EventStore>,
    views: Arc<dyn DocumentStore>,
    workspace: Workspace,
    _folder: TempDir,
}

impl Shop {
    /// A workspace over two partitions: an order of each kind, and the stock of four products, whose events
    /// alternate.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events.db");
        let store = SqliteEventStore::open(&events, Arc::new(SystemClock), None)
            .await
            .unwrap();
        let store: Arc<dyn EventStore> = Arc::new(store);
        let views = SqliteDocumentStore::open(&folder.path().join("views.db"))
            .await
            .unwrap();
        let workspace = open_workspace(&*store, 2).await;
        let workspace = store.workspace(workspace).await.unwrap().unwrap();
        let shop = Self {
            store,
            views: Arc::new(views),
            workspace,
            _folder: folder,
        };
        shop.append("product-mug-1", &[listed("mug-1", "Mug")]).await;
        for _ in 0..3 {
            for sku in 1..=4 {
                shop.append(&format!("inventory-mug-{sku}"), &[received(3)]).await;
            }
        }
        shop.append("order-1", &[created(&customer(1)), confirmed()])
            .await;
        shop.append("order-2", &[created(&customer(2)), cancelled()])
            .await;
        shop
    }

    /// The same, and every view has folded all of it.
    async fn folded() -> Self {
        let shop = Self::open().await;
        shop.fold_without(None).await;
        shop
    }

    async fn append(&self, stream: &str, events: &[DomainEvent]) {
        append(&*self.store, self.workspace.id, stream, events).await;
    }

    async fn events(&self) -> Vec<StoredEvent> {
        let mut events = Vec::new();
        for partition in 0..self.workspace.shards {
            let page = self.store.read_partition(self.workspace.id, partition, 0, 1_000);
            events.extend(page.await.unwrap());
        }
        events
    }

    fn scope(&self, view: &'static str) -> Scope {
        Scope {
            workspace: self.workspace.id,
            view,
            generation: FIRST_GENERATION,
        }
    }

    /// Folds the log into every view, and parks the event of this id instead.
    async fn fold_without(&self, parked: Option<Uuid>) {
        let events = self.events().await;
        let head = self.store.head(self.workspace.id).await.unwrap();
        for view in view::all() {
            let mut folds: BTreeMap<String, Box<dyn FoldTarget>> = BTreeMap::new();
            for event in events.iter().filter(|event| Some(event.event_id) != parked) {
                let typed = event.decode().unwrap();
                for key in view.keys(&typed) {
                    folds
                        .entry(key)
                        .or_insert_with_key(|key| view.load(key, None).unwrap())
                        .fold(&typed);
                }
            }
            let mut writes: Vec<DocumentWrite> = folds
                .iter()
                .map(|(key, folding)| write_of(key, &**folding))
                .collect();
            for (partition, position) in head.iter().filter(|(_, position)| *position > 0) {
                let lane = LaneId {
                    scope: self.scope(view.name()),
                    partition,
                };
                let written = std::mem::take(&mut writes);
                let parked: Vec<ParkedEvent> = events
                    .iter()
                    .filter(|event| event.partition == partition && Some(event.event_id) == parked)
                    .map(dead)
                    .collect();
                let mut effect = |_: FoldInput| {
                    Ok(FoldOutput {
                        writes: written.clone(),
                        parked: parked.clone(),
                        ..FoldOutput::default()
                    })
                };
                let to = position.into();
                let updated = self.views.update(&lane, 0, &to, &[], &mut effect);
                assert_eq!(updated.await.unwrap(), UpdateOutcome::Committed);
            }
        }
    }

    /// Changes documents without an event.
    async fn change(&self, view: &'static str, writes: Vec<DocumentWrite>) {
        let mut effect = |_: FoldInput| {
            Ok(FoldOutput {
                writes: writes.clone(),
                ..FoldOutput::default()
            })
        };
        let scope = self.scope(view);
        let changed = self.views.amend(&scope, &[], &mut effect);
        changed.await.unwrap();
    }

    async fn report(&self) -> VerifyReport {
        let report = self.report_within(LIMITS).await;
        assert_eq!(self.report_within(TIGHT).await, report);
        report
    }

    async fn report_within(&self, limits: Limits) -> VerifyReport {
        let compared = compare_views(&*self.store, &*self.views, &self.workspace, limits);
        compared.await.unwrap().0
    }

    async fn findings(&self) -> Vec<String> {
        self.report().await.findings
    }
}

/// A dead letter.
fn dead(event: &StoredEvent) -> ParkedEvent {
    ParkedEvent {
        position: event.position,
        id: event.event_id,
        stream: event.stream.clone(),
        version: event.version,
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        correlation_id: event.metadata.correlation_id,
        state: ParkedState::Dead {
            reason: "it does not fit".to_owned(),
            attempts: 1,
        },
        parked_at: event.recorded_at,
    }
}

/// The write of a document that is not stored yet.
fn write_of(key: &str, folding: &dyn FoldTarget) -> DocumentWrite {
    let mut entries = folding.listings();
    entries.sort();
    entries.dedup();
    DocumentWrite {
        key: key.to_owned(),
        data: folding.document().unwrap().map(Arc::from),
        owner: folding.owner(),
        removed_entries: Vec::new(),
        added_entries: entries,
    }
}

/// The write of a document in the view `inventory`.
fn write(key: &str, json: &str) -> DocumentWrite {
    DocumentWrite {
        key: key.to_owned(),
        data: Some(RawValue::from_string(json.to_owned()).unwrap().into()),
        owner: None,
        removed_entries: Vec::new(),
        added_entries: Vec::new(),
    }
}

/// The stock of a product, as it is folded.
const STOCK: &str = r#"{"sku":"mug-1","on_hand":9,"reserved":0,"available":9}"#;

#[tokio::test]
async fn an_intact_workspace_has_no_findings() {
    let shop = Shop::folded().await;
    let report = shop.report().await;
    assert_eq!((report.events, report.findings), (17, Vec::new()));
    assert!(report.documents > 17, "{}", report.documents);
}

#[tokio::test]
async fn a_corrupted_document_is_named() {
    let shop = Shop::folded().await;
    let wrong = STOCK.replace("\"available\":9", "\"available\":8");
    shop.change(INVENTORY, vec![write("mug-1", &wrong)]).await;
    assert_eq!(shop.findings().await, ["inventory: mug-1 differs from its fold"]);
}

#[tokio::test]
async fn the_order_of_fields_does_not_matter() {
    let shop = Shop::folded().await;
    let turned = r#"{"available":9, "reserved":0, "on_hand":9, "sku":"mug-1"}"#;
    shop.change(INVENTORY, vec![write("mug-1", turned)]).await;
    assert_eq!(shop.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_document_is_named() {
    let shop = Shop::folded().await;
    let missing = DocumentWrite {
        data: None,
        removed_entries: vec![ListingEntry::new("all", "mug-1")],
        ..write("mug-1", STOCK)
    };
    shop.change(INVENTORY, vec![missing]).await;
    assert_eq!(shop.findings().await, ["inventory: mug-1 is missing"]);
}

#[tokio::test]
async fn a_document_that_no_event_makes_is_named() {
    let shop = Shop::folded().await;
    shop.change(INVENTORY, vec![write("mug-9", STOCK)]).await;
    assert_eq!(
        shop.findings().await,
        ["inventory: mug-9 is there, and no event makes it"]
    );
}

#[tokio::test]
async fn an_entry_too_many_and_one_too_few_are_named() {
    let shop = Shop::folded().await;
    let surplus = DocumentWrite {
        added_entries: vec![ListingEntry::new("low_stock", "0000000009")],
        ..write("mug-1", STOCK)
    };
    let lacking = DocumentWrite {
        removed_entries: vec![ListingEntry::new("all", "mug-2")],
        ..write("mug-2", &STOCK.replace("mug-1", "mug-2"))
    };
    shop.change(INVENTORY, vec![surplus, lacking]).await;
    assert_eq!(
        shop.findings().await,
        [
            "inventory: mug-1 is not listed where it belongs",
            "inventory: mug-2 is not listed where it belongs"
        ]
    );
}

#[tokio::test]
async fn an_entry_without_a_document_is_named_and_hides_nothing_else() {
    let shop = Shop::folded().await;
    let gone = DocumentWrite {
        data: None,
        ..write("mug-1", STOCK)
    };
    shop.change(INVENTORY, vec![gone, write("mug-9", STOCK)]).await;
    assert_eq!(
        shop.findings().await,
        [
            "inventory: it lists mug-1, of which there is no document",
            "inventory: mug-9 is there, and no event makes it",
            "inventory: mug-1 is missing"
        ]
    );
}

#[tokio::test]
async fn an_owner_that_differs_is_named() {
    let shop = Shop::folded().await;
    let key = customer(1).id.to_string();
    let stored = shop
        .views
        .document(shop.workspace.id, "customers", &key)
        .await
        .unwrap();
    let stored = stored.value.unwrap();
    assert_eq!(stored.owner, Some(customer(1).id));
    let of_another = DocumentWrite {
        owner: Some(customer(2).id),
        ..write(&key, stored.data.get())
    };
    shop.change("customers", vec![of_another]).await;
    assert_eq!(
        shop.findings().await,
        [format!(
            "customers: {key} belongs to another person than in its fold"
        )]
    );
}

#[tokio::test]
async fn a_checkpoint_that_is_ahead_of_the_log_or_of_another_history_is_named() {
    let shop = Shop::folded().await;
    let head = shop.store.head(shop.workspace.id).await.unwrap();
    let (partition, position) = head.iter().find(|(_, position)| *position > 0).unwrap();
    let lane = LaneId {
        scope: shop.scope(INVENTORY),
        partition,
    };
    let mut nothing = |_: FoldInput| Ok(FoldOutput::default());
    let ahead = (position + 7).into();
    let moved = shop
        .views
        .update(&lane, position, &ahead, &[], &mut nothing)
        .await;
    assert_eq!(moved.unwrap(), UpdateOutcome::Committed);
    assert_eq!(
        shop.findings().await,
        [format!(
            "inventory: its checkpoint of partition {partition} is at {}, and the log ends at {position}",
            position + 7
        )]
    );
    let other = Checkpoint {
        position,
        hash: Some("ab".repeat(32)),
    };
    let moved = shop
        .views
        .update(&lane, position + 7, &other, &[], &mut nothing)
        .await;
    assert_eq!(moved.unwrap(), UpdateOutcome::Committed);
    assert_eq!(
        shop.findings().await,
        [format!(
            "inventory: its checkpoint of partition {partition} at position {position} is of another history \
             than the log"
        )]
    );
}

#[tokio::test]
async fn a_parked_event_is_a_finding_and_is_not_folded() {
    let shop = Shop::open().await;
    let events = shop.events().await;
    let stock = events.iter().find(|event| event.event_type == "StockReceived");
    shop.fold_without(Some(stock.unwrap().event_id)).await;
    let expected: Vec<_> = view::all()
        .iter()
        .map(|view| {
            let view = view.name();
            format!("{view}: 1 events are dead letters, wait behind one, or were discarded")
        })
        .collect();
    assert_eq!(shop.findings().await, expected);
}

#[tokio::test]
async fn a_view_is_compared_as_of_its_own_position() {
    let shop = Shop::folded().await;
    shop.append("inventory-mug-1", &[received(1), received(1)]).await;
    let report = shop.report().await;
    assert_eq!((report.events, report.findings), (19, Vec::new()));
}

#[tokio::test]
async fn a_report_has_the_first_findings() {
    let shop = Shop::folded().await;
    let writes = (0..MAX_FINDINGS + 10).map(|n| write(&format!("bowl-{n:03}"), STOCK));
    shop.change(INVENTORY, writes.collect()).await;
    let findings = shop.findings().await;
    assert_eq!(findings.len(), MAX_FINDINGS);
    assert_eq!(findings[0], "inventory: bowl-000 is there, and no event makes it");
}
