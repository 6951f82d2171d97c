//! The number of unread notifications, beside the link to the inbox. With desktop notifications on, the
//! browser shows each one that arrives while the page is hidden.

use domain::{token::ConsistencyToken, wire::ListingAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Island,
    notification::{NotificationSummary, inbox_of},
};
use crate::{
    commands::use_commands,
    components::text,
    erase::{Erase, View},
    language::language,
    live::store::{InitialListing, LiveListing},
    text,
};

/// The highest number shown.
const MAX_COUNT: u32 = 99;

/// How often the number is read where no listing is followed.
#[cfg(not(feature = "ssr"))]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The badge with the number.
#[derive(Serialize, Deserialize)]
pub(crate) struct InboxCount {
    /// The person whose inbox it is.
    pub(crate) person: Uuid,
}

impl Island for InboxCount {
    const NAME: &'static str = "inbox-count";

    fn view(self) -> View {
        // Starts empty, so that no page waits for it; the connection delivers the rows.
        let listing = LiveListing::<NotificationSummary>::new(InitialListing {
            query: inbox_of(self.person, MAX_COUNT + 1),
            answer: ListingAnswer {
                data: Vec::new(),
                next: None,
                previous: None,
                as_of: ConsistencyToken::default(),
                behind: 0,
                generation: 0,
            },
        });
        let commands = use_commands();
        let unread = Memo::new(move |_| {
            let mut unread = listing.documents();
            unread.retain(|document| {
                let is_marked = || {
                    let event = document.event_id.to_string();
                    commands.is_some_and(|commands| commands.names_event("ReadNotifications", &event))
                };
                !document.read && !is_marked()
            });
            unread
        });
        #[cfg(not(feature = "ssr"))]
        browser::notify_arrivals(listing, unread);
        badge(move || unread.with(Vec::len))
    }
}

fn badge(unread: impl Fn() -> usize + Copy + Send + Sync + 'static) -> View {
    let language = language();
    let count = move || match unread() {
        0 => String::new(),
        count if count > MAX_COUNT as usize => format!("{MAX_COUNT}+"),
        count => count.to_string(),
    };
    let label = move || match unread() {
        0 => String::new(),
        count if count > MAX_COUNT as usize => text::inbox::unread_over(language, MAX_COUNT),
        count => text::inbox::unread(language, count),
    };
    view! {
        <span class="count">
            <span aria-hidden="true">{text(count)}</span>
            <span class="hidden">{text(label)}</span>
        </span>
    }
    .erase()
}

/// The same badge on a page whose bundle follows no listing: it asks for the number again and again while the
/// page is visible, and shows no desktop notifications.
#[cfg(not(feature = "ssr"))]
#[derive(Serialize, Deserialize)]
pub(crate) struct PolledInboxCount {
    person: Uuid,
}

#[cfg(not(feature = "ssr"))]
impl Island for PolledInboxCount {
    const NAME: &'static str = InboxCount::NAME;

    fn view(self) -> View {
        use crate::{
            api,
            erased_effects::{effect, spawn},
        };

        let unread = RwSignal::new(0_usize);
        let read = move || {
            if document().hidden() {
                return;
            }
            let listing = api::listing(&inbox_of(self.person, MAX_COUNT + 1));
            spawn(async move {
                // What cannot be read now is read with the next attempt.
                if let Ok(answer) = listing.await {
                    let rows = answer.data.iter();
                    let count = rows.filter(|row| row.data["read"] != true).count();
                    let _ = unread.try_set(count);
                }
            });
        };
        effect(move || {
            read();
            set_interval(read, PATIENCE);
        });
        // The listener lives as long as the page.
        std::mem::forget(window_event_listener_untyped("visibilitychange", move |_| read()));
        badge(move || unread.get())
    }
}

/// The state of desktop notifications.
#[derive(Clone, Copy)]
pub(super) struct DesktopNotifications {
    pub(super) is_enabled: RwSignal<bool>,
    pub(super) is_denied: RwSignal<bool>,
}

