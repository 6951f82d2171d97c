//! The orders that were placed in this browser and are pending: their lines, their stage, and a button that
//! returns the lines to the basket.

use domain::{aggregate::order::LineRequest, view::orders::OrderDocument};
use leptos::prelude::*;
use uuid::Uuid;

use crate::{
    basket::{SharedBasket, use_basket},
    commands::{Commands, use_commands},
    components::{Id, PendingCommands, Price, either, for_each, only_if, text},
    erase::{Erase, View},
    language::language,
    live::{
        command_queue::{Pending, Stage},
        store::typed,
    },
    text::{self, SLOT, around},
};

/// The pending orders; with `accepted`, also those that were stored since the page was opened.
#[component]
pub(super) fn PendingOrders(accepted: bool) -> impl IntoView {
    let commands = use_commands();
    let keys = move || {
        let Some(commands) = commands else {
            return Vec::new();
        };
        commands.with(|queue| {
            let orders = queue.all().iter().filter(|pending| {
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

/// Whether there is a pending order.
pub(super) fn is_any_pending() -> impl Fn() -> bool + Copy + Send + Sync + 'static {
    let commands = use_commands();
    move || {
        commands.is_some_and(|commands| {
            commands.with(|queue| queue.all().iter().any(|pending| pending.command == "PlaceOrder"))
        })
    }
}

fn order(commands: Commands, key: Uuid) -> View {
    let language = language();
    let basket = use_basket();
    let find = move || commands.with(|queue| queue.all().iter().find(|pending| pending.key == key).cloned());
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
    let titled = text::order::titled(language, SLOT);
    let (before_id, after_id) = around(&titled);
    let total_is = text::layout::pair(language, text::basket::total(language), SLOT);
    let (before_total, after_total) = around(&total_is);
    let lines: Vec<View> = lines.unwrap_or_default().into_iter().map(line).collect();
    let is_accepted = move || matches!(commands.stage(key), Some(Stage::Accepted(_)));
    let back = move || {
        let back = move |_| {
            if let Some(pending) = untrack(find) {
                return_to_basket(commands, basket, &pending);
            }
        };
        view! {
            <button type="button" class="button" on:click=back>{text::basket::back(language)}</button>
        }
        .erase()
    };
    let can_go_back =
        move || find().is_some_and(|pending| pending.can_be_discarded() || pending.problem().is_some());
    let arrived = move || {
        view! { <p><a class="button" href=href.clone()>{text::basket::view_order(language)}</a></p> }.erase()
    };
    let outstanding = move || {
        view! {
            <PendingCommands stream=stream.clone() />
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
            <h2>{before_id}<Id id />{after_id}</h2>
            <ul>{lines}</ul>
            <p>{before_total}<Price amount=Signal::stored(total) />{after_total}</p>
            {either(is_accepted, arrived, outstanding)}
        </section>
    }
    .erase()
}

/// Discards an order that was never sent or was refused, and returns its lines to the basket.
pub(super) fn return_to_basket(
    commands: Commands,
    basket: SharedBasket,
    pending: &Pending,
) -> Vec<LineRequest> {
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
