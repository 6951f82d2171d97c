//! One order: its status, lines and timeline, and the actions that are possible.

use domain::{aggregate::order::OrderLine, money::Money, view::orders::OrderDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Island, copy::Copy};
use crate::{
    commands::is_pending,
    components::{
        Freshness, Id, PageHead, Price, StatusBadge, When, either, for_each, highlight_class, only_if,
        reason_text, text,
    },
    erase::{Erase, View},
    language::language,
    live::store::{InitialDocument, LiveDocument, Revision},
    person::reads_streams,
    text,
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
    let language = language();
    view! {
        <PageHead
            title=text::order::title(language)
            mark=view! { <Freshness view="orders" progress=document.progress() /> }.erase()
        />
        <section class="panel panel--pending" role="status">
            <p><Id id=id.to_owned() /></p>
            <p>{text::order::pending(language)}</p>
        </section>
    }
    .erase()
}

/// The order, with the predicted effect of pending commands.
fn folded(document: LiveDocument<OrderDocument>, shown: Memo<Revision<OrderDocument>>) -> View {
    let language = language();
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
                .and_then(|(order, _)| order.reason.as_deref().map(reason_text))
                .unwrap_or_default()
        })
    };
    let reason_entry =
        move || view! { <div><dt>{text::order::reason(language)}</dt><dd>{text(reason)}</dd></div> }.erase();
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
    let stream_entry = reads_streams().then(|| stream_entry(&stream));
    let is_pending = is_pending(stream);
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
            title=text::order::title(language)
            mark=view! { <Freshness view="orders" progress=document.progress() /> }.erase()
        />
        <section class=text(class)>
            <dl class="facts">
                <div>
                    <dt>{text::orders::status(language)}</dt>
                    <dd aria-live="polite"><StatusBadge status /></dd>
                </div>
                {only_if(move || !reason().is_empty(), reason_entry)}
                <div>
                    <dt>{text::orders::order(language)}</dt>
                    <dd>
                        <Id id=id.clone() />
                        <Copy
                            content=id.clone()
                            label=text::order::copy_id(language).to_owned()
                        />
                    </dd>
                </div>
                <div><dt>{text::orders::placed(language)}</dt><dd><When at=placed_at /></dd></div>
                <div><dt>{text::orders::customer(language)}</dt><dd>{customer.name}</dd></div>
                {stream_entry}
            </dl>
        </section>
        {lines_panel(lines, total)}
        <Actions id server=document.shown() shown />
        <section class="panel">
            <h2>{text::order::history(language)}</h2>
            <ol class="time-line">
                {for_each(entry_ids, entry_of)}
            </ol>
        </section>
    }
    .erase()
}

/// The link to the events of the order.
fn stream_entry(stream: &str) -> View {
    let language = language();
    view! {
        <div>
            <dt>{text::order::stream(language)}</dt>
            <dd>
                <a class="mono" href=["/lab/streams/", stream].concat()>
                    {text::order::events(language)}
                </a>
            </dd>
        </div>
    }
    .erase()
}

/// The lines of the order, with their cost.
fn lines_panel(lines: Vec<OrderLine>, total: Money) -> View {
    let language = language();
    view! {
        <section class="panel">
            <h2>{text::order::lines(language)}</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{text::basket::product(language)}</th>
                        <th scope="col" class="figure">{text::basket::price(language)}</th>
                        <th scope="col" class="figure">{text::basket::quantity(language)}</th>
                        <th scope="col" class="figure">{text::basket::sum(language)}</th>
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
                                    <td class="figure" data-label=text::basket::price(language)>
                                        <Price amount=Some(line.price) />
                                    </td>
                                    <td class="figure mono" data-label=text::basket::quantity(language)>
                                        {line.quantity}
                                    </td>
                                    <td class="figure" data-label=text::basket::sum(language)>
                                        <Price amount=sum />
                                    </td>
                                </tr>
                            }
                        })
                        .collect_view()}
                </tbody>
                <tfoot>
                    <tr>
                        <th scope="row" colspan="3">{text::basket::total(language)}</th>
                        <td class="figure total"><Price amount=Some(total) /></td>
                    </tr>
                </tfoot>
            </table>
        </section>
    }
    .erase()
}
