//! What the shop sells.

use leptos::prelude::*;

use super::office;
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficeProducts},
    language::language,
    pages::{PAGE_ROWS, later, problem_view, shop::products},
    translations::i18n::td_string,
};

/// `/office/products`.
#[component]
pub(crate) fn OfficeProductsPage() -> impl IntoView {
    office(|acts| {
        let title = td_string!(language(), office.products);
        let listed = api::listing(products(None, PAGE_ROWS));
        later(async move {
            match listed.await {
                Ok(listed) => {
                    view! { <WindowTitle text=title />{OfficeProducts { listed, acts }.island()} }.erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
