//! The words for dials and their values, which the banner on every page and the page of the dials share.

use serde_json::Value;

use crate::{lab::dials::BentValue, language::language, text};

/// The name of a dial, by its path. Of a guarantee, it says that it is taken away.
pub(crate) fn dial_name(dial: &str) -> String {
    let language = language();
    if let Some((view, dial)) = dial
        .strip_prefix("projections.")
        .and_then(|rest| rest.split_once('.'))
    {
        let name = match dial {
            "paused" => text::dials::view_paused(language),
            "slow_ms" => text::dials::view_slow(language),
            "fail" => text::dials::view_failing(language),
            "poison_type" => text::dials::view_poison(language),
            other => other,
        };
        return text::dials::of_view(language, view, name);
    }
    let name = match dial {
        "broker.paused" => text::dials::broker_paused(language),
        "broker.delay_ms" => text::dials::broker_delay(language),
        "broker.jitter_ms" => text::dials::broker_jitter(language),
        "broker.duplicate" => text::dials::broker_duplicates(language),
        "broker.reorder_within" => text::dials::broker_reordering(language),
        "broker.lose_acknowledgement" => text::dials::broker_lost(language),
        "cache.off" => text::dials::cache_off(language),
        "cache.ttl_ms" => text::dials::cache_time_to_live(language),
        "cache.skip_invalidation" => text::dials::cache_skip(language),
        "payment.mode" => text::dials::payment_mode(language),
        "payment.delay_ms" => text::dials::payment_slow(language),
        "payment.fail" => text::dials::payment_failing(language),
        "mail.away" => text::dials::mail_away(language),
        "mail.fail" => text::dials::mail_failing(language),
        "live.cut" => text::dials::live_cut(language),
        "live.delay_ms" => text::dials::live_slow(language),
        "live.lose_frame" => text::dials::live_lost(language),
        "clock.frozen" => text::dials::clock_frozen(language),
        "guarantees.optimistic_concurrency" => text::dials::no_optimistic_concurrency(language),
        "guarantees.duplicate_detection" => text::dials::no_duplicate_detection(language),
        "guarantees.gap_detection" => text::dials::no_gap_detection(language),
        "guarantees.idempotency_keys" => text::dials::no_idempotency_keys(language),
        "guarantees.no_effects_on_replay" => text::dials::no_quiet_replay(language),
        "guarantees.publish_after_commit" => text::dials::no_commit_first(language),
        other => other,
    };
    name.to_owned()
}

/// A bent dial with its value, as in `broker delay 2 s`.
pub(crate) fn bent_words(bent: &BentValue) -> String {
    let name = dial_name(&bent.dial);
    let value = if bent.value.is_null() {
        text::dials::at_rest(language()).to_owned()
    } else {
        dial_value(&bent.dial, &bent.value)
    };
    match bent.value {
        _ if value.is_empty() => name,
        Value::Object(_) => [&name, " (", &value, ")"].concat(),
        _ => [&name, " ", &value].concat(),
    }
}

/// The value of a dial; empty where its name says all, because it is only on or off.
pub(crate) fn dial_value(dial: &str, value: &Value) -> String {
    let language = language();
    match value {
        Value::Number(count) if dial == "broker.reorder_within" => {
            text::dials::every(language, count.as_u64().unwrap_or_default())
        }
        Value::Number(number) => duration(number.as_u64().unwrap_or_default()),
        Value::Object(members) => {
            let member = |name: &str| {
                members
                    .get(name)
                    .and_then(Value::as_u64)
                    .filter(|count| *count > 0)
            };
            let words = [
                member("next").map(|count| text::dials::next(language, count)),
                member("every").map(|count| text::dials::every(language, count)),
                member("percent").map(|percent| text::dials::percent(language, percent)),
            ];
            let words: Vec<String> = words.into_iter().flatten().collect();
            words.join(", ")
        }
        Value::String(word) if dial == "payment.mode" => provider_mode(word).to_owned(),
        // A type of event.
        Value::String(word) => word.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) => String::new(),
    }
}

/// The word for what the payment provider answers.
pub(crate) fn provider_mode(mode: &str) -> &str {
    let language = language();
    match mode {
        "normal" => text::dials::normal(language),
        "declining" => text::dials::declining(language),
        "silent" => text::dials::silent(language),
        other => other,
    }
}

/// Milliseconds; whole seconds as seconds.
fn duration(ms: u64) -> String {
    let language = language();
    if ms >= 1_000 && ms.is_multiple_of(1_000) {
        text::dials::seconds(language, ms / 1_000)
    } else {
        text::dials::milliseconds(language, ms)
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lab::dials::{BOXES, PROJECTIONS};

    fn words(dial: &str, value: Value) -> String {
        bent_words(&BentValue {
            dial: dial.to_owned(),
            name: "Ada".to_owned(),
            value,
        })
    }

    #[test]
    fn a_bent_dial_is_said_with_its_value_and_unit() {
        assert_eq!(words("broker.delay_ms", json!(2_000)), "broker delay 2 s");
        assert_eq!(words("broker.delay_ms", json!(1_500)), "broker delay 1500 ms");
        assert_eq!(words("cache.off", json!(true)), "cache off");
        assert_eq!(words("payment.mode", json!("silent")), "payment provider silent");
        assert_eq!(words("projections.orders.paused", json!(true)), "orders: paused");
        let poison = words("projections.orders.poison_type", json!("OrderCreated"));
        assert_eq!(poison, "orders: poison event OrderCreated");
        assert_eq!(
            words("broker.reorder_within", json!(2)),
            "reordered deliveries 1 of every 2"
        );
        let often = json!({"next": 3, "every": 5, "percent": 10});
        assert_eq!(
            words("broker.duplicate", often),
            "duplicate deliveries (next 3, 1 of every 5, 10 %)"
        );
    }

    #[test]
    fn every_dial_has_a_name() {
        for of in BOXES {
            for (dial, _) in of.dials {
                let view = if of.id == PROJECTIONS { ".orders" } else { "" };
                let path = format!("{}{view}.{dial}", of.id);
                let name = dial_name(&path);
                assert!(!name.contains(dial) || !dial.contains('_'), "{path}: {name}");
                assert_ne!(name, path);
            }
        }
    }
}
