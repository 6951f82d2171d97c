//! The stock of orders, and commands of staff that would move it: an order ships with its goods, once, and
//! what is reserved for it is sold to no other customer.

use domain::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Person, TestApp, list_product, problem},
    dead_letters::{get, receive},
};

const SKU: &str = "tea-01";

/// A shop with this much stock of one product; its educator, and a member of staff.
async fn shop(stock: u32) -> (TestApp, Person, Person) {
    let app = TestApp::start_with(&["--for-tests"]).await;
    let educator = app.educator().await;
    let staff = app.with_role(&educator, Role::Staff);
    app.command(&educator, &list_product(SKU)).await;
    receive(&app, &educator, SKU, stock).await;
    (app, educator, staff)
}

fn order(id: &str, quantity: u32) -> Value {
    json!({"type": "PlaceOrder", "stream": format!("order-{id}"), "data": {
        "lines": [{"sku": SKU, "quantity": quantity}], "payment_method": "tok_ok",
    }})
}

fn about(command_type: &str, id: &str) -> Value {
    let data = match command_type {
        "CancelOrder" => json!({"reason": "changed my mind"}),
        _ => json!({}),
    };
    json!({"type": command_type, "stream": format!("order-{id}"), "data": data})
}

fn stock(command_type: &str, id: &str) -> Value {
    let mut data = json!({"order": id});
    if command_type == "ReserveStock" {
        data["quantity"] = json!(9);
    }
    json!({"type": command_type, "stream": format!("inventory-{SKU}"), "data": data})
}

fn refund(id: &str) -> Value {
    json!({"type": "RefundPayment", "stream": format!("payment-{id}"), "data": {"reason": "it broke"}})
}

/// The status and the rule of a refused command.
async fn refused(app: &TestApp, person: &Person, command: &Value) -> (u16, String) {
    let request = app.post("/api/v1/commands", command).bearer_auth(&person.token);
    let problem = problem(request.send().await.unwrap()).await;
    (problem.status, problem.rule.unwrap_or_default())
}

async fn status(app: &TestApp, person: &Person, id: &str) -> String {
    let document = get(app, person, &format!("/api/v1/views/orders/{id}")).await;
    document["data"]["status"].as_str().unwrap().to_owned()
}

/// On hand, reserved and available.
async fn counts(app: &TestApp, person: &Person) -> Value {
    let document = get(app, person, &format!("/api/v1/views/inventory/{SKU}")).await;
    let data = &document["data"];
    json!([data["on_hand"], data["reserved"], data["available"]])
}

/// How often each event of the stock was stored.
async fn stored(app: &TestApp, person: &Person, event_type: &str) -> usize {
    let path = format!("/api/v1/streams/inventory-{SKU}");
    let page = get(app, person, &path).await;
    let events = page["data"].as_array().unwrap();
    events.iter().filter(|event| event["type"] == event_type).count()
}

/// Nothing waits for a person, and the views are those of the log.
async fn is_sound(app: &TestApp, educator: &Person) {
    app.settled(educator).await;
    let letters = get(app, educator, "/api/v1/dead-letters").await;
    assert_eq!(letters["data"], json!([]));
    let verified = get(app, educator, "/api/v1/verify").await;
    assert_eq!(verified["findings"], json!([]), "{verified}");
}

