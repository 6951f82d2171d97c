//! One dead letter: what it is, why it could not be applied, what waits behind it, and the buttons.

use domain::{
    view::NAMES,
    wire::{DeadLetterInfo, WaitingEvent},
};
use leptos::prelude::*;
use uuid::Uuid;

use super::session::LetterSession;
use crate::{
    components::{Icon, Picture, When, only_if, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::{handlers::is_poisoned, hop_log::short_id},
    language::language,
    text,
};

/// The dead letter, while it is one.
type Letter = Memo<Option<DeadLetterInfo>>;

/// The card of a dead letter, by its id.
pub(super) fn card(session: LetterSession, key: String) -> View {
    let stored = StoredValue::new(key);
    let letter: Letter = Memo::new(move |_| stored.with_value(|key| session.letter(key)));
    // What is at its place changes with an attempt only, which rarely happens.
    let content = move || letter.with(|letter| letter.as_ref().map(|letter| content(session, letter)));
    let id = stored.get_value();
    view! { <li class="panel letter" data-letter=id>{content}</li> }.erase()
}

fn content(session: LetterSession, letter: &DeadLetterInfo) -> View {
    let language = language();
    let id = letter.id;
    let is_command = letter.version == 0;
    let what =
        is_command.then(|| view! { <p class="muted">{text::lab_handlers::command(language)}</p> }.erase());
    let (view, event_type) = (letter.view.clone(), letter.event_type.clone());
    let is_poisoned = move || session.bent.with(|bent| is_poisoned(bent, &view, &event_type));
    let dial = ["/lab/dials#projections.", &letter.view, ".poison_type"].concat();
    let poison = move || {
        view! {
            <p class="notice">
                <Icon picture=Picture::Alert />
                <span>
                    {text::lab_handlers::poisoned(language)}
                    " "
                    <a href=dial.clone()>{text::lab_handlers::to_dial(language)}</a>
                </span>
            </p>
        }
        .erase()
    };
    let controls = session.may_control.then(|| controls(session, letter));
    view! {
        <h2 class="letter__name"><code>{letter.event_type.clone()}</code></h2>
        {what}
        // The reason is the server's own words, for developers.
        <p class="letter__reason" lang="en" dir="ltr">{letter.reason.clone()}</p>
        {facts(letter)}
        {only_if(is_poisoned, poison)}
        {waiting(session, id, letter.waiting)}
        {controls}
    }
    .erase()
}

/// Of which handler, stream and event it is, how often it was tried, and since when it is a dead letter.
fn facts(letter: &DeadLetterInfo) -> View {
    let language = language();
    let DeadLetterInfo {
        view,
        stream,
        version,
        partition,
        position,
        event_id,
        attempts,
        parked_at,
        ..
    } = letter.clone();
    let of_handler = ["/lab/projections#handler-", &view].concat();
    let of_stream = ["/lab/streams/", &stream].concat();
    let of_event = format!("/lab/events/{event_id}");
    // A command has no place in the log.
    let place = (version > 0).then(|| {
        view! {
            <div>
                <dt>{text::lab::position(language)}</dt>
                <dd class="mono">{format!("{partition}:{position}")}</dd>
            </div>
        }
        .erase()
    });
    view! {
        <dl class="facts">
            <div>
                <dt>{text::lab_handlers::handler(language)}</dt>
                <dd><a href=of_handler><code>{view}</code></a></dd>
            </div>
            <div>
                <dt>{text::lab::stream(language)}</dt>
                <dd><a class="mono break" href=of_stream>{stream}</a></dd>
            </div>
            <div>
                <dt>{text::lab::event(language)}</dt>
                <dd>
                    <a href=of_event>
                        <code class="id" title=event_id.to_string()>{short_id(event_id)}</code>
                    </a>
                </dd>
            </div>
            {place}
            <div>
                <dt>{text::lab_handlers::attempts(language)}</dt>
                <dd class="mono" data-fact="attempts">{attempts}</dd>
            </div>
            <div><dt>{text::lab_handlers::parked(language)}</dt><dd><When at=parked_at /></dd></div>
        </dl>
    }
    .erase()
}

/// What waits behind it: how many events, and which, once a person wants to see them.
fn waiting(session: LetterSession, id: Uuid, count: u64) -> View {
    let language = language();
    if count == 0 {
        return ().erase();
    }
    let events = Memo::new(move |_| session.waiting.with(|waiting| waiting.get(&id).cloned()));
    let is_shown = move || events.with(Option::is_some);
    let word = move || {
        if is_shown() {
            text::lab_handlers::hide_waiting(language)
        } else {
            text::lab_handlers::show_waiting(language)
        }
    };
    let items = move || {
        events.with(|events| {
            let events = events.as_deref().unwrap_or_default();
            events.iter().map(waiting_item).collect::<Vec<View>>()
        })
    };
    let more = move || {
        let shown = events.with(|events| events.as_ref().map_or(0, Vec::len));
        let more = count.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
        if more == 0 {
            String::new()
        } else {
            text::lab_handlers::more_waiting(language, more)
        }
    };
    let list = move || {
        view! {
            <ol class="letter__waiting" data-testid="waiting">{items}</ol>
            <p class="muted">{text(more)}</p>
        }
        .erase()
    };
    view! {
        <p data-fact="waiting">{text::lab_handlers::letters_waiting(language, count)}</p>
        <button
            type="button"
            class="button button--small needs-script"
            data-action="waiting"
            aria-expanded=text(move || is_shown().to_string())
            on:click=move |_| session.toggle_waiting(id)
        >
            {text(word)}
        </button>
        {only_if(is_shown, list)}
    }
    .erase()
}

fn waiting_item(event: &WaitingEvent) -> View {
    let href = format!("/lab/events/{}", event.event_id);
    view! {
        <li>
            <span class="mono">{event.version}</span>
            " "
            <code>{event.event_type.clone()}</code>
            " "
            <a href=href><code class="id">{short_id(event.event_id)}</code></a>
        </li>
    }
    .erase()
}

/// Retry and discard; a discard only after the page has said what it means.
fn controls(session: LetterSession, letter: &DeadLetterInfo) -> View {
    let language = language();
    let id = letter.id;
    let question = if letter.version == 0 {
        text::lab_handlers::discard_command(language).to_owned()
    } else if NAMES.contains(&letter.view.as_str()) {
        text::lab_handlers::discard_event(language, &letter.view)
    } else {
        text::lab_handlers::discard_effect(language, &letter.view)
    };
    let named = letter.event_type.clone();
    let is_asked = move || session.asked.get() == Some(id);
    let busy = text(move || session.is_busy.get().to_string());
    let ask = move || {
        view! {
            <div class="letter__question notice notice--danger" role="group">
                <p>{question.clone()}</p>
                <button
                    type="button"
                    class="button button--small"
                    data-action="discard-yes"
                    on:click=move |_| session.settle(id, false)
                >
                    {text::lab_handlers::discard_yes(language)}
                </button>
                <button
                    type="button"
                    class="button button--small"
                    on:click=move |_| session.asked.set(None)
                >
                    {text::lab_handlers::discard_no(language)}
                </button>
            </div>
        }
        .erase()
    };
    view! {
        <div class="letter__controls needs-script">
            <button
                type="button"
                class="button button--small button--primary"
                data-action="retry"
                aria-disabled=busy
                on:click=move |_| session.settle(id, true)
            >
                {text::lab_handlers::retry(language)}
                <span class="hidden">" "{named.clone()}</span>
            </button>
            <button
                type="button"
                class="button button--small"
                data-action="discard"
                aria-expanded=text(move || is_asked().to_string())
                on:click=move |_| session.asked.set(Some(id))
            >
                {text::lab_handlers::discard(language)}
                <span class="hidden">" "{named}</span>
            </button>
        </div>
        {only_if(is_asked, ask)}
    }
    .erase()
}
