//! The mailbox: the person's emails, on a server that stores them instead of sending them. Emails never
//! change, so the page has no islands. Educators see the emails of the whole workspace.

use domain::{
    access::Role,
    wire::{MailboxMessage, Page},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{BackLink, problem_view, suspend, within_workspace};
use crate::{
    api::{self, use_session},
    components::{EmptyState, PageHead, When, WindowTitle},
    erase::{Erase, View},
    language::language,
    text,
};

/// `/mailbox?cursor=`.
#[component]
pub(crate) fn MailboxPage() -> impl IntoView {
    within_workspace(|| {
        let title = text::mailbox::title(language());
        let cursor = use_query_map().with_untracked(|query| query.get("cursor"));
        let backend = api::backend();
        suspend(async move {
            let page = match backend {
                Ok(backend) => backend.mails(cursor.as_deref()).await,
                Err(problem) => Err(problem),
            };
            match page {
                Ok(page) => view! {
                    <WindowTitle text=title />
                    <BackLink href="/inbox" text=text::inbox::title(language()) />
                    <PageHead title />
                    {mails(page)}
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

fn mails(page: Page<MailboxMessage>) -> View {
    let language = language();
    if page.data.is_empty() {
        return view! {
            <EmptyState
                title=text::mailbox::empty_title(language)
                text=text::mailbox::empty(language)
                action=view! {
                    <a class="button" href="/account">{text::mailbox::account(language)}</a>
                }.erase()
            />
        }
        .erase();
    }
    let next = page.next.map(|cursor| {
        view! {
            <p class="more">
                <a class="button" href=format!("/mailbox?cursor={cursor}")>
                    {text::mailbox::older(language)}
                </a>
            </p>
        }
    });
    let sees_all = use_session().is_some_and(|session| session.role == Role::Educator);
    let explanation = if sees_all {
        text::mailbox::text_of_all(language)
    } else {
        text::mailbox::text(language)
    };
    let mails = page.data.into_iter().map(|mail| {
        let (lang, dir) = (mail.language.code(), mail.language.direction().as_str());
        view! {
            <li class="panel">
                <h2 lang=lang dir=dir>{mail.subject.clone()}</h2>
                <p class="muted"><bdi class="break" dir="ltr">{mail.to}</bdi>" · "<When at=mail.at /></p>
                <pre class="code mail" lang=lang dir=dir tabindex="0" aria-label=mail.subject>
                    {mail.text}
                </pre>
            </li>
        }
    });
    view! {
        <p class="muted">{explanation}</p>
        <ol class="mails">{mails.collect_view()}</ol>
        {next}
    }
    .erase()
}
