//! One order: where it stands, what was ordered, how it came to that, and what can be done with it.

use domain::view::orders::{HistoryEntry, OrderDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Island, copy::Copy};
use crate::{
    components::{Freshness, Id, PageHead, Price, StatusBadge, When, flash},
    erase::{Erase, View},
    live::store::{Found, LiveDocument},
    translations::i18n::{tu_string, use_i18n},
};

mod actions;

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
        let shown = document.shown();
        let exists = Memo::new(move |_| shown.with(Option::is_some));
        view! {
            <Show when=move || exists.get() fallback=move || view! { <Coming document id=id.clone() /> }>
                <Placed document />
            </Show>
        }
        .erase()
    }
}

/// The order has been written, and the view has not folded it yet.
#[component]
fn Coming(document: LiveDocument<OrderDocument>, id: String) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <PageHead title=tu_string!(i18n, order.title)>
            <Freshness view="orders" progress=document.progress() />
        </PageHead>
        <section class="panel panel--pending" role="status">
            <p><Id id /></p>
            <p>{tu_string!(i18n, order.coming)}</p>
        </section>
    }
    .erase()
}

#[component]
fn Placed(document: LiveDocument<OrderDocument>) -> impl IntoView {
    let i18n = use_i18n();
    let shown = document.shown();
    // What of an order never changes is read once; the rest is followed.
    let first = shown.with_untracked(|shown| shown.as_ref().map(|(order, _)| order.clone()))?;
    let order = Memo::new(move |_| shown.get().map(|(order, _)| order));
    let status = Memo::new({
        let first = first.status;
        move |_| order.with(|order| order.as_ref().map_or(first, |order| order.status))
    });
    let reason = move || order.with(|order| order.as_ref().and_then(|order| order.reason.clone()));
    let history = Memo::new(move |_| {
        order.with(|order| {
            order
                .as_ref()
                .map(|order| order.history.clone())
                .unwrap_or_default()
        })
    });
    let flashing = move || shown.with(|shown| flash(shown.as_ref().map_or(0, |(_, revision)| *revision)));
    let OrderDocument {
        id,
        customer,
        lines,
        total,
        placed_at,
        ..
    } = first;
    let stream = format!("order-{id}");
    Some(view! {
        <PageHead title=tu_string!(i18n, order.title)>
            <Freshness view="orders" progress=document.progress() />
        </PageHead>
        <section class=move || format!("panel {}", flashing())>
            <dl class="facts">
                <div>
                    <dt>{tu_string!(i18n, orders.status)}</dt>
                    <dd aria-live="polite"><StatusBadge status /></dd>
                </div>
                <Show when=move || reason().is_some()>
                    <div><dt>{tu_string!(i18n, order.reason)}</dt><dd>{reason}</dd></div>
                </Show>
                <div>
                    <dt>{tu_string!(i18n, orders.order)}</dt>
                    <dd>
                        <Id id=id.clone() />
                        <Copy
                            text=id.clone()
                            label=tu_string!(i18n, order.copy_id).to_owned()
                        />
                    </dd>
                </div>
                <div><dt>{tu_string!(i18n, orders.placed)}</dt><dd><When at=placed_at /></dd></div>
                <div><dt>{tu_string!(i18n, orders.customer)}</dt><dd>{customer.name}</dd></div>
                <div><dt>{tu_string!(i18n, order.stream)}</dt><dd><a class="mono" href=format!("/streams/{stream}")>{tu_string!(i18n, order.events)}</a></dd></div>
            </dl>
        </section>
        <section class="panel">
            <h2>{tu_string!(i18n, order.lines)}</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{tu_string!(i18n, basket.product)}</th>
                        <th scope="col" class="figure">{tu_string!(i18n, basket.price)}</th>
                        <th scope="col" class="figure">{tu_string!(i18n, basket.quantity)}</th>
                        <th scope="col" class="figure">{tu_string!(i18n, basket.sum)}</th>
                    </tr>
                </thead>
                <tbody>
                    {lines
                        .into_iter()
                        .map(|line| {
                            let sum = line.price.times(line.quantity);
                            view! {
                                <tr>
                                    <th scope="row"><a href=format!("/shop/{}", line.sku)>{line.name}</a></th>
                                    <td class="figure" data-label=tu_string!(i18n, basket.price)><Price amount=Some(line.price) /></td>
                                    <td class="figure mono" data-label=tu_string!(i18n, basket.quantity)>{line.quantity}</td>
                                    <td class="figure" data-label=tu_string!(i18n, basket.sum)><Price amount=sum /></td>
                                </tr>
                            }
                        })
                        .collect_view()}
                </tbody>
                <tfoot>
                    <tr>
                        <th scope="row" colspan="3">{tu_string!(i18n, basket.total)}</th>
                        <td class="figure total"><Price amount=Some(total) /></td>
                    </tr>
                </tfoot>
            </table>
        </section>
        <Actions id status />
        <section class="panel">
            <h2>{tu_string!(i18n, order.history)}</h2>
            <ol class="time-line">
                <For each=move || history.get() key=|entry| entry.event_id let:entry>
                    <Entry entry />
                </For>
            </ol>
        </section>
    }.erase())
}

/// One event of the order's life.
#[component]
fn Entry(entry: HistoryEntry) -> impl IntoView {
    let HistoryEntry {
        at,
        event,
        event_id,
        status,
        by,
        reason,
    } = entry;
    view! {
        <li data-event=event_id.to_string()>
            <p class="time-line__event"><code>{event}</code><StatusBadge status=Signal::stored(status) /></p>
            <p class="muted"><When at=at />" · "<span class="mono">{by.as_str()}</span></p>
            {reason.map(|reason| view! { <p class="time-line__reason">{reason}</p> })}
        </li>
    }
    .erase()
}
