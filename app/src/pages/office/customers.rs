//! The page of the customers, newest first or by spending.

use domain::wire::Order;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{choices, office};
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficeCustomers},
    language::language,
    pages::{PAGE_ROWS, problem_view, suspend},
    text,
};

/// `/office/customers`, and `?by=spend`.
#[component]
pub(crate) fn OfficeCustomersPage() -> impl IntoView {
    office(|_acts| {
        let language = language();
        let title = text::office::customers(language);
        let by_spend = use_query_map().with_untracked(|query| query.get_str("by") == Some("spend"));
        let initial = api::listing(ListingQuery {
            view: "customers".to_owned(),
            listing: if by_spend { "by_spend" } else { "all" }.to_owned(),
            group: String::new(),
            order: Order::Desc,
            limit: PAGE_ROWS,
            cursor: None,
        });
        let order = choices(
            text::office::customers_order(language),
            vec![
                (
                    "/office/customers".to_owned(),
                    text::office::newest(language),
                    !by_spend,
                ),
                (
                    "/office/customers?by=spend".to_owned(),
                    text::office::by_spend(language),
                    by_spend,
                ),
            ],
        );
        suspend(async move {
            match initial.await {
                Ok(initial) => {
                    view! { <WindowTitle text=title />{order}{OfficeCustomers { initial }.island()} }.erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
