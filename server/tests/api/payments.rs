//! Payments: the roles that may send their commands and see them, and the events of the provider's answers.

use domain::access::Role;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Person, TestApp, fields, list_product, place_order, problem};

async fn send(app: &TestApp, person: &Person, command: &Value, key: &str) -> Response {
    app.post("/api/v1/commands", command)
        .bearer_auth(&person.token)
        .header("idempotency-key", key)
        .send()
        .await
        .unwrap()
}

fn charge(order: Uuid, method: &str) -> Value {
    json!({"type": "ProcessPayment", "stream": format!("payment-{order}"), "data": {
        "order": order, "amount": {"amount": 1200, "currency": "EUR"}, "method": method}})
}

fn refund(order: Uuid) -> Value {
    json!({"type": "RefundPayment", "stream": format!("payment-{order}"), "data": {"reason": "it broke"}})
}

async fn settled(app: &TestApp, person: &Person) {
    let settled = app.get("/api/v1/settled");
    let settled = settled.bearer_auth(&person.token).send().await.unwrap();
    assert_eq!(settled.status(), StatusCode::OK);
}

async fn read(app: &TestApp, person: &Person, path: &str) -> Value {
    let response = app.get(path).bearer_auth(&person.token).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn each_role_may_send_its_own_commands_and_no_others() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let table = [
        (Role::Customer, false, false),
        (Role::Student, false, false),
        (Role::Staff, false, true),
        (Role::Educator, true, true),
    ];
    for (order, (role, charges, refunds)) in (1..).zip(table) {
        let person = app.with_role(&educator, role);
        let order = Uuid::from_u128(order);
        for (command, may) in [(charge(order, "tok_ok"), charges), (refund(order), refunds)] {
            let key = command["type"].as_str().unwrap();
            let status = send(&app, &person, &command, key).await.status();
            assert_eq!(
                status != StatusCode::FORBIDDEN,
                may,
                "{role:?}: {command} came to {status}"
            );
        }
    }
}

#[tokio::test]
async fn a_charge_is_made_once_and_refunded_once() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = Uuid::from_u128(7);
    let first: Value = send(&app, &educator, &charge(order, "tok_ok"), "one")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(first["events"][0]["type"], "PaymentProcessed");
    let again: Value = send(&app, &educator, &charge(order, "tok_ok"), "one")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(again, first);
    let other: Value = send(&app, &educator, &charge(order, "tok_ok"), "two")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(other["events"], json!([]), "one charge an order");
    for (key, events) in [("three", 1), ("four", 0)] {
        let back: Value = send(&app, &educator, &refund(order), key)
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(back["events"].as_array().unwrap().len(), events);
    }
    let path = format!("/api/v1/views/payments/{order}?after=0:2");
    let payment = &read(&app, &educator, &path).await["data"];
    assert_eq!(
        (&payment["status"], &payment["reason"]),
        (&json!("refunded"), &json!("it broke"))
    );
}

#[tokio::test]
async fn a_declined_charge_is_an_event_and_cannot_be_refunded() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = Uuid::from_u128(7);
    let declined: Value = send(&app, &educator, &charge(order, "tok_declined"), "one")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(declined["events"][0]["type"], "PaymentFailed");
    let refused = problem(send(&app, &educator, &refund(order), "two").await).await;
    assert_eq!(
        (refused.status, refused.rule.as_deref()),
        (422, Some("nothing-to-refund"))
    );
}

#[tokio::test]
async fn a_request_without_an_answer_is_repeated_with_the_same_key() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = Uuid::from_u128(7);
    let late = charge(order, "tok_timeout");
    let unanswered = send(&app, &educator, &late, "one").await;
    assert!(unanswered.headers().contains_key("retry-after"));
    assert_eq!(problem(unanswered).await.status, 503);
    // another request for the same payment is not mistaken for this one
    let other = problem(send(&app, &educator, &charge(order, "tok_ok"), "two").await).await;
    assert_eq!(
        (other.status, other.rule.as_deref()),
        (409, Some("payment-under-way"))
    );
    let clock = app
        .post("/api/v1/lab/clock", &json!({"advance_ms": 20_000}))
        .bearer_auth(&educator.token)
        .send();
    assert_eq!(clock.await.unwrap().status(), StatusCode::OK);
    let answered: Value = send(&app, &educator, &late, "one").await.json().await.unwrap();
    assert_eq!(answered["events"][0]["type"], "PaymentProcessed");
}

#[tokio::test]
async fn an_invalid_field_of_a_payment_is_named() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    let order = Uuid::from_u128(7);
    let mut other = charge(order, "cash");
    other["stream"] = json!("payment-1");
    let refused = problem(send(&app, &educator, &other, "one").await).await;
    assert_eq!(
        (refused.status, fields(&refused)),
        (422, vec!["data.order", "data.method"])
    );
    let mut place = place_order(order, "mug-01");
    place["data"]["payment_method"] = json!("cash");
    app.command(&educator, &list_product("mug-01")).await;
    let refused = problem(send(&app, &educator, &place, "two").await).await;
    assert_eq!(
        (refused.status, fields(&refused)),
        (422, vec!["data.payment_method"])
    );
}

#[tokio::test]
async fn a_customer_sees_their_own_payment_and_no_listing_of_others() {
    let app = TestApp::start().await;
    let educator = app.educator().await;
    app.command(&educator, &list_product("mug-01")).await;
    let receive = json!({"type": "ReceiveStock", "stream": "inventory-mug-01", "data": {"quantity": 5}});
    app.command(&educator, &receive).await;
    let (customer, other) = (
        app.with_role(&educator, Role::Customer),
        app.with_role(&educator, Role::Customer),
    );
    let order = Uuid::from_u128(9);
    app.command(&customer, &place_order(order, "mug-01")).await;
    settled(&app, &educator).await;
    let path = format!("/api/v1/views/payments/{order}");
    assert_eq!(read(&app, &customer, &path).await["data"]["status"], "processed");
    let unseen = app.get(&path).bearer_auth(&other.token).send().await.unwrap();
    assert_eq!(problem(unseen).await.status, 404);
    for listing in [
        "/api/v1/views/payments",
        "/api/v1/views/payments?listing=by_status&group=processed",
        "/api/v1/views/sales?listing=by_day",
        "/api/v1/views/activity?listing=recent",
    ] {
        let refused = app
            .get(listing)
            .bearer_auth(&customer.token)
            .send()
            .await
            .unwrap();
        assert_eq!(problem(refused).await.status, 403, "{listing}");
        let shown = read(&app, &educator, listing).await;
        assert!(!shown["data"].as_array().unwrap().is_empty(), "{listing}");
    }
}
