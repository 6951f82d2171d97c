//! One product: what it is, what it costs, how many are left, and where its story is kept.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{AddToBasket, Freshness, PageHead, Price, Stock, flash},
    erase::{Erase, View},
    live::store::{Found, LiveDocument},
    translations::i18n::{tu_string, use_i18n},
};

/// The product.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProductFacts {
    /// The product as it was.
    pub(crate) found: Found,
}

impl Island for ProductFacts {
    const NAME: &'static str = "product";

    fn view(self) -> View {
        let i18n = use_i18n();
        let document = LiveDocument::<ProductDocument>::new(self.found);
        let shown = document.shown();
        let product = Signal::derive(move || shown.get().map(|(product, _)| product));
        let name = Signal::derive(move || {
            product
                .with(|product| product.as_ref().map(|product| product.name.clone()))
                .unwrap_or_default()
        });
        let sku = move || {
            product
                .with(|product| product.as_ref().map(|product| product.sku.clone()))
                .unwrap_or_default()
        };
        let text =
            move || product.with(|product| product.as_ref().map(|product| product.description.clone()));
        let price = Signal::derive(move || {
            product.with(|product| product.as_ref().and_then(|product| product.price.clone()))
        });
        let available = Signal::derive(move || {
            product.with(|product| product.as_ref().map_or(0, |product| product.available))
        });
        let retired = move || product.with(|product| product.as_ref().is_some_and(|product| product.retired));
        let flashing = move || shown.with(|shown| flash(shown.as_ref().map_or(0, |(_, revision)| *revision)));
        view! {
        <PageHead title=name>
                <Freshness view="products" progress=document.progress() />
            </PageHead>
            <section class=move || format!("panel {}", flashing())>
                <p class="lead">{text}</p>
                <p class="product__facts">
                    <Price amount=price />
                    <Stock available />
                </p>
                <Show when=retired>
                    <p class="notice">{tu_string!(i18n, product.retired)}</p>
                </Show>
                <AddToBasket product />
            </section>
            <section class="panel">
                <h2>{tu_string!(i18n, product.story)}</h2>
                <p>{tu_string!(i18n, product.story_text)}</p>
                <ul class="links">
                    <li><a class="mono" href=move || format!("/streams/product-{}", sku())>{move || format!("product-{}", sku())}</a></li>
                    <li><a class="mono" href=move || format!("/streams/inventory-{}", sku())>{move || format!("inventory-{}", sku())}</a></li>
                </ul>
                <p class="muted">{move || tu_string!(i18n, product.sku, sku = sku())}</p>
            </section>
    }
    .erase()
    }
}
