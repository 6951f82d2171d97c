//! The catalogue: every product on sale, live, filtered by tag.

use domain::{view::products::ProductDocument, wire::Order};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{Inside, Mark, PageHead};
use crate::{
    api,
    backend::ListingQuery,
    components::{AddToBasket, EmptyState, Price, ProblemView, Stock, flash},
    erase::Erase,
    live::store::{LiveListing, Shown, use_live_listing},
    translations::i18n::{tu_string, use_i18n},
};

/// The most products of a page of the catalogue.
const PAGE_PRODUCTS: u32 = 100;

/// Which products: all, or those of a tag.
pub(super) fn products(tag: Option<String>, limit: u32) -> ListingQuery {
    ListingQuery {
        view: "products".to_owned(),
        listing: if tag.is_some() { "by_tag" } else { "all" }.to_owned(),
        group: tag.unwrap_or_default(),
        order: Order::Asc,
        limit,
        cursor: None,
    }
}

/// `/shop`.
#[component]
pub(crate) fn ShopPage() -> impl IntoView {
    view! {
        <Inside>
            <Catalogue />
        </Inside>
    }
    .erase()
}

#[component]
fn Catalogue() -> impl IntoView {
    let i18n = use_i18n();
    let query = use_query_map();
    let tag = Memo::new(move |_| query.with(|query| query.get("tag")).filter(|tag| !tag.is_empty()));
    let listing = use_live_listing::<ProductDocument>(move || products(tag.get(), PAGE_PRODUCTS));
    view! {
        <PageHead title=tu_string!(i18n, shop.title).to_owned()>
            <Mark view="products" ready=listing.settled() progress=listing.progress() />
        </PageHead>
        <Tags tag />
        <Transition fallback=|| view! { <div class="skeleton skeleton--grid"></div> }>
            {move || Suspend::new(async move {
                match listing.ready().await {
                    Ok(()) => view! { <Products listing tag /> }.erase(),
                    Err(problem) => view! { <ProblemView problem retry=move |()| listing.retry() /> }.erase(),
                }
            })}
        </Transition>
    }
    .erase()
}

/// The tags of all products, as links.
#[component]
fn Tags(tag: Memo<Option<String>>) -> impl IntoView {
    let i18n = use_i18n();
    let tags = Resource::new(
        || (),
        |()| {
            let everything = api::listing(products(None, 200));
            async move {
                let mut tags: Vec<String> = match everything.await {
                    (_, Ok(answer)) => answer
                        .data
                        .iter()
                        .filter_map(|row| row.data.get("tags")?.as_array())
                        .flatten()
                        .filter_map(|tag| tag.as_str().map(str::to_owned))
                        .collect(),
                    // Without tags the catalogue is still a catalogue; its own listing says what is wrong.
                    (_, Err(_)) => Vec::new(),
                };
                tags.sort();
                tags.dedup();
                tags
            }
        },
    );
    view! {
        <nav class="tags" aria-label=tu_string!(i18n, shop.tags)>
            <Suspense>
                {move || Suspend::new(async move {
                    let tags = tags.await;
                    (!tags.is_empty()).then(|| view! {
                        <ul>
                            <li><TagLink tag=None chosen=tag /></li>
                            {tags.into_iter().map(|name| view! { <li><TagLink tag=Some(name) chosen=tag /></li> }).collect_view()}
                        </ul>
                    })
                })}
            </Suspense>
        </nav>
    }
    .erase()
}

#[component]
fn TagLink(tag: Option<String>, chosen: Memo<Option<String>>) -> impl IntoView {
    let i18n = use_i18n();
    let href = tag
        .as_ref()
        .map_or_else(|| "/shop".to_owned(), |tag| format!("/shop?tag={tag}"));
    let name = tag.clone();
    view! {
        <a class="tag" href=href aria-current=move || (chosen.get() == tag).then_some("true")>
            {move || name.clone().unwrap_or_else(|| tu_string!(i18n, shop.all_tags).to_owned())}
        </a>
    }
    .erase()
}

#[component]
fn Products(listing: LiveListing<ProductDocument>, tag: Memo<Option<String>>) -> impl IntoView {
    let i18n = use_i18n();
    // The view is made anew for every tag.
    let empty_text = match tag.get_untracked() {
        Some(_) => tu_string!(i18n, shop.empty_tag),
        None => tu_string!(i18n, shop.empty),
    };
    view! {
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
            <Show when=move || listing.has_more()>
                <p class="more">
                    <button type="button" class="button needs-script" on:click=move |_| listing.more()>
                        {tu_string!(i18n, orders.more)}
                    </button>
                </p>
            </Show>
        </Show>
    }
    .erase()
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
