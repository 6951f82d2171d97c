//! The page of the sales dashboard.

use domain::wire::Order;
use leptos::prelude::*;

use super::office;
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficeSales},
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// `/office/sales`.
#[component]
pub(crate) fn OfficeSalesPage() -> impl IntoView {
    office(|_acts| {
        let title = text::office::sales(language());
        let days = api::listing(query("by_day", 30));
        let products = api::listing(query("top_products", 10));
        suspend(async move {
            let answers = match days.await {
                Ok(days) => products.await.map(|products| (days, products)),
                Err(problem) => Err(problem),
            };
            match answers {
                Ok((days, products)) => {
                    view! { <WindowTitle text=title />{OfficeSales { days, products }.island()} }.erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

fn query(listing: &str, limit: u32) -> ListingQuery {
    ListingQuery {
        view: "sales".to_owned(),
        listing: listing.to_owned(),
        group: String::new(),
        order: Order::Desc,
        limit,
        cursor: None,
    }
}
