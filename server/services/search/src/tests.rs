//! The index over a real folder and real events, without lanes: what is committed, and what is not again.

use std::path::PathBuf;

use broker::{Events, PartitionId, decode};
use clock::{Clock as _, SystemClock};
use domain::{
    access::Role,
    aggregate::user::{UserErased, UserEvent, UserRegistered},
    event::{DomainEvent, EventPayload as _},
    language::Language,
    wire::SearchKind,
};
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
    folder: TempDir,
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
            folder,
        }
    }

    /// Appends events and has them performed.
    async fn perform(&mut self, stream: &str, events: &[DomainEvent]) {
        let work = self.append(stream, events).await;
        self.search.perform(&work).await.unwrap();
        self.performed += events.len() as u64;
    }

    /// Appends events; the work that they are.
    async fn append(&self, stream: &str, events: &[DomainEvent]) -> Work {
        append(&self.store, self.partition.workspace, stream, events).await;
        Work {
            partition: self.partition,
            passed: Some((self.performed, self.performed + events.len() as u64)),
            events: self.events_after(self.performed).await,
        }
    }

    fn index_folder(&self) -> PathBuf {
        self.folder.path().join("search")
    }

    /// Whether a file of the index has a text.
    fn has_in_files(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.index_folder().join("index")).unwrap();
        let mut contents = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        contents.any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
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
        ("p-8", "Tea \u{1f375} green"),
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
        (
            "p-3",
            vec![
                "マグ",
                "ﾏｸﾞ",
                "マク\u{3099}",
                "カップ",
                "対応マグ",
                "かっぷ",
                "まぐ",
            ],
        ),
        ("p-4", vec!["머그컵", "머그", "컵", "세트"]),
        ("p-5", vec!["กาแฟ", "เซรามิก"]),
        (
            "p-6",
            vec![long, "donaudampfschifffahrtselektrizitatenhaupt", "Donaudampf"],
        ),
        ("p-7", vec!["cr\u{e8}me", "brulee", "br\u{fb}l\u{e9}e"]),
        ("p-8", vec!["\u{1f375}", "tea \u{1f375}", "\u{1f375}\u{fe0f}"]),
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

/// An email of which nothing is in any other text.
const EMAIL: &str = "zyxwvq@kfjghb.test";

fn registered() -> DomainEvent {
    let registered = UserRegistered {
        email: EMAIL.to_owned(),
        display_name: "Adelheid".to_owned(),
        role: Role::Customer,
        language: Language::En,
    };
    UserEvent::from(registered).into_domain()
}

fn erased() -> DomainEvent {
    UserEvent::from(UserErased {}).into_domain()
}

#[tokio::test]
async fn an_erasure_is_answered_once_its_text_is_in_no_file() {
    let mut fixture = Fixture::new().await;
    let user = format!("user-{}", customer(1).id);
    fixture.perform(&user, &[registered()]).await;
    assert!(fixture.has_in_files(EMAIL));
    fixture.perform(&user, &[erased()]).await;
    assert!(!fixture.has_in_files(EMAIL), "while the index is open");
    fixture.search.close().await;
}

/// Given an erasure that is committed, when the server is killed before the text is out of the files, then it
/// is after the next start, and its event is done when it comes again.
#[tokio::test]
async fn an_erasure_that_a_kill_interrupts_is_finished_at_the_next_start() {
    let mut fixture = Fixture::new().await;
    let user = format!("user-{}", customer(1).id);
    // In one segment: one whose documents are all deleted is dropped at once.
    fixture
        .append("product-mug-1", &[listed("mug-1", "Teapot")])
        .await;
    let mut both = fixture.append(&user, &[registered()]).await;
    both.passed = Some((0, 2));
    fixture.search.perform(&both).await.unwrap();
    fixture.performed = 2;
    fixture.search.close().await;
    let work = fixture.append(&user, &[erased()]).await;

    let (files, index) = Files::open(&fixture.index_folder(), Uuid::nil()).unwrap();
    let opener = Arc::new(PlaintextOpener);
    let writer = Writer::new(Arc::new(files), index, opener, Handle::current());
    let interrupted = work.clone();
    tokio::task::spawn_blocking(move || writer.commit_and_be_killed(&interrupted))
        .await
        .unwrap();
    assert!(
        fixture.has_in_files(EMAIL),
        "it is deleted, and still in its segment"
    );

    let search = Search::open(&fixture.index_folder(), Uuid::nil(), Arc::new(PlaintextOpener)).unwrap();
    fixture.search = search;
    fixture.search.perform(&work).await.unwrap();
    assert!(!fixture.has_in_files(EMAIL));
    assert_eq!(fixture.found("teapot").await.len(), 1);
    fixture.search.close().await;
}

/// Given an index that a version without notes of erasures has left, when it is opened, then its files lose
/// what was deleted, also files that the index has forgotten.
#[tokio::test]
async fn what_an_earlier_version_has_left_in_the_files_is_removed_at_the_start() {
    let mut fixture = Fixture::new().await;
    let user = format!("user-{}", customer(1).id);
    fixture.perform(&user, &[registered()]).await;
    fixture.search.close().await;
    let work = fixture.append(&user, &[erased()]).await;
    let (files, index) = Files::open(&fixture.index_folder(), Uuid::nil()).unwrap();
    let writer = Writer::new(
        Arc::new(files),
        index,
        Arc::new(PlaintextOpener),
        Handle::current(),
    );
    tokio::task::spawn_blocking(move || writer.commit_and_be_killed(&work))
        .await
        .unwrap();
    let forgotten = fixture
        .index_folder()
        .join("index/00000000000000000000000000000001.store");
    std::fs::write(forgotten, EMAIL).unwrap();
    let search = Search::open(&fixture.index_folder(), Uuid::nil(), Arc::new(PlaintextOpener)).unwrap();
    search.close().await;
    assert!(!fixture.has_in_files(EMAIL));
}

#[tokio::test]
async fn an_order_that_comes_after_the_erasure_of_its_customer_has_no_name() {
    let mut fixture = Fixture::new().await;
    let mut ada = customer(1);
    ada.name = "Qzxvjk".to_owned();
    let user = format!("user-{}", ada.id);
    fixture.perform(&user, &[registered()]).await;
    fixture.perform(&user, &[erased()]).await;
    fixture.perform("order-1", &[created(&ada)]).await;
    assert!(fixture.found("qzxvjk").await.is_empty());
    assert_eq!(fixture.found("mug").await.len(), 1);
    fixture.search.close().await;
}
