//! The index over a real log: what it finds, for which users, and that erased data is gone.

use std::sync::Arc;

use domain::{
    access::Actor,
    aggregate::user::{UserErased, UserEvent, UserRegistered},
    event::EventPayload as _,
};

use super::consumers_with;
use ::search::{Search, SearchRequest};
use clock::{Clock as _, SystemClock};
use domain::id::WorkspaceId;
use query::settled::SettleRequest;
use test_support::plaintext_opener::PlaintextOpener;

use crate::{
    consumers::Consumers,
    read_side::testing::{Shop, TEST_TIMEOUT, created, customer, educator, listed, price, retired},
};

async fn index(shop: &Shop) -> (Arc<Search>, Arc<Consumers>) {
    let folder = shop.folder.path().join("search");
    let search = Arc::new(Search::open(&folder, SystemClock.new_id(), Arc::new(PlaintextOpener)).unwrap());
    let consumers = consumers_with(shop, "consumers.db", vec![search.clone()]).await;
    (search, consumers)
}

async fn settled(shop: &Shop) {
    let settle = SettleRequest {
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    shop.read
        .settlement
        .settled(shop.workspace, &settle)
        .await
        .unwrap();
}

fn request(text: &str) -> SearchRequest {
    SearchRequest {
        text: text.to_owned(),
        kinds: domain::wire::SearchKind::ALL.to_vec(),
        tag: None,
        limit: 20,
    }
}

async fn found(search: &Search, workspace: WorkspaceId, actor: &Actor, text: &str) -> Vec<String> {
    let found = search.find(workspace, actor, request(text)).await.unwrap();
    let hits = found.hits.iter();
    hits.map(|hit| format!("{}/{}", hit.kind.as_str(), hit.key))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_finds_only_what_they_may_see() {
    let shop = Shop::open(2).await;
    let (ada, bob) = (customer(1), customer(2));
    shop.append("product-mug-1", &[listed("mug-1", "Blue teapot")])
        .await;
    shop.append("order-1", &[created(&ada)]).await;
    let (search, consumers) = index(&shop).await;
    shop.append("order-2", &[created(&bob)]).await;
    settled(&shop).await;
    let at = shop.workspace;
    // With typing errors, and incomplete.
    for text in ["teapot", "teaopt", "blue tea", "BLUE"] {
        assert_eq!(found(&search, at, &ada, text).await, ["products/mug-1"], "{text}");
    }
    assert_eq!(
        found(&search, at, &ada, "mug").await.len(),
        2,
        "the product by its sku, and her order"
    );
    assert!(
        found(&search, at, &ada, "mug")
            .await
            .contains(&"orders/1".to_owned())
    );
    assert!(
        !found(&search, at, &bob, "mug")
            .await
            .contains(&"orders/1".to_owned())
    );
    assert_eq!(found(&search, at, &educator(), "mug").await.len(), 3);
    let counted = search.find(at, &ada, request("mug")).await.unwrap().facets;
    assert_eq!(counted.statuses.len(), 1, "{counted:?}");
    assert_eq!(
        counted.statuses[0].count, 1,
        "no count includes other users' orders"
    );
    let elsewhere = shop.another_workspace().await;
    assert!(found(&search, elsewhere, &educator(), "mug").await.is_empty());
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_indexed_and_a_lost_index_is_created_again() {
    let shop = Shop::open(1).await;
    let (search, consumers) = index(&shop).await;
    shop.append("product-mug-1", &[listed("mug-1", "Blue teapot"), price(4_200)])
        .await;
    shop.append("product-mug-2", &[listed("mug-2", "Blue kettle"), retired()])
        .await;
    settled(&shop).await;
    let hits = search
        .find(shop.workspace, &educator(), request("blue"))
        .await
        .unwrap()
        .hits;
    assert_eq!(hits.len(), 1, "what is retired is not on sale");
    let product: serde_json::Value = serde_json::from_str(hits[0].data.get()).unwrap();
    assert_eq!(product["price"]["amount"], 4_200);
    assert_eq!(hits[0].highlights[0].parts[0].text, "Blue");
    consumers.stop().await;
    drop(search);
    std::fs::remove_dir_all(shop.folder.path().join("search")).unwrap();
    let shop = shop.restart().await;
    let (search, consumers) = index(&shop).await;
    settled(&shop).await;
    assert_eq!(
        found(&search, shop.workspace, &educator(), "blue").await,
        ["products/mug-1"]
    );
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_commit_is_repeated() {
    let shop = Shop::open(1).await;
    let (search, consumers) = index(&shop).await;
    for sku in ["mug-1", "mug-2"] {
        shop.append(&format!("product-{sku}"), &[listed(sku, "Blue teapot")])
            .await;
    }
    settled(&shop).await;
    consumers.stop().await;
    drop(search);
    let folder = shop.folder.path().join("search/index");
    let before: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|file| (file.clone(), std::fs::read(file).unwrap()))
        .collect();
    let shop = shop.restart().await;
    let (search, consumers) = index(&shop).await;
    shop.append("product-mug-1", &[price(4_200)]).await;
    settled(&shop).await;
    consumers.stop().await;
    drop(search);
    // As if the server had been killed after all files of the commit were written and before they were
    // committed.
    for (file, bytes) in before {
        if !file.ends_with(".managed.json") {
            std::fs::write(file, bytes).unwrap();
        }
    }
    std::fs::remove_dir_all(shop.folder.path().join("checkpoints")).unwrap();
    let shop = shop.restart().await;
    let (search, consumers) = index(&shop).await;
    settled(&shop).await;
    let hits = search
        .find(shop.workspace, &educator(), request("teapot"))
        .await
        .unwrap()
        .hits;
    let mut prices: Vec<_> = hits
        .iter()
        .map(|hit| serde_json::from_str::<serde_json::Value>(hit.data.get()).unwrap())
        .map(|product| product["price"]["amount"].as_i64())
        .collect();
    prices.sort_unstable();
    assert_eq!(prices, [Some(900), Some(4_200)]);
    consumers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_gone_from_the_files() {
    let shop = Shop::open(1).await;
    let (search, consumers) = index(&shop).await;
    let mut ada = customer(1);
    ada.name = "Adelheid Quixotic".to_owned();
    let user = format!("user-{}", ada.id);
    let registered = UserRegistered {
        email: "quixotic@post.test".to_owned(),
        display_name: ada.name.clone(),
        role: domain::access::Role::Customer,
        language: domain::language::Language::En,
    };
    shop.append(&user, &[UserEvent::from(registered).into_domain()])
        .await;
    shop.append("order-1", &[created(&ada)]).await;
    settled(&shop).await;
    assert_eq!(
        found(&search, shop.workspace, &educator(), "quixotic")
            .await
            .len(),
        2
    );
    shop.append(&user, &[UserEvent::from(UserErased {}).into_domain()])
        .await;
    settled(&shop).await;
    assert!(
        found(&search, shop.workspace, &educator(), "quixotic")
            .await
            .is_empty()
    );
    assert_eq!(
        found(&search, shop.workspace, &educator(), "mug").await,
        ["orders/1"]
    );
    consumers.stop().await;
    let mut words = 0;
    for file in std::fs::read_dir(shop.folder.path().join("search/index")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        // The words that it was found by; in a real server the document itself is sealed.
        words += usize::from(
            bytes
                .windows(18)
                .any(|bytes| bytes == b"quixotic@post.test" as &[u8]),
        );
    }
    assert_eq!(words, 0);
}
