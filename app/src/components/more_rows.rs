//! The button below a listing that fetches its next page.

use leptos::prelude::*;
use serde_json::Value;

use super::only_if;
use crate::{erase::Erase, language::language, live::store::LiveListing, text};

/// The button; hidden on the last page.
#[component]
pub(crate) fn MoreRows(listing: LiveListing<Value>) -> impl IntoView {
    let language = language();
    let button = move || {
        view! {
            <p class="more">
                <button
                    type="button"
                    class="button needs-script"
                    data-early=""
                    on:click=move |_| listing.more()
                    disabled=move || listing.is_loading_more()
                >
                    {text::orders::more(language)}
                </button>
            </p>
        }
        .erase()
    };
    only_if(move || listing.has_more(), button)
}
