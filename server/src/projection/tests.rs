//! Lanes over real databases: whatever is delivered, and however often, the effect of an event is exactly once.

mod dead_letters;
mod ended;
mod faulty;
mod model;
mod rebuild;
mod refused;
mod supervisor;

use std::{collections::BTreeMap, sync::Arc};

use domain::view;
use futures::future::join_all;
use proptest::{prelude::*, test_runner::TestRunner};

use super::lane::{Lane, LaneError};
use crate::{
    broker::{PartitionId, PublishedEvent},
    query::{ListingRequest, QueryError},
    read_model::ReadModelError,
    read_side::testing::{Parts, Shop, educator, listed, price, received, reserved},
};

/// Holds every document and every listing entry of the read model against the fold by hand.
async fn assert_views_equal_their_folds(shop: &Shop) {
    shop.settle().await;
    for view in view::all() {
        let mut expected_rows = Vec::new();
        for (key, (document, listings)) in &shop.fold_by_hand(*view).await {
            let read = shop
                .read
                .query
                .document(shop.workspace, &educator(), view.name(), key, None)
                .await;
            // What was heard of an order before the order itself is nobody's to see.
            if view.name() == "orders" && document.contains("\"version\":0") {
                assert!(matches!(read, Err(QueryError::NotFound)), "{key}");
                continue;
            }
            let read = read.unwrap();
            assert_eq!(read.data.get(), document, "{} {key}", view.name());
            assert_eq!((read.behind, &read.as_of), (0, &shop.head().await));
            expected_rows.extend(listings.iter().map(|entry| {
                let place = (entry.listing.to_owned(), entry.group.clone());
                (place, (entry.sort.clone(), key.clone()))
            }));
        }
        let mut expected: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, row) in expected_rows {
            expected.entry(place).or_default().push(row);
        }
        for listing in view.listing_names() {
            // what nothing lies in is empty
            expected
                .entry(((*listing).to_owned(), String::new()))
                .or_default();
        }
        for ((listing, group), mut rows) in expected {
            rows.sort();
            // a product that has a tag twice is listed under it once
            rows.dedup();
            assert_eq!(
                rows_of(shop, view.name(), &listing, &group).await,
                rows,
                "{} {listing} {group}",
                view.name()
            );
        }
    }
}

/// Every row of a group of a listing, page by page: what it is sorted by, and its key.
async fn rows_of(shop: &Shop, view: &str, listing: &str, group: &str) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let request = ListingRequest {
            view: view.to_owned(),
            listing: Some(listing.to_owned()),
            group: Some(group.to_owned()),
            limit: Some(200),
            cursor,
            ..ListingRequest::default()
        };
        let page = shop
            .read
            .query
            .listing(shop.workspace, &educator(), request, None)
            .await
            .unwrap();
        rows.extend(page.data.into_iter().map(|row| (row.sort, row.key)));
        cursor = page.next;
        if cursor.is_none() {
            return rows;
        }
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
        .document(shop.workspace, &educator(), "nonsense", "none", None)
        .await;
    assert!(matches!(unknown, Err(QueryError::UnknownView(view)) if view == "nonsense"));
}

/// The lane of the view `inventory` on partition 0.
fn lane(parts: &Parts, context: &Arc<super::Context>) -> Lane {
    let partition = PartitionId {
        workspace: parts.workspace,
        partition: 0,
    };
    Lane::new(context.clone(), view::find("inventory").unwrap(), partition)
}

#[test]
fn duplicates_reordering_and_gaps_have_their_effect_exactly_once() {
    let deliveries = prop::collection::vec(prop::collection::vec(0..20_usize, 1..8), 1..12);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    let property = |deliveries: Vec<Vec<usize>>| {
        runtime.block_on(async {
            let parts = Parts::new(1).await;
            for n in 1..=20 {
                parts.append("inventory-mug-1", &[received(n)]).await;
            }
            let events = parts.published().await;
            let lane = lane(&parts, &parts.context);
            for delivery in &deliveries {
                let delivery: Vec<_> = delivery.iter().map(|n| events[*n].clone()).collect();
                lane.apply(&delivery, &[]).await.unwrap();
            }
            let seen = deliveries.iter().flatten().max().copied().unwrap_or(0) as u64 + 1;
            let on_hand = parts.document("inventory", "mug-1").await["on_hand"].clone();
            // Historical events come in pages, and may lead further than what was delivered; never less, never twice.
            assert!(
                on_hand.as_u64() >= Some(seen * (seen + 1) / 2),
                "{on_hand} after {seen}"
            );
            lane.apply(&events, &[]).await.unwrap();
            assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 210);
        });
        Ok(())
    };
    runner.run(&deliveries, property).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_of_a_lane_is_harmless() {
    let parts = Parts::new(1).await;
    for n in 0..60 {
        parts
            .append(&format!("inventory-mug-{}", n % 3), &[received(1)])
            .await;
    }
    let events = parts.published().await;
    let owners = [
        parts.context.clone(),
        parts.another_owner(),
        parts.another_owner(),
    ]
    .map(|context| {
        let lane = lane(&parts, &context);
        let events = events.clone();
        tokio::spawn(async move {
            for chunk in events.chunks(2) {
                lane.apply(chunk, &[]).await.unwrap();
            }
        })
    });
    join_all(owners).await.into_iter().for_each(Result::unwrap);
    for n in 0..3 {
        assert_eq!(
            parts.document("inventory", &format!("mug-{n}")).await["on_hand"],
            20
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_but_not_acknowledged_is_delivered_again_and_skipped() {
    let parts = Parts::new(1).await;
    let mut subscriber = parts.context.broker.subscribe("inventory").await;
    parts.append("inventory-mug-1", &[received(3), received(4)]).await;
    let partition = PartitionId {
        workspace: parts.workspace,
        partition: 0,
    };
    parts
        .context
        .broker
        .publish(partition, parts.published().await)
        .await;
    for attempt in 1..=3 {
        let delivery = subscriber.next().await.unwrap();
        assert_eq!(delivery.attempt(), attempt);
        // A new owner each time: it knows nothing but what the read model says.
        let owner = parts.another_owner();
        lane(&parts, &owner).apply(delivery.events(), &[]).await.unwrap();
        drop(delivery);
    }
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_read_stops_the_lane_behind_those_before_it() {
    let parts = Parts::new(1).await;
    parts
        .append("inventory-mug-1", &[received(3), received(4), received(5)])
        .await;
    let mut events = parts.published().await;
    let broken = PublishedEvent {
        decoded: Err(domain::event::DecodeError::UnknownType("StockStolen".into())),
        position: 2,
        event_id: events[1].event_id,
        event_type: "StockStolen".into(),
        stream: events[1].stream.clone(),
        version: 2,
        correlation_id: events[1].correlation_id,
        recorded_at: events[1].recorded_at,
    };
    events[1] = Arc::new(broken);
    let lane = lane(&parts, &parts.context);
    let stopped = lane.apply(&events, &[]).await;
    assert!(
        matches!(&stopped, Err(LaneError::ReadModel(ReadModelError::Fault(fault))) if fault.position == 2),
        "{stopped:?}"
    );
    assert_eq!(parts.document("inventory", "mug-1").await["on_hand"], 3);
}