/// The stored choice; off during hydration.
pub(super) fn use_desktop_notifications() -> DesktopNotifications {
    let notifications = DesktopNotifications {
        is_enabled: RwSignal::new(false),
        is_denied: RwSignal::new(false),
    };
    #[cfg(not(feature = "ssr"))]
    crate::erased_effects::effect(move || notifications.is_enabled.set(browser::is_enabled()));
    notifications
}

impl DesktopNotifications {
    /// Turns them on, with the browser's permission, or off.
    #[cfg_attr(
        feature = "ssr",
        expect(clippy::unused_self, reason = "only browsers have desktop notifications")
    )]
    pub(super) fn toggle(self) {
        #[cfg(not(feature = "ssr"))]
        browser::toggle(self);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The browser's `Notification` interface.

    use gloo_storage::{LocalStorage, Storage};
    use leptos::{
        prelude::*,
        web_sys::{Notification, NotificationOptions, NotificationPermission},
    };
    use wasm_bindgen_futures::JsFuture;

    use super::{DesktopNotifications, NotificationSummary};
    use crate::{
        components::{event_label, reason_text},
        erased_effects::{effect, spawn},
        live::{progress::Progress, store::LiveListing},
    };

    /// The storage key of the choice.
    const STORAGE_KEY: &str = "foldline.tell";

    fn is_supported() -> bool {
        js_sys::Reflect::has(&window(), &"Notification".into()).unwrap_or(false)
    }

    pub(super) fn is_enabled() -> bool {
        is_supported()
            && LocalStorage::raw()
                .get_item(STORAGE_KEY)
                .is_ok_and(|choice| choice.is_some())
            && Notification::permission() == NotificationPermission::Granted
    }

    pub(super) fn toggle(notifications: DesktopNotifications) {
        if notifications.is_enabled.get_untracked() {
            LocalStorage::delete(STORAGE_KEY);
            notifications.is_enabled.set(false);
            return;
        }
        let request = is_supported()
            .then(Notification::request_permission)
            .and_then(Result::ok);
        let Some(request) = request else {
            notifications.is_denied.set(true);
            return;
        };
        spawn(async move {
            let _ = JsFuture::from(request).await;
            let is_granted = Notification::permission() == NotificationPermission::Granted;
            if is_granted {
                let _ = LocalStorage::raw().set_item(STORAGE_KEY, "1");
            }
            let _ = notifications.is_enabled.try_set(is_granted);
            let _ = notifications.is_denied.try_set(!is_granted);
        });
    }

    /// Shows each notification once that arrives while the page is hidden.
    pub(super) fn notify_arrivals(
        listing: LiveListing<NotificationSummary>,
        unread: Memo<Vec<NotificationSummary>>,
    ) {
        let progress = listing.progress();
        let previous = StoredValue::new(None::<Vec<uuid::Uuid>>);
        effect(move || {
            let events = unread.with(|unread| {
                unread
                    .iter()
                    .map(|document| document.event_id)
                    .collect::<Vec<_>>()
            });
            if !progress.with(Progress::is_followed) {
                return;
            }
            // Notifications that were there when the page was opened are not shown.
            let before = previous
                .try_update_value(|previous| previous.replace(events))
                .flatten();
            let Some(before) = before.filter(|_| document().hidden() && is_enabled()) else {
                return;
            };
            unread.with(|unread| {
                for new in unread.iter().filter(|new| !before.contains(&new.event_id)) {
                    let options = NotificationOptions::new();
                    // The tag makes it one notification for all tabs.
                    options.set_tag(&new.event_id.to_string());
                    if let Some(reason) = &new.reason {
                        options.set_body(&reason_text(reason));
                    }
                    let title = event_label(&new.event).unwrap_or(&new.event);
                    let _ = Notification::new_with_options(title, &options);
                }
            });
        });
    }
}
