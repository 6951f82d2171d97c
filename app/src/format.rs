//! Formats money and time. The server renders a fixed form, which hydration expects; after hydration, the
//! browser's `Intl` formats the value for the language of the page and the reader's region. So no locale data
//! is sent to the browser.

use domain::{
    money::{Money, minor_digits},
    timestamp::Timestamp,
};
use leptos::prelude::*;

/// Whether hydration is complete: false on the server and during hydration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hydration(RwSignal<bool>);

/// Provides the islands with the state of hydration.
#[cfg(not(feature = "ssr"))]
pub(crate) fn provide_hydration() -> Hydration {
    let hydration = Hydration(RwSignal::new(false));
    provide_context(hydration);
    hydration
}

#[cfg(not(feature = "ssr"))]
impl Hydration {
    /// Records that every island has hydrated.
    pub(crate) fn complete(self) {
        self.0.set(true);
    }
}

/// Whether hydration is complete.
pub(crate) fn use_hydrated() -> Signal<bool> {
    use_context::<Hydration>().map_or_else(|| Signal::stored(false), |hydration| hydration.0.into())
}

/// An amount as a decimal number: `12.50`.
pub(crate) fn decimal(money: &Money) -> String {
    let digits = minor_digits(&money.currency);
    let (sign, amount) = (
        if money.amount < 0 { "-" } else { "" },
        money.amount.unsigned_abs(),
    );
    match 10_u64.pow(u32::from(digits)) {
        1 => format!("{sign}{amount}"),
        unit => format!(
            "{sign}{}.{:0width$}",
            amount / unit,
            amount % unit,
            width = usize::from(digits)
        ),
    }
}

/// Parses an amount as people write it, `12.50` or `12,5`; `None` if it is not a number, or has too many
/// digits for the currency.
pub(crate) fn parse_money(text: &str, currency: &str) -> Option<Money> {
    let digits = usize::from(minor_digits(currency));
    let text = text.trim();
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > digits || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let amount = format!("{whole}{fraction:0<digits$}").parse().ok()?;
    Some(Money::new(amount, currency))
}

/// The fixed form of an amount: `EUR 12.50`.
pub(crate) fn fixed_money(money: &Money) -> String {
    format!("{} {}", money.currency, decimal(money))
}

