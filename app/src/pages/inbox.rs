//! The page of the inbox, with a link to the mailbox.

use leptos::prelude::*;

use super::{PAGE_ROWS, problem_view, suspend, within_workspace};
use crate::{
    api::{self, use_session},
    components::WindowTitle,
    erase::Erase,
    islands::{Inbox, Island, inbox_of},
    language::language,
    text,
};

/// `/inbox`.
#[component]
pub(crate) fn InboxPage() -> impl IntoView {
    within_workspace(|| {
        let title = text::inbox::title(language());
        let person = use_session().map(|session| session.actor_id).unwrap_or_default();
        let initial = api::listing(inbox_of(person, PAGE_ROWS));
        suspend(async move {
            match initial.await {
                Ok(initial) => view! {
                    <WindowTitle text=title />
                    {Inbox { initial }.island()}
                    <p><a href="/mailbox">{text::mailbox::link(language())}</a></p>
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
