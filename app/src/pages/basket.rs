//! The page of the basket.

use leptos::prelude::*;

use super::{problem_view, shop::products, suspend, within_workspace};
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{BasketContents, Island},
    language::language,
    text,
};

/// `/basket`.
#[component]
pub(crate) fn BasketPage() -> impl IntoView {
    within_workspace(|| {
        let title = text::basket::title(language());
        let initial = api::listing(products(None, 200));
        suspend(async move {
            match initial.await {
                Ok(initial) => {
                    view! { <WindowTitle text=title />{BasketContents { initial }.island()} }.erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
