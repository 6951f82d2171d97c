//! `GET /lab/invariants`, `POST /lab/invariants/{name}/cure`, and the lights on the live socket: one test for
//! each guarantee.

use clock::{Clock as _, SystemClock};
use domain::wire::{Arrow, CureKind, Invariant, InvariantStatus, InvariantsAnswer};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{dials_of, set};
use crate::{
    app::{Person, TestApp, list_product, place_order, problem},
    dead_letters::{get, receive},
    mailbox,
};

const INVARIANTS: &str = "/api/v1/lab/invariants";

async fn lights(app: &TestApp, person: &Person) -> InvariantsAnswer {
    serde_json::from_value(get(app, person, INVARIANTS).await).unwrap()
}

async fn light(app: &TestApp, person: &Person, invariant: Invariant) -> InvariantStatus {
    let lights = lights(app, person).await;
    lights
        .data
        .into_iter()
        .find(|light| light.name == invariant)
        .unwrap()
}

/// The lights that are red.
async fn broken(app: &TestApp, person: &Person) -> Vec<Invariant> {
    let lights = lights(app, person).await;
    assert!(lights.data.iter().map(|light| light.name).eq(Invariant::ALL));
    let red = lights.data.iter().filter(|light| !light.holds);
    red.map(|light| light.name).collect()
}

/// A light, once a live socket shows it red.
async fn red(app: &TestApp, person: &Person, invariant: Invariant) -> InvariantStatus {
    let mut live = app.live(person).await;
    live.send(&json!({"op": "subscribe", "id": 3, "lab": "invariants"}))
        .await;
    let of = |frame: &Value| -> Option<InvariantStatus> {
        let answer = serde_json::from_value::<InvariantsAnswer>(frame["data"].clone()).ok()?;
        answer
            .data
            .into_iter()
            .find(|light| light.name == invariant && !light.holds)
    };
    let is_red = |frame: &Value| frame["op"] == "invariants" && frame["id"] == 3 && of(frame).is_some();
    of(&live.next_where("a red light", is_red).await).unwrap()
}

