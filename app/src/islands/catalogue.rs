//! The catalogue: every product on sale, or those of a tag, with price and stock as they are.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{AddToBasket, EmptyState, Freshness, MoreRows, PageHead, Price, Stock, flash},
    erase::{Erase, View},
    live::store::{Listed, LiveListing, Shown},
    translations::i18n::{tu_string, use_i18n},
};

/// The catalogue.
#[derive(Serialize, Deserialize)]
pub(crate) struct Catalogue {
    /// The products.
    pub(crate) listed: Listed,
    /// Every tag there is.
    pub(crate) tags: Vec<String>,
}

impl Island for Catalogue {
    const NAME: &'static str = "catalogue";

    fn view(self) -> View {
        let i18n = use_i18n();
        let Self { listed, tags } = self;
        let tag = Some(listed.query.group.clone()).filter(|tag| !tag.is_empty());
        let empty_text = match tag {
            Some(_) => tu_string!(i18n, shop.empty_tag),
            None => tu_string!(i18n, shop.empty),
        };
        let listing = LiveListing::<ProductDocument>::new(listed);
        view! {
            <PageHead title=tu_string!(i18n, shop.title)>
                <Freshness view="products" progress=listing.progress() />
            </PageHead>
            <Tags tags tag />
            <Show
                when=move || !listing.is_empty()
                fallback=move || view! {
                    <EmptyState title=tu_string!(i18n, shop.empty_title) text=empty_text>
                        <a class="button" href="/shop">{tu_string!(i18n, shop.all_tags)}</a>
                    </EmptyState>
                }
            >
                <ul class="products">
                    <For each=move || listing.keys() key=String::clone let:key>
                        <Product product=listing.row(key) />
                    </For>
                </ul>
            </Show>
            <MoreRows listing />
        }
        .erase()
    }
}

/// The tags, as links.
#[component]
fn Tags(tags: Vec<String>, tag: Option<String>) -> impl IntoView {
    let i18n = use_i18n();
    let link = move |href: String, name: String, chosen: bool| {
        view! { <li><a class="tag" href=href aria-current=chosen.then_some("true")>{name}</a></li> }.erase()
    };
    let mut links = Vec::new();
    if !tags.is_empty() {
        links.push(link(
            "/shop".to_owned(),
            tu_string!(i18n, shop.all_tags).to_owned(),
            tag.is_none(),
        ));
    }
    links.extend(tags.into_iter().map(|name| {
        let chosen = tag.as_ref() == Some(&name);
        link(format!("/shop?tag={name}"), name, chosen)
    }));
    view! { <nav class="tags" aria-label=tu_string!(i18n, shop.tags)><ul>{links}</ul></nav> }.erase()
}

#[component]
fn Product(product: Memo<Shown<ProductDocument>>) -> impl IntoView {
    let field = move |read: fn(&ProductDocument) -> String| {
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
    let document = Signal::derive(move || product.get().map(|(product, _)| product));
    let flashing =
        move || product.with(|product| flash(product.as_ref().map_or(0, |(_, revision)| *revision)));
    view! {
        <li class=move || format!("product {}", flashing())>
            <h2><a href=move || format!("/shop/{}", field(|product| product.sku.clone()))>{move || field(|product| product.name.clone())}</a></h2>
            <p class="product__text">{move || field(|product| product.description.clone())}</p>
            <p class="product__facts">
                <Price amount=price />
                <Stock available />
            </p>
            <AddToBasket product=document />
        </li>
    }
    .erase()
}
