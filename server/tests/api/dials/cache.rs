//! The dials of the cache: off, time to live, and skipped invalidation.

use serde_json::{Value, json};

use super::{reset, set};
use crate::{
    app::{Person, TestApp},
    dead_letters::{get, receive},
};

const HOPS: &str = "/api/v1/lab/hops?limit=1000";

/// How much is in stock and as of when, once the view has what a command has written.
async fn stock(app: &TestApp, person: &Person, answer: &Value) -> (Value, Value) {
    let token = answer["token"].as_str().unwrap();
    let read = get(app, person, &format!("/api/v1/views/inventory/mug?after={token}")).await;
    (read["data"]["on_hand"].clone(), read["as_of"].clone())
}

/// How often queries for the stock have crossed an arrow, once `reads` have reached the read model.
async fn crossed(app: &TestApp, person: &Person, reads: usize, arrow: &str) -> usize {
    loop {
        let page = get(app, person, HOPS).await;
        let hops = page["data"].as_array().unwrap();
        let count = |arrow: &str| {
            let of_stock = hops.iter().filter(|hop| hop["lane"] == "inventory");
            of_stock.filter(|hop| hop["arrow"] == arrow).count()
        };
        let read = count("query-projection");
        assert!(read <= reads, "{read} of {reads}: {hops:?}");
        // spans may close a moment after what they are about
        if read == reads {
            return count(arrow);
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_invalidated_is_stale_in_its_workspace_alone() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    set(&app, &educator, &json!({"cache": {"skip_invalidation": true}})).await;
    let first = receive(&app, &educator, "mug", 1).await;
    assert_eq!(stock(&app, &educator, &first).await, (json!(1), json!("0:1")));
    let second = receive(&app, &educator, "mug", 2).await;
    // It says that it has the new event.
    assert_eq!(stock(&app, &educator, &second).await, (json!(1), json!("0:2")));
    for (quantity, expected) in [(1, 1), (2, 3)] {
        let answer = receive(&app, &elsewhere, "mug", quantity).await;
        assert_eq!(stock(&app, &elsewhere, &answer).await.0, expected);
    }
    assert_eq!(
        get(&app, &educator, "/api/v1/verify").await["findings"],
        json!([]),
        "the views are right"
    );
    // Another dial that is bent leaves the answers as they are.
    let both = json!({"cache": {"skip_invalidation": true}, "broker": {"delay_ms": 1}});
    set(&app, &educator, &both).await;
    assert_eq!(stock(&app, &educator, &second).await.0, 1);
    reset(&app, &educator).await;
    assert_eq!(stock(&app, &educator, &second).await, (json!(3), json!("0:2")));
    let third = receive(&app, &educator, "mug", 4).await;
    assert_eq!(stock(&app, &educator, &third).await, (json!(7), json!("0:3")));
}

#[tokio::test]
async fn a_time_to_live_bounds_how_stale_an_answer_is() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let none = json!({"cache": {"skip_invalidation": true, "ttl_ms": 0}});
    set(&app, &educator, &none).await;
    for (quantity, expected) in [(1, 1), (2, 3)] {
        let answer = receive(&app, &educator, "mug", quantity).await;
        assert_eq!(stock(&app, &educator, &answer).await.0, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_past_a_cache_that_is_off_reach_the_read_model() {
    telemetry::hops::install_for_tests();
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let (here, there) = (
        receive(&app, &educator, "mug", 1).await,
        receive(&app, &elsewhere, "mug", 1).await,
    );
    app.settled(&educator).await;
    app.settled(&elsewhere).await;
    // From here on they are watched.
    get(&app, &educator, HOPS).await;
    get(&app, &elsewhere, HOPS).await;
    set(&app, &educator, &json!({"cache": {"off": true}})).await;
    for _ in 0..3 {
        stock(&app, &educator, &here).await;
        stock(&app, &elsewhere, &there).await;
    }
    assert_eq!(crossed(&app, &educator, 3, "cache-set").await, 0);
    assert_eq!(crossed(&app, &elsewhere, 1, "cache-set").await, 1);
    reset(&app, &educator).await;
    for _ in 0..3 {
        stock(&app, &educator, &here).await;
    }
    assert_eq!(crossed(&app, &educator, 4, "cache-set").await, 1);
    set(&app, &educator, &json!({"cache": {"ttl_ms": 0}})).await;
    for _ in 0..3 {
        stock(&app, &educator, &here).await;
    }
    assert_eq!(crossed(&app, &educator, 7, "cache-set").await, 4);
}
