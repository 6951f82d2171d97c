//! The limits of live sockets: floods of frames, sockets of a person, an address and a workspace; and what
//! must still work, such as a class behind one address.

use domain::access::Role;
use futures::future::join_all;
use reqwest::RequestBuilder;
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::app::{Live, Person, TEST_TIMEOUT, TestApp, list_product, problem};

/// More frames than a limit of 60 a minute and the patience of a connection have room for.
const FLOOD: usize = 2_000;

async fn connect(app: &TestApp, person: &Person) -> Result<Live, u16> {
    let bearer = format!("Bearer {}", person.token);
    app.try_live(&[("authorization", &bearer)]).await
}

/// Connects as soon as the server has noticed that another socket has ended.
async fn connected_at_last(app: &TestApp, person: &Person) -> Live {
    let connecting = async {
        loop {
            if let Ok(live) = connect(app, person).await {
                return live;
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, connecting).await.unwrap()
}

/// The request of a WebSocket, for a client that wants to read its refusal.
fn upgrade(app: &TestApp, person: &Person) -> RequestBuilder {
    app.get("/api/v1/live")
        .bearer_auth(&person.token)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

async fn follow_products(live: &mut Live) {
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products"}))
        .await;
    live.next_of("snapshot").await;
}

#[tokio::test]
async fn a_flood_of_frames_of_any_kind_ends_the_connection_with_a_reason() {
    let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
    let educator = app.educator().await;
    let kinds: [(&str, Message); 10] = [
        ("malformed", Message::text("{")),
        ("empty", Message::text("")),
        ("an unknown operation", Message::text(r#"{"op":"dance"}"#)),
        ("binary", Message::binary(vec![0, 159, 146, 150])),
        ("a ping of the protocol", Message::Ping(vec![7; 125].into())),
        ("a pong of the protocol", Message::Pong(vec![7; 125].into())),
        ("a pong", Message::text(r#"{"op":"pong"}"#)),
        (
            "an unsubscription",
            Message::text(r#"{"op":"unsubscribe","id":1}"#),
        ),
        (
            "a subscription to nothing",
            Message::text(r#"{"op":"subscribe","id":1,"view":"no-such"}"#),
        ),
        (
            "a command of no type",
            Message::text(
                r#"{"op":"command","id":1,"idempotency_key":"k",
                    "command":{"type":"Explode","stream":"product-a","data":{}}}"#,
            ),
        ),
    ];
    for (kind, message) in kinds {
        // each person has a count of their own
        let person = app.with_role(&educator, Role::Student);
        let mut live = app.live(&person).await;
        for _ in 0..FLOOD {
            live.send_message(message.clone()).await;
        }
        let goodbye = live.closed().await;
        assert_eq!(u16::from(goodbye.code), 1008, "{kind}: {goodbye:?}");
        assert!(goodbye.reason.contains("flood"), "{kind}: {goodbye:?}");
        // a client that connects again and again is refused before the upgrade
        let mut again = 0;
        while connect(&app, &person).await.err() != Some(429) {
            again += 1;
            assert!(again < 1_000, "{kind}: nothing was refused");
        }
    }
    // nothing of that concerns another person of the workspace
    follow_products(&mut app.live(&educator).await).await;
}

#[tokio::test]
async fn a_frame_that_is_too_large_is_counted_although_it_ends_the_connection() {
    let limits = ["--requests-per-minute", "60", "--max-body-bytes", "1024"];
    let app = TestApp::start_with(&limits).await;
    let educator = app.educator().await;
    let person = app.with_role(&educator, Role::Student);
    let mut sockets = 0;
    // A connection and its frame are two: half as many as the limit, and a few more while they are sent.
    while let Ok(mut live) = connect(&app, &person).await {
        live.send_text(&"x".repeat(2_000)).await;
        assert_eq!(u16::from(live.closed().await.code), 1009);
        sockets += 1;
        assert!(sockets < 1_000, "nothing was refused");
    }
    assert!(sockets < 60, "{sockets} of 60 requests were sockets alone");
}

#[tokio::test]
async fn a_client_that_only_answers_pings_is_not_closed_at_its_limit() {
    let app = TestApp::start_with(&["--requests-per-minute", "60"]).await;
    let educator = app.educator().await;
    let student = app.with_role(&educator, Role::Student);
    let mut live = app.live(&student).await;
    follow_products(&mut live).await;
    // its requests use up the limit that its sockets share
    let session = || app.get("/api/v1/session").bearer_auth(&student.token).send();
    while session().await.unwrap().status() != 429 {}
    for _ in 0..20 {
        live.send(&json!({"op": "pong"})).await;
    }
    app.command(&educator, &list_product("mug-01")).await;
    assert_eq!(live.next_of("change").await["key"], "mug-01");
}

#[tokio::test]
async fn a_message_of_very_many_fragments_delays_no_other_client() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let student = app.with_role(&educator, Role::Student);
    let (mut hostile, mut live) = (app.live(&student).await, app.live(&educator).await);
    let fragment = |kind, text: &'static str, is_last| {
        Message::Frame(Frame::message(text.as_bytes(), OpCode::Data(kind), is_last))
    };
    hostile.send_message(fragment(Data::Text, "", false)).await;
    for _ in 0..20_000 {
        hostile.send_message(fragment(Data::Continue, "", false)).await;
    }
    follow_products(&mut live).await;
    let subscribe = r#"{"op":"subscribe","id":1,"view":"products"}"#;
    hostile
        .send_message(fragment(Data::Continue, subscribe, true))
        .await;
    hostile.next_of("snapshot").await;
}

#[tokio::test]
async fn a_person_has_a_limit_of_sockets_and_another_person_their_own() {
    let app = TestApp::start_with(&["--sockets-per-person", "2"]).await;
    let educator = app.educator().await;
    let student = app.with_role(&educator, Role::Student);
    let mut held = vec![app.live(&student).await, app.live(&student).await];
    assert_eq!(connect(&app, &student).await.err(), Some(429));
    let refused = upgrade(&app, &student).send().await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    let refused = problem(refused).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (429, "/problems/rate-limited")
    );
    assert!(
        refused.detail.contains("2 live sockets of one person"),
        "{}",
        refused.detail
    );
    follow_products(&mut app.live(&educator).await).await;
    held.pop();
    follow_products(&mut connected_at_last(&app, &student).await).await;
}

#[tokio::test]
async fn a_workspace_and_an_address_have_limits_of_sockets() {
    let app = TestApp::start_with(&["--sockets-per-workspace", "2"]).await;
    let (here, there) = (app.educator().await, app.educator().await);
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(app.live(&app.with_role(&here, Role::Student)).await);
    }
    let refused = problem(upgrade(&app, &here).send().await.unwrap()).await;
    assert_eq!(
        (refused.status, refused.kind.as_str()),
        (429, "/problems/quota-exceeded")
    );
    assert!(
        refused.detail.contains("2 live sockets of one workspace"),
        "{}",
        refused.detail
    );
    follow_products(&mut app.live(&there).await).await;

    let app = TestApp::start_with(&["--sockets-per-address", "2"]).await;
    let (here, there) = (app.educator().await, app.educator().await);
    let _held = [app.live(&here).await, app.live(&there).await];
    let refused = problem(upgrade(&app, &there).send().await.unwrap()).await;
    assert!(
        refused.detail.contains("2 live sockets of one address"),
        "{}",
        refused.detail
    );
}

#[tokio::test]
async fn a_socket_without_a_token_is_refused_before_its_upgrade_and_is_not_counted() {
    let app = TestApp::start_with(&["--sockets-per-address", "1"]).await;
    let educator = app.educator().await;
    for headers in [vec![], vec![("authorization", "Bearer nonsense")]] {
        assert_eq!(app.try_live(&headers).await.err(), Some(401));
    }
    // neither does a request that is no WebSocket
    let plain = app.get("/api/v1/live").bearer_auth(&educator.token);
    assert_eq!(problem(plain.send().await.unwrap()).await.status, 400);
    follow_products(&mut app.live(&educator).await).await;
}

/// The people of a class.
const CLASS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_of_forty_behind_one_address_joins_and_each_follows_the_shop() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    let join = async || {
        let student = app.student(&educator.join_code).await;
        // two tabs each
        let mut tabs = [app.live(&student).await, app.live(&student).await];
        for live in &mut tabs {
            follow_products(live).await;
        }
        tabs
    };
    let mut class = join_all((0..CLASS).map(|_| join())).await;
    app.command(&educator, &list_product("mug-new")).await;
    for live in class.iter_mut().flatten() {
        assert_eq!(live.next_of("change").await["key"], "mug-new");
    }
}

#[tokio::test]
async fn a_server_for_tests_limits_no_sockets_and_no_frames() {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let mut sockets = join_all((0..60).map(|_| app.live(&educator))).await;
    for _ in 0..FLOOD {
        sockets[0].send_text("{").await;
    }
    follow_products(&mut sockets[0]).await;
    follow_products(&mut sockets[59]).await;
}
