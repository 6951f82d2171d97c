//! `GET /live`: snapshots, changes, commands, and refused connections.

use std::collections::HashSet;

use domain::access::Role;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

use crate::app::{Live, Person, TestApp, list_product, problem};

async fn follow_products(live: &mut Live) -> Value {
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
        .await;
    live.next_of("snapshot").await
}

#[tokio::test]
async fn a_change_arrives_after_a_command() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    assert_eq!(live.protocol.as_ref().unwrap(), "foldline.v1");
    let snapshot = follow_products(&mut live).await;
    assert_eq!((&snapshot["id"], &snapshot["data"]), (&json!(1), &json!([])));
    app.command(&educator, &list_product("mug-01")).await;
    let change = live.next_of("change").await;
    assert_eq!(
        (&change["id"], &change["key"], &change["data"]["sku"]),
        (&json!(1), &json!("mug-01"), &json!("mug-01"))
    );
    assert_eq!(change["event"]["type"], "ProductListed");
}

#[tokio::test]
async fn a_command_goes_through_the_socket_too() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    let frame = |id: u64, command: &Value| {
        let key = format!("k{id}");
        json!({"op": "command", "id": id, "command": command, "idempotency_key": key})
    };
    live.send(&frame(7, &list_product("mug-01"))).await;
    let result = live.next_of("result").await;
    assert_eq!(
        (&result["id"], &result["result"]["events"][0]["type"]),
        (&json!(7), &json!("ProductListed"))
    );
    live.send(&frame(7, &list_product("mug-01"))).await;
    assert_eq!(
        live.next_of("result").await,
        result,
        "a repetition is answered with the first answer"
    );
    live.send(&frame(
        8,
        &json!({"type": "Explode", "stream": "product-a", "data": {}}),
    ))
    .await;
    let refused = live.next_of("result").await;
    assert_eq!(
        (&refused["id"], &refused["problem"]["status"]),
        (&json!(8), &json!(404))
    );
}

#[tokio::test]
async fn a_client_that_resumes_gets_the_changes_that_it_missed() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    let snapshot = follow_products(&mut live).await;
    app.command(&educator, &list_product("mug-01")).await;
    let seen = live.next_of("change").await;
    // Another client stays subscribed, or the server need not remember the missed changes.
    let mut other = app.live(&educator).await;
    follow_products(&mut other).await;
    drop(live);
    app.command(&educator, &list_product("mug-02")).await;
    other.next_of("change").await;
    let mut live = app.live(&educator).await;
    live.send(
        &json!({"op": "subscribe", "id": 2, "view": "products", "listing": "all",
        "resume": seen["as_of"], "generation": snapshot["generation"]}),
    )
    .await;
    let change = live.next_of("change").await;
    assert_eq!((&change["id"], &change["key"]), (&json!(2), &json!("mug-02")));
}

/// Given a server whose view is behind what a client has seen at another server, when the client resumes,
/// then it waits for the view, and gets nothing older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resumes_gets_nothing_older_than_it_has_seen() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let lane = async |action: &str| {
        let path = format!("/api/v1/lab/projections/products/{action}");
        let request = app
            .request(reqwest::Method::POST, &path)
            .bearer_auth(&educator.token);
        assert!(request.send().await.unwrap().status().is_success());
    };
    lane("pause").await;
    let stored = app.command(&educator, &list_product("mug-01")).await;
    let mut live = app.live(&educator).await;
    let resume = json!({"op": "subscribe", "id": 2, "view": "products", "listing": "all",
        "resume": stored["token"], "generation": 1});
    live.send(&resume).await;
    lane("resume").await;
    let snapshot = live.next_of("snapshot").await;
    assert_eq!(snapshot["as_of"], stored["token"]);
    assert_eq!(snapshot["data"][0]["key"], "mug-01");
}

#[tokio::test]
async fn an_unknown_view_is_an_error_frame() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    live.send(&json!({"op": "subscribe", "id": 3, "view": "no-such"}))
        .await;
    let error = live.next_of("error").await;
    assert_eq!(
        (&error["id"], &error["problem"]["status"]),
        (&json!(3), &json!(404))
    );
    let unsubscribe = json!({"op": "unsubscribe", "id": 3});
    live.send(&unsubscribe).await;
    live.send(&unsubscribe).await;
    follow_products(&mut live).await;
}

