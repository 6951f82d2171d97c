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
    translations::i18n::td_string,
};

/// The badge of the connection.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConnectionBadge {}

impl Island for ConnectionBadge {
    const NAME: &'static str = "connection";

    fn view(self) -> View {
        let locale = language();
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
            Link::Idle => td_string!(locale, connection.idle),
            Link::Connecting => td_string!(locale, connection.connecting),
            Link::Live => td_string!(locale, connection.live),
            Link::Reconnecting(_) => td_string!(locale, connection.reconnecting),
            Link::Offline => td_string!(locale, connection.offline),
            Link::SessionEnded => td_string!(locale, connection.session_ended),
        };
        let is_blocked = use_navigation_blocked();
        let blocked = move || {
            view! {
                <span class="connection__held">{td_string!(locale, connection.navigation_blocked)}</span>
            }
            .erase()
        };
        let ended = move || {
            view! {
                <span class="connection__held">
                    {td_string!(locale, problem.session_over)}
                    " "
                    <a href="/sign-in">{td_string!(locale, outgoing.sign_in)}</a>
                    " "
                    <a href="/">{td_string!(locale, outside.way_in)}</a>
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
