//! Events that a made-up file may have, and those that a real one has.

use serde_json::{Value, json, value::RawValue};

use super::*;

const PERSON: &str = "0198c1a2-0000-7000-8000-000000000001";

/// The types of events that begin their stream.
const BEGINNINGS: [&str; 5] = [
    "OrderCreated",
    "PredictionMade",
    "ProductListed",
    "QuestionAsked",
    "UserRegistered",
];

const QUESTION: &str = "0198c1a2-0000-7000-8000-000000000007";

fn prediction() -> String {
    let id = prediction_id(QUESTION.parse().unwrap(), PERSON.parse().unwrap());
    format!("prediction-{id}")
}

fn stored(stream: &str, event_type: &str, version: u32, role: &str, data: &Value) -> StoredEvent {
    let id = "0198c1a2-0000-7000-8000-000000000009";
    let of_stream = if BEGINNINGS.contains(&event_type) { 1 } else { 2 };
    let stored = json!({
        "workspace": id, "partition": 0, "position": 1, "stream": stream, "version": of_stream,
        "event_id": id, "type": event_type, "schema_version": version, "payload": data,
        "metadata": {"correlation_id": id, "command_id": id, "actor": {"id": PERSON, "role": role}},
        "recorded_at": "2026-11-29T06:00:00Z", "hash": "",
    });
    serde_json::from_str(&stored.to_string()).unwrap()
}

fn event(stream: &str, event_type: &str, version: u32, role: &str, data: &Value) -> TypedEvent {
    stored(stream, event_type, version, role, data).decode().unwrap()
}

fn fields(event: &TypedEvent) -> Vec<String> {
    violated(validate(event))
}

fn violated(outcome: Result<(), Rejection>) -> Vec<String> {
    match outcome {
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
        (
            format!("question-{QUESTION}"),
            "QuestionAsked",
            1,
            "educator",
            json!({"text": "How many?", "choices": 2, "labels": ["One", "Both"]}),
        ),
        (
            format!("question-{QUESTION}"),
            "AnswerRevealed",
            1,
            "educator",
            json!({"right": 2}),
        ),
        (
            prediction(),
            "PredictionMade",
            1,
            "student",
            json!({"question": QUESTION, "person": PERSON, "name": sealed, "choice": 2}),
        ),
    ]
}

#[test]
fn events_that_the_program_writes_are_valid() {
    for (stream, name, version, role, data) in real() {
        let event = event(&stream, name, version, role, &data);
        assert_eq!(fields(&event), Vec::<String>::new(), "{name} {version}");
        let stored = stored(&stream, name, version, role, &data);
        assert_eq!(violated(validate_payload(&stored)), [""; 0], "{name} {version}");
    }
}

#[test]
fn a_member_that_the_version_of_a_type_does_not_have_is_refused_by_name() {
    for (stream, name, version, role, data) in real() {
        let mut more = data.clone();
        more["note"] = json!("\u{202e}<b>".repeat(100_000));
        let event = stored(&stream, name, version, role, &more);
        let found = violated(validate_payload(&event));
        assert!(found.contains(&"data.note".to_owned()), "{name}: {found:?}");
    }
    let created = json!({"customer": {"id": PERSON, "name": "Ada"}, "lines": [line()],
        "total": price(1_000), "payment_method": "tok_ok"});
    for (pointer, field) in [("/customer", "data.customer.x"), ("/lines/0", "data.lines[0].x")] {
        let mut data = created.clone();
        data.pointer_mut(pointer).unwrap()["x"] = json!(1);
        let event = stored("order-1", "OrderCreated", 1, "customer", &data);
        assert!(
            violated(validate_payload(&event)).contains(&field.to_owned()),
            "{field}"
        );
    }
    // A newer version has the member, and an older one does not.
    let language = stored(
        &format!("user-{PERSON}"),
        "UserRegistered",
        1,
        "student",
        &registered(),
    );
    assert_eq!(violated(validate_payload(&language))[0], "data.language");
    // The name of a member may be anything; what is said of it is one short line.
    let mut odd = json!({"quantity": 1});
    odd["\u{202e}".repeat(1_000)] = json!(1);
    let event = stored("inventory-mug", "StockReceived", 1, "staff", &odd);
    let refused = validate_payload(&event).unwrap_err();
    assert!(refused.violations[0].field.is_ascii() && refused.violations[0].field.len() < 500);
}

#[test]
fn a_payload_with_other_bytes_than_its_content_needs_is_refused() {
    let upper = json!({"customer": PERSON.to_uppercase()});
    let event = stored("order-1", "OrderShipped", 2, "staff", &upper);
    assert_eq!(violated(validate_payload(&event)), ["data.customer"]);
    let mut padded = stored(
        "inventory-mug",
        "StockReceived",
        1,
        "staff",
        &json!({"quantity": 1}),
    );
    for payload in ["{\"quantity\":  1}", "{\"quantit\\u0079\":1}"] {
        padded.payload = RawValue::from_string(payload.to_owned()).unwrap();
        padded.decode().unwrap();
        assert_eq!(violated(validate_payload(&padded)), ["data"], "{payload}");
    }
}

