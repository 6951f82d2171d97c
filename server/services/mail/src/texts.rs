//! The texts of emails and of the page behind their link: one file for each language, in `texts/`.
//!
//! A language without a file reads English. Inserted values are isolated in languages that are written from
//! right to left, so that an order's id or an amount keeps its own direction (UAX #9, section 6.3).

use std::{collections::BTreeMap, sync::LazyLock};

use domain::{language::Language, reason::Reason};
use serde::Deserialize;

/// The languages with a file.
const FILES: [(Language, &str); 4] = [
    (Language::En, include_str!("../texts/en.json")),
    (Language::De, include_str!("../texts/de.json")),
    (Language::Ar, include_str!("../texts/ar.json")),
    (Language::Ja, include_str!("../texts/ja.json")),
];

/// The characters around an inserted value: FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE.
const ISOLATE: (char, char) = ('\u{2068}', '\u{2069}');

/// The texts of one language, with placeholders such as `{{ order }}`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) greeting: String,
    pub(super) greeting_without_name: String,
    /// A line of an order.
    pub(super) line: String,
    /// A line or the total, with its amount.
    pub(super) price: String,
    pub(super) total: String,
    pub(super) reason: String,
    pub(super) unsubscribe: String,
    pub(super) welcome: Subject,
    pub(super) confirm_email: LinkTexts,
    pub(super) email_changed: WarningTexts,
    pub(super) password_reset: LinkTexts,
    pub(super) password_changed: WarningTexts,
    pub(super) order_confirmed: Subject,
    pub(super) order_rejected: Subject,
    pub(super) order_cancelled: Subject,
    pub(super) order_shipped: Subject,
    pub(super) order_delivered: Subject,
    pub(super) payment_refunded: Subject,
    reasons: Reasons,
    unsubscribe_page: UnsubscribePage,
}

/// The subject and the first paragraph of an email.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) subject: String,
    pub(super) text: String,
}

/// An email about a change that its reader may not have made.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WarningTexts {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) warning: String,
}

/// An email with a link that its reader may not have requested.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkTexts {
    pub(super) subject: String,
    pub(super) text: String,
    /// The label of the link.
    pub(super) action: String,
    pub(super) warning: String,
}

/// One text for each reason of the shop.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasons {
    sold_out: String,
    too_few: String,
    not_available: String,
    cannot_be_reserved: String,
    cannot_be_charged: String,
    stock_taken: String,
    payment_late: String,
    not_paid: String,
    payment_refunded: String,
    order_rejected: String,
    order_cancelled: String,
    payment_too_late: String,
    card_declined: String,
    insufficient_funds: String,
    unknown_method: String,
}

/// The texts of the page behind the link that stops emails.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnsubscribePage {
    /// The title of the form.
    pub question: String,
    /// What the form does.
    pub question_text: String,
    /// The form's button.
    pub action: String,
    /// The title once emails are stopped.
    pub done: String,
    /// The text once emails are stopped.
    pub done_text: String,
    /// The title of a failure.
    pub unavailable: String,
    /// The text of a failure.
    pub unavailable_text: String,
    /// The title for an unknown link.
    pub unknown: String,
    /// The text for an unknown link.
    pub unknown_text: String,
}

static TEXTS: LazyLock<BTreeMap<Language, Texts>> = LazyLock::new(|| {
    let parse = |(language, file): (Language, &str)| match serde_json::from_str(file) {
        Ok(texts) => Some((language, texts)),
        Err(error) => {
            tracing::error!(%language, %error, "the texts of emails cannot be read; they are in English");
            None
        }
    };
    FILES.into_iter().filter_map(parse).collect()
});

/// Texts of no language, should even the English file be unreadable.
static NO_TEXTS: LazyLock<Texts> = LazyLock::new(Texts::default);

/// The language in which a reader of `language` gets emails: English, unless its texts exist.
pub(super) fn written_language(language: Language) -> Language {
    if TEXTS.contains_key(&language) {
        language
    } else {
        Language::En
    }
}

/// The texts of a written language.
pub(super) fn texts(language: Language) -> &'static Texts {
    TEXTS.get(&written_language(language)).unwrap_or(&NO_TEXTS)
}

/// The page behind the link that stops emails, with the language of its texts.
pub fn unsubscribe_page(language: Language) -> (Language, &'static UnsubscribePage) {
    (written_language(language), &texts(language).unsubscribe_page)
}

/// A text with values in place of its placeholders. A placeholder without a value stays as it is.
pub(super) fn fill(language: Language, text: &str, values: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, (name, after))) = next_placeholder(rest) {
        filled.push_str(before);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) if language.is_rtl() => {
                filled.push(ISOLATE.0);
                filled.push_str(value);
                filled.push(ISOLATE.1);
            }
            Some((_, value)) => filled.push_str(value),
            None => filled.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The text before the next placeholder, its name, and the text after it.
