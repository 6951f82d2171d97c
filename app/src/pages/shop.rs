//! The catalogue, of everything or of a tag.

use domain::{view::products::ProductDocument, wire::Order};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{inside, later, problem_view};
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Catalogue, Island},
    language::language,
    live::store::typed,
    translations::i18n::td_string,
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
    inside(|| {
        let title = td_string!(language(), shop.title);
        let tag = use_query_map()
            .with_untracked(|query| query.get("tag"))
            .filter(|tag| !tag.is_empty());
        let query = use_query_map()
            .with_untracked(|query| query.get("q"))
            .unwrap_or_default();
        let searched = (!query.trim().is_empty()).then(|| api::search(query.clone(), tag.clone()));
        let listed = api::listing(products(tag, PAGE_PRODUCTS));
        let tags = tags();
        later(async move {
            match listed.await {
                Ok(listed) => {
                    let tags = tags.await;
                    let found = match searched {
                        Some(searched) => Some(searched.await),
                        None => None,
                    };
                    view! { <WindowTitle text=title />{Catalogue::new(listed, tags, query, found).island()} }
                        .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

/// The tags of all products. Without them the catalogue is still a catalogue; its own listing says what is wrong.
fn tags() -> impl Future<Output = Vec<String>> + Send {
    let everything = api::listing(products(None, 200));
    async move {
        let rows = everything
            .await
            .map_or_else(|_| Vec::new(), |all| all.answer.data);
        let mut tags: Vec<String> = rows
            .iter()
            .filter_map(|row| typed::<ProductDocument>(&row.data))
            .flat_map(|product| product.tags)
            .collect();
        tags.sort();
        tags.dedup();
        tags
    }
}