#[test]
fn a_stream_begins_with_the_event_that_creates_and_a_person_is_registered_once() {
    for (stream, name, version, role, data) in real() {
        let mut event = event(&stream, name, version, role, &data);
        if BEGINNINGS.contains(&name) {
            event.version = 2;
        } else if [
            "PriceChanged",
            "DisplayNameChanged",
            "StockReserved",
            "OrderShipped",
        ]
        .contains(&name)
        {
            event.version = 1;
        } else {
            continue;
        }
        assert_eq!(fields(&event), ["streamversion"], "{name}");
    }
}

#[test]
fn an_account_is_made_and_changed_only_by_those_who_may() {
    let stream = format!("user-{PERSON}");
    let register = |actor: &str, role: &str| {
        let data = with(&registered(), "/role", json!(role));
        fields(&event(&stream, "UserRegistered", 2, actor, &data))
    };
    for (actor, role) in [
        ("customer", "customer"),
        ("student", "customer"),
        ("student", "student"),
        ("educator", "educator"),
        ("educator", "staff"),
        ("system", "customer"),
    ] {
        assert_eq!(register(actor, role), [""; 0], "{role} by {actor}");
    }
    for (actor, role) in [
        ("customer", "educator"),
        ("customer", "staff"),
        ("staff", "educator"),
    ] {
        assert_eq!(register(actor, role), ["data.role"], "{role} by {actor}");
    }
    let other = Uuid::from_u128(7);
    let mut registered = event(&stream, "UserRegistered", 2, "customer", &registered());
    registered.metadata.actor.id = other;
    assert_eq!(fields(&registered), ["data.role"]);
    let data = json!({"display_name": "Ada"});
    let mut changed = event(&stream, "DisplayNameChanged", 1, "educator", &data);
    changed.metadata.actor.id = other;
    assert_eq!(fields(&changed), ["actorid"]);
}

#[test]
fn names_and_emails_have_the_form_in_which_commands_store_them() {
    let stream = format!("user-{PERSON}");
    for (pointer, values, field) in [
        (
            "/email",
            [
                "Ada@example.org",
                " ada@example.org",
                "\u{430}da@example.org",
                "ada@b\u{fc}cher.example",
            ],
            "data.email",
        ),
        (
            "/display_name",
            ["\u{410}da", "\u{251}da", "\u{1d159}", "Adm\u{131}n"],
            "data.display_name",
        ),
    ] {
        for value in values {
            let data = with(&registered(), pointer, json!(value));
            let event = event(&stream, "UserRegistered", 2, "student", &data);
            assert_eq!(fields(&event), [field], "{value}");
        }
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
fn questions_and_answers_that_a_command_would_not_have_are_refused() {
    let asked = json!({"text": "How many?", "choices": 2, "labels": ["One", "Both"]});
    let question = format!("question-{QUESTION}");
    for (pointer, value, field) in [
        ("/text", json!("a\u{202e}b"), "data.text"),
        ("/choices", json!(9), "data.choices"),
        ("/labels/1", json!(""), "data.labels[1]"),
    ] {
        let event = event(
            &question,
            "QuestionAsked",
            1,
            "educator",
            &with(&asked, pointer, value),
        );
        assert!(fields(&event).contains(&field.to_owned()), "{pointer}");
    }
    let by_student = event(&question, "QuestionAsked", 1, "student", &asked);
    assert_eq!(fields(&by_student), ["actorrole"]);
    let elsewhere = event("question-1", "QuestionAsked", 1, "educator", &asked);
    assert_eq!(fields(&elsewhere), ["subject"]);

    let made = json!({"question": QUESTION, "person": PERSON, "name": "Ada", "choice": 2});
    for (pointer, value, found) in [
        ("/choice", json!(5), vec!["data.choice"]),
        ("/choice", json!(null), vec!["data"]),
        ("/question", json!(PERSON), vec!["subject"]),
        ("/person", json!(QUESTION), vec!["subject", "actorid"]),
        ("/name", json!("a\nb"), vec!["data.name"]),
    ] {
        let event = event(
            &prediction(),
            "PredictionMade",
            1,
            "student",
            &with(&made, pointer, value),
        );
        assert_eq!(fields(&event), found, "{pointer}");
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
    event.metadata.causation_id = Some(Uuid::nil());
    event.metadata.actor.id = Uuid::nil();
    event.metadata.traceparent = Some("a\nb".to_owned());
    assert_eq!(
        fields(&event),
        [
            "id",
            "correlationid",
            "commandid",
            "causationid",
            "actorid",
            "traceparent"
        ]
    );
    for stream in ["user-ada", &format!("user-{}", Uuid::nil())] {
        let event = self::event(stream, "UserErased", 1, "student", &json!({}));
        assert_eq!(fields(&event), ["subject"], "{stream}");
    }
}
