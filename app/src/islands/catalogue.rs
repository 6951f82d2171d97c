//! The catalogue: every product on sale, or those of a tag, with price and stock as they are.

use domain::view::products::ProductDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{EmptyState, Freshness, MoreRows, PageHead, ProductOffer, either, flash, for_each, text},
    erase::{Erase, View},
    language::language,
    live::store::{Listed, LiveListing, Shown},
    translations::i18n::td_string,
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
        let locale = language();
        let Self { listed, tags } = self;
        let tag = Some(listed.query.group.clone()).filter(|tag| !tag.is_empty());
        let empty_text = match tag {
            Some(_) => td_string!(locale, shop.empty_tag),
            None => td_string!(locale, shop.empty),
        };
        let listing = LiveListing::<ProductDocument>::new(listed);
        let nothing = move || {
            view! {
                <EmptyState
                    title=td_string!(locale, shop.empty_title)
                    text=empty_text
                    action=view! { <a class="button" href="/shop">{td_string!(locale, shop.all_tags)}</a> }.erase()
                />
            }
            .erase()
        };
        let products = move || {
            view! {
                <ul class="products">
                    {for_each(move || listing.keys(), move |key| card(&key, listing.row(key.clone())))}
                </ul>
            }
            .erase()
        };
        view! {
            <PageHead
                title=td_string!(locale, shop.title)
                mark=view! { <Freshness view="products" progress=listing.progress() /> }.erase()
            />
            <Tags tags tag />
            {either(move || listing.is_empty(), nothing, products)}
            <MoreRows listing=listing.untyped() />
        }
        .erase()
    }
}

/// The tags, as links.
#[component]
fn Tags(tags: Vec<String>, tag: Option<String>) -> impl IntoView {
    let locale = language();
    let link = move |href: String, name: String, chosen: bool| {
        view! { <li><a class="tag" href=href aria-current=chosen.then_some("true")>{name}</a></li> }.erase()
    };
    let mut links = Vec::new();
    if !tags.is_empty() {
        links.push(link(
            "/shop".to_owned(),
            td_string!(locale, shop.all_tags).to_owned(),
            tag.is_none(),
        ));
    }
    links.extend(tags.into_iter().map(|name| {
        let chosen = tag.as_ref() == Some(&name);
        link(format!("/shop?tag={name}"), name, chosen)
    }));
    view! { <nav class="tags" aria-label=td_string!(locale, shop.tags)><ul>{links}</ul></nav> }.erase()
}

fn card(sku: &str, product: Memo<Shown<ProductDocument>>) -> View {
    let field = move |read: fn(&ProductDocument) -> String| {
        text(move || {
            product.with(|product| {
                product
                    .as_ref()
                    .map(|(product, _)| read(product))
                    .unwrap_or_default()
            })
        })
    };
    view! {
        <li class=text(move || format!("product {}", flash(product)))>
            <h2><a href=format!("/shop/{sku}")>{field(|product| product.name.clone())}</a></h2>
            <p class="product__text">{field(|product| product.description.clone())}</p>
            <ProductOffer product />
        </li>
    }
    .erase()
}
