//! The index over a real folder and real events, without lanes: what is committed, and what is not again.

use broker::{Events, PartitionId, decode};
use clock::{Clock as _, SystemClock};
use domain::{event::DomainEvent, wire::SearchKind};
use event_store::{EventStore as _, SqliteEventStore};
use tempfile::TempDir;
use test_support::{
    append, confirmed, created, customer, educator, listed, open_workspace,
    plaintext_opener::PlaintextOpener, price,
};

use super::*;

/// A log with one partition, and an index.
struct Fixture {
    store: SqliteEventStore,
    search: Search,
    partition: PartitionId,
    /// Up to where the events were performed.
    performed: u64,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteEventStore::open(&folder.path().join("events.db"), Arc::new(SystemClock), None)
            .await
            .unwrap();
        let workspace = open_workspace(&store, 1).await;
        let index = folder.path().join("search");
        Self {
            store,
            search: Search::open(&index, SystemClock.new_id(), Arc::new(PlaintextOpener)).unwrap(),
            partition: PartitionId {
                workspace,
                partition: 0,
            },
            performed: 0,
            _folder: folder,
        }
    }

    /// Appends events and has them performed.
    async fn perform(&mut self, stream: &str, events: &[DomainEvent]) {
        append(&self.store, self.partition.workspace, stream, events).await;
        let work = Work {
            partition: self.partition,
            passed: Some((self.performed, self.performed + events.len() as u64)),
            events: self.events_after(self.performed).await,
        };
        self.search.perform(&work).await.unwrap();
        self.performed += events.len() as u64;
    }

    async fn events_after(&self, position: u64) -> Events {
        let events = self
            .store
            .read_partition(self.partition.workspace, 0, position, 100)
            .await;
        decode(&events.unwrap())
    }

    /// Grows with each commit.
    fn commits(&self) -> u64 {
        self.search.files.index.load_metas().unwrap().opstamp
    }

    /// What an educator finds.
    async fn found(&self, text: &str) -> Vec<serde_json::Value> {
        let request = SearchRequest {
            text: text.to_owned(),
            kinds: SearchKind::ALL.to_vec(),
            tag: None,
            limit: 100,
        };
        let found = self
            .search
            .find(self.partition.workspace, &educator(), request)
            .await;
        let hits = found.unwrap().hits;
        hits.iter()
            .map(|hit| serde_json::from_str(hit.data.get()).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn an_event_that_changes_no_document_costs_no_commit() {
    let mut fixture = Fixture::new().await;
    fixture
        .perform("product-mug-1", &[listed("mug-1", "Teapot")])
        .await;
    let before = fixture.commits();
    fixture.perform("product-mug-1", &[price(900)]).await;
    assert_eq!(fixture.commits(), before, "it had this price");
    // Every event is delivered again.
    let again = Work {
        partition: fixture.partition,
        passed: Some((0, 2)),
        events: fixture.events_after(0).await,
    };
    fixture.search.perform(&again).await.unwrap();
    assert_eq!(fixture.commits(), before);
    fixture.perform("product-mug-1", &[price(4_200)]).await;
    assert!(fixture.commits() > before);
    let found = fixture.found("teapot").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["price"]["amount"], 4_200);
    fixture.search.close().await;
}

#[tokio::test]
async fn a_document_takes_the_place_of_its_earlier_state_through_many_commits_and_merges() {
    let mut fixture = Fixture::new().await;
    let ada = customer(1);
    for n in 0..10 {
        let stream = format!("order-{n}");
        fixture.perform(&stream, &[created(&ada)]).await;
        fixture.perform(&stream, &[confirmed()]).await;
    }
    let orders = fixture.found("mug").await;
    let is_confirmed = |order: &&serde_json::Value| order["status"] == "confirmed";
    assert_eq!(
        (orders.len(), orders.iter().filter(is_confirmed).count()),
        (10, 10)
    );
    fixture.search.close().await;
}

#[tokio::test]
async fn every_part_of_a_name_is_found_in_every_encoding() {
    let mut fixture = Fixture::new().await;
    let long = "Donaudampfschifffahrtselektrizit\u{e4}tenhauptbetriebswerk";
    for (sku, name) in [
        ("p-1", "Poster Mot\u{f6}rhead"),
        ("p-2", "蓝色马克杯两件"),
        ("p-3", "電子レンジ対応マグカップ"),
        ("p-4", "파란머그컵 세트"),
        ("p-5", "แก้วกาแฟเซรามิก"),
        ("p-6", long),
        ("p-7", "Cre\u{300}me bru\u{302}le\u{301}e"),
    ] {
        fixture
            .perform(&format!("product-{sku}"), &[listed(sku, name)])
            .await;
    }
    for (sku, queries) in [
        (
            "p-1",
            vec![
                "moto\u{308}rhead",
                "mot\u{f6}rhead",
                "motorhead",
                "\u{ff4d}otorhead",
            ],
        ),
        ("p-2", vec!["马克杯", "蓝色", "杯", "马克杯 两件", "色马"]),
        ("p-3", vec!["マグ", "ﾏｸﾞ", "マク\u{3099}", "カップ", "対応マグ"]),
        ("p-4", vec!["머그컵", "머그", "컵", "세트"]),
        ("p-5", vec!["กาแฟ", "เซรามิก"]),
        (
            "p-6",
            vec![long, "donaudampfschifffahrtselektrizitatenhaupt", "Donaudampf"],
        ),
        ("p-7", vec!["cr\u{e8}me", "brulee", "br\u{fb}l\u{e9}e"]),
    ] {
        for query in queries {
            let found = fixture.found(query).await;
            let skus: Vec<_> = found
                .iter()
                .map(|product| product["sku"].as_str().unwrap())
                .collect();
            assert_eq!(skus, [sku], "{query}");
        }
    }
    fixture.search.close().await;
}

#[tokio::test]
async fn an_index_of_another_format_is_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("search");
    let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
    for (id, expected) in [(first, first), (second, first)] {
        let search = Search::open(&folder, id, Arc::new(PlaintextOpener)).unwrap();
        assert_eq!(search.files.id, expected);
        search.close().await;
    }
    // As the version before wrote it.
    std::fs::write(
        folder.join("label.json"),
        format!(r#"{{"format":1,"id":"{first}"}}"#),
    )
    .unwrap();
    let search = Search::open(&folder, third, Arc::new(PlaintextOpener)).unwrap();
    assert_eq!(search.files.id, third, "its lanes begin at the first event");
    search.close().await;
}