#[tokio::test]
async fn garbage_is_answered_and_does_not_end_the_connection() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    for text in [
        "",
        "{",
        "null",
        "[]",
        "{\"op\":\"dance\"}",
        "{\"op\":\"subscribe\"}",
        "{\"op\":\"command\",\"id\":\"x\"}",
    ] {
        live.send_text(text).await;
        let error = live.next_of("error").await;
        assert_eq!(error["problem"]["status"], 400, "{text}");
    }
    live.send_message(Message::binary(vec![0, 159, 146, 150])).await;
    assert_eq!(live.next_of("error").await["problem"]["status"], 400);
    follow_products(&mut live).await;
}

#[tokio::test]
async fn a_client_that_closes_gets_its_close_frame_back() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    for (code, reason) in [(CloseCode::Normal, ""), (CloseCode::Away, "the page is left")] {
        let mut live = app.live(&educator).await;
        follow_products(&mut live).await;
        let close = CloseFrame {
            code,
            reason: reason.into(),
        };
        live.send_message(Message::Close(Some(close.clone()))).await;
        assert_eq!(live.closed().await, close);
        live.ended().await;
    }
}

#[tokio::test]
async fn a_text_frame_that_is_not_utf_8_ends_the_connection_with_a_reason() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    let frame = Frame::message(vec![0xff], OpCode::Data(Data::Text), true);
    live.send_message(Message::Frame(frame)).await;
    assert_eq!(u16::from(live.closed().await.code), 1007);
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_the_connection() {
    let app = TestApp::start_with(&["--max-body-bytes", "1024"]).await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    live.send_text(&"x".repeat(5_000)).await;
    assert_eq!(u16::from(live.closed().await.code), 1009);
}

#[tokio::test]
async fn only_our_own_pages_and_programs_with_a_token_may_connect() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let cookie = format!("foldline_session={}", educator.token);
    let bearer = format!("Bearer {}", educator.token);
    let ours = app.origin();
    assert!(
        app.try_live(&[("cookie", &cookie), ("origin", &ours)])
            .await
            .is_ok()
    );
    assert!(app.try_live(&[("authorization", &bearer)]).await.is_ok());
    for (headers, status) in [
        (vec![("cookie", &*cookie), ("origin", "http://evil.test")], 403),
        (vec![("cookie", &*cookie), ("origin", "null")], 403),
        (vec![("cookie", &*cookie)], 403),
        (
            vec![("authorization", &*bearer), ("origin", "http://evil.test")],
            403,
        ),
        (vec![("authorization", "Bearer nonsense")], 401),
        (vec![], 401),
        (
            vec![
                ("authorization", &*bearer),
                ("sec-websocket-protocol", "foldline.v9"),
            ],
            400,
        ),
    ] {
        assert_eq!(app.try_live(&headers).await.err(), Some(status), "{headers:?}");
    }
    let plain = app
        .get("/api/v1/live")
        .bearer_auth(&educator.token)
        .send()
        .await
        .unwrap();
    assert_eq!(problem(plain).await.status, 400);
}

#[tokio::test]
async fn a_client_cannot_subscribe_to_another_workspace() {
    let app = TestApp::start().await;
    let (here, there): (Person, Person) = (app.educator().await, app.educator().await);
    let mut live = app.live(&there).await;
    follow_products(&mut live).await;
    app.command(&here, &list_product("mug-here")).await;
    app.command(&there, &list_product("mug-there")).await;
    assert_eq!(live.next_of("change").await["key"], "mug-there");
}

