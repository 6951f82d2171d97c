//! The top bar: where one is, how others come in, how the connection is, and who one is.

use domain::wire::SessionInfo;
use leptos::prelude::*;

use crate::{
    Theme,
    api::use_session,
    components::{Icon, Picture},
    erase::Erase,
    islands::{ConnectionBadge, CopyButton, InboxCount, Island, ThemeSwitch},
    language::language,
    translations::i18n::td_string,
};

/// The top bar.
#[component]
pub(super) fn TopBar() -> impl IntoView {
    let locale = language();
    let session = use_session();
    let inside = session.is_some();
    let theme = use_context::<Theme>().unwrap_or_default();
    let inbox = session.as_ref().map(|session| {
        view! {
            <a class="button button--quiet inbox-link" href="/inbox">
                <Icon picture=Picture::Bell />
                <span class="hidden">{td_string!(locale, inbox.title)}</span>
                {InboxCount { person: session.actor_id }.island()}
            </a>
        }
    });
    let person = session.clone().map(|session| view! { <Person session /> });
    let sign_in = (!inside).then(|| {
        view! { <a class="top-bar__link" href="/sign-in">{td_string!(locale, account.sign_in)}</a> }
    });
    let workspace = session.map(|session| view! { <Workspace session /> });
    view! {
        <header class="top-bar">
            <a class="brand" href="/">
                <span class="brand__mark" aria-hidden="true">">_"</span>
                <span class="brand__name">{td_string!(locale, brand)}</span>
            </a>
            {workspace}
            <span class="top-bar__space"></span>
            {inside.then(|| ConnectionBadge {}.island())}
            {inbox}
            {ThemeSwitch { theme }.island()}
            {sign_in}
            {person}
        </header>
    }
    .erase()
}

/// The workspace and its code, to read out and to copy.
#[component]
fn Workspace(session: SessionInfo) -> impl IntoView {
    let locale = language();
    let copy = CopyButton {
        text: session.join_code.clone(),
        label: td_string!(locale, layout.copy_code).to_owned(),
    };
    view! {
        <div class="workspace">
            <span class="workspace__name">{session.workspace_name}</span>
            <span class="workspace__code">
                <span class="hidden">{td_string!(locale, layout.code)}</span>
                <code>{session.join_code}</code>
                {copy.island()}
            </span>
        </div>
    }
    .erase()
}

/// Who one is, and the way out.
#[component]
fn Person(session: SessionInfo) -> impl IntoView {
    let locale = language();
    let role = session.role.as_str();
    view! {
        <details class="person">
            <summary>
                <Icon picture=Picture::Person />
                <span class="person__name">{session.display_name.clone()}</span>
            </summary>
            <div class="person__card">
                <p class="person__who">{session.display_name}</p>
                <p class="muted mono">{role}</p>
                <ul class="person__links">
                    <li><a href="/account">{td_string!(locale, account.title)}</a></li>
                </ul>
                <form method="post" action="/session/leave">
                    <button class="button">{td_string!(locale, layout.leave)}</button>
                </form>
            </div>
        </details>
    }
    .erase()
}
