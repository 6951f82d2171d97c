//! The mailbox: the person's emails, on a server that stores them instead of sending them. Emails never
//! change, so the page has no islands. Educators see the emails of the whole workspace.

use domain::wire::{MailboxMessage, Page};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{BackLink, problem_view, suspend, within_workspace};
use crate::{
    api,
    components::{EmptyState, PageHead, When, WindowTitle},
    erase::{Erase, View},
    language::language,
    translations::i18n::td_string,
};

/// `/mailbox?cursor=`.
#[component]
pub(crate) fn MailboxPage() -> impl IntoView {
    within_workspace(|| {
        let title = td_string!(language(), mailbox.title);
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
                    <BackLink href="/inbox" text=td_string!(language(), inbox.title) />
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
    let locale = language();
    if page.data.is_empty() {
        return view! {
            <EmptyState
                title=td_string!(locale, mailbox.empty_title)
                text=td_string!(locale, mailbox.empty)
                action=view! {
                    <a class="button" href="/account">{td_string!(locale, mailbox.account)}</a>
                }.erase()
            />
        }
        .erase();
    }
    let next = page.next.map(|cursor| {
        view! {
            <p class="more">
                <a class="button" href=format!("/mailbox?cursor={cursor}")>
                    {td_string!(locale, mailbox.older)}
                </a>
            </p>
        }
    });
    let mails = page.data.into_iter().map(|mail| {
        view! {
            <li class="panel">
                <h2>{mail.subject.clone()}</h2>
                <p class="muted"><span class="break">{mail.to}</span>" · "<When at=mail.at /></p>
                <pre class="code mail" tabindex="0" aria-label=mail.subject>{mail.text}</pre>
            </li>
        }
    });
    view! {
        <p class="muted">{td_string!(locale, mailbox.text)}</p>
        <ol class="mails">{mails.collect_view()}</ol>
        {next}
    }
    .erase()
}
