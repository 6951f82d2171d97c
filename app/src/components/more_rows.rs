//! The button under a listing that has more rows than it shows.

use leptos::prelude::*;
use serde_json::Value;

use super::only_if;
use crate::{erase::Erase, language::language, live::store::LiveListing, translations::i18n::td_string};

/// Fetches the next page, where there is one.
#[component]
pub(crate) fn MoreRows(listing: LiveListing<Value>) -> impl IntoView {
    let locale = language();
    let button = move || {
        view! {
            <p class="more">
                <button
                    type="button"
                    class="button needs-script"
                    on:click=move |_| listing.more()
                    disabled=move || listing.is_loading_more()
                >
                    {td_string!(locale, orders.more)}
                </button>
            </p>
        }
        .erase()
    };
    only_if(move || listing.has_more(), button)
}
