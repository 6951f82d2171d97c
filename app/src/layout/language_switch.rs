//! The language switch: a menu of links to the same page in another language. It needs no script; the plain
//! script `frontend/frame.js` closes it.

use domain::language::Language;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    components::{Icon, Picture},
    erase::{Erase, View},
    language::{language, requested_language},
    text::{self, server::is_translated},
};

/// The switch. Languages without a translation of the interface are those of the picture only.
#[component]
pub(super) fn LanguageSwitch() -> impl IntoView {
    let language = language();
    let (translated, others): (Vec<_>, Vec<_>) = Language::ALL
        .into_iter()
        .partition(|language| is_translated(*language));
    let links = |languages: Vec<Language>| languages.into_iter().map(link).collect_view();
    view! {
        <details class="menu languages">
            <summary title=text::languages::title(language)>
                <Icon picture=Picture::Language />
                <span class="hidden">{text::languages::title(language)}</span>
                <span class="button__word">{language.endonym()}</span>
            </summary>
            <div class="menu__card">
                <ul>{links(translated)}</ul>
                <p class="muted languages__note">{text::languages::pictures_only(language)}</p>
                <ul>{links(others)}</ul>
            </div>
        </details>
    }
    .erase()
}

/// A link to the same page in a language.
fn link(language: Language) -> View {
    let mut query = use_query_map().get_untracked();
    query.replace("lang", language.code().to_owned());
    let is_chosen = language == requested_language();
    view! {
        <li>
            <a
                href=query.to_query_string()
                lang=language.code()
                hreflang=language.code()
                rel="nofollow"
                aria-current=is_chosen.then_some("true")
            >
                <bdi>{language.endonym()}</bdi>
            </a>
        </li>
    }
    .erase()
}
