//! One order: where it stands, what was ordered, how it came to that, and what can be done with it.

use domain::{aggregate::order::OrderLine, money::Money, view::orders::OrderDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Island, copy::Copy};
use crate::{
    commands::is_pending,
    components::{Freshness, Id, PageHead, Price, StatusBadge, When, either, flash, for_each, only_if, text},
    erase::{Erase, View},
    language::language,
    live::store::{Found, LiveDocument, Shown},
    translations::i18n::td_string,
};

mod actions;
mod time_line;

use actions::Actions;

/// The order.
#[derive(Serialize, Deserialize)]
pub(crate) struct OrderStory {
    /// The order, or that it is not folded yet: then that is said, and it appears by itself.
    pub(crate) found: Found,
}

impl Island for OrderStory {
    const NAME: &'static str = "order";

    fn view(self) -> View {
        let id = self.found.key.clone();
        let document = LiveDocument::<OrderDocument>::new(self.found);
        let shown = document.foreseen(&id);
        either(
            // Its stock or its payment may be folded before the order itself.
            move || shown.with(|shown| shown.as_ref().is_some_and(|(order, _)| order.version > 0)),
            move || placed(document, shown),
            move || coming(document, &id),
        )
    }
}

/// The order has been written, and the view has not folded it yet.
fn coming(document: LiveDocument<OrderDocument>, id: &str) -> View {
    let locale = language();
    view! {
        <PageHead
            title=td_string!(locale, order.title)
            mark=view! { <Freshness view="orders" progress=document.progress() /> }.erase()
        />
        <section class="panel panel--pending" role="status">
            <p><Id id=id.to_owned() /></p>
            <p>{td_string!(locale, order.coming)}</p>
        </section>
    }
    .erase()
}

/// The order, as it is with what is on its way.
fn placed(document: LiveDocument<OrderDocument>, shown: Memo<Shown<OrderDocument>>) -> View {
    let locale = language();
    // What of an order never changes is read once; the rest is followed.
    let Some((first, _)) = shown.get_untracked() else {
        return ().erase();
    };
    let first_status = first.status;
    let status = Signal::derive(move || {
        shown.with(|shown| shown.as_ref().map_or(first_status, |(order, _)| order.status))
    });
    let reason = move || {
        shown.with(|shown| {
            shown
                .as_ref()
                .and_then(|(order, _)| order.reason.clone())
                .unwrap_or_default()
        })
    };
    let why = move || {
        view! { <div><dt>{td_string!(locale, order.reason)}</dt><dd>{text(reason)}</dd></div> }.erase()
    };
    let entry_ids = move || {
        shown.with(|shown| {
            let entries = shown.iter().flat_map(|(order, _)| &order.history);
            entries.map(|entry| entry.event_id.to_string()).collect()
        })
    };
    let entry_of = move |id: String| {
        shown.with(|order| {
            let mut entries = order.iter().flat_map(|(order, _)| &order.history);
            let entry = entries.find(|entry| entry.event_id.to_string() == id);
            entry.map_or_else(|| ().erase(), |entry| time_line::entry(entry.clone(), shown))
        })
    };
    let OrderDocument {
        id,
        customer,
        lines,
        total,
        placed_at,
        ..
    } = first;
    let stream = ["order-", &id].concat();
    let is_pending = is_pending(stream.clone());
    let class = move || {
        if is_pending() {
            "panel panel--pending"
        } else {
            match flash(shown) {
                "" => "panel",
                "flash-odd" => "panel flash-odd",
                _ => "panel flash-even",
            }
        }
    };
    view! {
        <PageHead
            title=td_string!(locale, order.title)
            mark=view! { <Freshness view="orders" progress=document.progress() /> }.erase()
        />
        <section class=text(class)>
            <dl class="facts">
                <div>
                    <dt>{td_string!(locale, orders.status)}</dt>
                    <dd aria-live="polite"><StatusBadge status /></dd>
                </div>
                {only_if(move || !reason().is_empty(), why)}
                <div>
                    <dt>{td_string!(locale, orders.order)}</dt>
                    <dd>
                        <Id id=id.clone() />
                        <Copy
                            content=id.clone()
                            label=td_string!(locale, order.copy_id).to_owned()
                        />
                    </dd>
                </div>
                <div><dt>{td_string!(locale, orders.placed)}</dt><dd><When at=placed_at /></dd></div>
                <div><dt>{td_string!(locale, orders.customer)}</dt><dd>{customer.name}</dd></div>
                <div><dt>{td_string!(locale, order.stream)}</dt><dd><a class="mono" href=["/streams/", &stream].concat()>{td_string!(locale, order.events)}</a></dd></div>
            </dl>
        </section>
        {lines_panel(lines, total)}
        <Actions id server=document.shown() shown />
        <section class="panel">
            <h2>{td_string!(locale, order.history)}</h2>
            <ol class="time-line">
                {for_each(entry_ids, entry_of)}
            </ol>
        </section>
    }
    .erase()
}

/// What was ordered, and what it cost.
fn lines_panel(lines: Vec<OrderLine>, total: Money) -> View {
    let locale = language();
    view! {
        <section class="panel">
            <h2>{td_string!(locale, order.lines)}</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{td_string!(locale, basket.product)}</th>
                        <th scope="col" class="figure">{td_string!(locale, basket.price)}</th>
                        <th scope="col" class="figure">{td_string!(locale, basket.quantity)}</th>
                        <th scope="col" class="figure">{td_string!(locale, basket.sum)}</th>
                    </tr>
                </thead>
                <tbody>
                    {lines
                        .into_iter()
                        .map(|line| {
                            let sum = line.price.times(line.quantity);
                            view! {
                                <tr>
                                    <th scope="row"><a href=["/shop/", &line.sku].concat()>{line.name}</a></th>
                                    <td class="figure" data-label=td_string!(locale, basket.price)><Price amount=Some(line.price) /></td>
                                    <td class="figure mono" data-label=td_string!(locale, basket.quantity)>{line.quantity}</td>
                                    <td class="figure" data-label=td_string!(locale, basket.sum)><Price amount=sum /></td>
                                </tr>
                            }
                        })
                        .collect_view()}
                </tbody>
                <tfoot>
                    <tr>
                        <th scope="row" colspan="3">{td_string!(locale, basket.total)}</th>
                        <td class="figure total"><Price amount=Some(total) /></td>
                    </tr>
                </tfoot>
            </table>
        </section>
    }
    .erase()
}
