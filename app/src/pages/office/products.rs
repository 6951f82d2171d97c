//! The page of the products.

use leptos::prelude::*;

use super::office;
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficeProducts},
    language::language,
    pages::{PAGE_ROWS, problem_view, shop::products, suspend},
    text,
};

/// `/office/products`.
#[component]
pub(crate) fn OfficeProductsPage() -> impl IntoView {
    office(|acts| {
        let title = text::office::products(language());
        let initial = api::listing(products(None, PAGE_ROWS));
        suspend(async move {
            match initial.await {
                Ok(initial) => {
                    view! { <WindowTitle text=title />{OfficeProducts { initial, acts }.island()} }.erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
