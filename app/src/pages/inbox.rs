//! The inbox: what the person was told.

use leptos::prelude::*;

use super::{PAGE_ROWS, inside, later, problem_view};
use crate::{
    api::{self, use_session},
    components::WindowTitle,
    erase::Erase,
    islands::{Inbox, Island, inbox_of},
    language::language,
    translations::i18n::td_string,
};

/// `/inbox`.
#[component]
pub(crate) fn InboxPage() -> impl IntoView {
    inside(|| {
        let title = td_string!(language(), inbox.title);
        let person = use_session().map(|session| session.actor_id).unwrap_or_default();
        let listed = api::listing(inbox_of(person, PAGE_ROWS));
        later(async move {
            match listed.await {
                Ok(listed) => view! {
                    <WindowTitle text=title />
                    {Inbox { listed }.island()}
                    <p><a href="/mailbox">{td_string!(language(), mailbox.place)}</a></p>
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
