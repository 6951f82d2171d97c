//! Opens a recording from a file that is chosen or dropped. It stays in the browser.

use leptos::prelude::*;

use super::player::Player;
use crate::{
    erase::{Erase, View},
    language::language,
    text,
};

/// The place for a file.
pub(super) fn opener(player: Player) -> View {
    let language = language();
    let chosen = move |event: leptos::ev::Event| {
        #[cfg(not(feature = "ssr"))]
        browser::chosen(player, &event);
        #[cfg(feature = "ssr")]
        let _ = (player, event);
    };
    let dropped = move |event: leptos::ev::DragEvent| {
        event.prevent_default();
        #[cfg(not(feature = "ssr"))]
        browser::dropped(player, &event);
        #[cfg(feature = "ssr")]
        let _ = player;
    };
    view! {
        <section
            class="panel lab-recording__file needs-script"
            on:dragover=move |event| event.prevent_default()
            on:drop=dropped
        >
            <h2>{text::lab::run_file_title(language)}</h2>
            <p class="muted">{text::lab::run_file_lead(language)}</p>
            <div class="field">
                <label for="run-file">{text::lab::run_choose(language)}</label>
                <input type="file" id="run-file" accept=".json,application/json" on:change=chosen />
            </div>
        </section>
    }
    .erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The files of the browser.

    use leptos::ev::{DragEvent, Event};
    use wasm_bindgen::JsCast;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{File, HtmlInputElement};

    use super::Player;
    use crate::{erased_effects::spawn, lab::recording::MOST_BYTES, language::language, text};

    /// Plays the file that was chosen.
    pub(super) fn chosen(player: Player, event: &Event) {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        if let Some(file) = input.and_then(|input| input.files()?.get(0)) {
            read(player, file);
        }
    }

    /// Plays the file that was dropped.
    pub(super) fn dropped(player: Player, event: &DragEvent) {
        let files = event.data_transfer().and_then(|data| data.files());
        if let Some(file) = files.and_then(|files| files.get(0)) {
            read(player, file);
        }
    }

    fn read(player: Player, file: File) {
        let most = u32::try_from(MOST_BYTES).unwrap_or(u32::MAX);
        // Not even read: a browser would have to hold all of it.
        if file.size() > f64::from(most) {
            player.refuse(text::lab::run_too_large(language()).to_owned());
            return;
        }
        spawn(async move {
            match JsFuture::from(file.text())
                .await
                .ok()
                .and_then(|text| text.as_string())
            {
                Some(text) => player.take(&text),
                None => player.refuse(text::lab::run_unreadable(language()).to_owned()),
            }
        });
    }
}
