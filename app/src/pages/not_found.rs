//! The page for unknown addresses.

use leptos::prelude::*;

use crate::{
    StatusSetter, components::WindowTitle, erase::Erase, language::language, translations::i18n::td_string,
};

/// Says that there is no such page, and sets the HTTP status 404.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    let locale = language();
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(404);
    }
    view! {
        <WindowTitle text=td_string!(locale, not_found.title) />
        <div class="empty">
            <h1>{td_string!(locale, not_found.title)}</h1>
            <p>{td_string!(locale, not_found.text)}</p>
            <p><a class="button button--primary" href="/">{td_string!(locale, not_found.home)}</a></p>
        </div>
    }
    .erase()
}
