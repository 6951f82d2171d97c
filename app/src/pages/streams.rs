//! Box 11, Monitoring / Replay Tool, in the interface: the streams of the workspace, filtered by prefix, and
//! the verification of the log and all views.

use domain::wire::{Page, StreamInfo};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{problem_view, suspend, within_workspace};
use crate::{
    api,
    components::{EmptyState, PageHead, WindowTitle},
    erase::Erase,
    islands::{Island, Verify},
    language::language,
    text,
};

/// `/streams`.
#[component]
pub(crate) fn StreamsPage() -> impl IntoView {
    within_workspace(|| {
        let title = text::streams::title(language());
        let (prefix, cursor) = use_query_map()
            .with_untracked(|query| (query.get("prefix").unwrap_or_default(), query.get("cursor")));
        let backend = api::backend();
        suspend(async move {
            let page = match backend {
                Ok(backend) => backend.streams(&prefix, cursor.as_deref()).await,
                Err(problem) => Err(problem),
            };
            match page {
                Ok(page) => view! { <WindowTitle text=title /><Streams page prefix /> }.erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

#[component]
fn Streams(page: Page<StreamInfo>, prefix: String) -> impl IntoView {
    let language = language();
    view! {
        <PageHead title=text::streams::title(language) />
        {Verify {}.island()}
        <section>
            <form method="get" action="/streams" class="form form--inline" role="search">
                <div class="field">
                    <label for="prefix">{text::streams::prefix(language)}</label>
                    <input
                        type="search"
                        id="prefix"
                        name="prefix"
                        value=prefix.clone()
                        aria-describedby="prefix-help"
                        autocomplete="off"
                    />
                    <p class="field__help" id="prefix-help">{text::streams::prefix_help(language)}</p>
                </div>
                <button class="button">{text::streams::find(language)}</button>
            </form>
            <Table page prefix />
        </section>
    }
    .erase()
}

#[component]
fn Table(page: Page<StreamInfo>, prefix: String) -> impl IntoView {
    let language = language();
    if page.data.is_empty() {
        return view! {
            <EmptyState
                title=text::streams::empty_title(language)
                text=text::streams::empty(language)
                action=view! {
                    <a class="button" href="/streams">{text::streams::all(language)}</a>
                }.erase()
            />
        }
        .erase();
    }
    let next = page.next.map(|cursor| {
        view! {
            <form method="get" action="/streams" class="more">
                <input type="hidden" name="prefix" value=prefix />
                <input type="hidden" name="cursor" value=cursor />
                <button class="button">{text::orders::more(language)}</button>
            </form>
        }
    });
    view! {
        <table class="table">
            <thead>
                <tr>
                    <th scope="col">{text::streams::stream(language)}</th>
                    <th scope="col" class="figure">{text::streams::version(language)}</th>
                    <th scope="col" class="figure">{text::streams::partition(language)}</th>
                </tr>
            </thead>
            <tbody>
                {page
                    .data
                    .into_iter()
                    .map(|StreamInfo { stream, version, partition }| view! {
                        <tr>
                            <th scope="row">
                                <a class="row-link mono" href=format!("/streams/{stream}")>
                                    {stream.clone()}
                                </a>
                            </th>
                            <td class="figure mono" data-label=text::streams::version(language)>
                                {version}
                            </td>
                            <td class="figure mono" data-label=text::streams::partition(language)>
                                {partition}
                            </td>
                        </tr>
                    })
                    .collect_view()}
            </tbody>
        </table>
        {next}
    }
    .erase()
}
