//! Live sockets: their lines are cut, slow, or lose changes.

use std::collections::BTreeSet;

use domain::access::Role;
use futures::FutureExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{reset, set};
use crate::{
    app::{Live, Person, TestApp, list_product},
    dead_letters::get,
};

/// The code with which a connection is closed whose line is cut: the client connects again.
const RESTART: u16 = 1012;

/// Follows the products of a workspace; the snapshot.
async fn follow(live: &mut Live) -> Value {
    live.send(&json!({"op": "subscribe", "id": 1, "view": "products", "listing": "all"}))
        .await;
    live.next_of("snapshot").await
}

/// A socket that follows the products of a workspace and is caught up.
async fn followed(app: &TestApp, person: &Person) -> Live {
    let mut live = app.live(person).await;
    follow(&mut live).await;
    live.next_of("caught_up").await;
    live
}

/// Lists a product, and waits until the view has it.
async fn list(app: &TestApp, educator: &Person, sku: &str) {
    let listed = app.command(educator, &list_product(sku)).await;
    let after = listed["token"].as_str().unwrap();
    get(
        app,
        educator,
        &format!("/api/v1/views/products/{sku}?after={after}"),
    )
    .await;
}

/// The key of the next change.
async fn changed(live: &mut Live) -> Value {
    live.next_of("change").await["key"].clone()
}

#[tokio::test]
async fn open_sockets_are_cut_and_new_ones_after_their_first_answer_until_the_dial_is_at_rest() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let customer = app.with_role(&educator, Role::Customer);
    let (mut open, mut idle) = (followed(&app, &customer).await, app.live(&educator).await);
    // without a subscription, and known to be served
    idle.send(&json!({"op": "dance"})).await;
    idle.next_of("error").await;
    let mut other = followed(&app, &elsewhere).await;
    set(&app, &educator, &json!({"live": {"cut": true}})).await;
    for live in [&mut open, &mut idle] {
        let close = live.closed().await;
        assert_eq!(u16::from(close.code), RESTART, "{close:?}");
        live.ended().await;
    }
    list(&app, &educator, "mug-01").await;
    for _ in 0..2 {
        let mut new = app.live(&customer).await;
        assert_eq!(follow(&mut new).await["data"][0]["key"], "mug-01");
        assert_eq!(u16::from(new.closed().await.code), RESTART);
    }
    list(&app, &elsewhere, "mug-02").await;
    assert_eq!(changed(&mut other).await, "mug-02");
    reset(&app, &educator).await;
    let mut new = followed(&app, &customer).await;
    list(&app, &educator, "mug-03").await;
    assert_eq!(changed(&mut new).await, "mug-03");
}

#[tokio::test]
async fn a_client_whose_line_was_cut_resumes_and_misses_nothing() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    list(&app, &educator, "mug-00").await;
    let mut live = app.live(&educator).await;
    let snapshot = follow(&mut live).await;
    set(&app, &educator, &json!({"live": {"cut": true}})).await;
    live.closed().await;
    for sku in ["mug-01", "mug-02"] {
        list(&app, &educator, sku).await;
    }
    reset(&app, &educator).await;
    let mut live = app.live(&educator).await;
    let resume = json!({"op": "subscribe", "id": 2, "view": "products", "listing": "all",
        "resume": snapshot["as_of"], "generation": snapshot["generation"]});
    live.send(&resume).await;
    // The server may answer with a snapshot in place of the changes.
    let (mut seen, expected) = (
        BTreeSet::from(["mug-00".to_owned()]),
        ["mug-00", "mug-01", "mug-02"],
    );
    while seen.len() < expected.len() {
        let is_data = |frame: &Value| frame["op"] == "change" || frame["op"] == "snapshot";
        let frame = live.next_where("what was missed", is_data).await;
        let rows = frame["data"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![frame.clone()]);
        seen.extend(rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, BTreeSet::from(expected.map(str::to_owned)));
}

#[tokio::test]
async fn a_slow_line_holds_frames_back_until_the_dial_is_at_rest() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let mut live = followed(&app, &educator).await;
    let mut other = followed(&app, &elsewhere).await;
    set(&app, &educator, &json!({"live": {"delay_ms": 9_000}})).await;
    for (workspace, sku) in [
        (&educator, "mug-01"),
        (&elsewhere, "mug-02"),
        (&educator, "mug-03"),
    ] {
        list(&app, workspace, sku).await;
    }
    assert_eq!(changed(&mut other).await, "mug-02");
    assert_eq!(
        changed(&mut live).now_or_never(),
        None,
        "the view has it, and the client does not"
    );
    // the server hears the client all the same
    live.send(&json!({"op": "command", "id": 9, "idempotency_key": "k", "command": list_product("mug-04")}))
        .await;
    while get_status(&app, &educator, "mug-04").await != StatusCode::OK {}
    reset(&app, &educator).await;
    for sku in ["mug-01", "mug-03"] {
        assert_eq!(changed(&mut live).await, sku);
    }
}

async fn get_status(app: &TestApp, person: &Person, sku: &str) -> StatusCode {
    let path = format!("/api/v1/views/products/{sku}");
    let request = app.get(&path).bearer_auth(&person.token);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_lost_change_reaches_its_client_only_with_a_snapshot() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let mut live = followed(&app, &educator).await;
    let mut other = followed(&app, &elsewhere).await;
    set(&app, &educator, &json!({"live": {"lose_frame_next": 1}})).await;
    for (workspace, sku) in [
        (&educator, "mug-01"),
        (&elsewhere, "mug-01"),
        (&educator, "mug-02"),
    ] {
        list(&app, workspace, sku).await;
    }
    assert_eq!(changed(&mut live).await, "mug-02", "the change before it is lost");
    assert_eq!(changed(&mut other).await, "mug-01");
    let mut again = app.live(&educator).await;
    let snapshot = follow(&mut again).await;
    assert_eq!(snapshot["data"].as_array().unwrap().len(), 2, "{snapshot}");
    reset(&app, &educator).await;
    list(&app, &educator, "mug-03").await;
    for live in [&mut live, &mut again] {
        assert_eq!(changed(live).await, "mug-03");
    }
}
