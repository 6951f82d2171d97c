//! Encoded answers over real databases: they are the JSON of the answers, and a repeated request gets the
//! same bytes without a read.

use std::sync::Arc;

use domain::{
    access::Actor,
    wire::{DocumentAnswer, Order},
};
use query::{EncodedAnswer, ListingRequest, QueryError, Wait};

use crate::read_side::testing::{Shop, TEST_TIMEOUT, created, customer, educator, listed, price, received};

/// A shop with five products.
async fn shop() -> Shop {
    let shop = Shop::open(1).await;
    for n in 0..5 {
        let sku = format!("mug-{n}");
        shop.append(&format!("product-{sku}"), &[listed(&sku, "Mug \"Mug\"")])
            .await;
    }
    settle(&shop).await;
    shop
}

/// Waits until every view is caught up, and the progress knows that there is nothing more.
async fn settle(shop: &Shop) {
    shop.settle().await;
    let head = shop.head().await;
    while !shop.read.query.head(shop.workspace).covers(&head) {
        tokio::task::yield_now().await;
    }
}

fn products(order: Order, cursor: Option<String>) -> ListingRequest {
    ListingRequest {
        view: "products".to_owned(),
        limit: Some(2),
        order,
        cursor,
        ..ListingRequest::default()
    }
}

async fn encoded(shop: &Shop, actor: &Actor, view: &str, key: &str) -> Arc<EncodedAnswer> {
    let query = &shop.read.query;
    let answer = query
        .encoded_document(shop.workspace, actor, view, key, None)
        .await;
    answer.unwrap()
}

async fn hot(shop: &Shop, actor: &Actor, view: &str, key: &str) -> Option<Arc<EncodedAnswer>> {
    let query = &shop.read.query;
    query.hot_document(shop.workspace, actor, view, key).await
}

/// The JSON of the answer that is not encoded beforehand.
async fn json(shop: &Shop, view: &str, key: &str) -> Vec<u8> {
    let query = &shop.read.query;
    let answer = query.document(shop.workspace, &educator(), view, key, None).await;
    serde_json::to_vec(&answer.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_page_is_the_json_of_the_page_in_each_direction() {
    let shop = shop().await;
    let query = &shop.read.query;
    for order in [Order::Asc, Order::Desc] {
        let mut cursors = vec![None];
        // The first page, the one after it, and the first one as the page before that.
        while cursors.len() < 4 {
            let request = products(order, cursors.last().cloned().flatten());
            let page = query
                .listing(shop.workspace, &educator(), request.clone(), None)
                .await
                .unwrap();
            let encoded = query
                .encoded_listing(shop.workspace, &educator(), request, None)
                .await
                .unwrap();
            assert_eq!(*encoded.plain(), serde_json::to_vec(&page).unwrap());
            let at_the_second = cursors.len() == 2;
            cursors.push(if at_the_second { page.previous } else { page.next });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_bytes_until_the_workspace_changes() {
    let shop = shop().await;
    let educator = educator();
    assert!(hot(&shop, &educator, "products", "mug-1").await.is_none());
    let first = encoded(&shop, &educator, "products", "mug-1").await;
    assert_eq!(*first.plain(), json(&shop, "products", "mug-1").await);
    let again = hot(&shop, &educator, "products", "mug-1").await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));

    // An event about another product changes the end only.
    shop.append("product-mug-2", &[price(1_500)]).await;
    settle(&shop).await;
    assert!(hot(&shop, &educator, "products", "mug-1").await.is_none());
    let second = encoded(&shop, &educator, "products", "mug-1").await;
    assert_ne!(first.plain(), second.plain());
    assert_eq!(*second.plain(), json(&shop, "products", "mug-1").await);

    // An event about this one changes the document.
    shop.append("product-mug-1", &[price(1_600)]).await;
    settle(&shop).await;
    assert!(hot(&shop, &educator, "products", "mug-1").await.is_none());
    let third = encoded(&shop, &educator, "products", "mug-1").await;
    assert_eq!(*third.plain(), json(&shop, "products", "mug-1").await);
    assert!(Arc::ptr_eq(
        &third,
        &hot(&shop, &educator, "products", "mug-1").await.unwrap()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_page_is_the_first_page() {
    let shop = shop().await;
    let query = &shop.read.query;
    let (educator, first) = (educator(), products(Order::Asc, None));
    let hot = || query.hot_listing(shop.workspace, &educator, &first);
    assert!(hot().await.is_none());
    let encoded = query
        .encoded_listing(shop.workspace, &educator, first.clone(), None)
        .await
        .unwrap();
    assert!(Arc::ptr_eq(&encoded, &hot().await.unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_actor_gets_bytes_that_they_may_not_see() {
    let shop = Shop::open(1).await;
    let (ada, bob) = (customer(1), customer(2));
    shop.append("order-1", &[created(&ada)]).await;
    settle(&shop).await;
    let of_ada = encoded(&shop, &ada, "orders", "1").await;
    assert!(Arc::ptr_eq(
        &of_ada,
        &hot(&shop, &ada, "orders", "1").await.unwrap()
    ));
    assert!(hot(&shop, &bob, "orders", "1").await.is_none());
    let of_bob = shop
        .read
        .query
        .encoded_document(shop.workspace, &bob, "orders", "1", None)
        .await;
    assert!(matches!(of_bob, Err(QueryError::NotFound)), "{of_bob:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_never_older_than_the_awaited_token() {
    let shop = Shop::open(2).await;
    let query = &shop.read.query;
    shop.append("inventory-mug-1", &[received(1)]).await;
    for n in 0..50 {
        // Mostly about another document, so that the bytes are kept and get a new end.
        let stream = if n % 5 == 0 {
            "inventory-mug-1"
        } else {
            "inventory-mug-2"
        };
        let after = shop.append(stream, &[received(1)]).await.token;
        let wait = Wait {
            after: after.clone(),
            timeout: TEST_TIMEOUT,
        };
        let encoded = query
            .encoded_document(shop.workspace, &educator(), "inventory", "mug-1", Some(wait))
            .await
            .unwrap();
        let answer: DocumentAnswer = serde_json::from_slice(encoded.plain()).unwrap();
        assert!(answer.as_of.covers(&after), "{} {after}", answer.as_of);
        if let Some(hot) = hot(&shop, &educator(), "inventory", "mug-1").await {
            let hot: DocumentAnswer = serde_json::from_slice(hot.plain()).unwrap();
            assert!(hot.as_of.covers(&after), "{} {after}", hot.as_of);
        }
    }
}
