//! `GET /lab/hops`, and subscriptions to the hops over the live socket.

use std::collections::BTreeSet;

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use reqwest::Method;
use serde_json::{Value, json};
use telemetry::hops::is_watched;
use uuid::Uuid;

use crate::{
    app::{Live, Person, TestApp, fields, list_product, place_order, problem},
    dead_letters::{get, receive},
};

const HOPS: &str = "/api/v1/lab/hops";

/// A server whose boxes make hops of what is watched.
async fn start() -> TestApp {
    start_with(&[]).await
}

async fn start_with(further: &[&str]) -> TestApp {
    telemetry::hops::install_for_tests();
    TestApp::start_with(further).await
}

/// An educator with a product in stock.
async fn shop(app: &TestApp) -> Person {
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    receive(app, &educator, "mug-01", 100).await;
    app.settled(&educator).await;
    educator
}

fn subscribe(id: u64) -> Value {
    json!({"op": "subscribe", "id": id, "lab": "hops"})
}

/// Follows the hops; what was kept of them.
async fn follow(live: &mut Live, id: u64) -> Value {
    live.send(&subscribe(id)).await;
    let first = live.next_of("hops").await;
    assert_eq!(first["id"], id);
    first
}

/// The hops that a socket brings until they are enough.
async fn until(live: &mut Live, is_enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut hops = Vec::new();
    while !is_enough(&hops) {
        let frame = live.next_of("hops").await;
        assert_eq!((&frame["merged"], &frame["dropped"]), (&json!([]), &json!(0)));
        let data = frame["data"].as_array().unwrap();
        assert!(data.len() <= 50, "{} hops in a frame", data.len());
        hops.extend(data.iter().cloned());
    }
    hops
}

/// Whether an event has crossed an arrow.
fn has_crossed(hops: &[Value], event: &Value, arrow: &str) -> bool {
    hops.iter()
        .any(|hop| hop["event_id"] == *event && hop["arrow"] == arrow)
}

/// The ids of the events of an intention that were published, in the order in which they were.
fn published(hops: &[Value], correlation: &Value) -> Vec<Value> {
    ids(hops, "published-domain-events", "correlation_id", correlation)
}

/// The ids of the events that have crossed an arrow and have such a member, in the order in which they did.
fn ids(hops: &[Value], arrow: &str, member: &str, value: &Value) -> Vec<Value> {
    let mut crossed: Vec<&Value> = hops
        .iter()
        .filter(|hop| hop["arrow"] == arrow && hop[member] == *value)
        // an append that was in conflict is tried again, and has no event yet
        .filter(|hop| !hop["event_id"].is_null())
        .collect();
    crossed.sort_by_key(|hop| hop["started_at"].as_str().unwrap());
    crossed.iter().map(|hop| hop["event_id"].clone()).collect()
}

/// Places an order as a customer, and waits until all of it is done; its correlation id, and its events in
/// the order of the log.
async fn order(app: &TestApp, educator: &Person, method: &str) -> (Value, Vec<Value>) {
    let customer = app.with_role(educator, Role::Customer);
    let mut command = place_order(SystemClock.new_id(), "mug-01");
    command["data"]["payment_method"] = json!(method);
    let placed = app.command(&customer, &command).await;
    app.settled(educator).await;
    let correlation = placed["correlation_id"].clone();
    let path = format!(
        "/api/v1/events?limit=200&correlation={}",
        correlation.as_str().unwrap()
    );
    let events = get(app, educator, &path).await["data"]
        .as_array()
        .unwrap()
        .clone();
    (correlation, events)
}

fn id_of(event: &Value) -> Value {
    event["event_id"].clone()
}

fn types(events: &[Value]) -> BTreeSet<String> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

