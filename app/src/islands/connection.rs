//! The state of the live connection: icon, word and colour.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Icon, Picture, only_if, text},
    erase::{Erase, View},
    language::language,
    live::{
        protocol::Link,
        store::{use_link, use_navigation_blocked},
    },
    text,
};

/// The badge of the connection.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConnectionBadge {}

impl Island for ConnectionBadge {
    const NAME: &'static str = "connection";

    fn view(self) -> View {
        let language = language();
        let link = use_link();
        let state = move || match link.get() {
            Link::Idle => "idle",
            Link::Connecting => "connecting",
            Link::Live => "live",
            Link::Reconnecting(_) => "reconnecting",
            Link::Offline => "offline",
            Link::SessionEnded => "over",
        };
        let picture = Signal::derive(move || match link.get() {
            Link::Live => Picture::Live,
            Link::Idle | Link::Connecting | Link::Reconnecting(_) => Picture::Reconnect,
            Link::Offline | Link::SessionEnded => Picture::Offline,
        });
        let word = move || match link.get() {
            Link::Idle => text::connection::idle(language),
            Link::Connecting => text::connection::connecting(language),
            Link::Live => text::connection::live(language),
            Link::Reconnecting(_) => text::connection::reconnecting(language),
            Link::Offline => text::connection::offline(language),
            Link::SessionEnded => text::connection::session_ended(language),
        };
        let is_blocked = use_navigation_blocked();
        let blocked = move || {
            view! {
                <span class="connection__held">{text::connection::navigation_blocked(language)}</span>
            }
            .erase()
        };
        let ended = move || {
            view! {
                <span class="connection__held">
                    {text::problem::session_over(language)}
                    " "
                    <a href="/sign-in">{text::outgoing::sign_in(language)}</a>
                    " "
                    <a href="/">{text::outside::action(language)}</a>
                </span>
            }
            .erase()
        };
        view! {
            <span class="connection" role="status" data-state=text(state)>
                <Icon picture />
                <span class="connection__word">{text(word)}</span>
            {only_if(move || is_blocked.get(), blocked)}
            {only_if(move || link.get() == Link::SessionEnded, ended)}
            </span>
        }
        .erase()
    }
}
