//! `GET /events` newest first, by time, by version and by what people did; `GET /events/{id}`; and the pages
//! of streams and events.

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{Person, TestApp, fields, list_product, place_order, problem},
    dead_letters::get,
};

/// A shop with one product in stock, and an order of it that is settled.
async fn shop_with_order(app: &TestApp, educator: &Person) -> Uuid {
    app.command(educator, &list_product("mug-01")).await;
    let stock = json!({"type": "ReceiveStock", "stream": "inventory-mug-01", "data": {"quantity": 5}});
    app.command(educator, &stock).await;
    let order = SystemClock.new_id();
    app.command(educator, &place_order(order, "mug-01")).await;
    app.settled(educator).await;
    order
}

/// Every page of a query, newest first.
async fn newest(app: &TestApp, person: &Person, query: &str) -> Vec<Value> {
    let (mut events, mut to) = (Vec::new(), String::new());
    loop {
        let page = get(
            app,
            person,
            &format!("/api/v1/events?order=desc&limit=3{query}{to}"),
        )
        .await;
        events.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else {
            return events;
        };
        to = format!("&to={next}");
    }
}

fn texts<'a>(events: &'a [Value], member: &str) -> Vec<&'a str> {
    events
        .iter()
        .map(|event| event[member].as_str().unwrap())
        .collect()
}

