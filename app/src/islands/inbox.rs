//! The inbox: a person's notifications, unread ones first. Marking one as read shows at once, here and in
//! every other tab. With desktop notifications on, the browser shows what arrives while the page is hidden.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Island, notification::NotificationSummary};
use crate::{
    commands::{NewCommand, use_commands},
    components::{
        EmptyState, Freshness, Icon, Id, LiveRows, MoreRows, PageHead, PendingCommands, Picture, When,
        either, event_label, highlight_class, item_gap, live_rows, only_if, reason_text, text,
    },
    erase::{Erase, View},
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The maximum number of notifications that one command can mark.
const MAX_READ: usize = 200;

/// The inbox.
#[derive(Serialize, Deserialize)]
pub(crate) struct Inbox {
    /// The first page of the notifications.
    pub(crate) initial: InitialListing,
}

impl Island for Inbox {
    const NAME: &'static str = "inbox";

    fn view(self) -> View {
        let language = language();
        let stream = ["inbox-", &self.initial.query.group].concat();
        let listing = LiveListing::<NotificationSummary>::new(self.initial);
        let mark_read = mark_as_read(stream.clone());
        let unread = move || {
            let documents = listing.documents();
            let unread = documents.iter().filter(|document| !document.read);
            unread
                .map(|document| document.event_id.to_string())
                .take(MAX_READ)
                .collect::<Vec<_>>()
        };
        let has_unread = move || !unread().is_empty();
        let mark_all = mark_read.clone();
        let all = move || {
            let mark_all = mark_all.clone();
            view! {
                <button type="button" class="button needs-script" on:click=move |_| mark_all(untrack(unread))>
                    <Icon picture=Picture::Check />
                    {text::inbox::read_all(language)}
                </button>
            }
            .erase()
        };
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::inbox::empty_title(language)
                    text=text::inbox::empty(language)
                    action=view! {
                        <a class="button button--primary" href="/shop">
                            {text::orders::empty_action(language)}
                        </a>
                    }.erase()
                />
            }
            .erase()
        };
        let list = move || {
            let mark_read = mark_read.clone();
            let row = move |key: String| row(listing.row(key), mark_read.clone());
            let LiveRows { rows, notice } = live_rows(listing.untyped(), row, item_gap);
            view! { <ul class="inbox" data-rows="">{rows}</ul>{notice} }.erase()
        };
        view! {
            <PageHead
                title=text::inbox::title(language)
                mark=view! { <Freshness view="notifications" progress=listing.progress() /> }.erase()
            />
            <p class="buttons">{only_if(has_unread, all)}<DesktopNotificationSwitch /></p>
            <PendingCommands stream />
            {either(move || listing.is_empty(), nothing, list)}
            <MoreRows listing=listing.untyped() />
        }
        .erase()
    }
}

/// Returns the function that marks notifications as read, by their events.
fn mark_as_read(stream: String) -> impl Fn(Vec<String>) + Clone + Send + Sync + 'static {
    let commands = use_commands();
    move |events| {
        if let Some(commands) = commands {
            commands.submit_unpredicted(NewCommand {
                command: "ReadNotifications",
                stream: stream.clone(),
                data: json!({ "events": events }),
                ..NewCommand::default()
            });
        }
    }
}

fn row(
    notification: Memo<Revision<NotificationSummary>>,
    mark_read: impl Fn(Vec<String>) + Clone + Send + Sync + 'static,
) -> View {
    let language = language();
    let Some((first, _)) = notification.get_untracked() else {
        return ().erase();
    };
    let commands = use_commands();
    let event = first.event_id.to_string();
    let this = event.clone();
    // A notification with a pending command counts as read.
    let is_read = Memo::new(move |_| {
        let stored = notification.with(|shown| shown.as_ref().is_none_or(|(document, _)| document.read));
        stored || commands.is_some_and(|commands| commands.names_event("ReadNotifications", &this))
    });
    let order = first.order;
    let href = ["/orders/", &order].concat();
    let mark = move || {
        let (mark_read, event) = (mark_read.clone(), event.clone());
        view! {
            <button
                type="button"
                class="button button--quiet needs-script"
                on:click=move |_| mark_read(vec![event.clone()])
            >
                {text::inbox::read(language)}
            </button>
        }
        .erase()
    };
    let word = move || {
        if is_read.get() {
            text::inbox::is_read(language)
        } else {
            text::inbox::is_new(language)
        }
    };
    view! {
        <li
            class=text(move || ["notification ", highlight_class(notification)].concat())
            data-read=text(move || if is_read.get() { "true" } else { "false" })
        >
            <p class="time-line__event">
                <span class="tag">{text(word)}</span>
                <a class="row-link" href=href>
                    {event_label(&first.event).unwrap_or_default()}" "<Id id=order />
                </a>
            </p>
            <p class="muted time-line__facts">
                <When at=first.at />
                {first.reason.as_deref().map(reason_text)}
            </p>
            {only_if(move || !is_read.get(), mark)}
        </li>
    }
    .erase()
}

/// The switch of desktop notifications. It asks for the browser's permission only when it is pressed.
#[component]
fn DesktopNotificationSwitch() -> impl IntoView {
    let language = language();
    let notifications = super::inbox_count::use_desktop_notifications();
    let switch = move || {
        let word = move || {
            if notifications.is_enabled.get() {
                text::inbox::notifications_off(language)
            } else {
                text::inbox::notifications_on(language)
            }
        };
        view! {
            <button type="button" class="button needs-script" on:click=move |_| notifications.toggle()>
                <Icon picture=Picture::Bell />
                {text(word)}
            </button>
        }
        .erase()
    };
    let denied =
        move || view! { <span class="muted">{text::inbox::notifications_denied(language)}</span> }.erase();
    either(move || notifications.is_denied.get(), denied, switch)
}
