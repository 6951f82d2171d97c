//! The orders to ship and to deliver. A row leaves the list once the view has folded its action. An order
//! that lacks reserved stock or its payment offers no shipment.

use domain::{aggregate::order::OrderStatus, view::orders::OrderDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    row_actions::{Confirmation, action_button, confirmed_action, refusal},
    sender::Sender,
};
use crate::{
    commands::{NewCommand, is_pending},
    components::{
        Column, EmptyState, Id, ListingTable, PendingCommands, Price, StatusBadge, When, highlight_class,
        only_if, text,
    },
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::{
        protocol::Link,
        store::{InitialListing, LiveListing, Revision, use_link},
    },
    text,
};

/// The orders in one status, or all orders.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficeOrders {
    /// The first page.
    pub(crate) initial: InitialListing,
    /// Whether the session's role may act, and not only read.
    pub(crate) acts: bool,
}

impl Island for OfficeOrders {
    const NAME: &'static str = "office-orders";

    fn view(self) -> View {
        let language = language();
        let Self { initial, acts } = self;
        let listing = LiveListing::<OrderDocument>::new(initial);
        let mut columns = vec![
            Column::words(text::orders::order(language)),
            Column::words(text::orders::placed(language)),
            Column::words(text::orders::customer(language)),
            Column::figures(text::orders::items(language)),
            Column::figures(text::orders::total(language)),
            Column::words(text::orders::status(language)),
        ];
        columns.extend(acts.then(|| Column::words(text::office::act(language))));
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::office::orders_none(language)
                    text=text::office::orders_empty(language)
                    action=view! {
                        <a class="button" href="/office/orders?status=all">
                            {text::office::orders_all(language)}
                        </a>
                    }.erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: text::office::orders(language),
            view: "orders",
            listing: listing.untyped(),
            columns,
            before: None,
        }
        .show(move |key| row(&key, listing, acts), nothing)
    }
}

fn row(id: &str, listing: LiveListing<OrderDocument>, acts: bool) -> View {
    let language = language();
    let server = listing.row(id.to_owned());
    let order = listing.predicted(id.to_owned());
    // A row without a document is about to be removed.
    let Some((first, _)) = order.get_untracked() else {
        return ().erase();
    };
    let status = Signal::derive(move || {
        order.with(|order| order.as_ref().map_or(first.status, |(order, _)| order.status))
    });
    let ships_first = first.can_be_shipped();
    let can_ship = Signal::derive(move || {
        order.with(|order| {
            order
                .as_ref()
                .map_or(ships_first, |(order, _)| order.can_be_shipped())
        })
    });
    let items: u32 = first.lines.iter().map(|line| line.quantity).sum();
    let acting = acts.then(|| {
        view! {
            <td class="acts needs-script" data-label=text::office::act(language)>
                {actions(id, server, status, can_ship)}
            </td>
        }
    });
    let is_pending = is_pending(format!("order-{id}"));
    let class = move || {
        if is_pending() {
            "row--pending"
        } else {
            highlight_class(order)
        }
    };
    view! {
        <tr class=text(class) data-order=id.to_owned()>
            <th scope="row"><a class="row-link" href=format!("/orders/{id}")><Id id=id.to_owned() /></a></th>
            <td data-label=text::orders::placed(language)><When at=first.placed_at /></td>
            <td data-label=text::orders::customer(language)>{first.customer.name}</td>
            <td data-label=text::orders::items(language) class="figure mono">{items}</td>
            <td data-label=text::orders::total(language) class="figure">
                <Price amount=Some(first.total) />
            </td>
            <td data-label=text::orders::status(language)><StatusBadge status /></td>
            {acting}
        </tr>
    }
    .erase()
}

/// The next step of an order, and its cancellation. Both show at once; if the server refuses, the reason
/// replaces the prediction.
fn actions(
    id: &str,
    server: Memo<Revision<OrderDocument>>,
    status: Signal<OrderStatus>,
    can_ship: Signal<bool>,
) -> View {
    let language = language();
    let stream = format!("order-{id}");
    let sender = Sender::through_queue(&stream);
    let link = use_link();
    let open = RwSignal::new(false);
    let short = format!("…{}", id.get(id.len().saturating_sub(8)..).unwrap_or(id));
    let of = StoredValue::new(short);
    let to = StoredValue::new(stream.clone());
    let history = Signal::derive(move || {
        server.with(|order| {
            order
                .as_ref()
                .map(|(order, _)| order.history.clone())
                .unwrap_or_default()
        })
    });
    let submit = move |command: &'static str, data: Value| {
        let Some((order, _)) = server.get_untracked() else {
            return false;
        };
        // Offline, the command is bound to the version that was shown.
        let expected = (link.get_untracked() != Link::Live).then_some(order.version);
        let command = NewCommand {
            command,
            stream: to.get_value(),
            data,
            expected,
            preview: None,
        };
        sender.submit(order, command)
    };
    let step = move |verb, command: &'static str| {
        action_button(verb, of.get_value(), "button button--small", sender, move || {
            submit(command, json!({}));
        })
    };
    let ship = move || step(text::office::ship(language), "ShipOrder");
    let deliver = move || step(text::office::deliver(language), "DeliverOrder");
    let id = id.to_owned();
    let cancel = move || {
        let confirmation = Confirmation {
            id: id.clone(),
            open: text::office::cancel(language),
            of: of.get_value(),
            question: text::order::cancel_notice(language, of.get_value()),
            confirm: text::order::cancel_confirm(language),
            keep: text::order::keep(language),
            wants_reason: true,
        };
        confirmed_action(confirmation, sender, open, move |reason| {
            let is_submitted = submit("CancelOrder", json!({ "reason": reason }));
            open.set(!is_submitted);
        })
    };
    view! {
        <div class="act">
            {only_if(move || can_ship.get(), ship)}
            {only_if(move || status.get() == OrderStatus::Shipped, deliver)}
            {only_if(move || status.get().can_be_cancelled(), cancel)}
        </div>
        {refusal(sender)}
        <PendingCommands stream history />
    }
    .erase()
}
