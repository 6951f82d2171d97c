//! The orders to ship and to deliver. A row leaves the list once the view has folded its action.

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
    translations::i18n::td_string,
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
        let locale = language();
        let Self { initial, acts } = self;
        let listing = LiveListing::<OrderDocument>::new(initial);
        let mut columns = vec![
            Column::words(td_string!(locale, orders.order)),
            Column::words(td_string!(locale, orders.placed)),
            Column::words(td_string!(locale, orders.customer)),
            Column::figures(td_string!(locale, orders.items)),
            Column::figures(td_string!(locale, orders.total)),
            Column::words(td_string!(locale, orders.status)),
        ];
        columns.extend(acts.then(|| Column::words(td_string!(locale, office.act))));
        let nothing = move || {
            view! {
                <EmptyState
                    title=td_string!(locale, office.orders_none)
                    text=td_string!(locale, office.orders_empty)
                    action=view! {
                        <a class="button" href="/office/orders?status=all">
                            {td_string!(locale, office.orders_all)}
                        </a>
                    }.erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: td_string!(locale, office.orders),
            view: "orders",
            listing: listing.untyped(),
            columns,
            before: None,
        }
        .show(move |key| row(&key, listing, acts), nothing)
    }
}

fn row(id: &str, listing: LiveListing<OrderDocument>, acts: bool) -> View {
    let locale = language();
    let server = listing.row(id.to_owned());
    let order = listing.predicted(id.to_owned());
    // A row without a document is about to be removed.
    let Some((first, _)) = order.get_untracked() else {
        return ().erase();
    };
    let status = Signal::derive(move || {
        order.with(|order| order.as_ref().map_or(first.status, |(order, _)| order.status))
    });
    let items: u32 = first.lines.iter().map(|line| line.quantity).sum();
    let acting = acts.then(|| {
        view! {
            <td class="acts needs-script" data-label=td_string!(locale, office.act)>
                {actions(id, server, status)}
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
            <td data-label=td_string!(locale, orders.placed)><When at=first.placed_at /></td>
            <td data-label=td_string!(locale, orders.customer)>{first.customer.name}</td>
            <td data-label=td_string!(locale, orders.items) class="figure mono">{items}</td>
            <td data-label=td_string!(locale, orders.total) class="figure">
                <Price amount=Some(first.total) />
            </td>
            <td data-label=td_string!(locale, orders.status)><StatusBadge status /></td>
            {acting}
        </tr>
    }
    .erase()
}

/// The next step of an order, and its cancellation. Both show at once; if the server refuses, the reason
/// replaces the prediction.
fn actions(id: &str, server: Memo<Revision<OrderDocument>>, status: Signal<OrderStatus>) -> View {
    let locale = language();
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
    let ship = move || step(td_string!(locale, office.ship), "ShipOrder");
    let deliver = move || step(td_string!(locale, office.deliver), "DeliverOrder");
    let id = id.to_owned();
    let cancel = move || {
        let confirmation = Confirmation {
            id: id.clone(),
            open: td_string!(locale, office.cancel),
            of: of.get_value(),
            question: format!("{} {}", td_string!(locale, order.cancel_question), of.get_value()),
            confirm: td_string!(locale, order.cancel_confirm),
            keep: td_string!(locale, order.keep),
            wants_reason: true,
        };
        confirmed_action(confirmation, sender, open, move |reason| {
            let is_submitted = submit("CancelOrder", json!({ "reason": reason }));
            open.set(!is_submitted);
        })
    };
    view! {
        <div class="act">
            {only_if(move || status.get() == OrderStatus::Confirmed, ship)}
            {only_if(move || status.get() == OrderStatus::Shipped, deliver)}
            {only_if(move || status.get().can_be_cancelled(), cancel)}
        </div>
        {refusal(sender)}
        <PendingCommands stream history />
    }
    .erase()
}
