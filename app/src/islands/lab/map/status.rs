//! Whether hops arrive, and what is missing among those that are shown.

use domain::wire::MergedHops;
use leptos::prelude::*;

use super::session::MapSession;
use crate::{
    components::{EmptyState, Icon, Picture, either, explain, only_if, text},
    erase::{Erase, View},
    lab::hop_log::HopLog,
    language::language,
    live::{protocol::Link, store::use_link},
    text,
};

/// Whether hops arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The connection, or the server's answer, is on its way.
    Connecting,
    /// They arrive as they are made.
    Live,
    /// The connection is lost.
    Offline,
    /// The server does not send them.
    Refused,
    /// The session has ended.
    Ended,
}

impl State {
    /// The name for the style sheet and for tests.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Offline => "offline",
            Self::Refused => "refused",
            Self::Ended => "ended",
        }
    }
}

/// The state, in words.
pub(super) fn status(session: MapSession) -> View {
    let language = language();
    let link = use_link();
    let state = move || match link.get() {
        _ if session.refusal.with(Option::is_some) => State::Refused,
        Link::SessionEnded => State::Ended,
        Link::Offline | Link::Reconnecting(_) => State::Offline,
        Link::Live if session.is_armed.get() => State::Live,
        Link::Idle | Link::Connecting | Link::Live => State::Connecting,
    };
    let words = move || match state() {
        State::Connecting => text::lab::connecting(language).to_owned(),
        State::Live => text::lab::receiving(language).to_owned(),
        State::Offline => text::lab::offline(language).to_owned(),
        State::Ended => text::problem::session_over(language).to_owned(),
        State::Refused => session
            .refusal
            .with(|problem| problem.as_ref().map(explain).unwrap_or_default()),
    };
    let picture = Signal::derive(move || match state() {
        State::Live => Picture::Live,
        State::Connecting => Picture::Reconnect,
        State::Offline | State::Ended => Picture::Offline,
        State::Refused => Picture::Alert,
    });
    view! {
        <p
            class="lab-status"
            role="status"
            data-testid="lab-status"
            data-state=text(move || state().as_str())
        >
            <Icon picture />
            <span>{text(words)}</span>
        </p>
        {only_if(move || !missing(session).is_empty(), move || missing_notice(session))}
    }
    .erase()
}

/// The list, or what to do while there is nothing in it.
pub(super) fn or_nothing_yet(session: MapSession, list: impl Fn() -> View + Send + Sync + 'static) -> View {
    let language = language();
    let is_empty = move || {
        session.revision.track();
        session.log.with_value(HopLog::is_empty)
    };
    let nothing = move || {
        let action = view! {
            <a class="button" href="/shop" target="_blank" rel="noopener">{text::lab::to_shop(language)}</a>
        }
        .erase();
        view! {
            <EmptyState
                title=text::lab::nothing_title(language)
                text=text::lab::nothing(language)
                action
            />
        }
        .erase()
    };
    either(is_empty, nothing, list)
}

/// What is missing among the hops that are shown, a sentence each.
fn missing(session: MapSession) -> Vec<String> {
    let language = language();
    session.revision.track();
    session.log.with_value(|log| {
        let merged = log.merged().map(|MergedHops { count, .. }| *count);
        let merged = merged.fold(0, u64::saturating_add);
        let mut sentences = Vec::new();
        if merged > 0 {
            sentences.push(text::lab::merged(language, merged));
        }
        if log.dropped() > 0 {
            sentences.push(text::lab::dropped(language, log.dropped()));
        }
        if log.left_out() > 0 {
            sentences.push(text::lab::left_out(language, log.left_out()));
        }
        sentences
    })
}

fn missing_notice(session: MapSession) -> View {
    view! {
        <p class="notice lab-missing" data-testid="lab-missing">{text(move || missing(session).join(" "))}</p>
    }
    .erase()
}
