//! How many notifications have not been read, beside the place of the inbox; and, where the person asked for it, the
//! browser's own word of each that arrives while nobody looks at the page.

use domain::{token::ConsistencyToken, wire::ListingAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Island,
    told::{Told, inbox_of},
};
use crate::{
    commands::use_commands,
    components::text,
    erase::{Erase, View},
    language::language,
    live::store::{Listed, LiveListing},
    translations::i18n::td_string,
};

/// Up to so many are counted.
const COUNTED: u32 = 99;

/// The number.
#[derive(Serialize, Deserialize)]
pub(crate) struct InboxCount {
    /// Whose.
    pub(crate) person: Uuid,
}

impl Island for InboxCount {
    const NAME: &'static str = "inbox-count";

    fn view(self) -> View {
        let locale = language();
        // No page waits for this: it begins with nothing, and the connection brings it.
        let listing = LiveListing::<Told>::new(Listed {
            query: inbox_of(self.person, COUNTED + 1),
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
                    commands.is_some_and(|commands| commands.is_naming("ReadNotifications", &event))
                };
                !document.read && !is_marked()
            });
            unread
        });
        #[cfg(not(feature = "ssr"))]
        browser::tell_what_arrives(listing, unread);
        let count = move || match unread.with(Vec::len) {
            0 => String::new(),
            count if count > COUNTED as usize => "99+".to_owned(),
            count => count.to_string(),
        };
        let said = move || {
            if unread.with(Vec::is_empty) {
                ""
            } else {
                td_string!(locale, inbox.unread)
            }
        };
        view! { <span class="count">{text(count)}<span class="hidden">{text(said)}</span></span> }.erase()
    }
}

/// Whether the person wants the browser to tell.
#[derive(Clone, Copy)]
pub(super) struct Leave {
    pub(super) is_asked: RwSignal<bool>,
    pub(super) is_refused: RwSignal<bool>,
}

/// What was chosen before; nothing while the page hydrates.
pub(super) fn use_leave() -> Leave {
    let leave = Leave {
        is_asked: RwSignal::new(false),
        is_refused: RwSignal::new(false),
    };
    #[cfg(not(feature = "ssr"))]
    crate::boxed::effect(move || leave.is_asked.set(browser::is_wanted()));
    leave
}

impl Leave {
    /// Asks the browser, or takes it back.
    #[cfg_attr(
        feature = "ssr",
        expect(clippy::unused_self, reason = "only a browser does it")
    )]
    pub(super) fn toggle(self) {
        #[cfg(not(feature = "ssr"))]
        browser::toggle(self);
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The browser's Notification interface.

    use gloo_storage::{LocalStorage, Storage};
    use leptos::{
        prelude::*,
        web_sys::{Notification, NotificationOptions, NotificationPermission},
    };
    use wasm_bindgen_futures::JsFuture;

    use super::{Leave, Told};
    use crate::{
        boxed::{effect, spawn},
        components::words_of_event,
        live::{progress::Progress, store::LiveListing},
    };

    /// Where the choice is kept.
    const KEPT: &str = "foldline.tell";

    fn is_supported() -> bool {
        js_sys::Reflect::has(&window(), &"Notification".into()).unwrap_or(false)
    }

    pub(super) fn is_wanted() -> bool {
        is_supported()
            && LocalStorage::raw()
                .get_item(KEPT)
                .is_ok_and(|kept| kept.is_some())
            && Notification::permission() == NotificationPermission::Granted
    }

    pub(super) fn toggle(leave: Leave) {
        if leave.is_asked.get_untracked() {
            LocalStorage::delete(KEPT);
            leave.is_asked.set(false);
            return;
        }
        let asking = is_supported()
            .then(Notification::request_permission)
            .and_then(Result::ok);
        let Some(asking) = asking else {
            leave.is_refused.set(true);
            return;
        };
        spawn(async move {
            let _ = JsFuture::from(asking).await;
            let is_granted = Notification::permission() == NotificationPermission::Granted;
            if is_granted {
                let _ = LocalStorage::raw().set_item(KEPT, "1");
            }
            let _ = leave.is_asked.try_set(is_granted);
            let _ = leave.is_refused.try_set(!is_granted);
        });
    }

    /// Tells each notification once that arrives while the page is hidden.
    pub(super) fn tell_what_arrives(listing: LiveListing<Told>, unread: Memo<Vec<Told>>) {
        let progress = listing.progress();
        let known = StoredValue::new(None::<Vec<uuid::Uuid>>);
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
            // What was there when the page came is no news.
            let before = known.try_update_value(|known| known.replace(events)).flatten();
            let Some(before) = before.filter(|_| document().hidden() && is_wanted()) else {
                return;
            };
            unread.with(|unread| {
                for new in unread.iter().filter(|new| !before.contains(&new.event_id)) {
                    let options = NotificationOptions::new();
                    // One for all tabs.
                    options.set_tag(&new.event_id.to_string());
                    if let Some(reason) = &new.reason {
                        options.set_body(reason);
                    }
                    let title = words_of_event(&new.event).unwrap_or(&new.event);
                    let _ = Notification::new_with_options(title, &options);
                }
            });
        });
    }
}
