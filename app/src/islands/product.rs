//! One product: description, price and stock, with links to its streams for those who may read them.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Freshness, PageHead, ProductOffer, highlight_class, only_if, text},
    erase::{Erase, View},
    language::language,
    live::store::{InitialDocument, LiveDocument},
    person::reads_streams,
    text,
};

/// The product.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProductDetails {
    /// The product.
    pub(crate) initial: InitialDocument,
}

impl Island for ProductDetails {
    const NAME: &'static str = "product";

    fn view(self) -> View {
        let language = language();
        let sku = self.initial.key.clone();
        let document = LiveDocument::<ProductDocument>::new(self.initial);
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
        let notice = move || view! { <p class="notice">{text::product::retired(language)}</p> }.erase();
        let link = |stream: String| {
            let href = format!("/lab/streams/{stream}");
            view! { <li><a class="mono" href=href>{stream}</a></li> }.erase()
        };
        let streams = reads_streams().then(|| {
            view! {
                <h2>{text::product::streams(language)}</h2>
                <p>{text::product::streams_text(language)}</p>
                <ul class="links">{link(format!("product-{sku}"))}{link(format!("inventory-{sku}"))}</ul>
            }
            .erase()
        });
        view! {
            <PageHead
                title=field(|product| product.name.clone())
                mark=view! { <Freshness view="products" progress=document.progress() /> }.erase()
            />
            <section class=text(move || format!("panel {}", highlight_class(shown)))>
                <p class="lead">{field(|product| product.description.clone())}</p>
                <ProductOffer product=shown />
                {only_if(retired, notice)}
            </section>
            <section class="panel">
                {streams}
                <p class="muted">{text::product::sku(language, sku)}</p>
            </section>
        }
        .erase()
    }
}
