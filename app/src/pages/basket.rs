//! The page of the basket.

use leptos::prelude::*;

use super::within_workspace;
use crate::{
    components::WindowTitle,
    erase::Erase,
    islands::{BasketContents, Island},
    language::language,
    text,
};

/// `/basket`. The server knows of no basket: the island reads the products of its lines.
#[component]
pub(crate) fn BasketPage() -> impl IntoView {
    within_workspace(|| {
        let title = text::basket::title(language());
        view! { <WindowTitle text=title />{BasketContents {}.island()} }.erase()
    })
}
