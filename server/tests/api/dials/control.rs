//! Who reads and changes the dials, their versions, and where they hold.

use domain::{access::Role, wire::Dials};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{DIALS, answer, dials_of, follow, put, reset, reset_one, set};
use crate::{
    app::{Person, TestApp, fields, problem},
    dead_letters::{get, receive},
    rights::PASSWORD,
};

async fn read(app: &TestApp, person: &Person, if_none_match: &str) -> Response {
    let request = app.get(DIALS).bearer_auth(&person.token);
    request
        .header("if-none-match", if_none_match)
        .send()
        .await
        .unwrap()
}

fn tag(response: &Response) -> &str {
    response.headers()["etag"].to_str().unwrap()
}

/// Whether a view of the workspace is paused.
async fn is_paused(app: &TestApp, person: &Person, view: &str) -> bool {
    let listed = get(app, person, "/api/v1/lab/projections").await;
    let listed = listed.as_array().unwrap().iter();
    let mut of_view = listed.filter(|status| status["view"] == view);
    of_view.next().unwrap()["paused"] == true
}

#[tokio::test]
async fn everybody_in_a_workspace_reads_its_dials_and_educators_change_them() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let at_rest = dials_of(&app, &educator).await;
    assert!(at_rest.version == 0 && at_rest.dials.are_at_rest() && at_rest.bent.is_empty());
    let bent = set(&app, &educator, &json!({"broker": {"delay_ms": 20}})).await;
    for role in [Role::Customer, Role::Staff, Role::Student] {
        let person = app.with_role(&educator, role);
        assert_eq!(dials_of(&app, &person).await, bent, "{role:?}");
        let refused = problem(put(&app, &person, "*", &json!({})).await).await;
        assert_eq!(refused.status, 403, "{role:?}");
        for path in [DIALS.to_owned(), format!("{DIALS}/broker.delay_ms")] {
            let request = app.request(Method::DELETE, &path).bearer_auth(&person.token);
            assert_eq!(
                problem(request.send().await.unwrap()).await.status,
                403,
                "{role:?}"
            );
        }
    }
    let anonymous = problem(app.get(DIALS).send().await.unwrap()).await;
    assert_eq!(anonymous.status, 401);
    assert_eq!(dials_of(&app, &educator).await, bent);
}

