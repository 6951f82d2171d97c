//! The switch of the theme: as the browser wishes, dark, light. The choice is remembered in a cookie, so that the server
//! paints it from the first byte.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    Theme,
    components::{Icon, Picture, text},
    erase::{Erase, View},
    language::language,
    translations::i18n::td_string,
};

/// The switch.
#[derive(Serialize, Deserialize)]
pub(crate) struct ThemeSwitch {
    /// The choice so far.
    pub(crate) theme: Theme,
}

impl Island for ThemeSwitch {
    const NAME: &'static str = "theme";

    fn view(self) -> View {
        let locale = language();
        let theme = RwSignal::new(self.theme);
        let picture = Signal::derive(move || match theme.get() {
            Theme::Auto => Picture::Contrast,
            Theme::Dark => Picture::Moon,
            Theme::Light => Picture::Sun,
        });
        let word = move || match theme.get() {
            Theme::Auto => td_string!(locale, theme.auto),
            Theme::Dark => td_string!(locale, theme.dark),
            Theme::Light => td_string!(locale, theme.light),
        };
        let choose = move |_| {
            let next = match theme.get_untracked() {
                Theme::Auto => Theme::Dark,
                Theme::Dark => Theme::Light,
                Theme::Light => Theme::Auto,
            };
            theme.set(next);
            #[cfg(not(feature = "ssr"))]
            next.remember();
        };
        view! {
            <button type="button" class="button button--quiet needs-script" on:click=choose title=text(word)>
                <Icon picture />
                <span class="button__word">{text(word)}</span>
            </button>
        }
        .erase()
    }
}
