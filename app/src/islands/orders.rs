//! The list of orders, newest first. New orders appear by themselves, and each row is live.

use domain::view::orders::OrderDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Island, pending_orders::PendingOrders};
use crate::{
    commands::is_pending,
    components::{Column, EmptyState, Id, ListingTable, Price, StatusBadge, When, highlight_class, text},
    erase::{Erase, View},
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The list.
#[derive(Serialize, Deserialize)]
pub(crate) struct OrderList {
    /// The first page of the orders.
    pub(crate) initial: InitialListing,
}

impl Island for OrderList {
    const NAME: &'static str = "orders";

    fn view(self) -> View {
        let language = language();
        let listing = LiveListing::<OrderDocument>::new(self.initial);
        let columns = vec![
            Column::words(text::orders::order(language)),
            Column::words(text::orders::placed(language)),
            Column::words(text::orders::customer(language)),
            Column::figures(text::orders::items(language)),
            Column::figures(text::orders::total(language)),
            Column::words(text::orders::status(language)),
        ];
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::orders::empty_title(language)
                    text=text::orders::empty(language)
                    action=view! {
                        <a class="button button--primary" href="/shop">
                            {text::orders::empty_action(language)}
                        </a>
                    }.erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: text::orders::title(language),
            view: "orders",
            listing: listing.untyped(),
            columns,
            before: Some(view! { <PendingOrders accepted=false /> }.erase()),
        }
        .show(move |key| row(&key, listing.predicted(key.clone())), nothing)
    }
}

fn row(id: &str, order: Memo<Revision<OrderDocument>>) -> View {
    let language = language();
    // A row without a document is about to be removed.
    let Some((first, _)) = order.get_untracked() else {
        return ().erase();
    };
    let status = Signal::derive(move || {
        order.with(|order| order.as_ref().map_or(first.status, |(order, _)| order.status))
    });
    let items: u32 = first.lines.iter().map(|line| line.quantity).sum();
    let is_pending = is_pending(["order-", id].concat());
    let class = move || {
        if is_pending() {
            "row--pending"
        } else {
            highlight_class(order)
        }
    };
    view! {
        <tr class=text(class) data-order=id.to_owned()>
            <th scope="row">
                <a class="row-link" href=["/orders/", id].concat()><Id id=id.to_owned() /></a>
            </th>
            <td data-label=text::orders::placed(language)><When at=first.placed_at /></td>
            <td data-label=text::orders::customer(language)>{first.customer.name}</td>
            <td data-label=text::orders::items(language) class="figure mono">{items}</td>
            <td data-label=text::orders::total(language) class="figure">
                <Price amount=Some(first.total) />
            </td>
            <td data-label=text::orders::status(language)><StatusBadge status /></td>
        </tr>
    }
    .erase()
}
