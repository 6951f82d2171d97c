//! Values in monospace: money, instants and ids.

use domain::{money::Money, timestamp::Timestamp};
use leptos::prelude::*;

use crate::{
    erase::Erase,
    format::{decimal, fixed_money, fixed_time, local_money, local_time, use_alive},
};

/// An amount of money, in the reader's locale once the page is alive.
#[component]
pub(crate) fn Price(#[prop(into)] amount: Signal<Option<Money>>) -> impl IntoView {
    let alive = use_alive();
    let text = move || {
        amount.with(|amount| {
            amount.as_ref().map(|money| {
                if alive.get() {
                    local_money(money)
                } else {
                    fixed_money(money)
                }
            })
        })
    };
    let value = move || amount.with(|amount| amount.as_ref().map(decimal));
    view! {
        <data class="money" value=value>
            {text}
        </data>
    }
    .erase()
}

/// An instant, in the reader's locale once the page is alive; the exact one is in the tooltip.
#[component]
pub(crate) fn When(#[prop(into)] at: Signal<Timestamp>) -> impl IntoView {
    let alive = use_alive();
    let exact = move || at.get().to_string();
    view! {
        <time class="time" datetime=exact title=exact>
            {move || if alive.get() { local_time(at.get()) } else { fixed_time(at.get()) }}
        </time>
    }
    .erase()
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
    view! { <code class="id" title=id>{short}</code> }
}

/// The class that lets something flash once for each change: two names take turns, because an animation starts anew
/// only under another name.
pub(crate) fn flash(revision: u32) -> &'static str {
    match revision {
        0 => "",
        odd if odd % 2 == 1 => "flash-odd",
        _ => "flash-even",
    }
}
