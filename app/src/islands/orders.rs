//! The list of orders, newest first: a new one appears by itself, and each row follows its order.

use domain::view::orders::OrderDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{EmptyState, Freshness, Id, MoreRows, PageHead, Price, StatusBadge, When, flash},
    erase::{Erase, View},
    live::store::{Listed, LiveListing, Shown},
    translations::i18n::{tu_string, use_i18n},
};

/// The list.
#[derive(Serialize, Deserialize)]
pub(crate) struct OrderList {
    /// The first page of the orders.
    pub(crate) listed: Listed,
}

impl Island for OrderList {
    const NAME: &'static str = "orders";

    fn view(self) -> View {
        let i18n = use_i18n();
        let listing = LiveListing::<OrderDocument>::new(self.listed);
        view! {
        <PageHead title=tu_string!(i18n, orders.title)>
            <Freshness view="orders" progress=listing.progress() />
        </PageHead>
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
        </Show>
        <MoreRows listing />
    }
    .erase()
    }
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
