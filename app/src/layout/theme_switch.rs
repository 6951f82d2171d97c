//! The theme switch: automatic, dark, light. The plain script `frontend/theme_switch.js` handles it on every
//! page, so that a page outside of a workspace needs no WebAssembly.

use leptos::prelude::*;

use crate::{
    Theme,
    components::{Icon, Picture},
    erase::{Erase, View},
    language::language,
    translations::i18n::td_string,
};

/// The switch. It contains all states; the style sheet shows the one of the root's `data-theme`.
#[component]
pub(super) fn ThemeSwitch() -> impl IntoView {
    let locale = language();
    view! {
        <button type="button" id="theme-switch" class="button button--quiet needs-script">
            {state(Theme::Auto, Picture::Contrast, td_string!(locale, theme.auto))}
            {state(Theme::Dark, Picture::Moon, td_string!(locale, theme.dark))}
            {state(Theme::Light, Picture::Sun, td_string!(locale, theme.light))}
        </button>
    }
    .erase()
}

fn state(theme: Theme, picture: Picture, word: &'static str) -> View {
    view! {
        <span class="theme-switch__state" data-state=theme.as_str() title=word>
            <Icon picture=picture />
            <span class="button__word">{word}</span>
        </span>
    }
    .erase()
}
