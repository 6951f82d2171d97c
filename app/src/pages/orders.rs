//! The orders, newest first, live: a new one appears in every open tab. Customers see their own.

use domain::{access::Role, view::orders::OrderDocument, wire::Order};
use leptos::prelude::*;

use super::{Inside, Mark, PAGE_ROWS, PageHead};
use crate::{
    api::use_session,
    backend::ListingQuery,
    components::{EmptyState, Id, Price, ProblemView, StatusBadge, When, flash},
    erase::Erase,
    live::store::{LiveListing, Shown, use_live_listing},
    translations::i18n::{tu_string, use_i18n},
};

/// `/orders`.
#[component]
pub(crate) fn OrdersPage() -> impl IntoView {
    view! {
        <Inside>
            <Orders />
        </Inside>
    }
    .erase()
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

#[component]
fn Orders() -> impl IntoView {
    let i18n = use_i18n();
    let wanted = query();
    let listing = use_live_listing::<OrderDocument>(move || wanted.clone());
    view! {
        <PageHead title=tu_string!(i18n, orders.title).to_owned()>
            <Mark view="orders" ready=listing.settled() progress=listing.progress() />
        </PageHead>
        <Transition fallback=|| view! { <div class="skeleton skeleton--table"></div> }>
            {move || Suspend::new(async move {
                match listing.ready().await {
                    Ok(()) => view! { <Table listing /> }.erase(),
                    Err(problem) => view! { <ProblemView problem retry=move |()| listing.retry() /> }.erase(),
                }
            })}
        </Transition>
    }
    .erase()
}

#[component]
fn Table(listing: LiveListing<OrderDocument>) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <Show
            when=move || !listing.is_empty()
            fallback=move || view! {
                <EmptyState
                    title=tu_string!(i18n, orders.empty_title)
                    text=tu_string!(i18n, orders.empty)
                >
                    <a class="button button--primary" href="/shop">{tu_string!(i18n, orders.empty_action)}</a>
                </EmptyState>
            }
        >
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{tu_string!(i18n, orders.order)}</th>
                        <th scope="col">{tu_string!(i18n, orders.placed)}</th>
                        <th scope="col">{tu_string!(i18n, orders.customer)}</th>
                        <th scope="col" class="figure">{tu_string!(i18n, orders.items)}</th>
                        <th scope="col" class="figure">{tu_string!(i18n, orders.total)}</th>
                        <th scope="col">{tu_string!(i18n, orders.status)}</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || listing.keys() key=String::clone let:key>
                        <OrderRow id=key.clone() order=listing.row(key) />
                    </For>
                </tbody>
            </table>
            <Show when=move || listing.has_more()>
                <p class="more">
                    <button
                        type="button"
                        class="button needs-script"
                        on:click=move |_| listing.more()
                        disabled=move || listing.is_loading_more()
                    >
                        {tu_string!(i18n, orders.more)}
                    </button>
                </p>
            </Show>
        </Show>
    }
    .erase()
}

#[component]
fn OrderRow(id: String, order: Memo<Shown<OrderDocument>>) -> impl IntoView {
    let i18n = use_i18n();
    let of = move |order: &Shown<OrderDocument>| order.as_ref().map(|(order, _)| order.clone());
    // A row without a document is a row on its way out.
    let first = order.with_untracked(of)?;
    let status = Memo::new(move |_| {
        order.with(|order| order.as_ref().map_or(first.status, |(order, _)| order.status))
    });
    let items: u32 = first.lines.iter().map(|line| line.quantity).sum();
    let flashing = move || order.with(|order| flash(order.as_ref().map_or(0, |(_, revision)| *revision)));
    Some(view! {
        <tr class=flashing data-order=id.clone()>
            <th scope="row"><a class="row-link" href=format!("/orders/{id}")><Id id=id.clone() /></a></th>
            <td data-label=tu_string!(i18n, orders.placed)><When at=first.placed_at /></td>
            <td data-label=tu_string!(i18n, orders.customer)>{first.customer.name}</td>
            <td data-label=tu_string!(i18n, orders.items) class="figure mono">{items}</td>
            <td data-label=tu_string!(i18n, orders.total) class="figure"><Price amount=Some(first.total) /></td>
            <td data-label=tu_string!(i18n, orders.status)><StatusBadge status /></td>
        </tr>
    }.erase())
}
