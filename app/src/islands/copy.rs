//! A button that copies a text, and announces it.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Icon, Picture, text},
    erase::{Erase, View},
    language::language,
    text,
};

/// The button.
#[derive(Serialize, Deserialize)]
pub(crate) struct CopyButton {
    /// The text to copy.
    pub(crate) text: String,
    /// The button's label.
    pub(crate) label: String,
}

impl Island for CopyButton {
    const NAME: &'static str = "copy";

    fn view(self) -> View {
        let Self { text, label } = self;
        view! { <Copy content=text label /> }.erase()
    }
}

/// A button that copies `content`.
#[component]
pub(crate) fn Copy(content: String, label: String) -> impl IntoView {
    let language = language();
    let name = label.clone();
    let copied = RwSignal::new(false);
    let picture = Signal::derive(move || {
        if copied.get() {
            Picture::Check
        } else {
            Picture::Copy
        }
    });
    let copy = move |_| {
        #[cfg(not(feature = "ssr"))]
        {
            // Browsers offer the clipboard to secure pages only; on other pages, the text can still be
            // selected.
            let clipboard = window().navigator().clipboard();
            if !wasm_bindgen::JsValue::from(clipboard.clone()).is_undefined() {
                let _ = clipboard.write_text(&content);
                copied.set(true);
                set_timeout(
                    move || {
                        let _ = copied.try_set(false);
                    },
                    std::time::Duration::from_secs(2),
                );
            }
        }
        #[cfg(feature = "ssr")]
        let _ = &content;
    };
    view! {
        <button
            type="button"
            class="button button--quiet button--icon needs-script"
            on:click=copy
            title=label
        >
            <Icon picture />
            <span class="hidden">{name}</span>
        </button>
        <span class="hidden" role="status">
            {text(move || if copied.get() { text::layout::copied(language) } else { "" })}
        </span>
    }
    .erase()
}