#[tokio::test]
async fn the_connection_ends_with_the_token() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    // The token stays valid until the socket is open, however long that takes.
    app.stop_clock();
    let short = app.ageing(&educator, 2);
    let mut live = app.live(&short).await;
    let goodbye = live.closed().await;
    assert_eq!(
        (u16::from(goodbye.code), goodbye.reason.as_str()),
        (1008, "the access token has expired")
    );
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    follow_products(&mut live).await;
    let (goodbye, ()) = tokio::join!(live.closed(), app.stop());
    assert_eq!(
        (u16::from(goodbye.code), goodbye.reason.as_str()),
        (1001, "the server is stopping")
    );
    live.ended().await;
}

#[tokio::test]
async fn a_frame_over_the_rate_limit_is_told_so() {
    let app = TestApp::start_with(&["--requests-per-minute", "120"]).await;
    let educator = app.educator().await;
    let mut live = app.live(&educator).await;
    for id in 0..200 {
        live.send(&json!({"op": "subscribe", "id": id, "view": "no-such"}))
            .await;
    }
    loop {
        let error = live.next_of("error").await;
        if error["problem"]["status"] == 429 {
            break;
        }
    }
}

#[tokio::test]
async fn a_client_over_the_rate_limit_still_unsubscribes() {
    let limits = ["--requests-per-minute", "120", "--sandbox-subscriptions", "1"];
    let app = TestApp::start_with(&limits).await;
    let educator = app.educator().await;
    let staff = app.with_role(&educator, Role::Staff);
    let (mut live, mut other) = (app.live(&educator).await, app.live(&staff).await);
    follow_products(&mut live).await;
    let no_such = |id: u64| json!({"op": "subscribe", "id": id, "view": "no-such"});
    for id in 100..300 {
        live.send(&no_such(id)).await;
    }
    live.next_where("refusal", |frame| {
        frame["problem"]["type"] == "/problems/rate-limited"
    })
    .await;
    live.send(&json!({"op": "unsubscribe", "id": 1})).await;
    // Frames are handled in order: the unsubscription comes before this refusal.
    live.send(&no_such(999)).await;
    live.next_where("refusal", |frame| frame["id"] == 999).await;
    // The only subscription that the sandbox may have is free again.
    follow_products(&mut other).await;
}

/// Sockets, each with the most subscriptions that one may have: ten thousand together.
const SOCKETS: u64 = 100;
const SUBSCRIPTIONS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_subscriptions_get_a_change_once_each() {
    let unlimited = ["--requests-per-minute", "0", "--sockets-per-person", "0"];
    let app = TestApp::start_with(&unlimited).await;
    let educator = app.educator().await;
    let listed = app.command(&educator, &list_product("mug-01")).await;
    let follow = async || {
        let mut live = app.live(&educator).await;
        for id in 0..SUBSCRIPTIONS {
            let mut subscribe = json!({"op": "subscribe", "id": id, "view": "products"});
            if id % 2 == 0 {
                subscribe["key"] = json!("mug-01");
            } else {
                subscribe["listing"] = json!("by_tag");
                subscribe["group"] = json!("kitchen");
            }
            live.send(&subscribe).await;
        }
        for _ in 0..SUBSCRIPTIONS {
            assert_eq!(live.next_of("snapshot").await["as_of"], listed["token"]);
        }
        live
    };
    let mut sockets = join_all((0..SOCKETS).map(|_| follow())).await;
    let change = json!({"type": "ChangePrice", "stream": "product-mug-01",
        "data": {"price": {"amount": 900, "currency": "EUR"}}});
    let changed = app.command(&educator, &change).await;
    for told in join_all(sockets.iter_mut().map(changes)).await {
        let mut subscriptions = HashSet::new();
        for change in told {
            assert_eq!(change["as_of"], changed["token"], "{change}");
            assert_eq!(change["data"]["price"]["amount"], 900, "{change}");
            subscriptions.insert(change["id"].as_u64());
        }
        assert_eq!(subscriptions.len() as u64, SUBSCRIPTIONS, "each once");
    }
    app.stop().await;
}

/// The next changes of a socket, one for each of its subscriptions.
async fn changes(live: &mut Live) -> Vec<Value> {
    let mut changes = Vec::new();
    for _ in 0..SUBSCRIPTIONS {
        changes.push(live.next_of("change").await);
    }
    changes
}
