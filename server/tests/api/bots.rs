//! `/lab/bots`: simulated shoppers, which are real clients of the API.

use domain::wire::{BotsAnswer, BotsEnd};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use test_postgres::Database;

use crate::{
    app::{Live, Person, TestApp, fields, problem},
    dead_letters::get,
    servers::two,
};

const BOTS: &str = "/api/v1/lab/bots";

async fn begin(app: &TestApp, educator: &Person, count: u32, orders_per_minute: u32) -> Response {
    let body = json!({"count": count, "orders_per_minute": orders_per_minute});
    let request = app.request(Method::PUT, BOTS).bearer_auth(&educator.token);
    request.json(&body).send().await.unwrap()
}

async fn begun(app: &TestApp, educator: &Person, count: u32, orders_per_minute: u32) -> BotsAnswer {
    let response = begin(app, educator, count, orders_per_minute).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

async fn end(app: &TestApp, educator: &Person) -> BotsAnswer {
    let request = app.request(Method::DELETE, BOTS).bearer_auth(&educator.token);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

async fn bots(app: &TestApp, educator: &Person) -> BotsAnswer {
    serde_json::from_value(get(app, educator, BOTS).await).unwrap()
}

/// Reads the bots until they are as wanted, which they become with what they do next.
async fn told(app: &TestApp, educator: &Person, wanted: impl Fn(&BotsAnswer) -> bool) -> BotsAnswer {
    loop {
        let now = bots(app, educator).await;
        if wanted(&now) {
            return now;
        }
    }
}

/// A socket that follows the orders of a workspace.
async fn orders(app: &TestApp, educator: &Person) -> Live {
    let mut live = app.live(educator).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "orders", "listing": "all"}))
        .await;
    live.next_of("snapshot").await;
    live
}

/// Waits until this many different orders have come that were not in the snapshot.
async fn come(live: &mut Live, count: usize) {
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < count {
        let change = live.next_of("change").await;
        seen.insert(change["key"].as_str().unwrap().to_owned());
    }
}

/// Given a shop, when an educator begins bots, then they join and order as people do, until they are ended.
#[tokio::test]
async fn bots_join_and_order_until_they_are_ended() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    assert_eq!(
        bots(&app, &educator).await,
        BotsAnswer::default(),
        "there are none"
    );
    app.settled(&educator).await;
    let mut live = orders(&app, &educator).await;
    let first = begun(&app, &educator, 3, 600).await;
    assert!(first.running && first.started_at.is_some(), "{first:?}");
    come(&mut live, 3).await;
    let now = bots(&app, &educator).await;
    assert!(now.running && now.orders_placed >= 3, "{now:?}");
    assert_eq!((now.count, now.joined, now.orders_per_minute), (3, 3, 600));

    let ended = end(&app, &educator).await;
    assert_eq!((ended.running, ended.ended), (false, Some(BotsEnd::Stopped)));
    assert!(ended.orders_placed >= 3, "{ended:?}");
    app.settled(&educator).await;
    let placed = placed_by_bots(&app, &educator).await;
    assert_eq!(
        u64::try_from(placed).unwrap(),
        ended.orders_placed,
        "each is in the log, and none comes after"
    );
    assert_eq!(end(&app, &educator).await, ended, "again changes nothing");
    assert_eq!(bots(&app, &educator).await, ended);
}

/// The number of orders that people, and not the template, have placed.
async fn placed_by_bots(app: &TestApp, educator: &Person) -> usize {
    let path = "/api/v1/events?type=OrderCreated&order=asc&limit=200";
    let page = get(app, educator, path).await;
    let events = page["data"].as_array().unwrap().iter();
    events
        .filter(|event| event["metadata"]["actor"]["role"] == "student")
        .count()
}

