//! Commands that move the stock of an order, and its shipment: what the decision reads from other streams is
//! the store's, also if another process has written it a moment ago.

use domain::{
    access::Actor,
    aggregate::payment::{PaymentEvent, PaymentProcessed, PaymentRefunded},
    event::{EventPayload as _, Metadata},
    money::Money,
    wire::CommandAnswer,
};
use serde_json::{Value, json};

use super::{Shop, place_order, read, receive};
use crate::{CommandFailure, CommandService};
use clock::{Clock as _, SystemClock};
use event_store::{Append, Expected, NewEvent, StreamAppend};

fn stock(command_type: &str, order: &str) -> Value {
    let mut data = json!({"order": order});
    if command_type == "ReserveStock" {
        data["quantity"] = json!(2);
    }
    json!({"type": command_type, "stream": "inventory-mug-01", "data": data})
}

const MOVES: [&str; 3] = ["ReserveStock", "ReleaseStock", "ShipStock"];

impl Shop {
    /// A shop with 5 mugs.
    async fn with_mugs() -> Self {
        let shop = Self::open().await;
        shop.list_mug().await;
        shop.by_staff(receive("mug-01", 5)).await.unwrap();
        shop
    }

    /// Places order 1, of two mugs, and reserves them as fulfilment does.
    async fn reserve_for_order(&self) {
        self.send(&self.customer, place_order("1", "mug-01"), None)
            .await
            .unwrap();
        self.by_system(stock("ReserveStock", "1")).await.unwrap();
    }

    /// Stores an event of the payment, for which this shop has no provider.
    async fn pay(&self, event: impl Into<PaymentEvent>) {
        let event = event.into().into_domain();
        let append = Append {
            workspace: self.workspace,
            body_digest: [0; 32],
            streams: vec![StreamAppend {
                stream: "payment-1".parse().unwrap(),
                expected: Expected::Any,
                events: vec![NewEvent {
                    event_id: SystemClock.new_id(),
                    event_type: event.event_type().name.to_owned(),
                    schema_version: event.event_type().schema_version,
                    payload: event.encode().unwrap(),
                }],
            }],
            max_events: None,
            metadata: Metadata {
                correlation_id: SystemClock.new_id(),
                causation_id: None,
                command_id: SystemClock.new_id(),
                actor: self.system.reference(),
                traceparent: None,
            },
        };
        self.store.append(append).await.unwrap();
    }
}

async fn sent(
    service: &CommandService,
    shop: &Shop,
    actor: &Actor,
    request: Value,
) -> Result<CommandAnswer, String> {
    match service
        .handle(shop.workspace, actor, &read(request), None, None)
        .await
    {
        Ok(answer) => Ok(answer),
        Err(CommandFailure::Rejected(rejection)) => Err(rejection.rule),
        Err(failure) => panic!("{failure}"),
    }
}

#[tokio::test]
async fn a_person_does_not_move_the_stock_of_an_order_that_another_process_has_placed() {
    let shop = Shop::with_mugs().await;
    let other = shop.second_service();
    // It knows the stock, and that there is no such order.
    for command_type in MOVES {
        sent(&other, &shop, &shop.staff, stock(command_type, "1"))
            .await
            .unwrap();
    }
    shop.by_staff(receive("mug-01", 2)).await.unwrap();
    shop.reserve_for_order().await;
    for command_type in MOVES {
        for service in [&*shop.service, &other] {
            let refused = sent(service, &shop, &shop.staff, stock(command_type, "1")).await;
            assert_eq!(refused.unwrap_err(), "stock-of-an-order", "{command_type}");
        }
    }
    // An id that no order has is staff's own.
    for (command_type, events) in [("ReserveStock", 1), ("ReleaseStock", 1), ("ShipStock", 0)] {
        let answer = sent(&other, &shop, &shop.staff, stock(command_type, "samples")).await;
        assert_eq!(answer.unwrap().events.len(), events, "{command_type}");
    }
}

#[tokio::test]
async fn a_shipment_without_a_reservation_is_refused_to_fulfilment() {
    let shop = Shop::with_mugs().await;
    shop.reserve_for_order().await;
    shop.by_system(stock("ShipStock", "1")).await.unwrap();
    // Once more it finds nothing to ship.
    shop.by_system(stock("ShipStock", "1")).await.unwrap();
}

#[tokio::test]
async fn an_order_is_shipped_with_its_stock_reserved_and_its_payment_processed() {
    let shop = Shop::with_mugs().await;
    let other = shop.second_service();
    let request = || json!({"type": "ShipOrder", "stream": "order-1", "data": {}});
    let refused = async |service: &CommandService| {
        let answer = sent(service, &shop, &shop.staff, request()).await;
        answer.unwrap_err()
    };
    shop.send(&shop.customer, place_order("1", "mug-01"), None)
        .await
        .unwrap();
    assert_eq!(refused(&shop.service).await, "order-out-of-turn");
    shop.by_system(json!({"type": "ConfirmOrder", "stream": "order-1", "data": {}}))
        .await
        .unwrap();
    for service in [&*shop.service, &other] {
        assert_eq!(refused(service).await, "order-not-reserved");
    }
    shop.by_system(stock("ReserveStock", "1")).await.unwrap();
    for service in [&*shop.service, &other] {
        assert_eq!(refused(service).await, "order-not-paid");
    }
    let order = || "1".to_owned();
    let amount = || Money::new(2_500, "EUR");
    shop.pay(PaymentProcessed {
        order: order(),
        customer: shop.customer.id,
        amount: amount(),
        method: "tok_ok".to_owned(),
        charge: "ch_1".to_owned(),
    })
    .await;
    shop.pay(PaymentRefunded {
        order: order(),
        customer: shop.customer.id,
        amount: amount(),
        reason: "it broke".to_owned(),
    })
    .await;
    assert_eq!(refused(&other).await, "order-not-paid");
    assert_eq!(shop.events("order-1").await, ["OrderCreated", "OrderConfirmed"]);
}

#[tokio::test]
async fn an_order_with_its_goods_is_shipped_once() {
    let shop = Shop::with_mugs().await;
    let other = shop.second_service();
    shop.reserve_for_order().await;
    shop.by_system(json!({"type": "ConfirmOrder", "stream": "order-1", "data": {}}))
        .await
        .unwrap();
    shop.pay(PaymentProcessed {
        order: "1".to_owned(),
        customer: shop.customer.id,
        amount: Money::new(2_500, "EUR"),
        method: "tok_ok".to_owned(),
        charge: "ch_1".to_owned(),
    })
    .await;
    let request = || json!({"type": "ShipOrder", "stream": "order-1", "data": {}});
    sent(&other, &shop, &shop.staff, request()).await.unwrap();
    let again = sent(&shop.service, &shop, &shop.staff, request()).await;
    assert_eq!(again.unwrap_err(), "order-out-of-turn");
}