async fn page(app: &TestApp, person: &Person, path: &str) -> (StatusCode, String) {
    let cookie = format!("foldline_session={}", person.token);
    let response = app.get(path).header("cookie", cookie).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// The first event of a type.
async fn event_of(app: &TestApp, person: &Person, event_type: &str) -> Value {
    let events = get(app, person, &format!("/api/v1/events?type={event_type}")).await;
    events["data"][0].clone()
}

#[tokio::test]
async fn the_newest_events_of_all_partitions_come_first_and_each_is_on_one_page() {
    let app = TestApp::start().await;
    let educator = app.educator_with_shards(4).await;
    shop_with_order(&app, &educator).await;
    let all = get(&app, &educator, "/api/v1/events?limit=200").await;
    let mut expected = texts(all["data"].as_array().unwrap(), "event_id");
    let read = newest(&app, &educator, "").await;
    let times = texts(&read, "recorded_at");
    assert!(times.windows(2).all(|pair| pair[1] <= pair[0]), "{times:?}");
    let mut ids = texts(&read, "event_id");
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn the_log_is_read_by_what_people_did_by_version_and_by_time_in_both_directions() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    shop_with_order(&app, &educator).await;
    let did = ["ProductListed", "StockReceived", "OrderCreated"];
    let forwards = get(&app, &educator, "/api/v1/events?by=people&category=product").await;
    assert_eq!(
        texts(forwards["data"].as_array().unwrap(), "type"),
        ["ProductListed"]
    );
    let people = newest(&app, &educator, "&by=people").await;
    let shop: Vec<_> = texts(&people, "type")
        .into_iter()
        .filter(|name| did.contains(name))
        .collect();
    assert_eq!(shop, ["OrderCreated", "StockReceived", "ProductListed"]);
    assert!(
        people
            .iter()
            .all(|event| event["metadata"]["causation_id"].is_null())
    );

    let created = event_of(&app, &educator, "OrderCreated").await;
    let at = created["recorded_at"].as_str().unwrap();
    let all = get(&app, &educator, "/api/v1/events?limit=200").await;
    for (since, until) in [(true, false), (false, true), (true, true)] {
        let bounds = [(since, "since"), (until, "until")];
        let bounds = bounds.iter().filter(|(is_set, _)| *is_set);
        let query: Vec<_> = bounds.map(|(_, name)| format!("&{name}={at}")).collect();
        let query = query.concat();
        let asked = all["data"].as_array().unwrap().iter().filter(|event| {
            let time = event["recorded_at"].as_str().unwrap();
            (!since || time >= at) && (!until || time <= at)
        });
        let mut expected: Vec<_> = asked.map(|event| event["event_id"].as_str().unwrap()).collect();
        expected.sort_unstable();
        let forwards = get(&app, &educator, &format!("/api/v1/events?limit=200{query}")).await;
        let backwards = newest(&app, &educator, &query).await;
        for read in [forwards["data"].as_array().unwrap(), &backwards] {
            let mut ids = texts(read, "event_id");
            ids.sort_unstable();
            assert_eq!(ids, expected, "{query}");
        }
    }
    let first = newest(&app, &educator, "&category=order&version=1").await;
    assert_eq!(texts(&first, "type"), ["OrderCreated"]);
    let none = newest(&app, &educator, "&category=order&version=99").await;
    assert_eq!(none, Vec::<Value>::new());
}

#[tokio::test]
async fn a_parameter_that_does_not_belong_to_the_direction_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (query, field) in [
        ("to=0:1", "to"),
        ("order=desc&after=0:1", "after"),
        ("version=0", "version"),
        ("since=soon", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("by=me", "by"),
        ("order=newest", "order"),
    ] {
        let request = app
            .get(&format!("/api/v1/events?{query}"))
            .bearer_auth(&educator.token);
        let problem = problem(request.send().await.unwrap()).await;
        assert_eq!((problem.status, fields(&problem)), (400, vec![field]), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_has_its_causes_its_effects_and_what_each_handler_has_done_with_it() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    shop_with_order(&app, &educator).await;
    let student = app.with_role(&educator, Role::Student);
    let created = event_of(&app, &educator, "OrderCreated").await;
    let path = |event: &Value| format!("/api/v1/events/{}", event["event_id"].as_str().unwrap());
    let answer = get(&app, &student, &path(&created)).await;
    assert_eq!(answer["event"]["event_id"], created["event_id"]);
    assert_eq!((&answer["causes"], &answer["more"]), (&json!([]), &json!(false)));
    let effects = answer["effects"].as_array().unwrap();
    let types = texts(effects, "type");
    for wanted in ["StockReserved", "PaymentProcessed", "OrderConfirmed"] {
        assert!(types.contains(&wanted), "{types:?}");
    }
    let mut known = vec![&created["event_id"]];
    for effect in effects {
        assert!(known.contains(&&effect["metadata"]["causation_id"]), "{effect}");
        known.push(&effect["event_id"]);
    }
    let handlers = answer["handlers"].as_array().unwrap();
    assert!(
        handlers.iter().all(|handler| handler["handling"] == "handled"),
        "{handlers:?}"
    );
    for (name, kind) in [("orders", "view"), ("fulfilment", "process-manager")] {
        assert!(
            handlers.iter().any(|of| of["name"] == name && of["kind"] == kind),
            "{handlers:?}"
        );
    }

    let confirmed = event_of(&app, &educator, "OrderConfirmed").await;
    let answer = get(&app, &student, &path(&confirmed)).await;
    let causes = answer["causes"].as_array().unwrap();
    assert_eq!(causes[0]["event_id"], created["event_id"]);
    assert_eq!(
        causes.last().unwrap()["event_id"],
        confirmed["metadata"]["causation_id"]
    );
}

#[tokio::test]
async fn an_event_of_another_workspace_or_of_no_workspace_is_not_found() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let listed = event_of(&app, &educator, "ProductListed").await;
    let id = listed["event_id"].as_str().unwrap().to_owned();
    let stranger = app.educator().await;
    let customer = app.with_role(&educator, Role::Customer);
    for (person, id, status) in [
        (&educator, id.as_str(), 200),
        (&stranger, id.as_str(), 404),
        (&customer, id.as_str(), 403),
        (&educator, "nonsense", 404),
        (&educator, "00000000-0000-0000-0000-000000000000", 404),
    ] {
        let request = app
            .get(&format!("/api/v1/events/{id}"))
            .bearer_auth(&person.token);
        assert_eq!(request.send().await.unwrap().status(), status, "{id}");
        let (page, html) = page(&app, person, &format!("/lab/events/{id}")).await;
        assert_eq!(page, status, "{id}: {html}");
    }
}

#[tokio::test]
async fn the_page_of_streams_opens_with_the_newest_orders_and_what_people_did() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = shop_with_order(&app, &educator).await;
    let (status, html) = page(&app, &educator, "/lab/streams").await;
    assert_eq!(status, StatusCode::OK, "{html}");
    let orders = html.find("data-testid=\"newest-orders\"").expect("the orders");
    let tail = html.find("data-testid=\"lab-tail\"").expect("the tail");
    assert!(orders < tail);
    assert!(
        html.contains(&format!("href=\"/lab/streams/order-{order}\"")),
        "{html}"
    );
    assert!(
        html.contains("data-by=\"person\"") && !html.contains("data-by=\"effect\""),
        "{html}"
    );

    let (_, all) = page(&app, &educator, "/lab/streams?by=all").await;
    assert!(
        all.contains("data-by=\"effect\"") && !all.contains("newest-orders"),
        "{all}"
    );
    let (_, of_type) = page(&app, &educator, "/lab/streams?category=order&type=OrderConfirmed").await;
    assert_eq!(of_type.matches("data-by=").count(), 1, "{of_type}");
    let (status, unreadable) = page(&app, &educator, "/lab/streams?correlation=7&since=soon").await;
    assert_eq!(status, StatusCode::OK);
    assert!(unreadable.contains("correlation, since"), "{unreadable}");
}

#[tokio::test]
async fn the_page_of_a_stream_has_the_state_at_any_version_without_a_script() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = shop_with_order(&app, &educator).await;
    let path = format!("/lab/streams/order-{order}");
    let (status, newest) = page(&app, &educator, &path).await;
    assert_eq!(status, StatusCode::OK, "{newest}");
    assert!(newest.contains("data-version=\"2\""), "{newest}");
    let (_, first) = page(&app, &educator, &format!("{path}?version=1")).await;
    assert!(first.contains("data-version=\"1\""), "{first}");
    // The state of the aggregate is of this version.
    let state = |html: &str| {
        let from = html.find("data-testid=\"stream-state\"").unwrap();
        let until = html[from..].find("data-testid=\"stream-views\"").unwrap();
        html[from..from + until].to_owned()
    };
    assert!(state(&newest).contains("confirmed"), "{}", state(&newest));
    assert!(!state(&first).contains("confirmed") && state(&first).contains("created"));
    for beyond in ["?version=99", "?version=0", "?version=x", "?from=99"] {
        let (status, html) = page(&app, &educator, &format!("{path}{beyond}")).await;
        assert_eq!(status, StatusCode::OK, "{beyond}: {html}");
    }
}

