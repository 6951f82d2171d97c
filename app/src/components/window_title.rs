//! The title of the window.
//!
//! Leptos writes the text of its `Title` into the document as it is given, unlike every other text: a product's name in it
//! could end the title and begin a form. So pages name their title here, where it is escaped, and never to Leptos.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::erase::Erase;

/// What the window and its tab are called while this page is shown.
#[component]
pub(crate) fn WindowTitle(#[prop(into)] text: String) -> impl IntoView {
    let escaped = html_escape::encode_text(&text).into_owned();
    view! { <Title text=escaped /> }.erase()
}
