//! The page of one event: its payload, its causes and effects as a tree, and what each view, process manager
//! and consumer has done with it.

use domain::{
    event::StoredEvent,
    wire::{EventAnswer, StoredEventAnswer},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use uuid::Uuid;

use super::lab;
use crate::{
    api,
    components::{Exact, Icon, Id, PageHead, Picture, WindowTitle, role_word},
    erase::{Erase, View},
    islands::{Island, LabHandling, event_name, payload_of, sealed_json, stream_link, summary},
    lab::log_filter::PAGE,
    language::language,
    pages::{BackLink, missing, problem_view, suspend},
    text,
};

/// How deep the tree of effects is nested; deeper ones are listed below the last.
const DEEPEST: usize = 12;

/// `/lab/events/{id}`.
#[component]
pub(crate) fn LabEventPage() -> impl IntoView {
    lab(|_| {
        let title = text::streams::title(language());
        let id = use_params_map().with_untracked(|params| params.get("id").unwrap_or_default());
        let answer = api::event(id);
        suspend(async move {
            match answer.await {
                Ok(answer) => page(answer),
                Err(problem) if problem.status == 404 => missing(PAGE, title),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

fn page(answer: StoredEventAnswer) -> View {
    let language = language();
    let EventAnswer {
        event,
        causes,
        effects,
        more,
        handlers,
    } = answer;
    let payload = payload_of(&event);
    let title = event.event_type.clone();
    let handling = LabHandling {
        event: event.event_id,
        handlers,
    };
    let reload = view! {
        <a class="button" href="">
            <Icon picture=Picture::Reconnect />
            {text::stream::reload(language)}
        </a>
    }
    .erase();
    let more = more.then(|| view! { <p class="muted">{text::lab_page::more_effects(language)}</p> }.erase());
    view! {
        <WindowTitle text=title.clone() />
        <BackLink href=PAGE text=text::streams::title(language) />
        <PageHead title mark=reload />
        <section class="panel">
            <p>{summary(&payload)}</p>
            {facts(&event)}
            {sealed_json(text::stream::payload(language).to_owned(), &payload)}
        </section>
        <section class="panel lab-tree" data-testid="event-tree">
            <h2>{text::lab_page::tree(language)}</h2>
            {tree(&event, &causes, &effects)}
            {more}
        </section>
        <section class="panel">
            <h2>{text::lab_page::handled(language)}</h2>
            {handling.island()}
        </section>
    }
    .erase()
}

fn facts(event: &StoredEvent) -> View {
    let language = language();
    let metadata = event.metadata.clone();
    let correlation = format!("{PAGE}?correlation={}", metadata.correlation_id);
    view! {
        <dl class="facts">
            <div><dt>{text::streams::stream(language)}</dt><dd>{stream_link(event)}</dd></div>
            <div>
                <dt>{text::streams::version(language)}</dt>
                <dd class="mono">{event.version}</dd>
            </div>
            <div>
                <dt>{text::lab_page::recorded_at(language)}</dt>
                <dd><Exact at=event.recorded_at /></dd>
            </div>
            <div>
                <dt>{text::lab_page::made_at(language)}</dt>
                <dd><Exact at=event.made_at() /></dd>
            </div>
            <div>
                <dt>{text::lab_page::actor(language)}</dt>
                <dd>{role_word(metadata.actor.role)}" "<Id id=metadata.actor.id.to_string() /></dd>
            </div>
            <div>
                <dt>{text::stream::position(language)}</dt>
                <dd class="mono">{format!("{}:{}", event.partition, event.position)}</dd>
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
                <dd class="mono break"><a href=correlation>{metadata.correlation_id.to_string()}</a></dd>
            </div>
        </dl>
    }
    .erase()
}

/// The causes, each around what it led to, the event, and its effects.
fn tree(event: &StoredEvent, causes: &[StoredEvent], effects: &[StoredEvent]) -> View {
    let depth = causes.len().min(DEEPEST);
    let mut inner = node(event, causes.last(), true, below(event, effects, depth));
    for (index, cause) in causes.iter().enumerate().rev() {
        let before = index.checked_sub(1).and_then(|before| causes.get(before));
        inner = node(cause, before, false, inner);
    }
    inner
}

/// The effects of an event, each with its own.
fn below(cause: &StoredEvent, effects: &[StoredEvent], depth: usize) -> View {
    let own = effects
        .iter()
        .filter(|effect| effect.metadata.causation_id == Some(cause.event_id));
    if depth < DEEPEST {
        let nodes = own.map(|effect| {
            let further = below(effect, effects, depth + 1);
            node(effect, Some(cause), false, further)
        });
        return nodes.collect_view().erase();
    }
    // Each after its cause, without further nesting.
    let mut known: Vec<Uuid> = vec![cause.event_id];
    let mut nodes = Vec::new();
    for effect in effects {
        if effect.metadata.causation_id.is_some_and(|id| known.contains(&id)) {
            known.push(effect.event_id);
            nodes.push(node(effect, Some(cause), false, ().erase()));
        }
    }
    nodes.collect_view().erase()
}

/// An event of the tree: how long after its cause it was recorded, and what it led to.
fn node(event: &StoredEvent, cause: Option<&StoredEvent>, is_subject: bool, inner: View) -> View {
    let language = language();
    let after = cause.map(|cause| {
        let millis = event.recorded_at.millis_since(cause.recorded_at);
        let words = text::lab_page::after_cause(language, text::lab::milliseconds(language, millis));
        view! { <span class="muted">{words}</span> }.erase()
    });
    view! {
        <ul>
            <li data-event=event.event_id.to_string() aria-current=is_subject.then_some("true")>
                <p>
                    {event_name(event)}
                    " "
                    <span class="muted">{summary(&payload_of(event))}</span>
                    " "
                    {stream_link(event)}
                    " "
                    {after}
                </p>
                {inner}
            </li>
        </ul>
    }
    .erase()
}
