//! The form that lists a new product. The server validates its fields, and its answer names each invalid one;
//! only the price is parsed here.

use domain::aggregate::product::MAX_TAGS;
use leptos::{html, prelude::*};
use serde_json::json;

use super::{
    fields::{field, submit_button},
    row_actions::refusal,
    sender::Sender,
};
use crate::{
    components::text,
    erase::{Erase, View},
    format::parse_money,
    language::language,
    text,
};

/// The currency of a new product's price.
const CURRENCY: &str = "EUR";

/// The text in a field.
fn value(field: NodeRef<html::Input>) -> String {
    field
        .get_untracked()
        .map(|field| field.value())
        .unwrap_or_default()
}

/// The tags of a field, which separates them by commas.
fn tag_list(field: &str) -> Vec<String> {
    field
        .split([',', '،', '、'])
        .map(|tag| tag.trim().to_lowercase())
        .filter(|tag| !tag.is_empty())
        .collect()
}

/// The form, collapsed until it is opened.
pub(super) fn new_product() -> View {
    let language = language();
    let sender = Sender::new();
    let wrong_price = RwSignal::new(false);
    let message = RwSignal::new(String::new());
    let [sku, name, description, price, tags] = [(); 5].map(|()| NodeRef::<html::Input>::new());
    let submit = move || {
        let sku_value = value(sku).trim().to_lowercase();
        let name_value = value(name).trim().to_owned();
        let amount = parse_money(&value(price), CURRENCY);
        sender.clear();
        message.set(String::new());
        wrong_price.set(amount.is_none());
        let Some(amount) = amount else {
            return;
        };
        let data = json!({
            "sku": sku_value,
            "name": name_value,
            "description": value(description).trim(),
            "price": amount,
            "tags": tag_list(&value(tags)),
        });
        sender.send("ListProduct", format!("product-{sku_value}"), data, move || {
            for field in [sku, name, description, price, tags] {
                if let Some(Some(field)) = field.try_get_untracked() {
                    field.set_value("");
                }
            }
            let _ = message.try_set(text::office::listed(language, &name_value));
        });
    };
    let price_error = move || {
        if wrong_price.get() {
            text::office::price_wrong(language).to_owned()
        } else {
            sender.violation("data.price")
        }
    };
    let of = move |name: &'static str| move || sender.violation(name);
    view! {
        <details class="panel needs-script">
            <summary>{text::office::new_product(language)}</summary>
            <form
                class="form"
                novalidate
                on:submit=move |event| {
                    event.prevent_default();
                    submit();
                }
            >
                {field(
                    "text",
                    "new-sku",
                    text::office::sku(language),
                    text::office::sku_help(language),
                    sku,
                    text(of("data.sku")),
                )}
                {field(
                    "text",
                    "new-name",
                    text::office::name(language),
                    text::office::name_help(language),
                    name,
                    text(of("data.name")),
                )}
                {field(
                    "text",
                    "new-description",
                    text::office::description(language),
                    text::office::description_help(language),
                    description,
                    text(of("data.description")),
                )}
                {field(
                    "text",
                    "new-price",
                    text::office::new_price(language),
                    text::office::price_help(language),
                    price,
                    text(price_error),
                )}
                {field(
                    "text",
                    "new-tags",
                    text::office::tags(language),
                    text::office::tags_help(language, MAX_TAGS),
                    tags,
                    text(of("data.tags")),
                )}
                {refusal(sender)}
                {submit_button(text::office::list_product(language), sender)}
                <p class="field__help" role="status">{text(move || message.get())}</p>
            </form>
        </details>
    }
    .erase()
}
