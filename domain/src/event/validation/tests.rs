//! Events that a made-up file may have, and those that a real one has.

use serde_json::{Value, json};

use super::*;
use crate::event::StoredEvent;

const PERSON: &str = "0198c1a2-0000-7000-8000-000000000001";

fn event(stream: &str, event_type: &str, version: u32, role: &str, data: &Value) -> TypedEvent {
    let id = "0198c1a2-0000-7000-8000-000000000009";
    let stored = json!({
        "workspace": id, "partition": 0, "position": 1, "stream": stream, "version": 1, "event_id": id,
        "type": event_type, "schema_version": version, "payload": data,
        "metadata": {"correlation_id": id, "command_id": id, "actor": {"id": PERSON, "role": role}},
        "recorded_at": "2026-11-29T06:00:00Z", "hash": "",
    });
    let stored: StoredEvent = serde_json::from_str(&stored.to_string()).unwrap();
    stored.decode().unwrap()
}

fn fields(event: &TypedEvent) -> Vec<String> {
    match validate(event) {
        Ok(()) => Vec::new(),
        Err(rejection) => rejection
            .violations
            .into_iter()
            .map(|violation| violation.field)
            .collect(),
    }
}

fn price(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn line() -> Value {
    json!({"sku": "mug", "name": "Mug", "price": price(500), "quantity": 2})
}

fn listed() -> Value {
    json!({"sku": "mug", "name": "Mug", "description": "Holds\ntea.", "price": price(500),
        "tags": ["kitchen"]})
}

fn registered() -> Value {
    json!({"email": "ada@example.org", "display_name": "Ada", "role": "student", "language": "en"})
}

/// One event of each type, as the program writes it.
#[expect(clippy::too_many_lines, reason = "a table: one entry an event type")]
fn real() -> Vec<(String, &'static str, u32, &'static str, Value)> {
    let sealed = format!("sealed:{PERSON}:abc-_9");
    let order = |name: &'static str, role, data| ("order-1".to_owned(), name, 2, role, data);
    let user = |name: &'static str, version, data| (format!("user-{PERSON}"), name, version, "student", data);
    let sale = json!({"lines": [line()], "total": price(1_000)});
    let payment = |extra: Value| {
        let mut data = json!({"order": "1", "customer": PERSON, "amount": price(1_000)});
        data.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        data
    };
    vec![
        (
            "order-1".to_owned(),
            "OrderCreated",
            1,
            "customer",
            json!({"customer": {"id": PERSON, "name": sealed}, "lines": [line()], "total": price(1_000),
                "payment_method": "tok_ok"}),
        ),
        order(
            "OrderConfirmed",
            "system",
            json!({"customer": PERSON, "lines": [line()], "total": price(1_000)}),
        ),
        order(
            "OrderRejected",
            "system",
            json!({"customer": PERSON, "reason": "sold out"}),
        ),
        order(
            "OrderCancelled",
            "customer",
            json!({"customer": PERSON, "reason": "no", "sold": sale}),
        ),
        order("OrderShipped", "staff", json!({"customer": PERSON})),
        order("OrderDelivered", "staff", json!({"customer": PERSON})),
        ("order-1".to_owned(), "OrderConfirmed", 1, "system", json!({})),
        ("order-1".to_owned(), "OrderShipped", 1, "system", json!({})),
        (
            "payment-1".to_owned(),
            "PaymentProcessed",
            1,
            "system",
            payment(json!({"method": "tok_ok", "charge": "ch_1"})),
        ),
        (
            "payment-1".to_owned(),
            "PaymentFailed",
            1,
            "system",
            payment(json!({"method": "tok_declined", "reason": "declined"})),
        ),
        (
            "payment-1".to_owned(),
            "PaymentRefunded",
            1,
            "staff",
            payment(json!({"reason": "no"})),
        ),
        ("product-mug".to_owned(), "ProductListed", 1, "staff", listed()),
        (
            "product-mug".to_owned(),
            "PriceChanged",
            1,
            "staff",
            json!({"price": price(1)}),
        ),
        ("product-mug".to_owned(), "ProductRetired", 1, "staff", json!({})),
        (
            "inventory-mug".to_owned(),
            "StockReceived",
            1,
            "staff",
            json!({"quantity": 1}),
        ),
        (
            "inventory-mug".to_owned(),
            "StockReserved",
            1,
            "system",
            json!({"order": "1", "quantity": 1}),
        ),
        (
            "inventory-mug".to_owned(),
            "StockReservationFailed",
            2,
            "system",
            json!({"order": "1", "requested": 3, "available": 0}),
        ),
        user("UserRegistered", 2, registered()),
        user("DisplayNameChanged", 1, json!({"display_name": sealed})),
        user("EmailChanged", 1, json!({"email": "grace@example.org"})),
        user("UserErased", 1, json!({})),
        (
            format!("inbox-{PERSON}"),
            "NotificationsRead",
            1,
            "student",
            json!({"events": [PERSON]}),
        ),
        (
            "email-abc".to_owned(),
            "EmailReserved",
            1,
            "student",
            json!({"user": PERSON}),
        ),
    ]
}

#[test]
fn events_that_the_program_writes_are_valid() {
    for (stream, name, version, role, data) in real() {
        let event = event(&stream, name, version, role, &data);
        assert_eq!(fields(&event), Vec::<String>::new(), "{name} {version}");
    }
}

#[test]
fn an_event_on_a_stream_of_another_aggregate_is_refused() {
    for (stream, name, version, role, data) in real() {
        let other = if stream.starts_with("order-") {
            "product-1"
        } else {
            "order-1"
        };
        let found = fields(&event(other, name, version, role, &data));
        assert!(found.contains(&"subject".to_owned()), "{name}: {found:?}");
    }
}

#[test]
fn an_event_of_a_role_that_cannot_cause_it_is_refused() {
    for (stream, name, version, data) in [
        ("product-mug", "ProductListed", 1, listed()),
        ("inventory-mug", "StockReceived", 1, json!({"quantity": 1})),
        (
            "inventory-mug",
            "StockReserved",
            1,
            json!({"order": "1", "quantity": 1}),
        ),
        ("order-1", "OrderShipped", 2, json!({"customer": PERSON})),
        (
            "order-1",
            "OrderRejected",
            2,
            json!({"customer": PERSON, "reason": "no"}),
        ),
    ] {
        let event = event(stream, name, version, "customer", &data);
        assert_eq!(fields(&event), ["actorrole"], "{name}");
    }
}

/// The data with another value at a pointer.
fn with(data: &Value, pointer: &str, value: Value) -> Value {
    let mut data = data.clone();
    *data.pointer_mut(pointer).unwrap() = value;
    data
}

#[test]
fn texts_that_a_command_would_not_take_are_refused_by_their_field() {
    let long = "x".repeat(3_000_000);
    let foreign = "sealed:0198c1a2-0000-7000-8000-000000000002:abc";
    let hostile = [
        "",
        " ",
        "a\nb",
        "a\u{202e}b",
        "a\u{200b}b",
        "\u{e000}",
        long.as_str(),
    ];
    for text in hostile {
        for (pointer, field) in [("/name", "data.name"), ("/tags/0", "data.tags[0]")] {
            let data = with(&listed(), pointer, json!(text));
            let event = event("product-mug", "ProductListed", 1, "staff", &data);
            assert_eq!(fields(&event), [field]);
        }
        let data = with(&registered(), "/display_name", json!(text));
        let event = event(&format!("user-{PERSON}"), "UserRegistered", 2, "student", &data);
        assert_eq!(fields(&event), ["data.display_name"]);
    }
    for (pointer, value, field) in [
        ("/display_name", json!(foreign), "data.display_name"),
        ("/display_name", json!("sealed:nonsense"), "data.display_name"),
        ("/email", json!(foreign), "data.email"),
        ("/email", json!("ada"), "data.email"),
        ("/email", json!(format!("sealed:{PERSON}:{long}")), "data.email"),
        ("/role", json!("system"), "data.role"),
    ] {
        let data = with(&registered(), pointer, value);
        let event = event(&format!("user-{PERSON}"), "UserRegistered", 2, "student", &data);
        assert_eq!(fields(&event), [field]);
    }
}

#[test]
fn numbers_and_sums_that_a_command_would_not_have_are_refused() {
    for (pointer, value, field) in [
        ("/price/amount", json!(0), "data.price.amount"),
        ("/price/amount", json!(-5), "data.price.amount"),
        ("/price/currency", json!("euros"), "data.price.currency"),
        ("/sku", json!("cup"), "data.sku"),
        ("/tags", json!(vec!["a"; 11]), "data.tags"),
    ] {
        let data = with(&listed(), pointer, value);
        let event = event("product-mug", "ProductListed", 1, "staff", &data);
        assert_eq!(fields(&event), [field], "{pointer}");
    }
    let confirmed = json!({"customer": PERSON, "lines": [line()], "total": price(1_000)});
    for (pointer, value, field) in [
        ("/total/amount", json!(1), "data.total"),
        ("/customer", json!(Uuid::nil()), "data.customer"),
        ("/lines", json!([]), "data.lines"),
    ] {
        let data = with(&confirmed, pointer, value);
        let found = fields(&event("order-1", "OrderConfirmed", 2, "system", &data));
        assert!(found.contains(&field.to_owned()), "{pointer}: {found:?}");
    }
    let received = event(
        "inventory-mug",
        "StockReceived",
        1,
        "staff",
        &json!({"quantity": 0}),
    );
    assert_eq!(fields(&received), ["data.quantity"]);
}

#[test]
fn ids_that_are_none_are_refused() {
    let mut event = event("product-mug", "ProductRetired", 1, "staff", &json!({}));
    event.event_id = Uuid::nil();
    event.metadata.correlation_id = Uuid::max();
    event.metadata.command_id = Uuid::nil();
    event.metadata.actor.id = Uuid::nil();
    event.metadata.traceparent = Some("a\nb".to_owned());
    assert_eq!(
        fields(&event),
        ["id", "correlationid", "commandid", "actorid", "traceparent"]
    );
    for stream in ["user-ada", &format!("user-{}", Uuid::nil())] {
        let event = self::event(stream, "UserErased", 1, "student", &json!({}));
        assert_eq!(fields(&event), ["subject"], "{stream}");
    }
}