/// Given bots that have ended, when they are begun again, then the same ones shop, and take no further
/// places.
#[tokio::test]
async fn bots_that_are_begun_again_take_no_further_places() {
    // the educator, and three more
    let app = TestApp::start_with(&["--sandbox-people", "4"]).await;
    let educator = app.educator_of("shop").await;
    app.settled(&educator).await;
    let mut live = orders(&app, &educator).await;
    begun(&app, &educator, 2, 600).await;
    come(&mut live, 1).await;
    // in place of those that are there
    begun(&app, &educator, 5, 600).await;
    let now = told(&app, &educator, |now| {
        now.last_refusal.is_some() && now.joined >= 3
    })
    .await;
    assert_eq!((now.count, now.joined), (5, 3), "{now:?}");
    end(&app, &educator).await;
    begun(&app, &educator, 3, 600).await;
    come(&mut live, 1).await;
    told(&app, &educator, |now| now.joined == 3).await;
    end(&app, &educator).await;
}

/// Given wrong numbers, or a caller who is no educator, when bots are begun, then that is refused.
#[tokio::test]
async fn a_number_of_bots_has_limits_and_only_an_educator_begins_them() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (count, rate, field) in [(0, 1, "count"), (101, 1, "count"), (1, 0, "orders_per_minute")] {
        let refused = problem(begin(&app, &educator, count, rate).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]));
    }
    let student = app.student(&educator.join_code).await;
    assert_eq!(problem(begin(&app, &student, 1, 1).await).await.status, 403);
    for method in [Method::GET, Method::DELETE] {
        let request = app.request(method, BOTS).bearer_auth(&student.token);
        assert_eq!(problem(request.send().await.unwrap()).await.status, 403);
    }
    assert!(!bots(&app, &educator).await.running);
}

/// Given bots, when their workspace is reset, then they are not in the new one, which begins without any.
#[tokio::test]
async fn bots_end_with_their_workspace() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    app.settled(&educator).await;
    let mut live = orders(&app, &educator).await;
    begun(&app, &educator, 2, 600).await;
    come(&mut live, 1).await;
    let request = app
        .post("/api/v1/lab/reset?confirm=Sandbox", &json!({}))
        .bearer_auth(&educator.token);
    let access: Value = request.send().await.unwrap().json().await.unwrap();
    let new = Person {
        workspace: serde_json::from_value(access["workspace"].clone()).unwrap(),
        join_code: educator.join_code.clone(),
        token: access["token"].as_str().unwrap().to_owned(),
    };
    assert_eq!(bots(&app, &new).await, BotsAnswer::default());
    app.settled(&new).await;
    assert_eq!(placed_by_bots(&app, &new).await, 0);
}

/// Given bots, when the server stops and starts, then they have ended, and what they have done is known.
#[tokio::test]
async fn bots_end_with_their_server() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    app.settled(&educator).await;
    let mut live = orders(&app, &educator).await;
    begun(&app, &educator, 2, 600).await;
    come(&mut live, 1).await;
    drop(live);
    let app = app.restart().await;
    let after = bots(&app, &educator).await;
    assert_eq!((after.running, after.ended), (false, Some(BotsEnd::Stopped)));
    assert!(after.orders_placed >= 1, "{after:?}");
}

/// Given bots at one server, when an educator reads, begins and ends them at another, then each server knows,
/// and they shop at one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_knows_of_bots_takes_them_over_and_ends_them() {
    let database = Database::new().await;
    let (one, two) = two(&database).await;
    let educator = one.educator_of("shop").await;
    one.settled(&educator).await;
    let mut live = orders(&one, &educator).await;
    begun(&one, &educator, 2, 600).await;
    come(&mut live, 1).await;
    let seen = bots(&two, &educator).await;
    assert!(seen.running, "{seen:?}");
    let taken_over = begun(&two, &educator, 1, 600).await;
    assert_eq!(taken_over.count, 1);
    come(&mut live, 2).await;
    let ended = end(&two, &educator).await;
    assert!(!ended.running);
    for app in [&one, &two] {
        assert_eq!(bots(app, &educator).await.ended, Some(BotsEnd::Stopped));
    }
    one.stop().await;
    two.stop().await;
}