/// The fixed form of an instant: `2026-11-21 20:22:36 UTC`.
pub(crate) fn fixed_time(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

/// An instant to the millisecond: `2026-11-21 20:22:36.000 UTC`. For people who compare the times of events,
/// it is the same before and after hydration.
pub(crate) fn fixed_millis(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..23)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

/// The form after hydration; on the server, the fixed one.
#[cfg(feature = "ssr")]
pub(crate) fn local_money(money: &Money) -> String {
    fixed_money(money)
}

/// The form after hydration; on the server, the fixed one.
#[cfg(feature = "ssr")]
pub(crate) fn local_time(at: Timestamp) -> String {
    fixed_time(at)
}

#[cfg(not(feature = "ssr"))]
pub(crate) use intl::{local_money, local_time};

#[cfg(not(feature = "ssr"))]
mod intl {
    //! The browser's own formatters, cached.

    use std::{cell::RefCell, collections::BTreeMap};

    use domain::{
        money::{Money, minor_digits},
        timestamp::Timestamp,
    };
    use js_sys::{Array, Function, Intl, Object, Reflect};
    use leptos::prelude::window;
    use wasm_bindgen::JsValue;

    use super::decimal;
    use crate::language::language;

    thread_local! {
        static LOCALES: Array = locales();
        static CURRENCIES: RefCell<BTreeMap<String, Function>> = const { RefCell::new(BTreeMap::new()) };
        static TIMES: Function = {
            let options = options(&[("dateStyle", "medium"), ("timeStyle", "medium")]);
            LOCALES.with(|locales| Intl::DateTimeFormat::new(locales, &options).format())
        };
    }

    /// The language of the page, in the form of the browser's region if the browser has the same language,
    /// and with Latin digits.
    fn locales() -> Array {
        let language = language().code();
        let of_browser = window().navigator().languages();
        let mut of_browser = of_browser.iter().filter_map(|tag| tag.as_string());
        let regional = of_browser.find(|tag| tag.split('-').next() == Some(language));
        let tag = regional.as_deref().unwrap_or(language);
        // A tag may have extensions of its own.
        let tag = tag.split("-u-").next().unwrap_or(language);
        Array::of1(&JsValue::from([tag, "-u-nu-latn"].concat()))
    }

    fn options(entries: &[(&str, &str)]) -> Object {
        let options = Object::new();
        for (name, value) in entries {
            // Setting a property of a plain object does not fail.
            let _ = Reflect::set(&options, &JsValue::from_str(name), &JsValue::from_str(value));
        }
        options
    }

    fn call(formatter: &Function, value: &JsValue) -> Option<String> {
        formatter.call1(&JsValue::UNDEFINED, value).ok()?.as_string()
    }

    /// An amount in the reader's locale.
    pub(crate) fn local_money(money: &Money) -> String {
        let text = money.has_currency().then(|| {
            CURRENCIES.with_borrow_mut(|currencies| {
                let formatter = currencies.entry(money.currency.clone()).or_insert_with(|| {
                    // Browsers have digits of their own for some currencies, and would round.
                    let digits = minor_digits(&money.currency).to_string();
                    let options = options(&[
                        ("style", "currency"),
                        ("currency", &money.currency),
                        ("minimumFractionDigits", &digits),
                        ("maximumFractionDigits", &digits),
                    ]);
                    LOCALES.with(|locales| Intl::NumberFormat::new(locales, &options).format())
                });
                // As text, because `Intl` reads decimal text exactly.
                call(formatter, &JsValue::from_str(&decimal(money)))
            })
        });
        text.flatten().unwrap_or_else(|| super::fixed_money(money))
    }

    /// An instant in the reader's locale and time zone.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 are exact up to the year 287396"
    )]
    pub(crate) fn local_time(at: Timestamp) -> String {
        TIMES
            .with(|formatter| call(formatter, &JsValue::from_f64(at.as_millis() as f64)))
            .unwrap_or_else(|| super::fixed_time(at))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn money_has_the_digits_of_its_currency() {
        for (amount, currency, text) in [
            (1_250, "EUR", "EUR 12.50"),
            (5, "EUR", "EUR 0.05"),
            (-1_205, "EUR", "EUR -12.05"),
            (1_250, "JPY", "JPY 1250"),
            (1_250, "KWD", "KWD 1.250"),
            (12_345, "CLF", "CLF 1.2345"),
        ] {
            assert_eq!(fixed_money(&Money::new(amount, currency)), text);
        }
    }

    #[test]
    fn an_amount_is_read_as_people_write_it() {
        for (text, currency, amount) in [
            ("12.50", "EUR", Some(1_250)),
            (" 12,5 ", "EUR", Some(1_250)),
            ("12", "EUR", Some(1_200)),
            ("12.", "EUR", Some(1_200)),
            ("1250", "JPY", Some(1_250)),
            ("1.5", "JPY", None),
            ("12.345", "EUR", None),
            ("-1", "EUR", None),
            (".5", "EUR", None),
            ("1.2.3", "EUR", None),
            ("", "EUR", None),
            ("twelve", "EUR", None),
            ("99999999999999999999", "EUR", None),
        ] {
            let expected = amount.map(|amount| Money::new(amount, currency));
            assert_eq!(parse_money(text, currency), expected, "{text} {currency}");
        }
    }

    #[test]
    fn an_instant_is_written_to_the_second() {
        let at: Timestamp = "2026-11-21T20:22:36.000042Z".parse().unwrap();
        assert_eq!(fixed_time(at), "2026-11-21 20:22:36 UTC");
    }

    #[test]
    fn the_instant_of_an_event_is_written_to_the_millisecond() {
        let at: Timestamp = "2026-11-21T20:22:36.123987Z".parse().unwrap();
        assert_eq!(fixed_millis(at), "2026-11-21 20:22:36.123 UTC");
    }
}
