//! The page of one product.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{BackLink, missing, problem_view, suspend, within_workspace};
use crate::{
    api,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, ProductDetails},
    language::language,
    live::store::typed,
    text,
};

/// `/shop/{sku}`.
#[component]
pub(crate) fn ProductPage() -> impl IntoView {
    within_workspace(|| {
        let language = language();
        let sku = use_params_map().with_untracked(|params| params.get("sku").unwrap_or_default());
        let initial = api::document("products", sku);
        suspend(async move {
            let title = text::shop::title(language);
            let initial = match initial.await {
                Ok(initial) => initial,
                Err(problem) => return problem_view(title, &problem),
            };
            let product: Option<ProductDocument> =
                initial.answer.as_ref().and_then(|answer| typed(&answer.data));
            // A product that has stock but was never listed has no name, and no page.
            match product.filter(|product| !product.name.is_empty()) {
                Some(product) => view! {
                    <WindowTitle text=product.name />
                    <BackLink href="/shop" text=title />
                    {ProductDetails { initial }.island()}
                }
                .erase(),
                None => missing("/shop", title),
            }
        })
    })
}
