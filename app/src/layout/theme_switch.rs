//! The theme switch: automatic, dark, light. The plain script `frontend/frame.js` handles it on every
//! page, so that a page outside of a workspace needs no WebAssembly.

use leptos::prelude::*;

use crate::{
    Theme,
    components::{Icon, Picture},
    erase::{Erase, View},
    language::language,
    text,
};

/// The switch. It contains all states; the style sheet shows the one of the root's `data-theme`.
#[component]
pub(super) fn ThemeSwitch() -> impl IntoView {
    let language = language();
    view! {
        <button type="button" id="theme-switch" class="button button--quiet needs-script">
            {state(Theme::Auto, Picture::Contrast, text::theme::auto(language))}
            {state(Theme::Dark, Picture::Moon, text::theme::dark(language))}
            {state(Theme::Light, Picture::Sun, text::theme::light(language))}
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
