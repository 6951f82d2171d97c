//! One product, live: what it is, what it costs, how many are left, and where its story is kept.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{Inside, NotFoundPage, PageHead};
use crate::{
    components::{AddToBasket, Freshness, Icon, Picture, Price, ProblemView, Stock, flash},
    erase::Erase,
    live::store::{LiveDocument, Shown, use_live_document},
    translations::i18n::{tu_string, use_i18n},
};

/// `/shop/{sku}`.
#[component]
pub(crate) fn ProductPage() -> impl IntoView {
    view! {
        <Inside>
            <Watched />
        </Inside>
    }
    .erase()
}

#[component]
fn Watched() -> impl IntoView {
    let params = use_params_map();
    let sku = Memo::new(move |_| params.with(|params| params.get("sku")).unwrap_or_default());
    let document = use_live_document::<ProductDocument>("products", move || sku.get());
    view! {
        <Transition fallback=|| view! { <div class="skeleton skeleton--panel"></div> }>
            {move || Suspend::new(async move {
                match document.ready().await {
                    Ok(()) => view! { <Product document /> }.erase(),
                    Err(problem) => view! { <ProblemView problem retry=move |()| document.retry() /> }.erase(),
                }
            })}
        </Transition>
    }
    .erase()
}

#[component]
fn Product(document: LiveDocument<ProductDocument>) -> impl IntoView {
    let i18n = use_i18n();
    let shown = document.shown();
    let exists = Memo::new(move |_| {
        shown.with(|shown: &Shown<_>| {
            shown
                .as_ref()
                .is_some_and(|(product, _): &(ProductDocument, _)| !product.name.is_empty())
        })
    });
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
    let text = move || product.with(|product| product.as_ref().map(|product| product.description.clone()));
    let price = Signal::derive(move || {
        product.with(|product| product.as_ref().and_then(|product| product.price.clone()))
    });
    let available = Signal::derive(move || {
        product.with(|product| product.as_ref().map_or(0, |product| product.available))
    });
    let retired = move || product.with(|product| product.as_ref().is_some_and(|product| product.retired));
    let flashing = move || shown.with(|shown| flash(shown.as_ref().map_or(0, |(_, revision)| *revision)));
    view! {
        <Show when=move || exists.get() fallback=|| view! { <NotFoundPage /> }>
            <p><a class="back" href="/shop"><Icon picture=Picture::Back />{tu_string!(i18n, shop.title)}</a></p>
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
        </Show>
    }
    .erase()
}
