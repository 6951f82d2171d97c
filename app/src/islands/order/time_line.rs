//! One event of an order's life, as people read it: what happened, when, caused by what, and why. What happened to the
//! stock and to the payment stands in the same line; each entry leads to its stream.

use domain::view::orders::{HistoryEntry, OrderDocument};
use leptos::prelude::*;

use crate::{
    commands::use_commands,
    components::{StatusBadge, When, either, words_of_event},
    erase::{Erase, View},
    language::language,
    live::{outbox::Stage, store::Shown},
    translations::i18n::td_string,
};

/// An entry. `order` knows the entry that caused it.
pub(super) fn entry(entry: HistoryEntry, order: Memo<Shown<OrderDocument>>) -> View {
    let locale = language();
    let HistoryEntry {
        at,
        event,
        event_id,
        status,
        by,
        reason,
        stream,
        caused_by,
    } = entry;
    // What is on its way carries the command's key as its id.
    let commands = use_commands();
    let is_pending = move || {
        let stage = commands.and_then(|commands| commands.stage(event_id));
        matches!(stage, Some(Stage::Waiting | Stage::Sending | Stage::Accepted(_)))
    };
    let cause = order.with_untracked(|order| {
        let (order, _) = order.as_ref()?;
        let cause = order
            .history
            .iter()
            .find(|other| Some(other.event_id) == caused_by)?;
        Some((["#e-", &cause.event_id.to_string()].concat(), cause.event.clone()))
    });
    let cause = cause.map(|(href, event)| {
        view! { <span>{td_string!(locale, order.caused_by)}" "<a href=href><code>{event}</code></a></span> }.erase()
    });
    let href = ["/streams/", &stream].concat();
    let mark = move || {
        either(
            is_pending,
            move || view! { <span class="pending">{td_string!(locale, outgoing.sending)}</span> }.erase(),
            move || view! { <StatusBadge status=Signal::stored(status) /> }.erase(),
        )
    };
    let name = words_of_event(&event).unwrap_or_default();
    let kind = event.clone();
    view! {
        <li id=["e-", &event_id.to_string()].concat() data-event=kind class:time-line__pending=is_pending>
            <p class="time-line__event"><b>{name}</b>{mark()}</p>
            <p class="muted time-line__facts">
                <When at />
                <span class="mono">{by.as_str()}</span>
                <a class="mono" href=href>{event}</a>
                {cause}
            </p>
            {reason.map(|reason| view! { <p class="time-line__reason">{reason}</p> })}
        </li>
    }
    .erase()
}