/// Given a subscription to the hops, when an order is placed and fulfilled, then its events cross the arrows
/// in the order of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_an_order_cross_the_arrows_in_the_order_of_the_log() {
    let app = start().await;
    let educator = shop(&app).await;
    let student = app.student(&educator.join_code).await;
    let mut live = app.live(&student).await;
    let first = follow(&mut live, 7).await;
    assert_eq!(
        first,
        json!({"op": "hops", "id": 7, "data": [], "merged": [], "dropped": 0})
    );
    let (correlation, events) = order(&app, &educator, "tok_ok").await;
    assert!(types(&events).contains("OrderConfirmed"), "{events:?}");
    let expected: Vec<Value> = events.iter().map(id_of).collect();
    let arrows = ["append-events", "published-domain-events"];
    let hops = until(&mut live, |hops| {
        let crossed = |event: &Value| arrows.iter().all(|arrow| has_crossed(hops, event, arrow));
        expected.iter().all(crossed)
    })
    .await;
    assert_eq!(published(&hops, &correlation), expected);
    // Those of one stream are appended one after another; another stream's append may wait for its commit
    // at the same time.
    let stream = &events[0]["stream"];
    let of_order = events.iter().filter(|event| event["stream"] == *stream);
    let of_order: Vec<Value> = of_order.map(id_of).collect();
    assert_eq!(ids(&hops, "append-events", "stream", stream), of_order);
    let created = hops
        .iter()
        .find(|hop| hop["arrow"] == "append-events" && hop["type"] == "OrderCreated")
        .unwrap();
    let event = events
        .iter()
        .find(|event| event["type"] == "OrderCreated")
        .unwrap();
    for member in ["event_id", "type", "stream", "partition", "position"] {
        assert_eq!(created[member], event[member], "{member}");
    }
    assert_eq!(
        (&created["correlation_id"], &created["outcome"]),
        (&correlation, &json!("done"))
    );
    let members: BTreeSet<&str> = created.as_object().unwrap().keys().map(String::as_str).collect();
    let members_of_a_hop = [
        "arrow",
        "correlation_id",
        "duration_us",
        "event_id",
        "lane",
        "outcome",
        "partition",
        "position",
        "started_at",
        "stream",
        "type",
    ];
    assert_eq!(members, BTreeSet::from(members_of_a_hop));
}

