//! The page of the catalogue, or of one tag.

use domain::{view::products::ProductDocument, wire::Order};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{problem_view, suspend, within_workspace};
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Catalogue, Island},
    language::language,
    live::store::typed,
    text,
};

/// The maximum number of products of a catalogue page.
const PAGE_PRODUCTS: u32 = 100;

/// The maximum number of rows of a page of a listing.
pub(super) const MOST_ROWS: u32 = 200;

/// The query for all products, or for those with a tag.
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
    within_workspace(|| {
        let title = text::shop::title(language());
        let tag = use_query_map()
            .with_untracked(|query| query.get("tag"))
            .filter(|tag| !tag.is_empty());
        let query = use_query_map()
            .with_untracked(|query| query.get("q"))
            .unwrap_or_default();
        let searched = (!query.trim().is_empty()).then(|| api::search(query.clone(), tag.clone()));
        let initial = api::listing(products(tag, PAGE_PRODUCTS));
        let tags = tags();
        suspend(async move {
            match initial.await {
                Ok(initial) => {
                    let tags = tags.await;
                    let outcome = match searched {
                        Some(searched) => Some(searched.await),
                        None => None,
                    };
                    view! {
                        <WindowTitle text=title />
                        {Catalogue::new(initial, tags, query, outcome).island()}
                    }
                    .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

/// The tags of all products; empty if they cannot be loaded, since the listing reports the problem itself.
fn tags() -> impl Future<Output = Vec<String>> + Send {
    let everything = api::whole_listing(products(None, MOST_ROWS));
    async move {
        let rows = everything.await.unwrap_or_default();
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
