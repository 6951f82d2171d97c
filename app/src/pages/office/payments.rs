//! The page of the payments, by status.

use domain::{view::payments::PaymentStatus, wire::Order};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{choices, office};
use crate::{
    api,
    backend::ListingQuery,
    components::WindowTitle,
    erase::{Erase, View},
    islands::{Island, OfficePayments},
    language::language,
    pages::{PAGE_ROWS, problem_view, suspend},
    text,
};

const STATUSES: [PaymentStatus; 3] = [
    PaymentStatus::Processed,
    PaymentStatus::Failed,
    PaymentStatus::Refunded,
];

/// `/office/payments?status=`.
#[component]
pub(crate) fn OfficePaymentsPage() -> impl IntoView {
    office(|acts| {
        let title = text::office::payments(language());
        let requested = use_query_map().with_untracked(|query| query.get("status"));
        let status = STATUSES
            .into_iter()
            .find(|status| Some(status.as_str()) == requested.as_deref());
        let initial = api::listing(ListingQuery {
            view: "payments".to_owned(),
            listing: if status.is_some() { "by_status" } else { "all" }.to_owned(),
            group: status
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
            order: Order::Desc,
            limit: PAGE_ROWS,
            cursor: None,
        });
        suspend(async move {
            match initial.await {
                Ok(initial) => view! {
                    <WindowTitle text=title />
                    {statuses(status)}
                    {OfficePayments { initial, acts }.island()}
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

fn statuses(chosen: Option<PaymentStatus>) -> View {
    let language = language();
    let all = (
        "/office/payments".to_owned(),
        text::office::payments_all(language),
        chosen.is_none(),
    );
    let of_status = STATUSES.map(|status| {
        let name = match status {
            PaymentStatus::Processed => text::office::processed(language),
            PaymentStatus::Failed => text::office::failed(language),
            PaymentStatus::Refunded => text::office::refunded(language),
        };
        let href = format!("/office/payments?status={}", status.as_str());
        (href, name, chosen == Some(status))
    });
    let links = std::iter::once(all).chain(of_status).collect();
    choices(text::office::payments_which(language), links)
}
