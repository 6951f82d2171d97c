//! An event in words: its name, what its payload says in short, and the links to it and to its stream.

use domain::{
    event::{StoredEvent, personal},
    money::Money,
};
use leptos::prelude::*;
use serde_json::Value;

use crate::{
    components::{Id, event_label},
    erase::{Erase, View},
    format::fixed_money,
    live::store::typed,
};

/// How many lines of an order are named.
const MOST_LINES: usize = 3;

/// The payload of an event as JSON.
pub(crate) fn payload_of(event: &StoredEvent) -> Value {
    serde_json::from_str(event.payload.get()).unwrap_or_default()
}

/// The name of an event, which leads to its page: in words, where it has some, and its type.
pub(crate) fn event_name(event: &StoredEvent) -> View {
    let href = ["/lab/events/", &event.event_id.to_string()].concat();
    let label = event_label(&event.event_type);
    let label = label.map(|label| view! { <b>{label}</b>" " }.erase());
    view! { <a href=href>{label}<code>{event.event_type.clone()}</code></a> }.erase()
}

/// The link to the stream of an event, at its version.
pub(crate) fn stream_link(event: &StoredEvent) -> View {
    let (name, version) = (event.stream.as_str(), event.version.to_string());
    let href = ["/lab/streams/", name, "?version=", &version].concat();
    let (category, id) = (event.stream.category().to_owned(), event.stream.id().to_owned());
    view! { <a href=href><code>{category}"-"</code><Id id /></a> }.erase()
}

/// What a payload says in short: its goods, its amount and its reason.
pub(crate) fn summary(payload: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    let text = |name: &str| {
        let text = payload[name].as_str()?;
        // What is sealed is shown with its reason, on the page of the event.
        personal::parts(text).is_none().then(|| text.to_owned())
    };
    words.extend(text("name"));
    let lines = payload["lines"].as_array().map_or(&[][..], Vec::as_slice);
    let goods = lines.iter().filter_map(|line| {
        let (quantity, sku) = (line["quantity"].as_u64()?, line["sku"].as_str()?);
        Some(format!("{quantity} × {sku}"))
    });
    words.extend(goods.take(MOST_LINES));
    if lines.len() > MOST_LINES {
        words.push("…".to_owned());
    }
    words.extend(
        payload["quantity"]
            .as_u64()
            .map(|quantity| format!("× {quantity}")),
    );
    let amounts = ["total", "amount", "price"].iter();
    words.extend(
        amounts
            .filter_map(|name| typed::<Money>(&payload[*name]))
            .map(|money| fixed_money(&money)),
    );
    words.extend(text("reason"));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_is_its_goods_and_its_total_and_never_its_sealed_name() {
        let line = |sku: &str| json!({"sku": sku, "name": sku, "quantity": 2});
        let customer = json!({"id": "7", "name": "sealed:00000000-0000-0000-0000-000000000007:abc"});
        let order = json!({
            "customer": customer, "lines": [line("mug-01"), line("ink-01")],
            "total": {"amount": 2_500, "currency": "EUR"},
        });
        assert_eq!(summary(&order), "2 × mug-01, 2 × ink-01, EUR 25.00");
        let lines: Vec<Value> = ["a", "b", "c", "d"].map(line).into();
        assert_eq!(summary(&json!({"lines": lines})), "2 × a, 2 × b, 2 × c, …");
        assert_eq!(summary(&customer), "");
        assert_eq!(summary(&json!({"quantity": 12})), "× 12");
        assert_eq!(summary(&json!({"reason": "changed my mind"})), "changed my mind");
        assert_eq!(summary(&json!([])), "");
    }
}
