//! The right column: the person's own orders, as a shopper's phone shows them. It reads the view of the
//! orders, so that it is behind where that is; an order of this browser shows at once, as in the shop.

use domain::view::orders::OrderDocument;
use leptos::prelude::*;

use crate::{
    commands::is_pending,
    components::{Freshness, Id, Price, StatusBadge, for_each, highlight_class, only_if, text},
    erase::{Erase, View},
    islands::pending_orders::PendingOrders,
    language::language,
    live::store::{InitialListing, LiveListing},
    text,
};

/// How many orders the phone shows.
const MOST_ORDERS: usize = 4;

pub(super) fn column(own_orders: InitialListing) -> View {
    let language = language();
    let listing = LiveListing::<OrderDocument>::new(own_orders);
    let keys = move || listing.keys().into_iter().take(MOST_ORDERS).collect();
    let nothing = move || view! { <p class="muted">{text::lab::split_phone_empty(language)}</p> }.erase();
    view! {
        <section class="lab-split__column lab-split__phone" data-testid="split-phone">
            <h2>{text::lab::split_phone(language)}</h2>
            <div class="lab-split__screen">
                <Freshness view="orders" progress=listing.progress() />
                <PendingOrders accepted=false />
                {only_if(move || listing.is_empty(), nothing)}
                <ul class="lab-split__orders">{for_each(keys, move |key| row(&key, listing))}</ul>
            </div>
        </section>
    }
    .erase()
}

fn row(id: &str, listing: LiveListing<OrderDocument>) -> View {
    let order = listing.predicted(id.to_owned());
    // A row without a document is about to be removed.
    let Some((first, _)) = order.get_untracked() else {
        return ().erase();
    };
    let status = Signal::derive(move || {
        order.with(|order| order.as_ref().map_or(first.status, |(order, _)| order.status))
    });
    let is_pending = is_pending(["order-", id].concat());
    let class = move || {
        if is_pending() {
            "row--pending"
        } else {
            highlight_class(order)
        }
    };
    view! {
        <li class=text(class) data-order=id.to_owned()>
            <a href=["/orders/", id].concat()><Id id=id.to_owned() /></a>
            <Price amount=Some(first.total) />
            <StatusBadge status />
        </li>
    }
    .erase()
}
