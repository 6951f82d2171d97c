//! The page of one stream: its time line with a slider, and its events in order, with payload, metadata and
//! hash.

use domain::{event::StoredEvent, wire::EventPage};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::lab;
use crate::{
    api,
    components::{Exact, Icon, Id, PageHead, Picture, WindowTitle, role_word},
    erase::{Erase, View},
    islands::{Island, LabTimeLine, event_name, payload_of, sealed_json, summary},
    lab::{log_filter::PAGE, stream_state},
    language::language,
    pages::{BackLink, missing, problem_view, suspend},
    text,
};

/// `/lab/streams/{stream}?version=`; `from` is where the list of events begins.
#[component]
pub(crate) fn LabStreamPage() -> impl IntoView {
    lab(|_| {
        let title = text::streams::title(language());
        let name = use_params_map().with_untracked(|params| params.get("stream").unwrap_or_default());
        let (version, from) = use_query_map().with_untracked(|query| {
            let number = |name| query.get_str(name).and_then(|number| number.parse::<u64>().ok());
            (number("version"), number("from").unwrap_or(1).max(1))
        });
        let version = version.map(|version| version.max(1));
        let events = api::stream_until(name.clone(), version);
        let listed = api::stream(name.clone(), from);
        suspend(async move {
            match (events.await, listed.await) {
                (Ok(events), Ok(listed)) => stream(events, version, listed, &name),
                (Err(problem), _) | (_, Err(problem)) if problem.status == 404 => missing(PAGE, title),
                (Err(problem), _) | (_, Err(problem)) => problem_view(title, &problem),
            }
        })
    })
}

/// The page, at a version or at the newest one that it comes with.
fn stream(events: Vec<StoredEvent>, version: Option<u64>, listed: EventPage, name: &str) -> View {
    let language = language();
    let newest = events.last().map_or(1, |event| event.version);
    let shown = version.map_or(newest, |version| version.min(newest));
    let time_line = LabTimeLine {
        stream: name.to_owned(),
        state: stream_state::step(&events, shown),
        events,
        version: shown,
        wanted: version.filter(|version| *version > shown),
    };
    let reload = view! {
        <a class="button" href="">
            <Icon picture=Picture::Reconnect />
            {text::stream::reload(language)}
        </a>
    }
    .erase();
    view! {
        <WindowTitle text=name.to_owned() />
        <BackLink href=PAGE text=text::streams::title(language) />
        <PageHead title=name.to_owned() mark=reload />
        {time_line.island()}
        {event_list(listed, name)}
    }
    .erase()
}

fn event_list(events: EventPage, name: &str) -> View {
    let language = language();
    let next = events.next.map(|next| {
        view! {
            <p class="more">
                <a class="button" href=format!("/lab/streams/{name}?from={next}")>
                    {text::orders::more(language)}
                </a>
            </p>
        }
        .erase()
    });
    let items = events.data.iter().map(|event| event_item(event, name));
    view! {
        <ol class="events">{items.collect_view()}</ol>
        {next}
    }
    .erase()
}

fn event_item(event: &StoredEvent, name: &str) -> View {
    let language = language();
    let payload = payload_of(event);
    let metadata = event.metadata.clone();
    let cause = metadata.causation_id.map(|id| {
        let href = format!("/lab/events/{id}");
        view! { <a href=href><Id id=id.to_string() /></a> }.erase()
    });
    let at_version = format!("/lab/streams/{name}?version={}", event.version);
    let correlation = format!("{PAGE}?correlation={}", metadata.correlation_id);
    view! {
        <li class="event" id=format!("v{}", event.version) data-event=event.event_id.to_string()>
            <h2 class="event__head">
                <a class="event__version mono" href=at_version>{event.version}</a>
                <span class="event__type">{event_name(event)}</span>
            </h2>
            <p class="muted">
                <Exact at=event.recorded_at />
                " · "
                <span>{role_word(metadata.actor.role)}</span>
                " · "
                <span>{summary(&payload)}</span>
            </p>
            {sealed_json(text::stream::payload(language).to_owned(), &payload)}
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
                        <dd class="mono break">
                            <a href=correlation>{metadata.correlation_id.to_string()}</a>
                        </dd>
                    </div>
                    <div><dt>{text::stream::causation(language)}</dt><dd>{cause}</dd></div>
                    <div>
                        <dt>{text::stream::hash(language)}</dt>
                        <dd class="mono break">{event.hash.clone()}</dd>
                    </div>
                </dl>
            </details>
        </li>
    }
    .erase()
}
