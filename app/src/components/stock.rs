//! A product's price and stock, and the button that adds it to the basket.

use domain::view::products::ProductDocument;
use leptos::prelude::*;

use super::{Icon, Picture, Price, text};
use crate::{basket::use_basket, erase::Erase, language::language, live::store::Revision, text};

/// From this number on, the exact stock is not shown.
const PLENTY: u32 = 50;
/// Up to this number, the stock is shown as low.
const FEW: u32 = 5;

/// The available stock, in words.
#[component]
pub(crate) fn Stock(#[prop(into)] available: Signal<u32>) -> impl IntoView {
    let language = language();
    let level = move || match available.get() {
        0 => "none",
        1..=FEW => "few",
        _ => "many",
    };
    let words = move || match available.get() {
        0 => text::stock::none(language).to_owned(),
        few @ 1..=FEW => text::stock::few(language, few),
        many if many < PLENTY => text::stock::some(language, many),
        _ => text::stock::plenty(language).to_owned(),
    };
    view! {
        <span class="stock" data-level=text(level)>{text(words)}</span>
    }
    .erase()
}

/// Price, stock, and the button that adds the product to the basket.
#[component]
pub(crate) fn ProductOffer(product: Memo<Revision<ProductDocument>>) -> impl IntoView {
    let language = language();
    let basket = use_basket();
    let of = move |read: fn(&ProductDocument) -> String| {
        product.with(|product| {
            product
                .as_ref()
                .map(|(product, _)| read(product))
                .unwrap_or_default()
        })
    };
    let price = Signal::derive(move || {
        product.with(|product| product.as_ref().and_then(|(product, _)| product.price.clone()))
    });
    let available = Signal::derive(move || {
        product.with(|product| product.as_ref().map_or(0, |(product, _)| product.available))
    });
    let sold_out = move || {
        product.with(|product| {
            product
                .as_ref()
                .is_none_or(|(product, _)| product.available == 0 || !product.on_sale())
        })
    };
    let sku = move || of(|product| product.sku.clone());
    let in_basket = move || match basket.read().quantity(&sku()) {
        0 => String::new(),
        count => text::product::in_basket(language, count),
    };
    view! {
        <p class="product__facts">
            <Price amount=price />
            <Stock available />
        </p>
        <div class="add needs-script">
            <button
                type="button"
                class="button button--primary"
                data-early=""
                disabled=sold_out
                on:click=move |_| {
                    basket.change(|basket| basket.add(&sku()));
                }
            >
                <Icon picture=Picture::Basket />
                {text::product::add(language)}
                <span class="hidden">{text(move || of(|product| product.name.clone()))}</span>
            </button>
            <span class="add__inside" role="status">{text(in_basket)}</span>
        </div>
    }
    .erase()
}
