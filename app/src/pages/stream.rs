//! The page of one stream: its events in order, with payload, metadata and hash.

use domain::{event::StoredEvent, wire::EventPage};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::{BackLink, missing, problem_view, suspend, within_workspace};
use crate::{
    api,
    components::{Icon, Id, PageHead, Picture, When, WindowTitle, role_word},
    erase::Erase,
    language::language,
    text,
};

/// `/streams/{stream}`.
#[component]
pub(crate) fn StreamPage() -> impl IntoView {
    within_workspace(|| {
        let language = language();
        let name = use_params_map().with_untracked(|params| params.get("stream").unwrap_or_default());
        let from = use_query_map()
            .with_untracked(|query| query.get_str("from").and_then(|from| from.parse().ok()))
            .unwrap_or(1);
        let backend = api::backend();
        suspend(async move {
            let events = match backend {
                Ok(backend) => backend.stream(&name, from).await,
                Err(problem) => Err(problem),
            };
            match events {
                Ok(events) => view! { <Stream events name /> }.erase(),
                Err(problem) if problem.status == 404 => missing("/streams", text::streams::title(language)),
                Err(problem) => problem_view(text::streams::title(language), &problem),
            }
        })
    })
}

#[component]
fn Stream(events: EventPage, name: String) -> impl IntoView {
    let language = language();
    let reload = view! {
        <a class="button" href="">
            <Icon picture=Picture::Reconnect />
            {text::stream::reload(language)}
        </a>
    }
    .erase();
    view! {
        <WindowTitle text=name.clone() />
        <BackLink href="/streams" text=text::streams::title(language) />
        <PageHead title=name.clone() mark=reload />
        <Events events name />
    }
    .erase()
}

#[component]
fn Events(events: EventPage, name: String) -> impl IntoView {
    let language = language();
    let next = events.next.map(|next| {
        view! {
            <p class="more">
                <a class="button" href=format!("/streams/{name}?from={next}")>
                    {text::orders::more(language)}
                </a>
            </p>
        }
    });
    view! {
        <ol class="events">
            {events.data.into_iter().map(|event| view! { <Event event /> }).collect_view()}
        </ol>
        {next}
    }
    .erase()
}

/// The payload, indented for reading.
fn indented(event: &StoredEvent) -> String {
    serde_json::from_str::<serde_json::Value>(event.payload.get())
        .and_then(|payload| serde_json::to_string_pretty(&payload))
        .unwrap_or_else(|_| event.payload.get().to_owned())
}

#[component]
fn Event(event: StoredEvent) -> impl IntoView {
    let language = language();
    let payload = indented(&event);
    let metadata = event.metadata;
    let cause = metadata.causation_id.map(|id| view! { <Id id=id.to_string() /> });
    view! {
        <li class="event" id=format!("v{}", event.version)>
            <h2 class="event__head">
                <span class="event__version mono">{event.version}</span>
                <code class="event__type">{event.event_type}</code>
            </h2>
            <p class="muted">
                <When at=event.recorded_at />
                " · "
                <span>{role_word(metadata.actor.role)}</span>
            </p>
            <pre class="code" tabindex="0" aria-label=text::stream::payload(language)>
                <code>{payload}</code>
            </pre>
            <details>
                <summary>{text::stream::details(language)}</summary>
                <dl class="facts">
                    <div>
                        <dt>{text::stream::position(language)}</dt>
                        <dd class="mono">{format!("{}:{}", event.partition, event.position)}</dd>
                    </div>
                    <div>
                        <dt>{text::stream::schema(language)}</dt>
                        <dd class="mono">{event.schema_version}</dd>
                    </div>
                    <div>
                        <dt>{text::stream::event_id(language)}</dt>
                        <dd class="mono break">{event.event_id.to_string()}</dd>
                    </div>
                    <div>
                        <dt>{text::stream::command(language)}</dt>
                        <dd class="mono break">{metadata.command_id.to_string()}</dd>
                    </div>
                    <div>
                        <dt>{text::stream::correlation(language)}</dt>
                        <dd class="mono break">{metadata.correlation_id.to_string()}</dd>
                    </div>
                    <div><dt>{text::stream::causation(language)}</dt><dd>{cause}</dd></div>
                    <div>
                        <dt>{text::stream::hash(language)}</dt>
                        <dd class="mono break">{event.hash}</dd>
                    </div>
                </dl>
            </details>
        </li>
    }
    .erase()
}
