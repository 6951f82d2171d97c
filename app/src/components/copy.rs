//! A button that copies a text, and says that it did.

use leptos::prelude::*;

use crate::erase::Erase;

use super::{Icon, Picture};

/// Copies `text`. Its label names what is copied.
#[component]
pub(crate) fn Copy(#[prop(into)] text: String, label: &'static str, done: &'static str) -> impl IntoView {
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
            // Browsers offer the clipboard to secure pages only; elsewhere the text can still be selected.
            let clipboard = window().navigator().clipboard();
            if !wasm_bindgen::JsValue::from(clipboard.clone()).is_undefined() {
                let _ = clipboard.write_text(&text);
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
        let _ = &text;
    };
    view! {
        <button type="button" class="button button--quiet button--icon needs-script" on:click=copy title=label>
            <Icon picture />
            <span class="hidden">{label}</span>
        </button>
        <span class="hidden" role="status">{move || copied.get().then_some(done)}</span>
    }
    .erase()
}
