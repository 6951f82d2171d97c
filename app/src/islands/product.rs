//! One product: what it is, what it costs, how many are left, and where its story is kept.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Freshness, PageHead, ProductOffer, flash, only_if, text},
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
        let sku = self.found.key.clone();
        let document = LiveDocument::<ProductDocument>::new(self.found);
        let shown = document.shown();
        let field = move |read: fn(&ProductDocument) -> String| {
            text(move || {
                shown.with(|product| {
                    product
                        .as_ref()
                        .map(|(product, _)| read(product))
                        .unwrap_or_default()
                })
            })
        };
        let retired = move || shown.with(|shown| shown.as_ref().is_some_and(|(product, _)| product.retired));
        let notice = move || view! { <p class="notice">{tu_string!(i18n, product.retired)}</p> }.erase();
        let link = |stream: String| {
            let href = format!("/streams/{stream}");
            view! { <li><a class="mono" href=href>{stream}</a></li> }.erase()
        };
        view! {
            <PageHead
                title=field(|product| product.name.clone())
                mark=view! { <Freshness view="products" progress=document.progress() /> }.erase()
            />
            <section class=text(move || format!("panel {}", flash(shown)))>
                <p class="lead">{field(|product| product.description.clone())}</p>
                <ProductOffer product=shown />
                {only_if(retired, notice)}
            </section>
            <section class="panel">
                <h2>{tu_string!(i18n, product.story)}</h2>
                <p>{tu_string!(i18n, product.story_text)}</p>
                <ul class="links">{link(format!("product-{sku}"))}{link(format!("inventory-{sku}"))}</ul>
                <p class="muted">{tu_string!(i18n, product.sku, sku = sku)}</p>
            </section>
        }
        .erase()
    }
}
