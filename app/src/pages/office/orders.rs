//! The page of the orders to ship and to deliver, and of all others by status.

use domain::{aggregate::order::OrderStatus, wire::Order};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{choices, office};
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::{Erase, View},
    islands::{Island, OfficeOrders},
    language::language,
    pages::{PAGE_ROWS, problem_view, suspend},
    text,
};

/// Statuses with work to do come first.
const STATUSES: [OrderStatus; 8] = [
    OrderStatus::Confirmed,
    OrderStatus::Shipped,
    OrderStatus::Created,
    OrderStatus::Reserved,
    OrderStatus::Delivered,
    OrderStatus::Cancelled,
    OrderStatus::Refunded,
    OrderStatus::Rejected,
];

/// `/office` and `/office/orders?status=`, or `?customer=` for the orders of one customer.
#[component]
pub(crate) fn OfficeOrdersPage() -> impl IntoView {
    office(|acts| {
        let title = text::office::orders(language());
        let (requested, customer) =
            use_query_map().with_untracked(|query| (query.get("status"), query.get("customer")));
        let status = match requested.as_deref() {
            _ if customer.is_some() => None,
            Some("all") => None,
            requested => STATUSES
                .into_iter()
                .find(|status| Some(status.as_str()) == requested)
                .or(Some(OrderStatus::Confirmed)),
        };
        let initial = api::listing(query(status, customer));
        suspend(async move {
            match initial.await {
                Ok(initial) => view! {
                    <WindowTitle text=title />
                    {statuses(status)}
                    {OfficeOrders { initial, acts }.island()}
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

/// Orders with work to do are sorted oldest first, all others newest first.
fn query(status: Option<OrderStatus>, customer: Option<String>) -> ListingQuery {
    let has_work = matches!(status, Some(OrderStatus::Confirmed | OrderStatus::Shipped));
    ListingQuery {
        view: "orders".to_owned(),
        listing: match (status, &customer) {
            (Some(_), _) => "by_status",
            (None, Some(_)) => "by_customer",
            (None, None) => "all",
        }
        .to_owned(),
        group: status
            .map(|status| status.as_str().to_owned())
            .or(customer)
            .unwrap_or_default(),
        order: if has_work { Order::Asc } else { Order::Desc },
        limit: PAGE_ROWS,
        cursor: None,
    }
}

fn statuses(chosen: Option<OrderStatus>) -> View {
    let language = language();
    let name = |status| match status {
        OrderStatus::Confirmed => text::office::to_ship(language),
        OrderStatus::Shipped => text::office::to_deliver(language),
        OrderStatus::Created => text::status::created(language),
        OrderStatus::Reserved => text::status::reserved(language),
        OrderStatus::Delivered => text::status::delivered(language),
        OrderStatus::Cancelled => text::status::cancelled(language),
        OrderStatus::Refunded => text::status::refunded(language),
        OrderStatus::Rejected => text::status::rejected(language),
    };
    let mut links: Vec<_> = STATUSES
        .into_iter()
        .map(|status| {
            let href = format!("/office/orders?status={}", status.as_str());
            (href, name(status), chosen == Some(status))
        })
        .collect();
    links.push((
        "/office/orders?status=all".to_owned(),
        text::office::orders_all(language),
        chosen.is_none(),
    ));
    choices(text::office::by_status(language), links)
}
