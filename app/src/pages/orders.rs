//! The page of the orders, newest first. Customers see their own.

use domain::{access::Role, wire::Order};
use leptos::prelude::*;

use super::{PAGE_ROWS, problem_view, suspend, within_workspace};
use crate::{
    api::{self, use_session},
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OrderList},
    language::language,
    text,
};

/// `/orders`.
#[component]
pub(crate) fn OrdersPage() -> impl IntoView {
    within_workspace(|| {
        let title = text::orders::title(language());
        let initial = api::listing(query());
        suspend(async move {
            match initial.await {
                Ok(initial) => view! { <WindowTitle text=title />{OrderList { initial }.island()} }.erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

fn query() -> ListingQuery {
    let own = use_session().filter(|session| session.role == Role::Customer);
    ListingQuery {
        view: "orders".to_owned(),
        listing: if own.is_some() { "by_customer" } else { "all" }.to_owned(),
        group: own
            .map(|session| session.actor_id.to_string())
            .unwrap_or_default(),
        order: Order::Desc,
        limit: PAGE_ROWS,
        cursor: None,
    }
}
