//! The inbox: what a person was told, what they have not read first. It is marked read at once, here and in every other
//! tab; and where the person asked for it, the browser itself tells what arrives while nobody looks.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Island, told::Told};
use crate::{
    commands::{NewCommand, use_commands},
    components::{
        EmptyState, Freshness, Icon, Id, MoreRows, Outgoing, PageHead, Picture, When, either, flash,
        for_each, only_if, text, words_of_event,
    },
    erase::{Erase, View},
    language::language,
    live::store::{Listed, LiveListing, Shown},
    translations::i18n::td_string,
};

/// The most that one command can mark.
const MAX_READ: usize = 200;

/// The inbox.
#[derive(Serialize, Deserialize)]
pub(crate) struct Inbox {
    /// The first page of the notifications.
    pub(crate) listed: Listed,
}

impl Island for Inbox {
    const NAME: &'static str = "inbox";

    fn view(self) -> View {
        let locale = language();
        let stream = ["inbox-", &self.listed.query.group].concat();
        let listing = LiveListing::<Told>::new(self.listed);
        let read = reading(stream.clone());
        let unread = move || {
            let documents = listing.documents();
            let unread = documents.iter().filter(|document| !document.read);
            unread
                .map(|document| document.event_id.to_string())
                .take(MAX_READ)
                .collect::<Vec<_>>()
        };
        let has_unread = move || !unread().is_empty();
        let read_all = read.clone();
        let all = move || {
            let read_all = read_all.clone();
            view! {
                <button type="button" class="button needs-script" on:click=move |_| read_all(untrack(unread))>
                    <Icon picture=Picture::Check />
                    {td_string!(locale, inbox.read_all)}
                </button>
            }
            .erase()
        };
        let nothing = move || {
            view! {
                <EmptyState
                    title=td_string!(locale, inbox.empty_title)
                    text=td_string!(locale, inbox.empty)
                    action=view! {
                        <a class="button button--primary" href="/shop">{td_string!(locale, orders.empty_action)}</a>
                    }.erase()
                />
            }
            .erase()
        };
        let list = move || {
            let read = read.clone();
            let row = move |key: String| row(listing.row(key), read.clone());
            view! { <ul class="inbox">{for_each(move || listing.keys(), row)}</ul> }.erase()
        };
        view! {
            <PageHead
                title=td_string!(locale, inbox.title)
                mark=view! { <Freshness view="notifications" progress=listing.progress() /> }.erase()
            />
            <p class="buttons">{only_if(has_unread, all)}<Ask /></p>
            <Outgoing stream />
            {either(move || listing.is_empty(), nothing, list)}
            <MoreRows listing=listing.untyped() />
        }
        .erase()
    }
}

/// Marks as read.
fn reading(stream: String) -> impl Fn(Vec<String>) + Clone + Send + Sync + 'static {
    let commands = use_commands();
    move |events| {
        if let Some(commands) = commands {
            commands.tell(NewCommand {
                command: "ReadNotifications",
                stream: stream.clone(),
                data: json!({ "events": events }),
                ..NewCommand::default()
            });
        }
    }
}

fn row(notification: Memo<Shown<Told>>, read: impl Fn(Vec<String>) + Clone + Send + Sync + 'static) -> View {
    let locale = language();
    let Some((first, _)) = notification.get_untracked() else {
        return ().erase();
    };
    let commands = use_commands();
    let event = first.event_id.to_string();
    let this = event.clone();
    // What is being marked counts as read at once.
    let is_read = Memo::new(move |_| {
        let stored = notification.with(|shown| shown.as_ref().is_none_or(|(document, _)| document.read));
        stored || commands.is_some_and(|commands| commands.is_naming("ReadNotifications", &this))
    });
    let order = first.order;
    let href = ["/orders/", &order].concat();
    let mark = move || {
        let (read, event) = (read.clone(), event.clone());
        view! {
            <button type="button" class="button button--quiet needs-script" on:click=move |_| read(vec![event.clone()])>
                {td_string!(locale, inbox.read)}
            </button>
        }
        .erase()
    };
    let word = move || {
        if is_read.get() {
            td_string!(locale, inbox.is_read)
        } else {
            td_string!(locale, inbox.is_new)
        }
    };
    view! {
        <li
            class=text(move || ["notification ", flash(notification)].concat())
            data-read=text(move || if is_read.get() { "true" } else { "false" })
        >
            <p class="time-line__event">
                <span class="tag">{text(word)}</span>
                <a class="row-link" href=href>
                    {words_of_event(&first.event).unwrap_or_default()}" "<Id id=order />
                </a>
            </p>
            <p class="muted time-line__facts"><When at=first.at />{first.reason}</p>
            {only_if(move || !is_read.get(), mark)}
        </li>
    }
    .erase()
}

/// Asks the browser for leave to tell: only when somebody presses it.
#[component]
fn Ask() -> impl IntoView {
    let locale = language();
    let leave = super::inbox_count::use_leave();
    let ask = move || {
        let word = move || {
            if leave.is_asked.get() {
                td_string!(locale, inbox.tell_off)
            } else {
                td_string!(locale, inbox.tell)
            }
        };
        view! {
            <button type="button" class="button needs-script" on:click=move |_| leave.toggle()>
                <Icon picture=Picture::Bell />
                {text(word)}
            </button>
        }
        .erase()
    };
    let refused =
        move || view! { <span class="muted">{td_string!(locale, inbox.tell_refused)}</span> }.erase();
    either(move || leave.is_refused.get(), refused, ask)
}
