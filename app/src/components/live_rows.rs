//! The rows of a live listing. Each shows its document as it is, but none moves under a pointer or a
//! keyboard, so that a click acts on what was shown when the pointer came. What has moved meanwhile follows
//! when the pointer leaves the list.

use leptos::prelude::*;
use serde_json::Value;

use super::{for_each, only_if};
use crate::{
    erase::{Erase, View},
    language::language,
    live::{arrangement::gap_height, store::LiveListing},
    text,
};

/// The rows, and the notice that some changes wait, which stands behind them.
pub(crate) struct LiveRows {
    /// The rows. The element around them has the attribute `data-rows`, once on a page.
    pub(crate) rows: View,
    /// The notice.
    pub(crate) notice: View,
}

/// The rows of a listing. `gap` renders the place of a row that left the listing, by its height as in `40px`.
pub(crate) fn live_rows(
    listing: LiveListing<Value>,
    row: impl Fn(String) -> View + Send + Sync + 'static,
    gap: fn(String) -> View,
) -> LiveRows {
    let language = language();
    let keys = RwSignal::new(untrack(|| listing.keys()));
    let is_waiting = RwSignal::new(false);
    #[cfg(not(feature = "ssr"))]
    browser::follow(listing, keys, is_waiting);
    let item = move |key: String| match gap_height(&key) {
        Some(height) => gap([height, "px"].concat()),
        None => row(key),
    };
    let notice =
        move || view! { <p class="waiting" role="status">{text::orders::waiting(language)}</p> }.erase();
    LiveRows {
        rows: for_each(move || keys.get(), item),
        notice: only_if(move || is_waiting.get(), notice),
    }
}

/// The place of an item of a list that left the listing.
pub(crate) fn item_gap(height: String) -> View {
    view! { <li class="gap" aria-hidden="true" style:height=height></li> }.erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Arranges the rows by where the pointer and the focus are.

    use std::time::Duration;

    use leptos::{prelude::*, web_sys::HtmlElement};
    use serde_json::Value;
    use wasm_bindgen::JsCast;

    use crate::{
        erased_effects::effect,
        live::{arrangement::arranged, store::LiveListing},
    };

    /// The list is held from the first change on that finds the pointer on a row of a table or on a button of
    /// any list, or the keyboard in a row.
    const BEGINS: &str =
        "tbody[data-rows] tr:hover, [data-rows] :is(.button, .gap):hover, [data-rows] :focus-visible";
    /// It stays so while the pointer is anywhere in the list: what was under it may be a gap by now.
    const LASTS: &str = "[data-rows]:hover, [data-rows] :focus-visible";
    /// How often a held list looks whether it still is.
    const PAUSE: Duration = Duration::from_millis(250);

    pub(super) fn follow(
        listing: LiveListing<Value>,
        keys: RwSignal<Vec<String>>,
        is_waiting: RwSignal<bool>,
    ) {
        let arrange = move |current: Vec<String>| {
            let (Some(shown), Some(waited)) = (keys.try_get_untracked(), is_waiting.try_get_untracked())
            else {
                return;
            };
            let next = if current != shown && is_any(if waited { LASTS } else { BEGINS }) {
                arranged(&shown, &current, height)
            } else {
                current.clone()
            };
            let waits = next != current;
            if waits != waited {
                is_waiting.set(waits);
            }
            if next != shown {
                keys.set(next);
            }
        };
        effect(move || arrange(listing.keys()));
        effect(move || {
            if is_waiting.get() {
                let again = move || arrange(untrack(|| listing.keys()));
                if let Ok(interval) = set_interval_with_handle(again, PAUSE) {
                    on_cleanup(move || interval.clear());
                }
            }
        });
    }

    fn is_any(selector: &str) -> bool {
        document()
            .query_selector(selector)
            .is_ok_and(|found| found.is_some())
    }

    /// The height of the row at this place, as it is shown.
    fn height(index: usize) -> i32 {
        let list = document().query_selector("[data-rows]").ok().flatten();
        let row = list.and_then(|list| list.children().item(u32::try_from(index).ok()?));
        let row = row.and_then(|row| row.dyn_into::<HtmlElement>().ok());
        row.map_or(0, |row| row.offset_height())
    }
}
