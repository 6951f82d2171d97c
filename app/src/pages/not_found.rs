//! The page for what is not there.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    StatusSetter,
    translations::i18n::{t, t_string, use_i18n},
};

/// Says that there is no such page, to people and in the HTTP status.
#[component]
pub(crate) fn NotFoundPage() -> impl IntoView {
    let i18n = use_i18n();
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(404);
    }
    view! {
        <Title text=move || t_string!(i18n, not_found.title) />
        <div class="empty">
            <h1>{t!(i18n, not_found.title)}</h1>
            <p>{t!(i18n, not_found.text)}</p>
            <p><a class="button button--primary" href="/">{t!(i18n, not_found.home)}</a></p>
        </div>
    }
    .into_any()
}
