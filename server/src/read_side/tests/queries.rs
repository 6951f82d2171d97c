//! Queries over real databases: reading your own writes, paging, rights, and a cache that is never older than
//! its token.

use std::{sync::Arc, time::Duration};

use domain::{
    access::Actor,
    token::ConsistencyToken,
    wire::{ListingAnswer, Order, Row},
};
use serde_json::value::RawValue;

use cache::{Cache as _, CacheKey, CachedAnswer, Topic, in_process::InProcessCache};

use query::{ListingRequest, QueryError, Wait, settled::SettleRequest};

use crate::read_side::testing::{
    Shop, TEST_TIMEOUT, cancelled, created, customer, educator, listed, received, reserved,
};

fn after(token: &ConsistencyToken) -> Wait {
    Wait {
        after: token.clone(),
        timeout: TEST_TIMEOUT,
    }
}

/// Every row of a listing, page by page.
async fn pages(shop: &Shop, actor: &Actor, request: &ListingRequest) -> Vec<Row<Box<RawValue>>> {
    let mut rows = Vec::new();
    let mut request = request.clone();
    loop {
        let page = shop
            .read
            .query
            .listing(shop.workspace, actor, request.clone(), None)
            .await
            .unwrap();
        assert!(page.data.len() <= request.limit.unwrap() as usize);
        rows.extend(page.data);
        request.cursor = page.next;
        if request.cursor.is_none() {
            return rows;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_with_the_token_of_a_write_sees_the_write() {
    let shop = Shop::open(3).await;
    let mut expected = 0;
    for n in 1..=50 {
        let appended = shop.append("inventory-mug-1", &[received(n)]).await;
        expected += n;
        let answer = shop
            .read
            .query
            .document(
                shop.workspace,
                &educator(),
                "inventory",
                "mug-1",
                Some(after(&appended.token)),
            )
            .await
            .unwrap();
        let document: serde_json::Value = serde_json::from_str(answer.data.get()).unwrap();
        assert_eq!(document["on_hand"], expected);
        assert!(answer.as_of.covers(&appended.token));
    }
}

#[tokio::test]
async fn a_token_that_is_not_reached_in_time_is_answered_with_what_lags() {
    let shop = Shop::open(1).await;
    let appended = shop.append("inventory-mug-1", &[received(1)]).await;
    shop.settle().await;
    let mut token = appended.token;
    token.advance(0, 5);
    let wait = Some(Wait {
        after: token,
        timeout: Duration::from_millis(20),
    });
    let answer = shop
        .read
        .query
        .document(shop.workspace, &educator(), "orders", "1", wait)
        .await;
    let Err(QueryError::TimedOut { waiting_for, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(waiting_for, ["orders 0:1 of 0:5"]);
}

/// Waiting ends with the server; a token that is reached already is answered even then.
#[tokio::test]
async fn callers_that_wait_are_told_that_the_server_stops() {
    let shop = Shop::open(1).await;
    let reached = shop.append("inventory-mug-1", &[received(1)]).await.token;
    shop.settle().await;
    let ask = async |token: &ConsistencyToken| {
        let wait = Some(after(token));
        let (query, educator) = (&shop.read.query, educator());
        let answer = query.document(shop.workspace, &educator, "inventory", "mug-1", wait);
        answer.await.map(|_| ())
    };
    let settle = SettleRequest {
        after: Some(ConsistencyToken::at(0, 5)),
        timeout: TEST_TIMEOUT,
        ..SettleRequest::default()
    };
    let unreached = ConsistencyToken::at(0, 5);
    let settlement = &shop.read.settlement;
    let (query, settled, ()) = tokio::join!(
        ask(&unreached),
        settlement.settled(shop.workspace, &settle),
        async { shop.read.stop_waiting() },
    );
    assert!(matches!(query, Err(QueryError::Stopping)), "{query:?}");
    assert!(matches!(settled, Err(QueryError::Stopping)), "{settled:?}");
    assert!(matches!(ask(&unreached).await, Err(QueryError::Stopping)));
    ask(&reached).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_partition_that_cannot_exist_is_refused() {
    let shop = Shop::open(1).await;
    let wait = Some(Wait {
        after: ConsistencyToken::at(64, 1),
        timeout: TEST_TIMEOUT,
    });
    let answer = shop
        .read
        .query
        .document(shop.workspace, &educator(), "orders", "1", wait)
        .await;
    assert!(matches!(answer, Err(QueryError::BadToken)));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_page_through_everything_exactly_once_in_both_directions() {
    let shop = Shop::open(3).await;
    for n in 0..37 {
        // Names repeat, so that the key must break ties.
        shop.append(
            &format!("product-mug-{n:02}"),
            &[listed(&format!("mug-{n:02}"), &format!("Mug {}", n % 5))],
        )
        .await;
    }
    shop.settle().await;
    let request = ListingRequest {
        view: "products".into(),
        limit: Some(5),
        ..ListingRequest::default()
    };
    let upwards = pages(&shop, &educator(), &request).await;
    let downwards = pages(
        &shop,
        &educator(),
        &ListingRequest {
            order: Order::Desc,
            ..request
        },
    )
    .await;
    let place = |row: &Row<Box<RawValue>>| (row.sort.clone(), row.key.clone());
    let upwards: Vec<_> = upwards.iter().map(place).collect();
    let mut reversed: Vec<_> = downwards.iter().map(place).collect();
    reversed.reverse();
    assert_eq!(upwards.len(), 37);
    assert!(upwards.is_sorted() && upwards.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(upwards, reversed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_page_is_the_one_that_was_shown_before_in_either_order() {
    let shop = Shop::open(1).await;
    for n in 0..11 {
        let sku = format!("mug-{n:02}");
        shop.append(
            &format!("product-{sku}"),
            &[listed(&sku, &format!("Mug {}", n % 3))],
        )
        .await;
    }
    shop.settle().await;
    for order in [Order::Asc, Order::Desc] {
        let read = async |cursor| {
            let request = ListingRequest {
                view: "products".into(),
                limit: Some(3),
                order,
                cursor,
                ..ListingRequest::default()
            };
            let query = &shop.read.query;
            query
                .listing(shop.workspace, &educator(), request, None)
                .await
                .unwrap()
        };
        let keys = |page: &ListingAnswer<Box<RawValue>>| -> Vec<String> {
            page.data.iter().map(|row| row.key.clone()).collect()
        };
        let mut forwards = vec![read(None).await];
        while let Some(next) = forwards.last().unwrap().next.clone() {
            forwards.push(read(Some(next)).await);
        }
        assert_eq!(
            forwards.iter().map(|page| page.data.len()).collect::<Vec<_>>(),
            [3, 3, 3, 2]
        );
        assert_eq!(forwards[0].previous, None);
        let mut at = forwards.pop().unwrap();
        for expected in forwards.iter().rev() {
            let back = read(at.previous.clone()).await;
            assert_eq!(keys(&back), keys(expected));
            let there_again = read(back.next.clone()).await;
            assert_eq!(keys(&there_again), keys(&at));
            at = back;
        }
        assert_eq!(at.previous, None, "the first page has none before it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_listing_only() {
    let shop = Shop::open(1).await;
    for n in 0..3 {
        shop.append(&format!("product-mug-{n}"), &[listed(&format!("mug-{n}"), "Mug")])
            .await;
    }
    shop.settle().await;
    let first = ListingRequest {
        view: "products".into(),
        limit: Some(1),
        ..ListingRequest::default()
    };
    let page = shop
        .read
        .query
        .listing(shop.workspace, &educator(), first.clone(), None)
        .await
        .unwrap();
    let elsewhere = ListingRequest {
        order: Order::Desc,
        cursor: page.next.clone(),
        ..first.clone()
    };
    let broken = ListingRequest {
        cursor: Some("7b7d".into()),
        ..first
    };
    for request in [elsewhere, broken] {
        let answer = shop
            .read
            .query
            .listing(shop.workspace, &educator(), request, None)
            .await;
        let Err(error @ QueryError::BadCursor) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(error.problem().violations[0].field, "cursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_reads_only_their_own_orders() {
    let shop = Shop::open(2).await;
    let (ada, bob) = (customer(1), customer(2));
    shop.append("order-1", &[created(&ada)]).await;
    shop.append("order-2", &[created(&bob)]).await;
    shop.settle().await;
    let query = &shop.read.query;
    assert!(
        query
            .document(shop.workspace, &ada, "orders", "1", None)
            .await
            .is_ok()
    );
    let of_bob = query.document(shop.workspace, &ada, "orders", "2", None).await;
    assert!(matches!(of_bob, Err(QueryError::NotFound)));
    let by_customer = |group: &Actor| ListingRequest {
        view: "orders".into(),
        listing: Some("by_customer".into()),
        group: Some(group.id.to_string()),
        ..ListingRequest::default()
    };
    let own = query
        .listing(shop.workspace, &ada, by_customer(&ada), None)
        .await
        .unwrap();
    assert_eq!(own.data.len(), 1);
    let others = query.listing(shop.workspace, &ada, by_customer(&bob), None).await;
    assert!(matches!(others, Err(QueryError::Forbidden)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_moves_between_groups_is_in_one_of_them() {
    let shop = Shop::open(1).await;
    shop.append("order-1", &[created(&customer(1))]).await;
    shop.append("order-1", &[cancelled()]).await;
    shop.settle().await;
    for (status, count) in [("created", 0), ("cancelled", 1)] {
        let request = ListingRequest {
            view: "orders".into(),
            listing: Some("by_status".into()),
            group: Some(status.into()),
            ..ListingRequest::default()
        };
        let page = shop
            .read
            .query
            .listing(shop.workspace, &educator(), request, None)
            .await
            .unwrap();
        assert_eq!(page.data.len(), count, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspace_has_its_own_documents() {
    let shop = Shop::open(1).await;
    shop.append("inventory-mug-1", &[received(1)]).await;
    shop.settle().await;
    let other = shop.another_workspace().await;
    let answer = shop
        .read
        .query
        .document(other, &educator(), "inventory", "mug-1", None)
        .await;
    assert!(matches!(answer, Err(QueryError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_answer_is_as_new_as_the_token_that_it_carries() {
    let shop = Arc::new(Shop::open(2).await);
    shop.append("inventory-mug-1", &[received(1)]).await;
    shop.settle().await;
    // Before the writer starts, the first event of the log is certainly one of `mug-1`.
    let partition = shop.events().await[0].partition;
    let writer = tokio::spawn({
        let shop = shop.clone();
        async move {
            for _ in 0..100 {
                shop.append("inventory-mug-1", &[received(1)]).await;
                shop.append("inventory-mug-2", &[received(1), reserved(1)]).await;
            }
        }
    });
    while !writer.is_finished() {
        let answer = shop
            .read
            .query
            .document(shop.workspace, &educator(), "inventory", "mug-1", None)
            .await
            .unwrap();
        let document: serde_json::Value = serde_json::from_str(answer.data.get()).unwrap();
        let received = shop
            .store
            .read_partition(shop.workspace, partition, 0, 1_000)
            .await
            .unwrap()
            .iter()
            .filter(|event| {
                event.stream.id() == "mug-1" && event.position <= answer.as_of.position(partition)
            })
            .count();
        assert_eq!(document["on_hand"], received, "as of {}", answer.as_of);
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn an_answer_read_before_an_invalidation_is_not_found_after_it() {
    let cache = InProcessCache::new();
    let topic = Topic::Document {
        workspace: domain::id::WorkspaceId(uuid::Uuid::nil()),
        view: "orders",
        key: "1".into(),
    };
    let answer = |position| CachedAnswer {
        rows: Vec::new(),
        more: false,
        as_of: ConsistencyToken::at(0, position),
        generation: 1,
    };
    let key = CacheKey {
        topic: topic.clone(),
        page: None,
    };
    // The old state is read, then the commit and its invalidation happen, then the load ends.
    let old = cache
        .get(
            key.clone(),
            Box::pin(async {
                let read = answer(1);
                cache.invalidate(std::slice::from_ref(&topic)).await;
                Ok(read)
            }),
        )
        .await
        .unwrap();
    assert_eq!(old.as_of.position(0), 1);
    let new = cache
        .get(key.clone(), Box::pin(async { Ok(answer(2)) }))
        .await
        .unwrap();
    assert_eq!(new.as_of.position(0), 2);
    let hit = cache.get(key, Box::pin(async { Ok(answer(3)) })).await.unwrap();
    assert_eq!(hit.as_of.position(0), 2);
}
