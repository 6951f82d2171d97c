//! "Has it handled event X?": a form, which works without a script, and the event that it has found. What
//! each handler has done with it is at the handler.

use domain::wire::{HandledAnswer, Handling};
use leptos::prelude::*;

use super::session::HandlerSession;
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::hop_log::short_id,
    language::language,
    text,
};

/// The form with what was typed, and the answer or why there is none.
pub(super) fn asked(session: HandlerSession, typed: String, unknown: String) -> View {
    let language = language();
    let facts = session
        .handled
        .with_untracked(|handled| handled.as_ref().map(facts));
    let count = Memo::new(move |_| session.handled.with(|handled| handled.as_ref().map(counted)));
    let words = move || match count.get() {
        Some((handled, all)) => text::lab_handlers::asked_count(language, handled, all),
        None => String::new(),
    };
    let answer = move || view! { <p data-testid="handled-count">{text(words)}</p> }.erase();
    let unknown = (!unknown.is_empty())
        .then(|| view! { <p class="notice notice--danger" role="alert">{unknown}</p> }.erase());
    view! {
        <section class="panel asked">
            <h2>{text::lab_handlers::asked(language)}</h2>
            <form method="get" action="/lab/projections" class="form form--inline" role="search">
                <div class="field">
                    <label for="event">{text::lab_handlers::asked_event(language)}</label>
                    <input
                        type="search"
                        id="event"
                        name="event"
                        value=typed
                        aria-describedby="event-help"
                        autocomplete="off"
                    />
                    <p class="field__help" id="event-help">{text::lab_handlers::asked_help(language)}</p>
                </div>
                <button class="button">{text::lab_handlers::asked_action(language)}</button>
            </form>
            {unknown}
            {facts}
            {only_if(move || count.with(Option::is_some), answer)}
        </section>
    }
    .erase()
}

/// How many handlers have handled the event, and how many there are.
fn counted(handled: &HandledAnswer) -> (usize, usize) {
    let done = handled.data.iter().filter(|by| by.handling == Handling::Handled);
    (done.count(), handled.data.len())
}

/// The event.
fn facts(handled: &HandledAnswer) -> View {
    let language = language();
    let HandledAnswer {
        event_id,
        event_type,
        stream,
        partition,
        position,
        ..
    } = handled.clone();
    let event = format!("/lab/events/{event_id}");
    let of_stream = ["/lab/streams/", &stream].concat();
    view! {
        <dl class="facts" data-testid="asked-event">
            <div>
                <dt>{text::lab::event(language)}</dt>
                <dd>
                    <code>{event_type}</code>
                    " "
                    <a href=event><code class="id" title=event_id.to_string()>{short_id(event_id)}</code></a>
                </dd>
            </div>
            <div>
                <dt>{text::lab::stream(language)}</dt>
                <dd><a class="mono break" href=of_stream>{stream}</a></dd>
            </div>
            <div>
                <dt>{text::lab::position(language)}</dt>
                <dd class="mono">{format!("{partition}:{position}")}</dd>
            </div>
        </dl>
    }
    .erase()
}
