//! How the live connection is: icon, word and colour.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::Island;
use crate::{
    components::{Icon, Picture, text},
    erase::{Erase, View},
    live::{protocol::Link, store::use_link},
    translations::i18n::{tu_string, use_i18n},
};

/// The badge of the connection.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConnectionBadge {}

impl Island for ConnectionBadge {
    const NAME: &'static str = "connection";

    fn view(self) -> View {
        let i18n = use_i18n();
        let link = use_link();
        let state = move || match link.get() {
            Link::Idle => "idle",
            Link::Connecting => "connecting",
            Link::Live => "live",
            Link::Reconnecting(_) => "reconnecting",
            Link::Offline => "offline",
        };
        let picture = Signal::derive(move || match link.get() {
            Link::Live => Picture::Live,
            Link::Idle | Link::Connecting | Link::Reconnecting(_) => Picture::Reconnect,
            Link::Offline => Picture::Offline,
        });
        let word = move || match link.get() {
            Link::Idle => tu_string!(i18n, connection.idle),
            Link::Connecting => tu_string!(i18n, connection.connecting),
            Link::Live => tu_string!(i18n, connection.live),
            Link::Reconnecting(_) => tu_string!(i18n, connection.reconnecting),
            Link::Offline => tu_string!(i18n, connection.offline),
        };
        view! {
            <span class="connection" role="status" data-state=text(state)>
                <Icon picture />
                <span class="connection__word">{text(word)}</span>
            </span>
        }
        .erase()
    }
}