#[tokio::test]
async fn two_educators_do_not_undo_each_others_work_unseen() {
    let app = TestApp::start().await;
    let (one, dials) = (app.educator().await, json!({"cache": {"off": true}}));
    let two = app.with_role(&one, Role::Educator);
    let first = read(&app, &one, "\"7\"").await;
    assert_eq!((first.status(), tag(&first)), (StatusCode::OK, "\"0\""));
    let known = read(&app, &one, "\"0\"").await;
    assert_eq!((known.status(), tag(&known)), (StatusCode::NOT_MODIFIED, "\"0\""));

    let request = app.request(Method::PUT, DIALS).bearer_auth(&one.token);
    let missing = problem(request.json(&dials).send().await.unwrap()).await;
    assert_eq!(
        (missing.status, missing.kind.as_str()),
        (428, "/problems/precondition-required")
    );
    let changed = put(&app, &one, "\"0\"", &dials).await;
    assert_eq!(tag(&changed), "\"1\"");
    let set: Dials = answer(changed).await;
    let changed = dials_of(&app, &one).await;
    assert!(changed.version == 1 && changed.dials.cache.off && set.cache.off);
    for stale in ["\"0\"", "W/\"1\"", "1", "\"2\"", "\"\""] {
        let refused = problem(put(&app, &two, stale, &json!({})).await).await;
        assert_eq!(
            (refused.status, refused.kind.as_str(), refused.current_version),
            (412, "/problems/precondition-failed", Some(1)),
            "{stale}"
        );
    }
    assert_eq!(dials_of(&app, &two).await, changed);
    // the same dials again are a change too: what is counted begins anew
    let again = put(&app, &two, "\"0\", \"1\"", &dials).await;
    assert_eq!(tag(&again), "\"2\"");
    let bent = dials_of(&app, &two).await.bent;
    assert_eq!(bent, changed.bent, "as the first has bent it");
    assert_eq!(read(&app, &one, "\"1\"").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_document_names_every_dial_and_can_be_sent_back_as_it_is() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let dials: Value = answer(read(&app, &educator, "").await).await;
    let (broker, orders) = (&dials["broker"], &dials["projections"]["orders"]);
    for (part, members) in [
        (
            broker,
            json!({"paused": false, "delay_ms": 0, "jitter_ms": 0, "duplicate_every": 0}),
        ),
        (
            broker,
            json!({"reorder_within": 0, "lose_acknowledgement_every": 0}),
        ),
        (
            orders,
            json!({"paused": false, "slow_ms": 0, "fail_next": 0, "poison_type": null}),
        ),
        (
            &dials["cache"],
            json!({"off": false, "ttl_ms": null, "skip_invalidation": false}),
        ),
        (&dials["payment"], json!({"mode": "normal", "delay_ms": 0})),
        (&dials["mail"], json!({"away": false})),
        (&dials["live"], json!({"delay_ms": 0, "cut": false})),
        (&dials["clock"], json!({"frozen": false, "ahead_ms": 0})),
    ] {
        for (name, value) in members.as_object().unwrap() {
            assert_eq!(part.get(name), Some(value), "{name} of {part}");
        }
    }
    let held = json!({"optimistic_concurrency": true, "duplicate_detection": true, "gap_detection": true,
        "idempotency_keys": true, "no_effects_on_replay": true, "publish_after_commit": true});
    assert_eq!((&dials["guarantees"], &dials["seed"]), (&held, &json!(1)));
    let sent: Value = answer(put(&app, &educator, "\"0\"", &dials).await).await;
    assert_eq!(sent, dials);
    assert!(dials_of(&app, &educator).await.dials.are_at_rest());
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let patch = async |person: &Person, if_match: Option<&str>, body: Value| {
        let request = app
            .request(Method::PATCH, DIALS)
            .bearer_auth(&person.token)
            .json(&body);
        let request = match if_match {
            Some(tag) => request.header("if-match", tag),
            None => request,
        };
        request.send().await.unwrap()
    };
    set(
        &app,
        &educator,
        &json!({"mail": {"away": true}, "cache": {"ttl_ms": 5}, "seed": 4}),
    )
    .await;
    let patched = json!({"broker": {"delay_ms": 20}, "cache": {"ttl_ms": null},
        "projections": {"orders": {"paused": true}}});
    let answered = patch(&educator, None, patched).await;
    assert_eq!(tag(&answered), "\"2\"");
    let answered: Dials = answer(answered).await;
    assert_eq!(
        answered.bent(),
        ["broker.delay_ms", "mail.away", "projections.orders.paused"]
    );
    assert_eq!(answered.seed, 4);
    let rest = patch(
        &educator,
        Some("\"2\""),
        json!({"broker": null, "mail": null, "projections": null}),
    )
    .await;
    assert!(answer::<Dials>(rest).await.are_at_rest());
    let stale = patch(&educator, Some("\"2\""), json!({"mail": {"away": true}})).await;
    assert_eq!(problem(stale).await.status, 412);
    for (body, field) in [
        (json!({"broker": {"delay": 1}}), "broker.delay"),
        (json!({"broker": {"delay_ms": 60_001}}), "broker.delay_ms"),
        (json!({"seed": "four"}), "seed"),
    ] {
        let refused = problem(patch(&educator, None, body).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]));
    }
    let student = app.with_role(&educator, Role::Student);
    assert_eq!(problem(patch(&student, None, json!({})).await).await.status, 403);
    assert_eq!(dials_of(&app, &educator).await.version, 3);
}

