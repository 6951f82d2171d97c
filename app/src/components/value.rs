//! Values in monospace: money, instants and ids; and the highlight of a changed document.

use domain::{money::Money, timestamp::Timestamp};
use leptos::prelude::*;

use super::text;
use crate::{
    erase::Erase,
    format::{decimal, fixed_millis, fixed_money, fixed_time, local_money, local_time, use_hydrated},
    live::store::Revision,
};

/// An amount of money, in the reader's locale after hydration.
#[component]
pub(crate) fn Price(#[prop(into)] amount: Signal<Option<Money>>) -> impl IntoView {
    let hydrated = use_hydrated();
    let words = move || {
        amount.with(|amount| match amount {
            Some(money) if hydrated.get() => local_money(money),
            Some(money) => fixed_money(money),
            None => String::new(),
        })
    };
    let value = move || amount.with(|amount| amount.as_ref().map(decimal).unwrap_or_default());
    view! { <data class="money" value=text(value)>{text(words)}</data> }.erase()
}

/// An instant, in the reader's locale after hydration, with the exact time as a tooltip.
#[component]
pub(crate) fn When(at: Timestamp) -> impl IntoView {
    let hydrated = use_hydrated();
    let exact = at.to_string();
    let words = move || {
        if hydrated.get() {
            local_time(at)
        } else {
            fixed_time(at)
        }
    };
    view! { <time class="time" datetime=exact.clone() title=exact>{text(words)}</time> }.erase()
}

/// An instant to the millisecond, in UTC.
#[component]
pub(crate) fn Exact(at: Timestamp) -> impl IntoView {
    let exact = at.to_string();
    view! { <time class="time mono" datetime=exact.clone() title=exact>{fixed_millis(at)}</time> }.erase()
}

/// The number of characters of a shortened id. The end is shown, because ids of one moment share their
/// beginning.
const SHOWN: usize = 8;

/// A shortened id, with the whole id as a tooltip.
#[component]
pub(crate) fn Id(#[prop(into)] id: String) -> impl IntoView {
    let short = match id.char_indices().rev().nth(SHOWN - 1) {
        Some((at, _)) if at > 1 => format!("…{}", &id[at..]),
        _ => id.clone(),
    };
    view! { <code class="id" title=id>{short}</code> }.erase()
}

/// The class that highlights an element once for each change. Two names alternate, because an animation
/// restarts only under another name.
pub(crate) fn highlight_class<D: Send + Sync + 'static>(shown: Memo<Revision<D>>) -> &'static str {
    match shown.with(|shown| shown.as_ref().map_or(0, |(_, revision)| *revision)) {
        0 => "",
        odd if odd % 2 == 1 => "flash-odd",
        _ => "flash-even",
    }
}
