//! Values in monospace: money, instants and ids.

use domain::{money::Money, timestamp::Timestamp};
use leptos::prelude::*;

use super::text;
use crate::{
    erase::Erase,
    format::{decimal, fixed_money, fixed_time, local_money, local_time, use_alive},
    live::store::Shown,
};

/// An amount of money, in the reader's locale once the page is alive.
#[component]
pub(crate) fn Price(#[prop(into)] amount: Signal<Option<Money>>) -> impl IntoView {
    let alive = use_alive();
    let words = move || {
        amount.with(|amount| match amount {
            Some(money) if alive.get() => local_money(money),
            Some(money) => fixed_money(money),
            None => String::new(),
        })
    };
    let value = move || amount.with(|amount| amount.as_ref().map(decimal).unwrap_or_default());
    view! { <data class="money" value=text(value)>{text(words)}</data> }.erase()
}

/// An instant, in the reader's locale once the page is alive; the exact one is in the tooltip.
#[component]
pub(crate) fn When(at: Timestamp) -> impl IntoView {
    let alive = use_alive();
    let exact = at.to_string();
    let words = move || {
        if alive.get() {
            local_time(at)
        } else {
            fixed_time(at)
        }
    };
    view! { <time class="time" datetime=exact.clone() title=exact>{text(words)}</time> }.erase()
}

/// How many characters of an id are shown: the end, because ids of one moment begin alike.
const SHOWN: usize = 8;

/// An id, shortened; the whole is in the tooltip.
#[component]
pub(crate) fn Id(#[prop(into)] id: String) -> impl IntoView {
    let short = match id.char_indices().rev().nth(SHOWN - 1) {
        Some((at, _)) if at > 1 => format!("…{}", &id[at..]),
        _ => id.clone(),
    };
    view! { <code class="id" title=id>{short}</code> }.erase()
}

/// The class that lets something flash once for each change: two names take turns, because an animation starts anew
/// only under another name.
pub(crate) fn flash<D: Send + Sync + 'static>(shown: Memo<Shown<D>>) -> &'static str {
    match shown.with(|shown| shown.as_ref().map_or(0, |(_, revision)| *revision)) {
        0 => "",
        odd if odd % 2 == 1 => "flash-odd",
        _ => "flash-even",
    }
}