/// Given a subscription, when an order is placed, then its view folds it, by a delivery and an upsert.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_crosses_from_the_broker_to_the_views_that_fold_it() {
    let app = start().await;
    let educator = shop(&app).await;
    let mut live = app.live(&educator).await;
    follow(&mut live, 1).await;
    let (_, events) = order(&app, &educator, "tok_ok").await;
    let created = events
        .iter()
        .find(|event| event["type"] == "OrderCreated")
        .unwrap();
    let id = id_of(created);
    let is_of_orders =
        |hop: &Value, arrow: &str| hop["event_id"] == id && hop["arrow"] == arrow && hop["lane"] == "orders";
    until(&mut live, |hops| {
        ["event-subscription", "upsert-projection"]
            .iter()
            .all(|arrow| hops.iter().any(|hop| is_of_orders(hop, arrow)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_payment_is_declined_goes_another_way() {
    let app = start().await;
    let educator = shop(&app).await;
    let mut live = app.live(&educator).await;
    follow(&mut live, 1).await;
    let (correlation, events) = order(&app, &educator, "tok_declined").await;
    let expected: Vec<Value> = events.iter().map(id_of).collect();
    let hops = until(&mut live, |hops| {
        published(hops, &correlation).len() >= expected.len()
    })
    .await;
    assert_eq!(published(&hops, &correlation), expected);
    let of_order: Vec<Value> = hops
        .into_iter()
        .filter(|hop| hop["arrow"] == "published-domain-events" && hop["correlation_id"] == correlation)
        .collect();
    let types = types(&of_order);
    assert!(types.contains("OrderRejected"), "{types:?}");
    assert!(!types.contains("OrderConfirmed"), "{types:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_recorded_unless_a_person_looks_and_then_only_of_that_workspace() {
    let app = start().await;
    let (here, there) = (shop(&app).await, shop(&app).await);
    order(&app, &here, "tok_ok").await;
    assert!(!is_watched(here.workspace));
    let first = get(&app, &here, HOPS).await;
    assert_eq!(
        (&first["data"], &first["merged"], &first["dropped"]),
        (&json!([]), &json!([]), &json!(0))
    );
    assert!(is_watched(here.workspace) && !is_watched(there.workspace));

    let mut sockets = [app.live(&here).await, app.live(&there).await];
    for live in &mut sockets {
        follow(live, 1).await;
    }
    let (one, _) = order(&app, &here, "tok_ok").await;
    let (other, events) = order(&app, &there, "tok_ok").await;
    let [mut here, mut there] = sockets;
    let last = id_of(events.last().unwrap());
    let seen = until(&mut there, |hops| {
        has_crossed(hops, &last, "published-domain-events")
    })
    .await;
    assert!(seen.iter().all(|hop| hop["correlation_id"] != one));
    let seen = until(&mut here, |hops| !published(hops, &one).is_empty()).await;
    assert!(seen.iter().all(|hop| hop["correlation_id"] != other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_students_and_educators_see_hops() {
    let app = start().await;
    let educator = app.educator().await;
    for role in [Role::Customer, Role::Staff] {
        let person = app.with_role(&educator, role);
        let refused = problem(app.get(HOPS).bearer_auth(&person.token).send().await.unwrap()).await;
        assert_eq!(refused.status, 403, "{role:?}");
        let mut live = app.live(&person).await;
        live.send(&subscribe(3)).await;
        let error = live.next_of("error").await;
        assert_eq!(
            (&error["id"], &error["problem"]["status"]),
            (&json!(3), &json!(403)),
            "{role:?}"
        );
    }
    assert!(!is_watched(educator.workspace), "a refusal begins nothing");
    let anonymous = app.get(HOPS).send().await.unwrap();
    assert_eq!(problem(anonymous).await.status, 401);
    for role in [Role::Student, Role::Educator] {
        let person = app.with_role(&educator, role);
        get(&app, &person, HOPS).await;
        follow(&mut app.live(&person).await, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_each_hop_once_and_go_on_where_they_ended() {
    let app = start().await;
    let educator = shop(&app).await;
    let begin = get(&app, &educator, HOPS).await["next"]
        .as_str()
        .unwrap()
        .to_owned();
    let (correlation, events) = order(&app, &educator, "tok_ok").await;
    let expected: Vec<Value> = events.iter().map(id_of).collect();
    let (mut after, mut hops) = (begin.clone(), Vec::new());
    // spans may close a moment after what they are about
    while published(&hops, &correlation).len() < expected.len() {
        let page = get(&app, &educator, &format!("{HOPS}?after={after}&limit=3")).await;
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        hops.extend(data.iter().cloned());
        after = page["next"].as_str().unwrap().to_owned();
    }
    assert_eq!(published(&hops, &correlation), expected);
    let started: BTreeSet<&str> = hops
        .iter()
        .map(|hop| hop["started_at"].as_str().unwrap())
        .collect();
    assert_eq!(started.len(), hops.len(), "no hop is on two pages");
    // a page that is asked for again is the same
    let again = get(&app, &educator, &format!("{HOPS}?after={begin}&limit=3")).await;
    assert_eq!(again["data"], json!(hops[..3]));
    // a place in another server's hops, or in those before a pause, begins anew
    let oldest = get(&app, &educator, &format!("{HOPS}?limit=3")).await;
    let foreign = format!("{HOPS}?limit=3&after={}.9", Uuid::from_u128(7).simple());
    assert_eq!(get(&app, &educator, &foreign).await, oldest);
}

#[tokio::test]
async fn a_parameter_that_is_not_valid_is_named() {
    let app = start().await;
    let educator = app.educator().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=all", "limit"),
        ("after=", "after"),
        ("after=0:12", "after"),
        ("after=x.y", "after"),
        ("before=1", "before"),
        ("after=a.1&after=a.2", "after"),
    ] {
        let request = app.get(&format!("{HOPS}?{query}")).bearer_auth(&educator.token);
        let refused = problem(request.send().await.unwrap()).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]), "{query}");
    }
    assert!(!is_watched(educator.workspace));
}

#[tokio::test]
async fn a_subscription_is_to_a_view_or_to_the_lab_and_a_wrong_field_is_named() {
    let app = start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    for (frame, field) in [
        (json!({"op": "subscribe", "id": 4}), "view"),
        (
            json!({"op": "subscribe", "id": 4, "view": "orders", "lab": "hops"}),
            "lab",
        ),
        (
            json!({"op": "subscribe", "id": 4, "lab": "hops", "key": "a"}),
            "key",
        ),
        (
            json!({"op": "subscribe", "id": 4, "lab": "hops", "resume": "0:1"}),
            "resume",
        ),
        (
            json!({"op": "subscribe", "id": 4, "lab": "hops", "limit": 1}),
            "limit",
        ),
    ] {
        live.send(&frame).await;
        let error = live.next_of("error").await;
        assert_eq!(
            (
                &error["id"],
                &error["problem"]["status"],
                &error["problem"]["violations"][0]["field"]
            ),
            (&json!(4), &json!(400), &json!(field)),
            "{frame}"
        );
    }
    live.send(&json!({"op": "subscribe", "id": 4, "lab": "secrets"}))
        .await;
    assert_eq!(live.next_of("error").await["problem"]["status"], 400);
    assert!(!is_watched(educator.workspace));
    follow(&mut live, 4).await;
}

#[tokio::test]
async fn a_subscription_is_replaced_by_its_id_and_ended() {
    let app = start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    let products = json!({"op": "subscribe", "id": 1, "view": "products"});
    // a view by hops, hops by hops, and hops by a view
    live.send(&products).await;
    live.next_of("snapshot").await;
    follow(&mut live, 1).await;
    follow(&mut live, 1).await;
    live.send(&products).await;
    live.next_of("snapshot").await;
    app.command(&educator, &list_product("mug-01")).await;
    let told = |frame: &Value| frame["op"] == "change" || frame["op"] == "hops";
    assert_eq!(live.next_where("a change", told).await["op"], "change");
    // what is kept comes with another subscription, which ends like others
    let kept = follow(&mut live, 2).await;
    assert!(has_arrow(&kept, "append-events"), "{kept}");
    live.send(&json!({"op": "unsubscribe", "id": 2})).await;
    live.send(&json!({"op": "unsubscribe", "id": 2})).await;
    app.command(&educator, &list_product("mug-02")).await;
    assert_eq!(live.next_of("change").await["key"], "mug-02");
    // frames that were sent before the server knew may still come, and none after this one
    live.send(&json!({"op": "subscribe", "id": 3, "view": "no-such"}))
        .await;
    live.next_of("error").await;
    app.command(&educator, &list_product("mug-03")).await;
    assert_eq!(live.next_where("a change", told).await["key"], "mug-03");
}

fn has_arrow(frame: &Value, arrow: &str) -> bool {
    let mut hops = frame["data"].as_array().unwrap().iter();
    hops.any(|hop| hop["arrow"] == arrow)
}

#[tokio::test]
async fn a_subscription_to_hops_counts_as_one_of_the_sandbox() {
    let app = start_with(&["--sandbox-subscriptions", "2"]).await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    follow(&mut live, 1).await;
    live.send(&json!({"op": "subscribe", "id": 2, "view": "products"}))
        .await;
    live.next_of("snapshot").await;
    live.send(&subscribe(3)).await;
    let refused = live.next_of("error").await;
    assert_eq!(
        (&refused["id"], &refused["problem"]["type"]),
        (&json!(3), &json!("/problems/quota-exceeded"))
    );
    // the same id does not count twice, and an ended one makes room
    follow(&mut live, 1).await;
    live.send(&json!({"op": "unsubscribe", "id": 2})).await;
    follow(&mut live, 3).await;
}

#[tokio::test]
async fn a_connection_has_few_subscriptions_to_hops() {
    let app = start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    for id in 1..=4 {
        follow(&mut live, id).await;
    }
    live.send(&subscribe(5)).await;
    let refused = live.next_of("error").await;
    assert_eq!(
        (&refused["id"], &refused["problem"]["status"]),
        (&json!(5), &json!(429))
    );
    app.command(&educator, &list_product("mug-01")).await;
    let mut told = BTreeSet::new();
    while told.len() < 4 {
        told.insert(live.next_of("hops").await["id"].as_u64().unwrap());
    }
    assert_eq!(told, BTreeSet::from([1, 2, 3, 4]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hops_of_a_purged_workspace_end_with_it() {
    let app = start().await;
    let (educator, other) = (app.educator().await, app.educator().await);
    let mut live = app.live(&educator).await;
    follow(&mut live, 1).await;
    get(&app, &other, HOPS).await;
    let path = format!("/api/v1/workspace?confirm={}", educator.workspace);
    let purge = app.request(Method::DELETE, &path).bearer_auth(&educator.token);
    assert_eq!(purge.send().await.unwrap().status(), 202);
    assert_eq!(u16::from(live.closed().await.code), 1008);
    app.swept().await;
    assert!(!is_watched(educator.workspace) && is_watched(other.workspace));
}
