//! The page for what is not there.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    StatusSetter,
    erase::Erase,
    translations::i18n::{tu_string, use_i18n},
};

/// Says that there is no such page, to people and in the HTTP status.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    let i18n = use_i18n();
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(404);
    }
    view! {
        <Title text=tu_string!(i18n, not_found.title) />
        <div class="empty">
            <h1>{tu_string!(i18n, not_found.title)}</h1>
            <p>{tu_string!(i18n, not_found.text)}</p>
            <p><a class="button button--primary" href="/">{tu_string!(i18n, not_found.home)}</a></p>
        </div>
    }
    .erase()
}
