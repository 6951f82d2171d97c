//! The payment provider: slow, declining, silent, or not reached.

use clock::{Clock as _, SystemClock};
use domain::access::Role;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{reset, set};
use crate::{
    app::{Person, TestApp, place_order, problem},
    dead_letters::get,
    mailbox::stock,
};

/// Asks for the charge of an order, under the same Idempotency-Key each time.
async fn charge(app: &TestApp, person: &Person, order: u128) -> Response {
    let order = Uuid::from_u128(order);
    let command = json!({"type": "ProcessPayment", "stream": format!("payment-{order}"), "data": {
        "order": order, "amount": {"amount": 1200, "currency": "EUR"}, "method": "tok_ok"}});
    app.post("/api/v1/commands", &command)
        .bearer_auth(&person.token)
        .header("idempotency-key", order.to_string())
        .send()
        .await
        .unwrap()
}

/// The type of the event that the charge of an order has led to.
async fn charged(app: &TestApp, person: &Person, order: u128) -> Value {
    let answer = charge(app, person, order).await;
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["events"][0]["type"].clone()
}

/// The provider has given no answer: the client is told to ask again.
async fn is_unanswered(app: &TestApp, person: &Person, order: u128) {
    let unanswered = charge(app, person, order).await;
    assert!(unanswered.headers().contains_key("retry-after"));
    assert_eq!(problem(unanswered).await.status, 503);
}

/// The events of a workspace of this type.
async fn count(app: &TestApp, person: &Person, event_type: &str) -> usize {
    let path = format!("/api/v1/events?limit=200&type={event_type}");
    get(app, person, &path).await["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_slow_provider_gives_no_answer_in_time_and_the_answer_later() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    set(&app, &educator, &json!({"payment": {"delay_ms": 60_000}})).await;
    is_unanswered(&app, &educator, 7).await;
    assert_eq!(charged(&app, &elsewhere, 7).await, "PaymentProcessed");
    reset(&app, &educator).await;
    assert_eq!(charged(&app, &educator, 7).await, "PaymentProcessed");
    assert_eq!(charged(&app, &educator, 8).await, "PaymentProcessed");
}

#[tokio::test]
async fn a_declining_provider_declines_the_orders_of_its_workspace_until_the_dial_is_at_rest() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    for educator in [&educator, &elsewhere] {
        stock(&app, educator).await;
    }
    let order = async |educator: &Person| {
        let customer = app.with_role(educator, Role::Customer);
        let order = SystemClock.new_id();
        app.command(&customer, &place_order(order, "mug-01")).await;
        app.settled(educator).await;
        let payment = get(&app, educator, &format!("/api/v1/views/payments/{order}")).await;
        payment["data"]["status"].clone()
    };
    set(&app, &educator, &json!({"payment": {"mode": "declining"}})).await;
    assert_eq!(order(&educator).await, "failed");
    assert_eq!(order(&elsewhere).await, "processed");
    let confirmed = count(&app, &educator, "OrderConfirmed").await;
    let rejected = count(&app, &educator, "OrderRejected").await;
    assert_eq!((confirmed, rejected), (0, 1));
    reset(&app, &educator).await;
    assert_eq!(order(&educator).await, "processed");
    assert_eq!(count(&app, &educator, "OrderConfirmed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_a_silent_provider_has_charged_is_given_up_and_refunded_once_it_answers() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    stock(&app, &educator).await;
    app.settled(&educator).await;
    set(&app, &educator, &json!({"payment": {"mode": "silent"}})).await;
    is_unanswered(&app, &educator, 7).await;
    assert_eq!(charged(&app, &elsewhere, 7).await, "PaymentProcessed");
    let customer = app.with_role(&educator, Role::Customer);
    let order = SystemClock.new_id();
    let mut live = app.live(&customer).await;
    live.send(&json!({"op": "subscribe", "id": 1, "view": "orders", "key": order}))
        .await;
    app.command(&customer, &place_order(order, "mug-01")).await;
    let is_given_up = |frame: &Value| frame["event"]["type"] == "OrderRejected";
    live.next_where("a rejected order", is_given_up).await;
    assert_eq!(
        count(&app, &educator, "PaymentProcessed").await,
        0,
        "nothing is known yet"
    );
    reset(&app, &educator).await;
    app.settled(&educator).await;
    let payment = get(&app, &educator, &format!("/api/v1/views/payments/{order}")).await;
    assert_eq!(payment["data"]["status"], "refunded");
    assert_eq!(charged(&app, &educator, 7).await, "PaymentProcessed");
    let processed = count(&app, &educator, "PaymentProcessed").await;
    assert_eq!(
        (processed, count(&app, &educator, "PaymentRefunded").await),
        (2, 1)
    );
}

#[tokio::test]
async fn the_next_requests_do_not_reach_a_failing_provider_and_the_one_after_does() {
    let app = TestApp::start().await;
    let (educator, elsewhere) = (app.educator().await, app.educator().await);
    let next = json!({"payment": {"fail_next": 3}});
    set(&app, &educator, &next).await;
    for _ in 0..3 {
        is_unanswered(&app, &educator, 7).await;
    }
    assert_eq!(charged(&app, &elsewhere, 7).await, "PaymentProcessed");
    assert_eq!(charged(&app, &educator, 7).await, "PaymentProcessed");
    // set again, it is counted anew
    set(&app, &educator, &next).await;
    is_unanswered(&app, &educator, 8).await;
    reset(&app, &educator).await;
    assert_eq!(charged(&app, &educator, 8).await, "PaymentProcessed");
}
