//! The top bar: the workspace and its code, the state of the connection, the inbox, the language, the theme,
//! and the person.

use domain::wire::SessionInfo;
use leptos::prelude::*;

use super::{language_switch::LanguageSwitch, theme_switch::ThemeSwitch};
use crate::{
    api::use_session,
    components::{Icon, Picture, role_word},
    erase::Erase,
    islands::{ConnectionBadge, CopyButton, InboxCount, Island},
    language::language,
    text,
};

/// The top bar.
#[component]
pub(super) fn TopBar() -> impl IntoView {
    let language = language();
    let session = use_session();
    let has_session = session.is_some();
    let inbox = session.as_ref().map(|session| {
        view! {
            <a class="button button--quiet inbox-link" href="/inbox">
                <Icon picture=Picture::Bell />
                <span class="hidden">{text::inbox::title(language)}</span>
                {InboxCount { person: session.actor_id }.island()}
            </a>
        }
    });
    let person = session.clone().map(|session| view! { <Person session /> });
    let sign_in = (!has_session).then(|| {
        view! { <a class="top-bar__link" href="/sign-in">{text::account::sign_in(language)}</a> }
    });
    let workspace = session.map(|session| view! { <Workspace session /> });
    view! {
        <header class="top-bar">
            <a class="brand" href="/">
                <span class="brand__mark" aria-hidden="true">">_"</span>
                <span class="brand__name">"Foldline"</span>
            </a>
            {workspace}
            <span class="top-bar__space"></span>
            {has_session.then(|| ConnectionBadge {}.island())}
            {inbox}
            <LanguageSwitch />
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
    let language = language();
    let copy = CopyButton {
        text: session.join_code.clone(),
        label: text::layout::copy_code(language).to_owned(),
    };
    view! {
        <div class="workspace">
            <span class="workspace__name">{session.workspace_name}</span>
            <span class="workspace__code">
                <span class="hidden">{text::layout::code(language)}</span>
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
    let language = language();
    let role = role_word(session.role);
    view! {
        <details class="menu person">
            <summary>
                <Icon picture=Picture::Person />
                <span class="person__name">{session.display_name.clone()}</span>
            </summary>
            <div class="menu__card person__card">
                <p class="person__who">{session.display_name}</p>
                <p class="muted">{role}</p>
                <ul class="person__links">
                    <li><a href="/account">{text::account::title(language)}</a></li>
                </ul>
                <form method="post" action="/session/leave">
                    <button class="button">{text::layout::leave(language)}</button>
                </form>
            </div>
        </details>
    }
    .erase()
}
