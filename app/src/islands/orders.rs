//! The list of orders, newest first: a new one appears by itself, and each row follows its order.

use domain::view::orders::OrderDocument;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Island, placed::PlacedOrders};
use crate::{
    commands::is_pending,
    components::{
        EmptyState, Freshness, Id, MoreRows, PageHead, Price, StatusBadge, When, either, flash, for_each,
        text,
    },
    erase::{Erase, View},
    language::language,
    live::store::{Listed, LiveListing, Shown},
    translations::i18n::td_string,
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
        let locale = language();
        let listing = LiveListing::<OrderDocument>::new(self.listed);
        let table = move || {
            view! {
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">{td_string!(locale, orders.order)}</th>
                            <th scope="col">{td_string!(locale, orders.placed)}</th>
                            <th scope="col">{td_string!(locale, orders.customer)}</th>
                            <th scope="col" class="figure">{td_string!(locale, orders.items)}</th>
                            <th scope="col" class="figure">{td_string!(locale, orders.total)}</th>
                            <th scope="col">{td_string!(locale, orders.status)}</th>
                        </tr>
                    </thead>
                    <tbody>{for_each(move || listing.keys(), move |key| row(&key, listing.foreseen(key.clone())))}</tbody>
                </table>
            }
            .erase()
        };
        let nothing = move || {
            view! {
                <EmptyState
                    title=td_string!(locale, orders.empty_title)
                    text=td_string!(locale, orders.empty)
                    action=view! {
                        <a class="button button--primary" href="/shop">{td_string!(locale, orders.empty_action)}</a>
                    }.erase()
                />
            }
            .erase()
        };
        view! {
            <PageHead
                title=td_string!(locale, orders.title)
                mark=view! { <Freshness view="orders" progress=listing.progress() /> }.erase()
            />
            <PlacedOrders accepted=false />
            {either(move || listing.is_empty(), nothing, table)}
            <MoreRows listing=listing.untyped() />
        }
        .erase()
    }
}

fn row(id: &str, order: Memo<Shown<OrderDocument>>) -> View {
    let locale = language();
    // A row without a document is a row on its way out.
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
            flash(order)
        }
    };
    view! {
        <tr class=text(class) data-order=id.to_owned()>
            <th scope="row"><a class="row-link" href=["/orders/", id].concat()><Id id=id.to_owned() /></a></th>
            <td data-label=td_string!(locale, orders.placed)><When at=first.placed_at /></td>
            <td data-label=td_string!(locale, orders.customer)>{first.customer.name}</td>
            <td data-label=td_string!(locale, orders.items) class="figure mono">{items}</td>
            <td data-label=td_string!(locale, orders.total) class="figure"><Price amount=Some(first.total) /></td>
            <td data-label=td_string!(locale, orders.status)><StatusBadge status /></td>
        </tr>
    }
    .erase()
}