#[tokio::test]
async fn a_sealed_text_is_shown_as_sealed_with_its_place_and_its_reason() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = shop_with_order(&app, &educator).await;
    let created = event_of(&app, &educator, "OrderCreated").await;
    let name = created["payload"]["customer"]["name"].as_str().unwrap();
    assert!(name.starts_with("sealed:"), "{name}");
    let id = created["event_id"].as_str().unwrap();
    for path in [format!("/lab/streams/order-{order}"), format!("/lab/events/{id}")] {
        let (_, html) = page(&app, &educator, &path).await;
        assert!(html.contains("data-testid=\"sealed\""), "{path}: {html}");
        assert!(html.contains("<code>customer.name</code>"), "{path}: {html}");
        // The props of an island are JSON that a browser reads, and no text of the page.
        let blocks = html.split("<pre").skip(1);
        let shown: Vec<_> = blocks.filter_map(|rest| rest.split("</pre>").next()).collect();
        assert!(
            !shown.is_empty() && shown.iter().all(|json| !json.contains(name)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_page_of_an_event_shows_its_tree_and_its_handlers() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    shop_with_order(&app, &educator).await;
    let created = event_of(&app, &educator, "OrderCreated").await;
    let confirmed = event_of(&app, &educator, "OrderConfirmed").await;
    let id = |event: &Value| event["event_id"].as_str().unwrap().to_owned();
    let (created, confirmed) = (id(&created), id(&confirmed));
    for subject in [&created, &confirmed] {
        let (status, html) = page(&app, &educator, &format!("/lab/events/{subject}")).await;
        assert_eq!(status, StatusCode::OK, "{html}");
        for relative in [&created, &confirmed] {
            assert!(html.contains(&format!("data-event=\"{relative}\"")), "{html}");
        }
        let is_subject = format!("data-event=\"{subject}\" aria-current=\"true\"");
        assert!(html.contains(&is_subject), "{html}");
        assert!(
            html.contains("data-handler=\"orders\" data-handling=\"handled\""),
            "{html}"
        );
    }
}

#[tokio::test]
async fn the_addresses_of_streams_before_lead_to_the_lab() {
    let app = TestApp::start().await;
    for (before, now) in [
        ("/streams", "/lab/streams"),
        ("/streams?prefix=order-", "/lab/streams?prefix=order-"),
        ("/streams/order-1?from=7", "/lab/streams/order-1?from=7"),
        ("/streams/%2F%2Fexample.org", "/lab/streams/%2F%2Fexample.org"),
    ] {
        let response = app.get(before).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT, "{before}");
        assert_eq!(response.headers()["location"], now);
    }
}
