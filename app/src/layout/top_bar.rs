//! The top bar: the workspace and its code, the state of the connection, the inbox, the theme, and the
//! person.

use domain::wire::SessionInfo;
use leptos::prelude::*;

use super::theme_switch::ThemeSwitch;
use crate::{
    api::use_session,
    components::{Icon, Picture},
    erase::Erase,
    islands::{ConnectionBadge, CopyButton, InboxCount, Island},
    language::language,
    translations::i18n::td_string,
};

/// The top bar.
#[component]
pub(super) fn TopBar() -> impl IntoView {
    let locale = language();
    let session = use_session();
    let has_session = session.is_some();
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
    let sign_in = (!has_session).then(|| {
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
            {has_session.then(|| ConnectionBadge {}.island())}
            {inbox}
            <ThemeSwitch />
            {sign_in}
            {person}
        </header>
    }
    .erase()
}

/// The workspace's name and its join code, with a button that copies it.
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

/// The person's menu: account and sign-out.
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
