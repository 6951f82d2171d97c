//! The page of the stock: all products, or those with low stock.

use std::collections::BTreeMap;

use domain::{view::products::ProductDocument, wire::Order};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{choices, office};
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficeStock},
    language::language,
    live::store::typed,
    pages::{
        PAGE_ROWS, problem_view,
        shop::{MOST_ROWS, products},
        suspend,
    },
    text,
};

/// `/office/stock`, and `?low=1` for low stock.
#[component]
pub(crate) fn OfficeStockPage() -> impl IntoView {
    office(|acts| {
        let language = language();
        let title = text::office::stock(language);
        let is_low = use_query_map().with_untracked(|query| query.get("low").is_some());
        let initial = api::listing(ListingQuery {
            view: "inventory".to_owned(),
            listing: if is_low { "low_stock" } else { "all" }.to_owned(),
            group: String::new(),
            order: Order::Asc,
            limit: PAGE_ROWS,
            cursor: None,
        });
        let names = names();
        let filter = choices(
            text::office::stock_which(language),
            vec![
                (
                    "/office/stock".to_owned(),
                    text::office::stock_all(language),
                    !is_low,
                ),
                (
                    "/office/stock?low=1".to_owned(),
                    text::office::stock_low(language),
                    is_low,
                ),
            ],
        );
        suspend(async move {
            match initial.await {
                Ok(initial) => {
                    let names = names.await;
                    view! {
                        <WindowTitle text=title />
                        {filter}
                        {OfficeStock { initial, names, acts }.island()}
                    }
                    .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

/// The names of the products on sale, by SKU; empty if they cannot be loaded.
fn names() -> impl Future<Output = BTreeMap<String, String>> + Send {
    let everything = api::whole_listing(products(None, MOST_ROWS));
    async move {
        let rows = everything.await.unwrap_or_default();
        rows.iter()
            .filter_map(|row| typed::<ProductDocument>(&row.data))
            .map(|product| (product.sku, product.name))
            .collect()
    }
}