/// Given a clock, when the dials name a time ahead of it, then it is put forward, and nothing puts it back.
#[tokio::test]
async fn the_clock_is_put_forward_by_its_dial_and_never_back() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let ahead = async |dials: Value| {
        let set: Dials = answer(put(&app, &educator, "*", &dials).await).await;
        set.clock.ahead_ms.unwrap()
    };
    assert_eq!(ahead(json!({"clock": {"ahead_ms": 3_600_000}})).await, 3_600_000);
    for dials in [
        json!({}),
        json!({"clock": {"ahead_ms": 5}}),
        json!({"clock": {"ahead_ms": null}}),
    ] {
        assert_eq!(ahead(dials).await, 3_600_000);
    }
    assert!(dials_of(&app, &educator).await.dials.are_at_rest());
    let too_far = put(&app, &educator, "*", &json!({"clock": {"ahead_ms": i64::MAX}})).await;
    assert_eq!(problem(too_far).await.status, 422);
}

#[tokio::test]
async fn a_value_that_is_not_valid_is_named_and_changes_nothing() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (dials, field) in [
        (json!({"brokers": {}}), "brokers"),
        (json!({"broker": {"delay": 1}}), "broker.delay"),
        (json!({"broker": {"delay_ms": 60_001}}), "broker.delay_ms"),
        (json!({"broker": {"delay_ms": -1}}), "broker.delay_ms"),
        (json!({"broker": {"jitter_ms": "much"}}), "broker.jitter_ms"),
        (
            json!({"broker": {"duplicate_percent": 101}}),
            "broker.duplicate_percent",
        ),
        (json!({"mail": {"fail_next": 10_001}}), "mail.fail_next"),
        (
            json!({"projections": {"no-such": {"paused": true}}}),
            "projections.no-such",
        ),
        (
            json!({"projections": {"orders": {"poison_type": "NoSuchEvent"}}}),
            "projections.orders.poison_type",
        ),
        (
            json!({"projections": {"orders": {"fail_every": 10_001}}}),
            "projections.orders.fail_every",
        ),
        (json!({"cache": {"ttl_ms": 60_001}}), "cache.ttl_ms"),
        (json!({"guarantees": {"gravity": false}}), "guarantees.gravity"),
        (json!({"seed": -1}), "seed"),
    ] {
        let refused = problem(put(&app, &educator, "*", &dials).await).await;
        assert_eq!((refused.status, fields(&refused)), (400, vec![field]), "{dials}");
    }
    let mode = put(&app, &educator, "*", &json!({"payment": {"mode": "cheerful"}})).await;
    let mode = problem(mode).await;
    assert!(
        mode.status == 400 && fields(&mode)[0].starts_with("payment.mode"),
        "{mode:?}"
    );
    let long = "x".repeat(20_000);
    let hostile = json!({"projections": {"<script>\u{202e}": {}, (long): {}}});
    let refused = problem(put(&app, &educator, "*", &hostile).await).await;
    assert_eq!(refused.status, 400);
    let named: usize = fields(&refused).iter().map(|field| field.len()).sum();
    assert!(named < 1_000, "{named} bytes of names");
    for unknown in [
        "broker",
        "broker.delay",
        "projections.no-such.paused",
        "seed",
        "x",
        "...",
    ] {
        let request = app.request(Method::DELETE, &format!("{DIALS}/{unknown}"));
        let response = request.bearer_auth(&educator.token).send().await.unwrap();
        assert_eq!(problem(response).await.status, 404, "{unknown}");
    }
    assert_eq!(dials_of(&app, &educator).await.version, 0);
}

