//! The template `shop`: its history is complete, sends no emails, and goes on like any other.

use serde_json::json;

use crate::{app::TestApp, dead_letters::get, mailbox::subjects};

/// The order of the template that is confirmed and not shipped.
const CONFIRMED: &str = "0198c1a0-0002-7000-8000-000000000004";

#[tokio::test]
async fn an_order_of_a_template_is_cancelled_and_refunded_like_any_other() {
    let app = TestApp::start().await;
    let educator = app.educator_of("shop").await;
    app.settled(&educator).await;
    let order = get(&app, &educator, &format!("/api/v1/views/orders/{CONFIRMED}")).await;
    assert_eq!(order["data"]["status"], "confirmed");
    let timeline: Vec<_> = order["data"]["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event"].as_str().unwrap())
        .collect();
    let expected = [
        "OrderCreated",
        "StockReserved",
        "PaymentProcessed",
        "OrderConfirmed",
    ];
    assert_eq!(timeline, expected);
    assert!(
        subjects(&app, &educator, "").await.is_empty(),
        "its customers are invented"
    );

    let cancel = json!({"type": "CancelOrder", "stream": format!("order-{CONFIRMED}"),
        "data": {"reason": "changed my mind"}});
    app.command(&educator, &cancel).await;
    app.settled(&educator).await;
    let payment = get(&app, &educator, &format!("/api/v1/views/payments/{CONFIRMED}")).await;
    assert_eq!(payment["data"]["status"], "refunded");
    let stock = get(&app, &educator, "/api/v1/views/inventory/stand-01").await;
    assert_eq!(
        (&stock["data"]["on_hand"], &stock["data"]["reserved"]),
        (&json!(18), &json!(0))
    );
    let subjects = subjects(&app, &educator, "").await;
    assert!(
        subjects.contains(&"Your order is cancelled".to_owned()),
        "{subjects:?}"
    );
}