async fn cure(app: &TestApp, person: &Person, invariant: Invariant) -> InvariantStatus {
    let path = format!("{INVARIANTS}/{invariant}/cure");
    let request = app.request(Method::POST, &path).bearer_auth(&person.token);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

/// Cures a light, which turns green; the guarantees hold again, and the verifier agrees.
async fn cured(app: &TestApp, educator: &Person, invariants: &[Invariant], guarantee: &str) {
    for invariant in invariants {
        let light = cure(app, educator, *invariant).await;
        assert!(
            light.holds && light.event.is_none() && light.cure.is_empty(),
            "{light:?}"
        );
    }
    let dials = dials_of(app, educator).await;
    let guarantee = format!("guarantees.{guarantee}");
    assert!(dials.bent.iter().all(|bent| bent.dial != guarantee), "{dials:?}");
    assert_eq!(broken(app, educator).await, []);
    assert_eq!(findings(app, educator).await, [""; 0]);
}

async fn findings(app: &TestApp, person: &Person) -> Vec<String> {
    let verified = get(app, person, "/api/v1/verify").await;
    serde_json::from_value(verified["findings"].clone()).unwrap()
}

fn without(guarantee: &str) -> Value {
    json!({guarantee: false})
}

fn event_of(answer: &Value) -> Option<Uuid> {
    serde_json::from_value(answer["events"][0]["event_id"].clone()).unwrap()
}

fn arrows(light: &InvariantStatus) -> Vec<Arrow> {
    light.sequence.iter().map(|step| step.arrow).collect()
}

fn kinds(light: &InvariantStatus) -> Vec<CureKind> {
    let mut kinds: Vec<_> = light.cure.iter().map(|step| step.kind).collect();
    kinds.dedup();
    kinds
}

/// The events of a stream, oldest first.
async fn events(app: &TestApp, person: &Person, stream: &str) -> Vec<Value> {
    let page = get(app, person, &format!("/api/v1/streams/{stream}")).await;
    let mut events = page["data"].as_array().unwrap().clone();
    events.sort_by_key(|event| event["version"].as_u64());
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_version_check_the_stock_lights_turn_red_and_the_cure_puts_it_back() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let guarantees = without("optimistic_concurrency");
    for person in [&educator, &elsewhere] {
        app.command(person, &list_product("mug-01")).await;
        receive(&app, person, "mug-01", 1).await;
        app.settled(person).await;
        assert_eq!(broken(&app, person).await, []);
    }
    for (person, guarantees) in [(&educator, &guarantees), (&elsewhere, &json!({}))] {
        set(
            &app,
            person,
            &json!({"broker": {"paused": true}, "guarantees": guarantees}),
        )
        .await;
        for _ in 0..2 {
            app.command(person, &place_order(SystemClock.new_id(), "mug-01"))
                .await;
        }
        set(&app, person, &json!({"guarantees": guarantees})).await;
        app.settled(person).await;
    }
    let light = red(&app, &educator, Invariant::StockNotNegative).await;
    let stored = events(&app, &educator, "inventory-mug-01").await;
    let reserved: Vec<Uuid> = stored
        .iter()
        .filter(|event| event["type"] == "StockReserved")
        .map(|event| serde_json::from_value(event["event_id"].clone()).unwrap())
        .collect();
    assert_eq!(reserved.len(), 2, "{stored:?}");
    assert_eq!(
        (light.event, &light.witness),
        (reserved.last().copied(), &reserved)
    );
    let evidence = light.evidence.clone().unwrap();
    assert_eq!(
        (evidence.expected.as_deref(), evidence.found.as_deref()),
        (Some("0"), Some("-1"))
    );
    assert_eq!(light.sequence.len(), 4);
    assert_eq!(kinds(&light), [CureKind::PutGuaranteeBack, CureKind::Acknowledge]);
    let both = [Invariant::StockNotNegative, Invariant::ReservedPlusAvailable];
    assert_eq!(broken(&app, &educator).await, both);
    assert_eq!(broken(&app, &elsewhere).await, []);
    cured(&app, &educator, &both, "optimistic_concurrency").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_duplicate_detection_a_view_differs_from_its_fold_until_it_is_cured() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    a_duplicate_breaks_a_view_until_it_is_cured(&app).await;
}

/// Takes away the detection of duplicates: its light turns red, names the event, and is cured; another
/// workspace keeps its own.
pub(super) async fn a_duplicate_breaks_a_view_until_it_is_cured(app: &TestApp) {
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let duplicates = json!({"duplicate_every": 1});
    let taken = json!({"broker": duplicates, "guarantees": without("duplicate_detection")});
    set(app, &educator, &taken).await;
    set(app, &elsewhere, &json!({"broker": duplicates})).await;
    receive(app, &elsewhere, "mug", 3).await;
    let received = receive(app, &educator, "mug", 3).await;
    let light = red(app, &educator, Invariant::ViewEqualsFold).await;
    assert_eq!(light.event, event_of(&received), "{light:?}");
    let count = [
        Arrow::EventSubscription,
        Arrow::EventSubscription,
        Arrow::UpsertProjection,
    ];
    assert_eq!(arrows(&light), count);
    assert!(light.evidence.clone().unwrap().view.is_some(), "{light:?}");
    assert_eq!(kinds(&light), [CureKind::PutGuaranteeBack, CureKind::Rebuild]);
    assert!(!findings(app, &educator).await.is_empty());
    cured(
        app,
        &educator,
        &[Invariant::ViewEqualsFold],
        "duplicate_detection",
    )
    .await;
    let stock = get(app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(stock["data"]["on_hand"], 3);
    app.settled(&elsewhere).await;
    assert_eq!(broken(app, &elsewhere).await, [], "it has its detection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_gap_detection_the_event_that_a_view_lacks_is_named_until_it_is_cured() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let first = receive(&app, &educator, "mug", 1).await;
    let path = |token: &Value| format!("/api/v1/views/inventory/mug?after={}", token.as_str().unwrap());
    get(&app, &educator, &path(&first["token"])).await;
    let guarantees = without("gap_detection");
    set(
        &app,
        &educator,
        &json!({"broker": {"paused": true}, "guarantees": guarantees}),
    )
    .await;
    let missing = receive(&app, &educator, "mug", 2).await;
    let last = receive(&app, &educator, "mug", 4).await;
    let swapped = json!({"broker": {"reorder_within": 10_000}, "guarantees": guarantees});
    set(&app, &educator, &swapped).await;
    let light = red(&app, &educator, Invariant::ViewEqualsFold).await;
    assert_eq!(light.event, event_of(&missing), "{light:?}");
    assert_eq!(arrows(&light)[0], Arrow::AppendEvents);
    app.settled(&educator).await;
    cured(&app, &educator, &[Invariant::ViewEqualsFold], "gap_detection").await;
    let stock = get(&app, &educator, &path(&last["token"])).await;
    assert_eq!(stock["data"]["on_hand"], 7);
    assert_eq!(broken(&app, &elsewhere).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_idempotency_keys_the_second_effect_of_a_key_is_named_until_it_is_cured() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let stock = json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": 5}});
    let send = async |person: &Person| -> Value {
        let request = app.post("/api/v1/commands", &stock).bearer_auth(&person.token);
        let request = request.header("idempotency-key", "delivery-1");
        request.send().await.unwrap().json().await.unwrap()
    };
    let first = send(&educator).await;
    set(
        &app,
        &educator,
        &json!({"guarantees": without("idempotency_keys")}),
    )
    .await;
    let second = send(&educator).await;
    for _ in 0..2 {
        send(&elsewhere).await;
    }
    let light = red(&app, &educator, Invariant::OneKeyOneEffect).await;
    assert_eq!(light.event, event_of(&second), "{light:?}");
    let witness: Vec<_> = [&first, &second].into_iter().filter_map(event_of).collect();
    assert_eq!((&light.witness, light.sequence.len()), (&witness, 4));
    assert_eq!(broken(&app, &educator).await, [Invariant::OneKeyOneEffect]);
    assert_eq!(broken(&app, &elsewhere).await, []);
    app.settled(&educator).await;
    cured(&app, &educator, &[Invariant::OneKeyOneEffect], "idempotency_keys").await;
    assert_eq!(send(&educator).await, first, "it gets its first answer again");
    assert_eq!(broken(&app, &educator).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_with_side_effects_turns_the_light_of_mails_red_until_it_is_cured() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    mailbox::stock(&app, &educator).await;
    let (student, _) = mailbox::registered(&app, &educator, "ada@example.org").await;
    mailbox::order(&app, &educator, &student).await;
    let rebuild = async || {
        let path = "/api/v1/lab/projections/orders/rebuild";
        let request = app.request(Method::POST, path).bearer_auth(&educator.token);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    };
    let guarantees = without("no_effects_on_replay");
    set(&app, &educator, &json!({"guarantees": guarantees})).await;
    rebuild().await;
    let light = red(&app, &educator, Invariant::MailedOnce).await;
    let named = light.event.unwrap().to_string();
    let log = get(&app, &educator, "/api/v1/events?limit=200").await;
    let event = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["event_id"] == named.as_str());
    let event = event.expect("the light names an event of the log");
    let mailed = ["UserRegistered", "OrderConfirmed"];
    assert!(mailed.iter().any(|name| event["type"] == *name), "{event}");
    assert_eq!(kinds(&light), [CureKind::PutGuaranteeBack, CureKind::Acknowledge]);
    assert_eq!(broken(&app, &elsewhere).await, []);
    cured(&app, &educator, &[Invariant::MailedOnce], "no_effects_on_replay").await;
    rebuild().await;
    app.settled(&educator).await;
    assert_eq!(
        broken(&app, &educator).await,
        [],
        "a rebuild has no side effects now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_published_and_refused_is_named_lost_until_it_and_the_views_are_cured() {
    let app = TestApp::start_with(&["--for-tests", "--sandbox-events", "3"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    set(
        &app,
        &educator,
        &json!({"guarantees": without("publish_after_commit")}),
    )
    .await;
    for person in [&educator, &elsewhere] {
        for quantity in [1, 2, 4] {
            receive(&app, person, "mug", quantity).await;
        }
        let stock = json!({"type": "ReceiveStock", "stream": "inventory-mug", "data": {"quantity": 8}});
        let refused = app.post("/api/v1/commands", &stock).bearer_auth(&person.token);
        assert_eq!(problem(refused.send().await.unwrap()).await.status, 429);
    }
    let lost = red(&app, &educator, Invariant::NothingLost).await;
    let evidence = lost.evidence.clone().unwrap();
    assert_eq!(
        (evidence.stream.as_deref(), evidence.position),
        (Some("inventory-mug"), None)
    );
    let stored = events(&app, &educator, "inventory-mug").await;
    let phantom = lost.event.unwrap().to_string();
    assert!(
        stored.iter().all(|event| event["event_id"] != phantom.as_str()),
        "{stored:?}"
    );
    // Events that were stored in the end show another time in the views, so one of them may be named first.
    let view = red(&app, &educator, Invariant::ViewEqualsFold).await;
    assert!(
        view.event.is_some() && kinds(&view).contains(&CureKind::Rebuild),
        "{view:?}"
    );
    assert_eq!(broken(&app, &elsewhere).await, []);
    let both = [Invariant::NothingLost, Invariant::ViewEqualsFold];
    cured(&app, &educator, &both, "publish_after_commit").await;
    let stock = get(&app, &educator, "/api/v1/views/inventory/mug").await;
    assert_eq!(
        (&stock["data"]["on_hand"], &stock["as_of"]),
        (&json!(7), &json!("0:3"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_frame_turns_the_light_of_subscribers_red_until_the_dial_is_at_rest() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let mut client = app.live(&educator).await;
    client
        .send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
        .await;
    client.next_of("caught_up").await;
    set(&app, &educator, &json!({"live": {"lose_frame_every": 1}})).await;
    let listed = app.command(&educator, &list_product("mug-01")).await;
    let light = red(&app, &educator, Invariant::NoGap).await;
    assert_eq!(light.event, event_of(&listed), "{light:?}");
    assert_eq!(kinds(&light), [CureKind::RestDial, CureKind::Acknowledge]);
    cured(&app, &educator, &[Invariant::NoGap], "none").await;
    assert!(dials_of(&app, &educator).await.dials.are_at_rest());
    app.command(&educator, &list_product("mug-02")).await;
    assert_eq!(client.next_of("change").await["key"], "mug-02");
    assert_eq!(broken(&app, &elsewhere).await, []);
}

#[tokio::test]
async fn a_student_reads_the_lights_and_only_an_educator_cures() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.student(&educator.join_code).await;
    assert_eq!(broken(&app, &student).await, []);
    let path = format!("{INVARIANTS}/{}/cure", Invariant::ChargedOnce);
    let refused = app.request(Method::POST, &path).bearer_auth(&student.token);
    assert_eq!(problem(refused.send().await.unwrap()).await.status, 403);
    // A green light stays as it is, however often it is cured.
    for _ in 0..2 {
        let green = cure(&app, &educator, Invariant::ChargedOnce).await;
        assert_eq!(
            green.holds,
            light(&app, &educator, Invariant::ChargedOnce).await.holds
        );
    }
    let unknown = app.request(Method::POST, &format!("{INVARIANTS}/happiness/cure"));
    let unknown = unknown.bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(problem(unknown).await.status, 404);
    let queried = app
        .get("/api/v1/lab/invariants?all=1")
        .bearer_auth(&educator.token);
    assert_eq!(problem(queried.send().await.unwrap()).await.status, 400);
}
