//! Lanes over real databases: whatever is delivered, and however often, the effect of an event is exactly once.

use std::sync::Arc;

use domain::view;
use futures::future::join_all;

use crate::{
    query::{ListingRequest, QueryError},
    read_side::testing::{Shop, educator, listed, price, received, reserved},
};

/// Holds every document and every listing entry of the read model against the fold by hand.
async fn assert_views_equal_their_folds(shop: &Shop) {
    shop.settle().await;
    for view in view::all() {
        let expected = shop.fold_by_hand(*view).await;
        for (key, (document, listings)) in &expected {
            let read = shop
                .read
                .query
                .document(shop.workspace, &educator(), view.name(), key, None)
                .await
                .unwrap();
            assert_eq!(read.data.get(), document, "{} {key}", view.name());
            assert_eq!((read.behind, &read.as_of), (0, &shop.head().await));
            for entry in listings {
                let request = ListingRequest {
                    view: view.name().into(),
                    listing: Some(entry.listing.into()),
                    group: Some(entry.group.clone()),
                    limit: Some(200),
                    ..ListingRequest::default()
                };
                let page = shop
                    .read
                    .query
                    .listing(shop.workspace, &educator(), request, None)
                    .await
                    .unwrap();
                let places = page
                    .data
                    .iter()
                    .filter(|row| row.key == *key && row.sort == entry.sort)
                    .count();
                assert_eq!(places, 1, "{key} in {entry:?}");
            }
        }
        let request = ListingRequest {
            view: view.name().into(),
            limit: Some(200),
            ..ListingRequest::default()
        };
        let all = shop
            .read
            .query
            .listing(shop.workspace, &educator(), request, None)
            .await
            .unwrap();
        let listed = expected
            .values()
            .filter(|(_, entries)| entries.iter().any(|entry| entry.listing == "all"));
        assert_eq!(all.data.len(), listed.count().min(200), "{}", view.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_equals_its_fold_after_concurrent_appends_to_several_partitions() {
    let shop = Arc::new(Shop::open(4).await);
    let writers = (0..8_u32).map(|writer| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let sku = format!("mug-{}", writer % 4);
            for round in 0..25_i64 {
                shop.append(&format!("inventory-{sku}"), &[received(3), reserved(1)])
                    .await;
                if writer < 4 {
                    let change = if round == 0 {
                        listed(&sku, &format!("Mug {sku}"))
                    } else {
                        price(900 + round)
                    };
                    shop.append(&format!("product-{sku}"), &[change]).await;
                }
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    assert_views_equal_their_folds(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_checkpoint() {
    let shop = Shop::open(2).await;
    shop.append("inventory-mug-1", &[received(3)]).await;
    shop.settle().await;
    let shop = shop.restart().await;
    assert_views_equal_their_folds(&shop).await;
    shop.append("inventory-mug-1", &[received(4)]).await;
    assert_views_equal_their_folds(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_was_thrown_away_is_folded_again() {
    let shop = Shop::open(2).await;
    for n in 0..50 {
        shop.append(&format!("inventory-mug-{n}"), &[received(3), reserved(1)])
            .await;
    }
    shop.settle().await;
    let views = shop.folder.path().join("views.db");
    shop.read.shutdown().await;
    for file in ["views.db", "views.db-wal", "views.db-shm"] {
        let _ = std::fs::remove_file(views.with_file_name(file));
    }
    let shop = shop.restart().await;
    assert_views_equal_their_folds(&shop).await;
    assert_eq!(shop.read.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_document_is_not_found_and_an_unknown_view_is_named() {
    let shop = Shop::open(1).await;
    let query = &shop.read.query;
    let missing = query
        .document(shop.workspace, &educator(), "orders", "none", None)
        .await;
    assert!(matches!(missing, Err(QueryError::NotFound)));
    let unknown = query
        .document(shop.workspace, &educator(), "sales", "none", None)
        .await;
    assert!(matches!(unknown, Err(QueryError::UnknownView(view)) if view == "sales"));
}