#[tokio::test]
async fn each_dial_says_who_has_bent_it_first_until_it_is_at_rest() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let grace = app.with_role(&educator, Role::Educator);
    let session = get(&app, &grace, "/api/v1/session").await;
    let bent = set(&app, &grace, &json!({"broker": {"delay_ms": 20}, "seed": 5})).await;
    let [dial] = bent.bent.as_slice() else {
        panic!("{bent:?}");
    };
    assert_eq!(
        (dial.dial.as_str(), dial.name.as_str()),
        ("broker.delay_ms", "Grace")
    );
    assert_eq!(json!(dial.by), session["actor_id"]);
    let more = json!({"broker": {"delay_ms": 40}, "mail": {"away": true},
        "projections": {"orders": {"fail_next": 3}, "sales": {}}, "seed": 5});
    let more = set(&app, &educator, &more).await;
    let names: Vec<_> = more.bent.iter().map(|bent| bent.dial.as_str()).collect();
    assert_eq!(
        names,
        ["broker.delay_ms", "mail.away", "projections.orders.fail_next"]
    );
    assert_eq!(more.bent[0], bent.bent[0]);
    let words = get(&app, &grace, &format!("{DIALS}/words?lang=en")).await;
    assert_eq!(words[0], "Bent by Grace: broker delay 40 ms", "{words}");
    let words = get(&app, &grace, &format!("{DIALS}/words?lang=de")).await;
    assert!(words[0].as_str().unwrap().contains("40 ms"), "{words}");
    let unknown = app
        .get(&format!("{DIALS}/words?lang=xx"))
        .bearer_auth(&grace.token);
    assert_eq!(fields(&problem(unknown.send().await.unwrap()).await), ["lang"]);
    assert_ne!(more.bent[1].by, dial.by);
    assert!(!more.dials.projections.contains_key("sales"), "it is at rest");

    let one_less = reset_one(&app, &grace, "projections.orders.fail_next").await;
    assert!(one_less.dials.projections.is_empty() && one_less.bent.len() == 2);
    assert_eq!(
        reset_one(&app, &grace, "projections.sales.paused").await,
        one_less
    );
    let rest = reset(&app, &educator).await;
    assert_eq!((rest.version, rest.dials.seed), (one_less.version + 1, 5));
    assert_eq!(reset(&app, &educator).await, rest, "a repetition changes nothing");
    let anew = set(&app, &educator, &json!({"broker": {"delay_ms": 20}})).await;
    assert_ne!(anew.bent[0].by, dial.by);
    assert_eq!(dials_of(&app, &elsewhere).await.version, 0, "another workspace");
}

#[tokio::test]
async fn the_name_of_who_has_bent_a_dial_is_stored_sealed_and_goes_with_an_erasure() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let grace = app.with_role(&educator, Role::Educator);
    let id = get(&app, &grace, "/api/v1/session").await["actor_id"].clone();
    let stream = format!("user-{}", id.as_str().unwrap());
    let account = json!({"email": "grace@example.org", "display_name": "Grace Hopper", "password": PASSWORD});
    app.command(
        &grace,
        &json!({"type": "RegisterUser", "stream": stream, "data": account}),
    )
    .await;
    set(&app, &grace, &json!({"cache": {"off": true}})).await;
    let options = SqliteConnectOptions::new().filename(app.folder().join("consumers.db"));
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    let stored: String = sqlx::query_scalar("select data from documents where view = 'lab_dials'")
        .fetch_one(&mut store)
        .await
        .unwrap();
    store.close().await.unwrap();
    assert!(
        stored.contains("\"sealed:") && !stored.contains("Grace"),
        "{stored}"
    );

    let erase = json!({"type": "EraseUser", "stream": stream, "data": {"password": PASSWORD}});
    app.command(&grace, &erase).await;
    app.settled(&educator).await;
    let after = dials_of(&app, &educator).await;
    assert_eq!(after.bent[0].name, "erased");
    assert!(after.dials.cache.off);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dials_hold_after_a_restart_before_anything_is_folded() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let bent = set(
        &app,
        &educator,
        &json!({"projections": {"inventory": {"paused": true}}}),
    )
    .await;
    let app = app.restart().await;
    assert_eq!(dials_of(&app, &educator).await, bent);
    assert!(is_paused(&app, &educator, "inventory").await);
    assert!(!is_paused(&app, &elsewhere, "inventory").await);
    let received = receive(&app, &educator, "mug", 4).await;
    let token = received["token"].as_str().unwrap();
    // the other views go on
    get(&app, &educator, &format!("/api/v1/views/orders?after={token}")).await;
    let path = "/api/v1/views/inventory/mug";
    let stale = app.get(path).bearer_auth(&educator.token).send().await.unwrap();
    assert_eq!(problem(stale).await.status, 404, "nothing is folded");
    reset(&app, &educator).await;
    let folded = get(&app, &educator, &format!("{path}?after={token}")).await;
    assert_eq!(folded["data"]["on_hand"], 4);
    let app = app.restart().await;
    assert!(!is_paused(&app, &educator, "inventory").await);
    assert_eq!(dials_of(&app, &educator).await.version, bent.version + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_a_dial_whichever_way_it_is_set() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    set(&app, &educator, &json!({"mail": {"away": true}})).await;
    let act = async |what: &str| {
        let path = format!("/api/v1/lab/projections/inventory/{what}");
        let request = app.request(Method::POST, &path).bearer_auth(&educator.token);
        let status: Value = request.send().await.unwrap().json().await.unwrap();
        status["paused"].clone()
    };
    assert_eq!(act("pause").await, true);
    let paused = dials_of(&app, &educator).await;
    let names: Vec<_> = paused.bent.iter().map(|bent| bent.dial.as_str()).collect();
    assert_eq!(names, ["mail.away", "projections.inventory.paused"]);
    assert_eq!(act("pause").await, true);
    assert_eq!(
        dials_of(&app, &educator).await,
        paused,
        "a repetition changes nothing"
    );
    assert_eq!(act("resume").await, false);
    set(
        &app,
        &educator,
        &json!({"projections": {"inventory": {"paused": true}}}),
    )
    .await;
    assert!(is_paused(&app, &educator, "inventory").await);
    reset_one(&app, &educator, "projections.inventory.paused").await;
    assert!(!is_paused(&app, &educator, "inventory").await);
}

