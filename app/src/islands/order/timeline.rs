//! The entries of an order's timeline: event, time, cause and reason. Events of its stock and its payment are
//! entries of the same timeline; each entry links to its stream, for those who may read streams.

use domain::view::orders::{HistoryEntry, OrderDocument};
use leptos::prelude::*;

use crate::{
    commands::use_commands,
    components::{StatusBadge, When, either, event_label, reason_text, role_word},
    erase::{Erase, View},
    language::language,
    live::{command_queue::Stage, store::Revision},
    person::reads_streams,
    text::{self, SLOT, around},
};

/// One entry. `order` has the entry that caused it.
pub(super) fn entry(entry: HistoryEntry, order: Memo<Revision<OrderDocument>>) -> View {
    let language = language();
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
    // A predicted entry has the command's key as its id.
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
        let (before, after) = around(&text::order::caused_by(language, SLOT));
        view! { <span>{before}<a href=href><code>{event}</code></a>{after}</span> }.erase()
    });
    let mark = move || {
        either(
            is_pending,
            move || view! { <span class="pending">{text::outgoing::sending(language)}</span> }.erase(),
            move || view! { <StatusBadge status=Signal::stored(status) /> }.erase(),
        )
    };
    let name = event_label(&event).unwrap_or_default();
    let kind = event.clone();
    let event = if reads_streams() {
        view! { <a class="mono" href=["/lab/streams/", &stream].concat()>{event}</a> }.erase()
    } else {
        view! { <code>{event}</code> }.erase()
    };
    view! {
        <li id=["e-", &event_id.to_string()].concat() data-event=kind class:time-line__pending=is_pending>
            <p class="time-line__event"><b>{name}</b>{mark()}</p>
            <p class="muted time-line__facts">
                <When at />
                <span>{role_word(by)}</span>
                {event}
                {cause}
            </p>
            {reason.map(|reason| view! { <p class="time-line__reason">{reason_text(&reason)}</p> })}
        </li>
    }
    .erase()
}
