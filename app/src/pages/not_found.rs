//! The page for unknown addresses.

use leptos::prelude::*;

use crate::{StatusSetter, components::WindowTitle, erase::Erase, language::language, text};

/// Says that there is no such page, and sets the HTTP status 404.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    let language = language();
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(404);
    }
    view! {
        <WindowTitle text=text::not_found::title(language) />
        <div class="empty">
            <h1>{text::not_found::title(language)}</h1>
            <p>{text::not_found::text(language)}</p>
            <p><a class="button button--primary" href="/">{text::not_found::home(language)}</a></p>
        </div>
    }
    .erase()
}