#[tokio::test]
async fn a_change_is_told_to_everybody_in_the_workspace_who_follows_it() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let customer = app.with_role(&educator, Role::Customer);
    let grace = app.with_role(&educator, Role::Educator);
    let (mut live, first) = follow(&app, &customer).await;
    assert_eq!((&first["version"], &first["bent"]), (&json!(0), &json!([])));
    let (mut other, _) = follow(&app, &elsewhere).await;

    set(&app, &grace, &json!({"live": {"delay_ms": 1}})).await;
    let told = live.next_of("dials").await;
    assert_eq!((&told["id"], &told["data"]["version"]), (&json!(7), &json!(1)));
    assert_eq!(told["data"]["dials"]["live"]["delay_ms"], 1);
    assert_eq!(told["data"]["bent"][0]["name"], "Grace");
    reset(&app, &educator).await;
    let told = live.next_of("dials").await;
    assert_eq!(
        (&told["data"]["version"], &told["data"]["bent"]),
        (&json!(2), &json!([]))
    );
    // a client that comes later is told the present ones
    let (_, late) = follow(&app, &app.student(&educator.join_code).await).await;
    assert_eq!(late["version"], 2);

    set(&app, &elsewhere, &json!({"cache": {"off": true}})).await;
    let told = other.next_of("dials").await;
    assert_eq!(told["data"]["version"], 1, "only its own workspace");
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products"}))
        .await;
    let next = live
        .next_where("a frame", |frame| frame["op"] != "caught_up")
        .await;
    assert_eq!(next["op"], "snapshot", "{next}");
}

#[tokio::test]
async fn a_subscription_to_dials_counts_as_one_of_the_sandbox_and_ends() {
    let app = TestApp::start_with(&["--sandbox-subscriptions", "2"]).await;
    let educator = app.educator().await;
    let (mut live, _) = follow(&app, &educator).await;
    let wanted = |id: u64| json!({"op": "subscribe", "id": id, "lab": "dials"});
    live.send(&wanted(8)).await;
    assert_eq!(live.next_of("dials").await["id"], 8);
    live.send(&wanted(9)).await;
    let refused = live.next_of("error").await;
    assert_eq!(
        (&refused["id"], &refused["problem"]["type"]),
        (&json!(9), &json!("/problems/quota-exceeded"))
    );
    live.send(&json!({"op": "unsubscribe", "id": 8})).await;
    live.send(&wanted(9)).await;
    assert_eq!(live.next_of("dials").await["id"], 9);
    let wrong = json!({"op": "subscribe", "id": 9, "lab": "dials", "key": "k"});
    live.send(&wrong).await;
    let refused = live.next_of("error").await;
    assert_eq!(refused["problem"]["violations"][0]["field"], "key");
}
