//! The title of the window.
//!
//! Leptos does not escape the text of its `Title`, unlike every other text: a product's name in it could end
//! the title and begin a form. So pages use this component, which escapes the text, and never `Title` itself.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::erase::Erase;

/// The title of the window and its tab.
#[component]
pub(crate) fn WindowTitle(#[prop(into)] text: String) -> impl IntoView {
    let mut escaped = String::new();
    html_escape::encode_text_to_string(text, &mut escaped);
    view! { <Title text=escaped /> }.erase()
}