const MOVES: [&str; 3] = ["ReserveStock", "ReleaseStock", "ShipStock"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reserved_for_a_confirmed_order_is_sold_once() {
    let (app, educator, staff) = shop(58).await;
    app.command(&educator, &order("x", 58)).await;
    app.settled(&educator).await;
    assert_eq!(status(&app, &educator, "x").await, "confirmed");
    let release = stock("ReleaseStock", "x");
    let expected = (422, "stock-of-an-order".to_owned());
    assert_eq!(refused(&app, &educator, &release).await, expected);
    app.command(&educator, &order("y", 58)).await;
    app.settled(&educator).await;
    assert_eq!(status(&app, &educator, "y").await, "rejected");
    for command_type in ["ShipOrder", "DeliverOrder"] {
        let (code, rule) = refused(&app, &staff, &about(command_type, "y")).await;
        assert_eq!((code, rule.as_str()), (422, "order-out-of-turn"));
        app.command(&staff, &about(command_type, "x")).await;
    }
    is_sound(&app, &educator).await;
    assert_eq!(counts(&app, &educator).await, json!([0, 0, 0]));
    assert_eq!(stored(&app, &educator, "StockShipped").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_of_staff_does_not_take_the_place_of_an_orders() {
    let (app, educator, staff) = shop(20).await;
    app.command(&educator, &order("rr", 3)).await;
    app.settled(&educator).await;
    let expected = (422, "stock-of-an-order".to_owned());
    for command_type in ["ReleaseStock", "ReserveStock"] {
        assert_eq!(
            refused(&app, &educator, &stock(command_type, "rr")).await,
            expected
        );
    }
    app.command(&staff, &about("ShipOrder", "rr")).await;
    is_sound(&app, &educator).await;
    assert_eq!(counts(&app, &educator).await, json!([17, 0, 17]));
    // Nor after it has left.
    for command_type in MOVES {
        assert_eq!(
            refused(&app, &educator, &stock(command_type, "rr")).await,
            expected
        );
    }
    // An id that no order has is staff's own.
    for command_type in MOVES {
        app.command(&educator, &stock(command_type, "samples")).await;
    }
    is_sound(&app, &educator).await;
    assert_eq!(counts(&app, &educator).await, json!([17, 0, 17]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_do_not_leave_by_hand_before_their_order_is_cancelled() {
    let (app, educator, staff) = shop(10).await;
    app.command(&educator, &order("s1", 2)).await;
    app.settled(&educator).await;
    let expected = (422, "stock-of-an-order".to_owned());
    assert_eq!(
        refused(&app, &educator, &stock("ShipStock", "s1")).await,
        expected
    );
    app.command(&staff, &about("CancelOrder", "s1")).await;
    is_sound(&app, &educator).await;
    assert_eq!(status(&app, &educator, "s1").await, "cancelled");
    assert_eq!(counts(&app, &educator).await, json!([10, 0, 10]));
    assert_eq!(stored(&app, &educator, "StockShipped").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_payment_was_refunded_is_not_shipped() {
    let (app, educator, staff) = shop(10).await;
    app.command(&educator, &order("r1", 2)).await;
    app.settled(&educator).await;
    app.command(&staff, &refund("r1")).await;
    // Before the order hears of it, its goods are withheld; afterwards it has ended.
    let (code, rule) = refused(&app, &staff, &about("ShipOrder", "r1")).await;
    assert_eq!(code, 422);
    assert!(
        ["order-not-paid", "order-out-of-turn", "order-not-reserved"].contains(&rule.as_str()),
        "{rule}"
    );
    is_sound(&app, &educator).await;
    assert_eq!(status(&app, &educator, "r1").await, "refunded");
    assert_eq!(counts(&app, &educator).await, json!([10, 0, 10]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fulfilment_alone_confirms_an_order() {
    let (app, educator, _) = shop(1).await;
    app.command(&educator, &order("c1", 2)).await;
    let confirm = app
        .post("/api/v1/commands", &about("ConfirmOrder", "c1"))
        .bearer_auth(&educator.token);
    assert_eq!(confirm.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    is_sound(&app, &educator).await;
    assert_eq!(status(&app, &educator, "c1").await, "rejected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_staff_have_reserved_under_is_of_no_use_to_an_order() {
    let (app, educator, staff) = shop(20).await;
    app.command(&educator, &stock("ReserveStock", "early")).await;
    app.command(&educator, &order("early", 9)).await;
    is_sound(&app, &educator).await;
    assert_eq!(status(&app, &educator, "early").await, "rejected");
    assert_eq!(counts(&app, &educator).await, json!([20, 0, 20]));
    let (code, rule) = refused(&app, &staff, &about("ShipOrder", "early")).await;
    assert_eq!((code, rule.as_str()), (422, "order-out-of-turn"));
}
