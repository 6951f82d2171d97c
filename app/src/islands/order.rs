//! One order: its status, lines and timeline, and the actions that are possible.

use domain::{aggregate::order::OrderLine, money::Money, view::orders::OrderDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Island, copy::Copy};
use crate::{
    commands::is_pending,
    components::{
        Freshness, Id, PageHead, Price, StatusBadge, When, either, for_each, highlight_class, only_if, text,
    },
    erase::{Erase, View},
    language::language,
    live::store::{InitialDocument, LiveDocument, Revision},
    translations::i18n::td_string,
};

mod actions;
mod timeline;

use actions::Actions;

/// The order.
#[derive(Serialize, Deserialize)]
pub(crate) struct OrderDetails {
    /// The order. If the view has not folded it yet, the page says so until it arrives.
    pub(crate) initial: InitialDocument,
}

impl Island for OrderDetails {
    const NAME: &'static str = "order";

    fn view(self) -> View {
        let id = self.initial.key.clone();
        let document = LiveDocument::<OrderDocument>::new(self.initial);
        let shown = document.predicted(&id);
        either(
            // The view may fold its stock or payment before the order itself.
            move || shown.with(|shown| shown.as_ref().is_some_and(|(order, _)| order.version > 0)),
            move || folded(document, shown),
            move || unfolded(document, &id),
        )
    }
}

/// The order is stored, and the view has not folded it yet.
fn unfolded(document: LiveDocument<OrderDocument>, id: &str) -> View {
    let locale = language();
    view! {
        <PageHead
            title=td_string!(locale, order.title)
            mark=view! { <Freshness view="orders" progress=document.progress() /> }.erase()
        />
        <section class="panel panel--pending" role="status">
            <p><Id id=id.to_owned() /></p>
            <p>{td_string!(locale, order.unfolded)}</p>
        </section>
    }
    .erase()
}

/// The order, with the predicted effect of pending commands.
fn folded(document: LiveDocument<OrderDocument>, shown: Memo<Revision<OrderDocument>>) -> View {
    let locale = language();
    // The immutable parts of an order are read once; the others are tracked.
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
    let reason_entry = move || {
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
            entry.map_or_else(|| ().erase(), |entry| timeline::entry(entry.clone(), shown))
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
            match highlight_class(shown) {
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
                {only_if(move || !reason().is_empty(), reason_entry)}
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
                <div>
                    <dt>{td_string!(locale, order.stream)}</dt>
                    <dd>
                        <a class="mono" href=["/streams/", &stream].concat()>
                            {td_string!(locale, order.events)}
                        </a>
                    </dd>
                </div>
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

/// The lines of the order, with their cost.
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
                                    <th scope="row">
                                        <a href=["/shop/", &line.sku].concat()>{line.name}</a>
                                    </th>
                                    <td class="figure" data-label=td_string!(locale, basket.price)>
                                        <Price amount=Some(line.price) />
                                    </td>
                                    <td class="figure mono" data-label=td_string!(locale, basket.quantity)>
                                        {line.quantity}
                                    </td>
                                    <td class="figure" data-label=td_string!(locale, basket.sum)>
                                        <Price amount=sum />
                                    </td>
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
