//! One order, live: where it stands, what was ordered, and how it came to that.

use domain::{
    aggregate::order::OrderStatus,
    view::orders::{HistoryEntry, OrderDocument},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

use super::{Inside, NotFoundPage, PageHead};
use crate::{
    api::Written,
    components::{Copy, Freshness, Icon, Id, Picture, Price, ProblemView, StatusBadge, When, flash},
    erase::Erase,
    format::use_alive,
    live::store::{LiveDocument, use_live_document},
    translations::i18n::{tu_string, use_i18n},
};

mod actions;

use actions::Actions;

/// `/orders/{id}`.
#[component]
pub(crate) fn OrderPage() -> impl IntoView {
    view! {
        <Inside>
            <Watched />
        </Inside>
    }
    .erase()
}

#[component]
fn Watched() -> impl IntoView {
    let i18n = use_i18n();
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let document = use_live_document::<OrderDocument>("orders", move || id.get());
    view! {
        <p><a class="back" href="/orders"><Icon picture=Picture::Back />{tu_string!(i18n, orders.title)}</a></p>
        <Transition fallback=|| view! { <div class="skeleton skeleton--panel"></div> }>
            {move || Suspend::new(async move {
                match document.ready().await {
                    Ok(()) => view! { <Order document id /> }.erase(),
                    Err(problem) => view! { <ProblemView problem retry=move |()| document.retry() /> }.erase(),
                }
            })}
        </Transition>
    }
    .erase()
}

#[component]
fn Order(document: LiveDocument<OrderDocument>, id: Memo<String>) -> impl IntoView {
    let shown = document.shown();
    let exists = Memo::new(move |_| shown.with(Option::is_some));
    view! {
        <Show when=move || exists.get() fallback=move || view! { <Absent document id /> }>
            <Placed document />
        </Show>
    }
    .erase()
}

/// There is no document. After a command of this tab it may only not be folded yet: then that is said, and it appears by
/// itself.
#[component]
fn Absent(document: LiveDocument<OrderDocument>, id: Memo<String>) -> impl IntoView {
    let i18n = use_i18n();
    let alive = use_alive();
    let written = use_context::<Written>();
    let coming = move || alive.get() && written.is_some_and(|written| written.0.with(Option::is_some));
    view! {
        <Show when=coming fallback=|| view! { <NotFoundPage /> }>
            <PageHead title=tu_string!(i18n, order.title).to_owned()>
                <Freshness view="orders" progress=document.progress() />
            </PageHead>
            <section class="panel panel--pending" role="status">
                <p><Id id=id.get() /></p>
                <p>{tu_string!(i18n, order.coming)}</p>
            </section>
        </Show>
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
        <PageHead title=tu_string!(i18n, order.title).to_owned()>
            <Freshness view="orders" progress=document.progress() />
        </PageHead>
        <section class=move || format!("panel {}", flashing())>
            <dl class="facts">
                <div>
                    <dt>{tu_string!(i18n, orders.status)}</dt>
                    <dd aria-live="polite"><StatusBadge status /></dd>
                </div>
                <div>
                    <dt>{tu_string!(i18n, order.reason)}</dt>
                    <dd>{move || reason().unwrap_or_else(|| "–".to_owned())}</dd>
                </div>
                <div>
                    <dt>{tu_string!(i18n, orders.order)}</dt>
                    <dd>
                        <Id id=id.clone() />
                        <Copy
                            text=id.clone()
                            label=tu_string!(i18n, order.copy_id)
                            done=tu_string!(i18n, layout.copied)
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

/// Whether an order of this status can still be taken back.
const fn can_be_cancelled(status: OrderStatus) -> bool {
    status.can_be_cancelled()
}
