//! The pending and refused commands of a stream, beside its document: sent, waiting for the connection, or
//! refused with the reason. A version conflict shows the events in between, with the roles that caused them.

use domain::view::orders::HistoryEntry;
use leptos::prelude::*;
use uuid::Uuid;

use super::{Icon, Picture, When, explain, for_each, reason_text, role_word};
use crate::{
    commands::{Commands, use_commands},
    erase::{Erase, View},
    language::language,
    live::command_queue::{CommandQueue, Pending, Stage},
    text,
};

/// The pending and refused commands for a stream. `history` has the stream's events, if the page knows them;
/// its n-th entry is version n.
#[component]
pub(crate) fn PendingCommands(
    stream: String,
    #[prop(into, optional)] history: Signal<Vec<HistoryEntry>>,
) -> impl IntoView {
    let commands = use_commands();
    let pending = Memo::new(move |_| {
        commands
            .map(|commands| commands.open_for(&stream))
            .unwrap_or_default()
    });
    let keys =
        move || pending.with(|pending| pending.iter().map(|pending| pending.key.to_string()).collect());
    let one = move |key: String| {
        let key: Uuid = key.parse().unwrap_or_default();
        let this = move || pending.with(|pending| pending.iter().find(|pending| pending.key == key).cloned());
        let this = Memo::new(move |_| this());
        (move || Some(shown(commands?, &this.get()?, history))).erase()
    };
    view! { <div class="outgoing" aria-live="polite">{for_each(keys, one)}</div> }.erase()
}

/// The label of a command.
pub(crate) fn command_label(command: &str) -> String {
    let language = language();
    match command {
        "PlaceOrder" => text::basket::place_order(language),
        "CancelOrder" => text::order::cancel_confirm(language),
        "ShipOrder" => text::outgoing::ship(language),
        "DeliverOrder" => text::outgoing::deliver(language),
        "ReceiveStock" => text::outgoing::receive(language),
        "MakePrediction" => text::class::answer(language),
        other => other,
    }
    .to_owned()
}

fn shown(commands: Commands, pending: &Pending, history: Signal<Vec<HistoryEntry>>) -> View {
    let language = language();
    let key = pending.key;
    let dismiss = |word: &'static str| {
        view! {
            <button type="button" class="button button--quiet" on:click=move |_| commands.discard(key)>
                {word}
            </button>
        }
        .erase()
    };
    let Some(problem) = pending.problem() else {
        let session_ended = commands.with(CommandQueue::is_session_ended);
        let word = match pending.stage {
            Stage::Sending => text::outgoing::sending(language),
            _ if session_ended => text::outgoing::waits_for_session(language),
            _ => text::outgoing::waits(language),
        };
        let discard = pending
            .can_be_discarded()
            .then(|| dismiss(text::outgoing::discard(language)));
        let sign_in = session_ended
            .then(|| view! { <a href="/sign-in">{text::outgoing::sign_in(language)}</a> }.erase());
        return view! {
            <p class="pending">
                <Icon picture=Picture::Clock />
                <span>{text::layout::pair(language, command_label(&pending.command), word)}</span>
                {sign_in}
                {discard}
            </p>
        }
        .erase();
    };
    let command = command_label(&pending.command);
    let conflict = problem.current_version.zip(pending.expected);
    let text = match conflict {
        Some((current, expected)) => text::outgoing::conflict(language, expected, current),
        None => explain(problem),
    };
    let changes =
        conflict.map(|(current, expected)| (move || changes(&history.get(), expected, current)).erase());
    view! {
        <div class="notice notice--danger" role="alert">
            <Icon picture=Picture::Alert />
            <div>
                <h3>{text::layout::pair(language, command, text::problem::refused(language))}</h3>
                <p>{text}</p>
                {changes}
                {dismiss(if conflict.is_some() {
                    text::outgoing::discard(language)
                } else {
                    text::outgoing::dismiss(language)
                })}
            </div>
        </div>
    }
    .erase()
}

/// The events since version `expected`.
fn changes(history: &[HistoryEntry], expected: u64, current: u64) -> Option<View> {
    let from = usize::try_from(expected).ok()?;
    let to = usize::try_from(current).ok()?.min(history.len());
    let entry = |entry: &HistoryEntry| {
        let HistoryEntry {
            at,
            event,
            by,
            reason,
            ..
        } = entry.clone();
        view! {
            <li>
                <code>{event}</code>" · "{role_word(by)}" · "<When at />
                {reason.map(|reason| [" · ", &reason_text(&reason)].concat())}
            </li>
        }
        .erase()
    };
    let entries: Vec<View> = history.get(from..to)?.iter().map(entry).collect();
    Some(view! { <ul class="links">{entries}</ul> }.erase())
}
