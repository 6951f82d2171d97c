//! One product.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{BackLink, NotFoundPage, inside, later, problem_view};
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, ProductFacts},
    language::language,
    live::store::typed,
    translations::i18n::td_string,
};

/// `/shop/{sku}`.
#[component]
pub(crate) fn ProductPage() -> impl IntoView {
    inside(|| {
        let locale = language();
        let sku = use_params_map().with_untracked(|params| params.get("sku").unwrap_or_default());
        let found = api::document("products", sku);
        later(async move {
            let title = td_string!(locale, shop.title);
            let found = match found.await {
                Ok(found) => found,
                Err(problem) => return problem_view(title, &problem),
            };
            let product: Option<ProductDocument> =
                found.answer.as_ref().and_then(|answer| typed(&answer.data));
            // A product that has only got stock so far has no name yet, and is nothing to show.
            match product.filter(|product| !product.name.is_empty()) {
                Some(product) => view! {
                    <WindowTitle text=product.name />
                    <BackLink href="/shop" text=title />
                    {ProductFacts { found }.island()}
                }
                .erase(),
                None => view! { <NotFoundPage /> }.erase(),
            }
        })
    })
}
