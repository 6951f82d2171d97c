//! `GET` and `POST /lab/views`, `GET` and `DELETE /lab/views/{name}`, and what a view of one's own is: a view
//! like any other.

use domain::{
    access::Role,
    wire::{Invariant, InvariantsAnswer, OfferedFields, OwnView, OwnViewsAnswer},
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use test_postgres::Database;

use crate::{
    app::{Live, Person, TEST_TIMEOUT, TestApp, fields, problem},
    dead_letters::{get, receive},
    dials::{dials_of, put, reset, set},
};

const VIEWS: &str = "/api/v1/lab/views";

/// A view of the stock that was received, by stream.
pub(crate) fn received(name: &str) -> Value {
    json!({
        "name": name, "on": ["StockReceived"], "key": "stream",
        "fold": [
            {"field": "events", "op": "count"},
            {"field": "units", "op": "sum", "of": "data.quantity"},
            {"field": "least", "op": "min", "of": "data.quantity"},
            {"field": "newest", "op": "last", "of": "data.quantity"},
            {"field": "quantities", "op": "set", "of": "data.quantity"},
        ],
        "group": "data.quantity",
    })
}

/// The same without the detection of duplicates.
fn counting_twice(name: &str) -> Value {
    let mut definition = received(name);
    definition["detect_duplicates"] = json!(false);
    definition
}

/// A server without limits of requests: these tests create many views.
async fn start() -> TestApp {
    TestApp::start_with(&["--for-tests"]).await
}

async fn post(app: &TestApp, person: &Person, definition: &Value) -> Response {
    let request = app.post(VIEWS, definition).bearer_auth(&person.token);
    request.send().await.unwrap()
}

/// Creates a view, and expects that it is created.
pub(crate) async fn create(app: &TestApp, person: &Person, definition: &Value) -> OwnView {
    let response = post(app, person, definition).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn delete(app: &TestApp, person: &Person, name: &str) -> StatusCode {
    let request = app.request(Method::DELETE, &format!("{VIEWS}/{name}"));
    request.bearer_auth(&person.token).send().await.unwrap().status()
}

async fn status_of(app: &TestApp, person: &Person, path: &str) -> StatusCode {
    let request = app.get(path).bearer_auth(&person.token);
    request.send().await.unwrap().status()
}

async fn listed(app: &TestApp, person: &Person) -> Vec<OwnView> {
    let answer: OwnViewsAnswer = serde_json::from_value(get(app, person, VIEWS).await).unwrap();
    assert_eq!(answer.limit, 10);
    answer.data
}

fn token(answer: &Value) -> &str {
    answer["token"].as_str().unwrap()
}

/// A document once the view has folded the events of an answer, without what it remembers for the next one.
async fn document(app: &TestApp, person: &Person, (view, key): (&str, &str), after: &Value) -> Value {
    let path = format!("/api/v1/views/{view}/{key}?after={}", token(after));
    let mut data = get(app, person, &path).await["data"].clone();
    data.as_object_mut().unwrap().remove("state");
    data
}

async fn findings(app: &TestApp, person: &Person) -> Vec<String> {
    let report = get(app, person, "/api/v1/verify").await;
    serde_json::from_value(report["findings"].clone()).unwrap()
}

async fn rebuild(app: &TestApp, person: &Person, view: &str) {
    let path = format!("/api/v1/lab/projections/{view}/rebuild");
    let request = app.request(Method::POST, &path).bearer_auth(&person.token);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
}

/// A socket that follows a document.
async fn follow(app: &TestApp, person: &Person, view: &str, key: &str) -> Live {
    let mut live = app.live(person).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": view, "key": key}))
        .await;
    live
}

/// Waits until a followed document has so many units.
async fn shows_units(live: &mut Live, units: u64) {
    let shows = |frame: &Value| frame["id"] == 1 && frame["data"]["units"] == units;
    live.next_where("the units", shows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_view_has_all_history_and_then_every_event_like_any_other_view() {
    let app = start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 3).await;
    receive(&app, &educator, "mug", 1).await;
    let old = receive(&app, &educator, "cup", 5).await;
    app.settled(&educator).await;
    let created = create(&app, &educator, &received("mine")).await;
    assert!(created.detect_duplicates && created.may_delete);
    assert_eq!(created.listings, ["all", "by_group"]);
    assert_eq!(created.status.view, "mine");
    let mug = document(&app, &educator, ("mine", "inventory-mug"), &old).await;
    let expected = json!({"key": "inventory-mug", "group": "1", "events": 2, "units": 4, "least": 1,
        "newest": 1, "quantities": [1, 3]});
    assert_eq!(mug, expected);

    let mut live = app.live(&educator).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "mine", "listing": "all"}))
        .await;
    let snapshot = live.next_of("snapshot").await;
    assert_eq!(snapshot["data"].as_array().unwrap().len(), 2);
    let new = receive(&app, &educator, "mug", 7).await;
    let mug = document(&app, &educator, ("mine", "inventory-mug"), &new).await;
    assert_eq!((&mug["units"], &mug["newest"]), (&json!(11), &json!(7)));
    let change = live.next_of("change").await;
    assert_eq!(
        (&change["key"], &change["data"]["units"]),
        (&json!("inventory-mug"), &json!(11))
    );

    let grouped = |group: &str| format!("/api/v1/views/mine?listing=by_group&group={group}");
    let keys = async |path: &str| -> Vec<String> {
        let listed = get(&app, &educator, path).await;
        let rows = listed["data"].as_array().unwrap().iter();
        rows.map(|row| row["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        keys("/api/v1/views/mine").await,
        ["inventory-cup", "inventory-mug"]
    );
    assert_eq!(keys(&grouped("7")).await, ["inventory-mug"]);
    assert!(keys(&grouped("1")).await.is_empty());

    app.settled(&educator).await;
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
    let handlers = get(&app, &educator, "/api/v1/lab/handlers").await;
    let mut handlers = handlers["data"].as_array().unwrap().iter();
    let mine = handlers
        .find(|handler| handler["status"]["view"] == "mine")
        .unwrap();
    assert_eq!(
        (&mine["kind"], &mine["status"]["behind"]),
        (&json!("view"), &json!(0))
    );
    let handled = get(&app, &educator, "/api/v1/lab/handled?event=0:4").await;
    let mut handled = handled["data"].as_array().unwrap().iter();
    let mine = handled.find(|handler| handler["name"] == "mine").unwrap();
    assert_eq!(mine["handling"], "handled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_folds_a_view_of_ones_own_anew_beside_the_live_one() {
    let app = start().await;
    let educator = app.educator().await;
    create(&app, &educator, &received("mine")).await;
    let last = receive(&app, &educator, "mug", 3).await;
    let before = document(&app, &educator, ("mine", "inventory-mug"), &last).await;
    let generation = listed(&app, &educator).await[0].status.generation;
    let mut live = follow(&app, &educator, "mine", "inventory-mug").await;
    live.next_of("snapshot").await;
    rebuild(&app, &educator, "mine").await;
    let is_new = |frame: &Value| frame["op"] == "snapshot" && frame["generation"] != generation;
    live.next_where("a snapshot of the new generation", is_new).await;
    assert_eq!(
        document(&app, &educator, ("mine", "inventory-mug"), &last).await,
        before
    );
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
    let slot = "/api/v1/lab/projections/own_01/rebuild";
    let request = app.request(Method::POST, slot).bearer_auth(&educator.token);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_the_duplicate_dial_a_view_without_detection_counts_twice_until_a_rebuild() {
    let app = start().await;
    let educator = app.educator().await;
    let last = receive(&app, &educator, "mug", 3).await;
    create(&app, &educator, &counting_twice("twice")).await;
    create(&app, &educator, &received("once")).await;
    let key = "inventory-mug";
    // Nothing is delivered twice by itself.
    assert_eq!(document(&app, &educator, ("twice", key), &last).await["units"], 3);
    set(&app, &educator, &json!({"broker": {"duplicate_every": 1}})).await;
    let mut live = follow(&app, &educator, "twice", key).await;
    shows_units(&mut live, 3).await;
    let last = receive(&app, &educator, "mug", 5).await;
    shows_units(&mut live, 13).await;
    assert_eq!(document(&app, &educator, ("once", key), &last).await["units"], 8);
    let wrong = findings(&app, &educator).await;
    assert!(
        !wrong.is_empty() && wrong.iter().all(|finding| finding.starts_with("twice: ")),
        "{wrong:?}"
    );
    // The light says which view it is.
    live.send(&json!({"op": "subscribe", "id": 2, "lab": "invariants"}))
        .await;
    let names_it = |frame: &Value| {
        let answer = serde_json::from_value::<InvariantsAnswer>(frame["data"].clone());
        answer.is_ok_and(|answer| {
            let mut red = answer.data.into_iter().filter(|light| !light.holds);
            red.any(|light| {
                let view = light.evidence.and_then(|evidence| evidence.view);
                light.name == Invariant::ViewEqualsFold && view.as_deref() == Some("twice")
            })
        })
    };
    live.next_where("a red light", names_it).await;
    reset(&app, &educator).await;
    rebuild(&app, &educator, "twice").await;
    shows_units(&mut live, 8).await;
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_of_ones_own_has_dials_by_its_name_which_go_with_it() {
    let app = start().await;
    let educator = app.educator().await;
    create(&app, &educator, &received("mine")).await;
    app.settled(&educator).await;
    set(
        &app,
        &educator,
        &json!({"projections": {"mine": {"paused": true}}}),
    )
    .await;
    receive(&app, &educator, "mug", 3).await;
    let views = listed(&app, &educator).await;
    let status = &views[0].status;
    assert!(status.paused && status.behind == 1, "{status:?}");
    let path = "/api/v1/views/mine/inventory-mug";
    assert_eq!(status_of(&app, &educator, path).await, StatusCode::NOT_FOUND);
    assert_eq!(delete(&app, &educator, "mine").await, StatusCode::NO_CONTENT);
    assert!(dials_of(&app, &educator).await.dials.projections.is_empty());
    let unknown = json!({"projections": {"mine": {"paused": true}}});
    let refused = put(&app, &educator, "*", &unknown).await;
    assert_eq!(fields(&problem(refused).await), ["projections.mine"]);
    app.settled(&educator).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_view_is_gone_and_one_that_is_created_again_begins_anew() {
    let app = start().await;
    let educator = app.educator().await;
    create(&app, &educator, &received("mine")).await;
    let last = receive(&app, &educator, "mug", 3).await;
    document(&app, &educator, ("mine", "inventory-mug"), &last).await;
    let mut live = follow(&app, &educator, "mine", "inventory-mug").await;
    live.next_of("snapshot").await;
    assert_eq!(delete(&app, &educator, "mine").await, StatusCode::NO_CONTENT);
    let error = live.next_of("error").await;
    assert_eq!(
        (&error["id"], &error["problem"]["status"]),
        (&json!(1), &json!(404))
    );
    let path = "/api/v1/views/mine/inventory-mug";
    assert_eq!(status_of(&app, &educator, path).await, StatusCode::NOT_FOUND);
    assert_eq!(delete(&app, &educator, "mine").await, StatusCode::NOT_FOUND);
    assert!(listed(&app, &educator).await.is_empty());
    // It has neither the documents nor the folds of the one before, in whichever slot it is.
    for n in 0..12 {
        let field = format!("count_{n}");
        let again = json!({"name": "mine", "on": ["StockReceived"], "key": "stream",
            "fold": [{"field": field, "op": "count"}]});
        create(&app, &educator, &again).await;
        let mug = document(&app, &educator, ("mine", "inventory-mug"), &last).await;
        assert_eq!(mug, json!({"key": "inventory-mug", field: 1}));
        assert_eq!(delete(&app, &educator, "mine").await, StatusCode::NO_CONTENT);
    }
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_survives_a_restart_and_folds_on() {
    let app = start().await;
    let educator = app.educator().await;
    receive(&app, &educator, "mug", 3).await;
    let created = create(&app, &educator, &counting_twice("mine")).await;
    app.settled(&educator).await;
    let app = app.restart().await;
    let views = listed(&app, &educator).await;
    let [kept] = &views[..] else {
        panic!("it is not kept")
    };
    assert_eq!(
        (kept.created_at, kept.created_by),
        (created.created_at, created.created_by)
    );
    let last = receive(&app, &educator, "mug", 4).await;
    let mug = document(&app, &educator, ("mine", "inventory-mug"), &last).await;
    assert_eq!((&mug["events"], &mug["units"]), (&json!(2), &json!(7)));
    assert_eq!(findings(&app, &educator).await, Vec::<String>::new());
}

#[tokio::test]
async fn another_workspace_sees_nothing_of_a_view() {
    let app = start().await;
    let (educator, other) = (app.educator().await, app.educator().await);
    create(&app, &educator, &received("mine")).await;
    receive(&app, &educator, "mug", 3).await;
    receive(&app, &other, "mug", 9).await;
    assert!(listed(&app, &other).await.is_empty());
    for path in [
        "/api/v1/views/mine",
        "/api/v1/views/mine/inventory-mug",
        "/api/v1/views/own_01",
    ] {
        assert_eq!(
            status_of(&app, &other, path).await,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    app.settled(&other).await;
    let projections = get(&app, &other, "/api/v1/lab/projections").await;
    let mut projections = projections.as_array().unwrap().iter();
    assert!(projections.all(|it| !it["view"].as_str().unwrap().starts_with("own")));
    // A view of the same name is another one.
    create(&app, &other, &received("mine")).await;
    app.settled(&other).await;
    let units = get(&app, &other, "/api/v1/views/mine/inventory-mug").await["data"]["units"].clone();
    assert_eq!(units, 9);
}

#[tokio::test]
async fn a_definition_is_refused_by_its_fields_with_what_is_allowed() {
    let app = start().await;
    let educator = app.educator().await;
    for (change, field) in [
        (json!({"name": "Mine"}), "name"),
        (json!({"name": "orders"}), "name"),
        (json!({"name": "notification"}), "name"),
        (json!({"on": ["NoSuch"]}), "on[0]"),
        (json!({"key": "data.no_such"}), "key"),
        (
            json!({"on": ["OrderCreated"], "key": "data.customer.name"}),
            "key",
        ),
        (json!({"group": "position"}), "group"),
        (
            json!({"fold": [{"field": "n", "op": "sum", "of": "stream"}]}),
            "fold[0].of",
        ),
    ] {
        let mut definition = received("mine");
        for (member, value) in change.as_object().unwrap() {
            definition[member] = value.clone();
        }
        let refused = problem(post(&app, &educator, &definition).await).await;
        assert_eq!(refused.status, 400);
        assert!(fields(&refused).contains(&field), "{change}: {refused:?}");
    }
    let mut unknown = received("mine");
    unknown["code"] = json!("1 + 1");
    assert_eq!(
        post(&app, &educator, &unknown).await.status(),
        StatusCode::BAD_REQUEST
    );
    let offered = get(&app, &educator, &format!("{VIEWS}/fields")).await;
    let offered: OfferedFields = serde_json::from_value(offered).unwrap();
    let received = offered
        .types
        .iter()
        .find(|of| of.event_type == "StockReceived")
        .unwrap();
    assert_eq!(received.fields[0].path, "data.quantity");
    assert!(listed(&app, &educator).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_has_ten_views_at_most_and_each_name_once() {
    let app = start().await;
    let educator = app.educator().await;
    let last = receive(&app, &educator, "mug", 3).await;
    for n in 0..10 {
        create(&app, &educator, &received(&format!("view_{n}"))).await;
    }
    let twice = problem(post(&app, &educator, &received("view_3")).await).await;
    assert_eq!(twice.status, 409);
    let full = problem(post(&app, &educator, &received("view_10")).await).await;
    assert_eq!(
        (full.status, full.kind.as_str()),
        (429, "/problems/quota-exceeded")
    );
    for n in 0..10 {
        let name = format!("view_{n}");
        let mug = document(&app, &educator, (&name, "inventory-mug"), &last).await;
        assert_eq!(mug["units"], 3, "{name}");
    }
    assert_eq!(delete(&app, &educator, "view_3").await, StatusCode::NO_CONTENT);
    create(&app, &educator, &received("view_10")).await;
    assert_eq!(listed(&app, &educator).await.len(), 10);
}

#[tokio::test]
async fn students_create_views_and_delete_their_own_and_customers_see_none() {
    let app = start().await;
    let educator = app.educator().await;
    let (ada, grace) = (
        app.student(&educator.join_code).await,
        app.with_role(&educator, Role::Student),
    );
    let created = create(&app, &ada, &received("of_ada")).await;
    assert!(created.may_delete);
    create(&app, &ada, &received("of_ada_too")).await;
    assert_eq!(created.created_by_name, "Ada");
    let seen = listed(&app, &grace).await;
    assert!(
        seen.iter()
            .all(|view| !view.may_delete && view.created_by_name == "Ada")
    );
    assert_eq!(delete(&app, &grace, "of_ada").await, StatusCode::FORBIDDEN);
    assert_eq!(delete(&app, &ada, "of_ada").await, StatusCode::NO_CONTENT);
    assert_eq!(
        delete(&app, &educator, "of_ada_too").await,
        StatusCode::NO_CONTENT
    );
    create(&app, &ada, &received("of_ada")).await;
    receive(&app, &educator, "mug", 3).await;
    app.settled(&educator).await;
    let customer = app.with_role(&educator, Role::Customer);
    for (path, expected) in [
        (VIEWS, StatusCode::FORBIDDEN),
        ("/api/v1/views/of_ada", StatusCode::FORBIDDEN),
        ("/api/v1/views/of_ada/inventory-mug", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(status_of(&app, &customer, path).await, expected, "{path}");
    }
    assert_eq!(
        post(&app, &customer, &received("mine")).await.status(),
        StatusCode::FORBIDDEN
    );
}

/// Waits until a path has a status at a server that hears of it from another one.
async fn becomes(app: &TestApp, person: &Person, path: &str, status: StatusCode) {
    let reached = async { while status_of(app, person, path).await != status {} };
    tokio::time::timeout(TEST_TIMEOUT, reached)
        .await
        .unwrap_or_else(|_| panic!("{path} does not become {status}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_is_created_or_deleted_at_one_server_is_so_at_the_other() {
    let database = Database::new().await;
    let (url, unlimited) = (database.url.as_str(), ["--requests-per-minute", "0"]);
    let stores = ["--event-store", url, "--read-model", url];
    let arguments: Vec<&str> = unlimited.into_iter().chain(stores).collect();
    let one = TestApp::start_with(&arguments).await;
    let two = one.start_second(&arguments).await;
    let educator = one.educator().await;
    let old = receive(&one, &educator, "mug", 3).await;
    // Which server folds depends on the workspace: each of them creates one view and deletes the other.
    for (here, there, name) in [(&one, &two, "first"), (&two, &one, "second")] {
        create(here, &educator, &received(name)).await;
        let path = format!("/api/v1/views/{name}/inventory-mug");
        becomes(there, &educator, &path, StatusCode::OK).await;
        for app in [here, there] {
            assert_eq!(
                document(app, &educator, (name, "inventory-mug"), &old).await["units"],
                3
            );
        }
        let new = receive(here, &educator, "cup", 4).await;
        for app in [here, there] {
            let cup = document(app, &educator, (name, "inventory-cup"), &new).await;
            assert_eq!(cup["newest"], 4);
        }
        rebuild(there, &educator, name).await;
        there.settled(&educator).await;
        assert_eq!(findings(there, &educator).await, Vec::<String>::new());
        assert_eq!(delete(there, &educator, name).await, StatusCode::NO_CONTENT);
        becomes(here, &educator, &path, StatusCode::NOT_FOUND).await;
        // One that is created again is another one, also where the deletion is heard of late.
        let again = json!({"name": name, "on": ["StockReceived"], "key": "type",
            "fold": [{"field": "n", "op": "count"}]});
        create(here, &educator, &again).await;
        let path = format!("/api/v1/views/{name}/StockReceived");
        becomes(there, &educator, &path, StatusCode::OK).await;
        assert_eq!(delete(here, &educator, name).await, StatusCode::NO_CONTENT);
    }
    for app in [one, two] {
        app.stop().await;
    }
}
