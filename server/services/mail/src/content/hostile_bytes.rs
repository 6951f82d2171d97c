//! Hostile texts in mails: names, addresses, reasons, products and links of people. None becomes a header, a
//! recipient or a tag.

use domain::{event::StoredEvent, language::Language};
use fuzz::{Strategy, TestCaseError, any, check, prop, prop_assert, prop_assert_eq, texts, texts_like};
use mailparse::MailHeaderMap as _;
use serde_json::{Value, json};

use super::{Address, Envelope, FreeText, of_order};

const ADDRESSES: &[&str] = &[
    "ada@example.org",
    "\"a b\"@example.org",
    "jörg@mail.example",
    "a@[127.0.0.1]",
    "ada@xn--bcher-kva.example",
];

/// The headers that a mail has; the mail server adds its own.
const HEADERS: [&str; 12] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "content-language",
    "auto-submitted",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// A recipient: an address, a name, and whether the address is confirmed.
fn recipients() -> impl Strategy<Value = (String, String, bool)> {
    (texts_like(ADDRESSES), texts(), any::<bool>())
}

/// An event of an order with a text of a person, as it is stored.
fn event(kind: &str, text: &str, amount: i64) -> StoredEvent {
    let customer = "0198c1a2-0000-7000-8000-000000000004";
    let price = json!({"amount": amount, "currency": "EUR"});
    let payload: Value = match kind {
        "OrderConfirmed" => json!({"customer": customer, "total": price, "lines": [
            {"sku": "mug", "name": text, "price": price, "quantity": 2}]}),
        _ => json!({"customer": customer, "reason": text}),
    };
    let id = |n: u8| format!("0198c1a2-0000-7000-8000-00000000000{n}");
    let event = json!({
        "workspace": id(1), "partition": 0, "position": 1, "stream": "order-1", "version": 2,
        "event_id": id(2), "type": kind, "schema_version": 2, "payload": payload,
        "recorded_at": "2026-11-29T06:00:00Z", "hash": "",
        "metadata": {"correlation_id": id(3), "command_id": id(3), "actor": {"id": id(3), "role": "system"}},
    });
    serde_json::from_str(&event.to_string()).unwrap()
}

/// Renders a mail, and reads it as a mail program does.
fn holds(
    (email, name, confirmed): (String, String, bool),
    (kind, text, amount): (&str, &str, i64),
    language: Language,
) -> Result<(), TestCaseError> {
    let event = event(kind, text, amount).decode().unwrap();
    let to = Address {
        email,
        name,
        language,
        confirmed,
    };
    let content = of_order(&event, language, FreeText::to(&to));
    prop_assert!(content.is_some(), "there is a mail about {kind}");
    let Some(content) = content else {
        return Ok(());
    };
    let from = "The shop <shop@shop.test>".parse().unwrap();
    let rendered = content.render(&Envelope {
        from: &from,
        to: &to,
        unsubscribe: Some("https://shop.test/unsubscribe?token=a"),
        event: &event,
        id: event.event_id,
    });
    let Ok(message) = rendered else {
        // An address that is none is refused.
        return Ok(());
    };
    prop_assert_eq!(message.envelope().to().len(), 1);
    let bytes = message.formatted();
    prop_assert!(bytes.len() < 20_000 + 40 * (text.len() + to.name.len() + to.email.len()));
    let mail = mailparse::parse_mail(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    for header in &mail.headers {
        let name = header.get_key().to_ascii_lowercase();
        prop_assert!(HEADERS.contains(&name.as_str()), "a header {name}");
    }
    prop_assert_eq!(mail.headers.get_all_headers("To").len(), 1);
    prop_assert_eq!(mail.subparts.len(), 2);
    let html = mail.subparts[1]
        .get_body()
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(!html.contains("<script"), "{html}");
    Ok(())
}

#[test]
fn hostile_mails_have_no_header_and_no_tag_of_a_person() {
    let kinds = prop::sample::select(vec!["OrderConfirmed", "OrderRejected"]);
    let languages = prop::sample::select(vec![Language::En, Language::De, Language::Ar, Language::Ja]);
    let inputs = (recipients(), (kinds, texts(), any::<i64>()), languages);
    check(&inputs, |(to, (kind, text, amount), language)| {
        holds(to, (kind, &text, amount), language)
    });
}
