//! What is left of a product, and the button that puts one into the basket.

use domain::view::products::ProductDocument;
use leptos::prelude::*;

use super::{Icon, Picture};
use crate::{
    basket::use_basket,
    erase::Erase,
    translations::i18n::{tu_string, use_i18n},
};

/// From so many on, it is not said how many are left.
const PLENTY: u32 = 50;
/// Up to so many, it is said that they are few.
const FEW: u32 = 5;

/// How many are left.
#[component]
pub(crate) fn Stock(#[prop(into)] available: Signal<u32>) -> impl IntoView {
    let i18n = use_i18n();
    let level = move || match available.get() {
        0 => "none",
        1..=FEW => "few",
        _ => "many",
    };
    let words = move || match available.get() {
        0 => tu_string!(i18n, stock.none).to_owned(),
        few @ 1..=FEW => tu_string!(i18n, stock.few, count = few),
        many if many < PLENTY => tu_string!(i18n, stock.some, count = many),
        _ => tu_string!(i18n, stock.plenty).to_owned(),
    };
    view! {
        <span class="stock" data-level=level>
            {words}
        </span>
    }
    .erase()
}

/// Puts one of a product into the basket. Where that cannot be done, it says why.
#[component]
pub(crate) fn AddToBasket(#[prop(into)] product: Signal<Option<ProductDocument>>) -> impl IntoView {
    let i18n = use_i18n();
    let basket = use_basket();
    let sku = Memo::new(move |_| {
        product
            .with(|product| product.as_ref().map(|product| product.sku.clone()))
            .unwrap_or_default()
    });
    let name = move || {
        product.with(|product| {
            product
                .as_ref()
                .map(|product| product.name.clone())
                .unwrap_or_default()
        })
    };
    let sold_out = move || {
        product.with(|product| {
            product
                .as_ref()
                .is_none_or(|product| product.available == 0 || !product.on_sale())
        })
    };
    let inside = move || basket.read().quantity(&sku.get());
    view! {
        <div class="add needs-script">
            <button
                type="button"
                class="button button--primary"
                disabled=sold_out
                on:click=move |_| {
                    basket.change(|basket| basket.add(&sku.get_untracked()));
                }
            >
                <Icon picture=Picture::Basket />
                {tu_string!(i18n, product.add)}
                <span class="hidden">{name}</span>
            </button>
            <span class="add__inside" role="status">
                {move || (inside() > 0).then(|| tu_string!(i18n, product.inside, count = inside()))}
            </span>
        </div>
    }
    .erase()
}
