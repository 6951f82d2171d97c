//! One stream: its events in order, with payload, metadata and the hash that chains them.

use domain::{event::StoredEvent, wire::EventPage};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::{Inside, NotFoundPage, PageHead};
use crate::{
    api,
    components::{Icon, Id, Picture, ProblemView, When},
    erase::Erase,
    translations::i18n::{tu_string, use_i18n},
};

/// `/streams/{stream}`.
#[component]
pub(crate) fn StreamPage() -> impl IntoView {
    view! {
        <Inside>
            <Stream />
        </Inside>
    }
    .erase()
}

#[component]
fn Stream() -> impl IntoView {
    let i18n = use_i18n();
    let (params, query) = (use_params_map(), use_query_map());
    let name = Memo::new(move |_| params.with(|params| params.get("stream")).unwrap_or_default());
    let from = Memo::new(move |_| {
        query
            .with(|query| query.get_str("from").and_then(|from| from.parse().ok()))
            .unwrap_or(1)
    });
    let page = Resource::new(
        move || (name.get(), from.get()),
        |(stream, from)| api::stream(stream, from),
    );
    view! {
        <p><a class="back" href="/streams"><Icon picture=Picture::Back />{tu_string!(i18n, streams.title)}</a></p>
        <PageHead title=Signal::derive(move || name.get())>
            <button type="button" class="button needs-script" on:click=move |_| page.refetch()>
                <Icon picture=Picture::Reconnect />
                {tu_string!(i18n, stream.again)}
            </button>
        </PageHead>
        <Transition fallback=|| view! { <div class="skeleton skeleton--table"></div> }>
            {move || Suspend::new(async move {
                match page.await {
                    Ok(events) => view! { <Events events name=name.get_untracked() /> }.erase(),
                    Err(problem) if problem.status == 404 => view! { <NotFoundPage /> }.erase(),
                    Err(problem) => view! { <ProblemView problem retry=move |()| page.refetch() /> }.erase(),
                }
            })}
        </Transition>
    }
    .erase()
}

#[component]
fn Events(events: EventPage, name: String) -> impl IntoView {
    let i18n = use_i18n();
    let next = events.next.map(|next| {
        view! {
            <p class="more"><a class="button" href=format!("/streams/{name}?from={next}")>{tu_string!(i18n, orders.more)}</a></p>
        }
    });
    view! {
        <ol class="events">{events.data.into_iter().map(|event| view! { <Event event /> }).collect_view()}</ol>
        {next}
    }
    .erase()
}

/// The payload, indented: the bytes that were hashed, made readable.
fn indented(event: &StoredEvent) -> String {
    serde_json::from_str::<serde_json::Value>(event.payload.get())
        .and_then(|payload| serde_json::to_string_pretty(&payload))
        .unwrap_or_else(|_| event.payload.get().to_owned())
}

#[component]
fn Event(event: StoredEvent) -> impl IntoView {
    let i18n = use_i18n();
    let payload = indented(&event);
    let metadata = event.metadata;
    let cause = metadata.causation_id.map(|id| view! { <Id id=id.to_string() /> });
    view! {
        <li class="event" id=format!("v{}", event.version)>
            <h2 class="event__head">
                <span class="event__version mono">{event.version}</span>
                <code class="event__type">{event.event_type}</code>
            </h2>
            <p class="muted"><When at=event.recorded_at />" · "<span class="mono">{metadata.actor.role.as_str()}</span></p>
            <pre class="code" tabindex="0" aria-label=tu_string!(i18n, stream.payload)><code>{payload}</code></pre>
            <details>
                <summary>{tu_string!(i18n, stream.details)}</summary>
                <dl class="facts">
                    <div><dt>{tu_string!(i18n, stream.position)}</dt><dd class="mono">{format!("{}:{}", event.partition, event.position)}</dd></div>
                    <div><dt>{tu_string!(i18n, stream.schema)}</dt><dd class="mono">{event.schema_version}</dd></div>
                    <div><dt>{tu_string!(i18n, stream.event_id)}</dt><dd class="mono break">{event.event_id.to_string()}</dd></div>
                    <div><dt>{tu_string!(i18n, stream.command)}</dt><dd class="mono break">{metadata.command_id.to_string()}</dd></div>
                    <div><dt>{tu_string!(i18n, stream.correlation)}</dt><dd class="mono break">{metadata.correlation_id.to_string()}</dd></div>
                    <div><dt>{tu_string!(i18n, stream.causation)}</dt><dd>{cause}</dd></div>
                    <div><dt>{tu_string!(i18n, stream.hash)}</dt><dd class="mono break">{event.hash}</dd></div>
                </dl>
            </details>
        </li>
    }
    .erase()
}
