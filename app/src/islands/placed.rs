//! Orders that were placed and that the server has not answered for: what is in them, that they are on their way or wait
//! for the connection, and the way back into the basket.

use domain::{aggregate::order::LineRequest, view::orders::OrderDocument};
use leptos::prelude::*;
use uuid::Uuid;

use crate::{
    basket::{SharedBasket, use_basket},
    commands::{Commands, use_commands},
    components::{Id, Outgoing, Price, either, for_each, only_if, text},
    erase::{Erase, View},
    language::language,
    live::{
        outbox::{Pending, Stage},
        store::typed,
    },
    translations::i18n::td_string,
};

/// The orders that are on their way. With `accepted` also those that have arrived since the page was opened.
#[component]
pub(super) fn PlacedOrders(accepted: bool) -> impl IntoView {
    let commands = use_commands();
    let keys = move || {
        let Some(commands) = commands else {
            return Vec::new();
        };
        commands.with(|outbox| {
            let orders = outbox.all().iter().filter(|pending| {
                pending.command == "PlaceOrder" && (accepted || !matches!(pending.stage, Stage::Accepted(_)))
            });
            orders.map(|pending| pending.key.to_string()).collect()
        })
    };
    for_each(keys, move |key| {
        let key = key.parse().unwrap_or_default();
        commands.map_or_else(|| ().erase(), |commands| order(commands, key))
    })
}

/// Whether there is an order on its way.
pub(super) fn is_any() -> impl Fn() -> bool + Copy + Send + Sync + 'static {
    let commands = use_commands();
    move || {
        commands.is_some_and(|commands| {
            commands.with(|outbox| outbox.all().iter().any(|pending| pending.command == "PlaceOrder"))
        })
    }
}

fn order(commands: Commands, key: Uuid) -> View {
    let locale = language();
    let basket = use_basket();
    let find =
        move || commands.with(|outbox| outbox.all().iter().find(|pending| pending.key == key).cloned());
    let Some(first) = untrack(find) else {
        return ().erase();
    };
    let stream = first.stream.clone();
    let id = stream.trim_start_matches("order-").to_owned();
    let href = ["/orders/", &id].concat();
    let order: Option<OrderDocument> = first.preview.as_ref().and_then(typed);
    let (lines, total) = order.map(|order| (order.lines, order.total)).unzip();
    let line = |line: domain::aggregate::order::OrderLine| {
        view! { <li>{line.quantity}" × "{line.name}</li> }.erase()
    };
    let lines: Vec<View> = lines.unwrap_or_default().into_iter().map(line).collect();
    let is_accepted = move || matches!(commands.stage(key), Some(Stage::Accepted(_)));
    let back = move || {
        let back = move |_| {
            if let Some(pending) = untrack(find) {
                into_basket(commands, basket, &pending);
            }
        };
        view! { <button type="button" class="button" on:click=back>{td_string!(locale, basket.back)}</button> }.erase()
    };
    let can_go_back =
        move || find().is_some_and(|pending| pending.can_be_discarded() || pending.problem().is_some());
    let arrived = move || {
        view! { <p><a class="button" href=href.clone()>{td_string!(locale, basket.look)}</a></p> }.erase()
    };
    let under_way = move || {
        view! {
            <Outgoing stream=stream.clone() />
            {only_if(can_go_back, back)}
        }
        .erase()
    };
    let class = move || {
        if is_accepted() {
            "panel"
        } else {
            "panel panel--pending"
        }
    };
    view! {
        <section class=text(class)>
            <h2>{td_string!(locale, order.title)}" "<Id id /></h2>
            <ul>{lines}</ul>
            <p>{td_string!(locale, basket.total)}": "<Price amount=Signal::stored(total) /></p>
            {either(is_accepted, arrived, under_way)}
        </section>
    }
    .erase()
}

/// Takes an order back that has not left this browser or was refused, and puts its lines into the basket again.
pub(super) fn into_basket(commands: Commands, basket: SharedBasket, pending: &Pending) -> Vec<LineRequest> {
    let lines: Vec<LineRequest> = pending.data.get("lines").and_then(typed).unwrap_or_default();
    commands.discard(pending.key);
    basket.change(|basket| {
        for line in &lines {
            if basket.quantity(&line.sku) == 0 {
                basket.set(&line.sku, line.quantity);
            }
        }
    });
    lines
}