fn next_placeholder(text: &str) -> Option<(&str, (&str, &str))> {
    let (before, rest) = text.split_once("{{ ")?;
    Some((before, rest.split_once(" }}")?))
}

/// A reason in the reader's words; one that a person has typed stays as it is.
pub(super) fn reason(language: Language, stored: &str) -> String {
    let language = written_language(language);
    let Reasons {
        sold_out,
        too_few,
        not_available,
        cannot_be_reserved,
        cannot_be_charged,
        stock_taken,
        payment_late,
        not_paid,
        payment_refunded,
        order_rejected,
        order_cancelled,
        payment_too_late,
        card_declined,
        insufficient_funds,
        unknown_method,
    } = &texts(language).reasons;
    let text = match Reason::parse(stored) {
        None => return stored.to_owned(),
        Some(Reason::SoldOut { product }) => return fill(language, sold_out, &[("product", product)]),
        Some(Reason::TooFew {
            product,
            available,
            requested,
        }) => {
            let (available, requested) = (available.to_string(), requested.to_string());
            let values = [
                ("product", product),
                ("available", available.as_str()),
                ("requested", requested.as_str()),
            ];
            return fill(language, too_few, &values);
        }
        Some(Reason::NotAvailable { requested, available }) => {
            let (requested, available) = (requested.to_string(), available.to_string());
            let values = [
                ("requested", requested.as_str()),
                ("available", available.as_str()),
            ];
            return fill(language, not_available, &values);
        }
        Some(Reason::CannotBeReserved { .. }) => cannot_be_reserved,
        Some(Reason::CannotBeCharged { .. }) => cannot_be_charged,
        Some(Reason::StockTaken) => stock_taken,
        Some(Reason::PaymentLate) => payment_late,
        Some(Reason::NotPaid) => not_paid,
        Some(Reason::PaymentRefunded) => payment_refunded,
        Some(Reason::OrderRejected) => order_rejected,
        Some(Reason::OrderCancelled) => order_cancelled,
        Some(Reason::PaymentTooLate) => payment_too_late,
        Some(Reason::CardDeclined) => card_declined,
        Some(Reason::InsufficientFunds) => insufficient_funds,
        Some(Reason::UnknownMethod) => unknown_method,
    };
    text.clone()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Every text of a file by its path, with its placeholders.
    fn placeholders(file: &str) -> BTreeMap<String, BTreeSet<String>> {
        fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
            match value {
                Value::Object(members) => {
                    for (key, member) in members {
                        walk(&format!("{path}/{key}"), member, found);
                    }
                }
                Value::String(text) => {
                    assert!(!text.trim().is_empty(), "{path} is empty");
                    let (mut names, mut rest) = (BTreeSet::new(), text.as_str());
                    while let Some((_, (name, after))) = next_placeholder(rest) {
                        names.insert(name.to_owned());
                        rest = after;
                    }
                    found.insert(path.to_owned(), names);
                }
                other => panic!("{path}: {other}"),
            }
        }
        let mut found = BTreeMap::new();
        walk("", &serde_json::from_str(file).unwrap(), &mut found);
        found
    }

    #[test]
    fn every_language_has_every_text_with_its_placeholders() {
        let english = placeholders(FILES[0].1);
        for (language, file) in FILES {
            serde_json::from_str::<Texts>(file).unwrap_or_else(|error| panic!("{language}: {error}"));
            assert_eq!(placeholders(file), english, "{language}");
        }
    }

    #[test]
    fn a_language_without_a_file_reads_english() {
        assert_eq!(written_language(Language::Ja), Language::Ja);
        assert_eq!(written_language(Language::Fr), Language::En);
        assert_eq!(texts(Language::Fr).total, "Total");
    }

    #[test]
    fn a_value_is_inserted_once_and_isolated_in_arabic() {
        let text = "{{ a }} and {{ b }}, {{ c }}";
        let values = [("a", "{{ b }}"), ("b", "2")];
        assert_eq!(
            fill(Language::De, text, &values),
            "{{ b }} and 2, {{ c }}",
            "a value is no text with placeholders"
        );
        assert_eq!(
            fill(Language::Ar, "{{ b }}.", &values),
            "\u{2068}2\u{2069}.",
            "isolated"
        );
    }

    #[test]
    fn a_reason_of_the_shop_is_translated_and_a_typed_one_is_not() {
        let stored = Reason::SoldOut { product: "Becher" }.to_string();
        assert_eq!(reason(Language::De, &stored), "Becher ist ausverkauft");
        let stored = Reason::CardDeclined.to_string();
        assert_eq!(reason(Language::En, &stored), stored);
        assert_eq!(reason(Language::De, &stored), "die Karte wurde abgelehnt");
        assert_eq!(reason(Language::De, "changed my mind"), "changed my mind");
    }
}
