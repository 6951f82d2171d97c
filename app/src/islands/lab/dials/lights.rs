//! The lights of the invariants: each says whether its invariant holds. Of one that is broken, the evidence,
//! the event that broke it, the smallest sequence that shows it, and the cure.

use domain::wire::{Evidence, Invariant, InvariantStatus, PATTERN_SHEET, SequenceStep};
use leptos::prelude::*;
use uuid::Uuid;

use super::{session::DialSession, wording};
use crate::{
    components::{Icon, Picture, When, only_if, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::hop_log::short_id,
    language::language,
    text,
};

/// The lights.
pub(super) fn lights(session: DialSession) -> View {
    let language = language();
    let lamps: Vec<View> = Invariant::ALL
        .into_iter()
        .map(|invariant| lamp(session, invariant))
        .collect();
    let broken: Vec<View> = Invariant::ALL
        .into_iter()
        .map(|invariant| broken(session, invariant))
        .collect();
    view! {
        <section class="panel lights" id="lights" tabindex="-1" data-testid="lights">
            <h2>{text::lab_dials::lights(language)}</h2>
            <p class="muted">{text::lab_dials::lights_lead(language)}</p>
            <div role="status"><ul class="lights__row">{lamps}</ul></div>
            {broken}
        </section>
    }
    .erase()
}

/// The status of an invariant; `None` while the server has not told it.
fn status(session: DialSession, invariant: Invariant) -> Memo<Option<InvariantStatus>> {
    Memo::new(move |_| {
        session
            .lights
            .with(|lights| lights.iter().find(|light| light.name == invariant).cloned())
    })
}

/// A lamp: a picture, the name of the invariant, and whether it holds.
fn lamp(session: DialSession, invariant: Invariant) -> View {
    let language = language();
    let status = status(session, invariant);
    let holds = move || status.with(|status| status.as_ref().is_none_or(|status| status.holds));
    let picture = Signal::derive(move || if holds() { Picture::Check } else { Picture::Alert });
    let words = move || {
        status.with(|status| match status {
            Some(status) if !status.holds => text::lab_dials::broken(language, status.broken),
            Some(_) => text::lab_dials::holds(language).to_owned(),
            None => text::lab_dials::unchecked(language).to_owned(),
        })
    };
    view! {
        <li class="light" data-light=invariant.as_str() data-holds=text(move || holds().to_string())>
            <Icon picture />
            <span class="light__name">{wording::invariant(invariant)}</span>
            <span class="light__state">{text(words)}</span>
        </li>
    }
    .erase()
}

/// What is known of a broken invariant; nothing while it holds.
fn broken(session: DialSession, invariant: Invariant) -> View {
    let status = status(session, invariant);
    let is_broken = move || status.with(|status| status.as_ref().is_some_and(|status| !status.holds));
    // Made anew with each status, which changes rarely.
    let content = move || {
        status.with(|status| match status {
            Some(status) if !status.holds => card(session, status),
            Some(_) | None => ().erase(),
        })
    };
    only_if(is_broken, move || {
        view! { <div class="lights__broken" data-broken=invariant.as_str()>{content}</div> }.erase()
    })
}

fn card(session: DialSession, status: &InvariantStatus) -> View {
    let language = language();
    let invariant = status.name;
    let is_drawn = move || session.drawn.get() == Some(invariant);
    let draw_word = move || {
        if is_drawn() {
            text::lab_dials::undraw(language)
        } else {
            text::lab_dials::draw(language)
        }
    };
    let draw = move |_| {
        let drawn = if untrack(is_drawn) { None } else { Some(invariant) };
        session.drawn.set(drawn);
    };
    let steps: Vec<View> = status.sequence.iter().map(sequence_step).collect();
    let cures: Vec<View> = status
        .cure
        .iter()
        .map(|step| view! { <li>{wording::cure_step(step)}</li> }.erase())
        .collect();
    let cure = session.may_control.then(|| {
        view! {
            <button
                type="button"
                class="button button--primary needs-script"
                data-cure=invariant.as_str()
                on:click=move |_| session.cure(invariant)
            >
                {text::lab_dials::cure(language)}
                <span class="hidden">" "{wording::invariant(invariant)}</span>
            </button>
        }
        .erase()
    });
    let facts = status.evidence.as_ref().map(facts);
    let witness = event_links(status.event, &status.witness);
    view! {
        <h3>{wording::invariant(invariant)}</h3>
        <p class="muted">{text::lab_dials::since(language)}" "<When at=status.since /></p>
        {witness}
        {facts}
        <h4>{text::lab_dials::sequence(language)}</h4>
        <ol class="lights__sequence">{steps}</ol>
        <p>
            <button
                type="button"
                class="button button--small needs-script"
                aria-pressed=text(move || is_drawn().to_string())
                on:click=draw
            >
                {text(draw_word)}
            </button>
        </p>
        <h4>{text::lab_dials::cure_title(language)}</h4>
        <ol class="lights__cure">{cures}</ol>
        {cure}
    }
    .erase()
}

/// The event that broke an invariant, and those that show it together with it.
fn event_links(event: Option<Uuid>, witness: &[Uuid]) -> View {
    let language = language();
    let of_event = event.map(|id| view! { <li>{event_link(id)}</li> }.erase());
    let others = witness.iter().filter(|id| Some(**id) != event);
    let others = others.map(|id| view! { <li>{event_link(*id)}</li> }.erase());
    let links: Vec<View> = of_event.into_iter().chain(others).collect();
    (!links.is_empty())
        .then(|| {
            view! {
                <h4>{text::lab_dials::events(language)}</h4>
                <ul class="lights__events">{links}</ul>
            }
            .erase()
        })
        .erase()
}

/// The short id of an event, with a link to its page.
fn event_link(id: Uuid) -> View {
    let href = ["/lab/events/", &id.to_string()].concat();
    view! { <a href=href><code class="id" title=id.to_string()>{short_id(id)}</code></a> }.erase()
}

/// The page of a stream.
fn stream_page(stream: &str) -> String {
    ["/lab/streams/", stream].concat()
}

/// What shows that an invariant is broken.
fn facts(evidence: &Evidence) -> View {
    let language = language();
    let Evidence {
        stream,
        partition,
        position,
        event_type,
        view,
        key,
        expected,
        found,
    } = evidence.clone();
    let place = position.map(|position| format!("{}:{position}", partition.unwrap_or_default()));
    let stream = stream.map(|stream| {
        let (href, name) = (stream_page(&stream), stream);
        view! {
            <div>
                <dt>{text::lab_dials::fact_stream(language)}</dt>
                <dd><a class="mono break" href=href>{name}</a></dd>
            </div>
        }
        .erase()
    });
    let facts = [
        (text::lab_dials::fact_type(language), event_type),
        (text::lab_dials::fact_position(language), place),
        (text::lab_dials::fact_view(language), view),
        (text::lab_dials::fact_key(language), key),
        (text::lab_dials::fact_expected(language), expected),
        (text::lab_dials::fact_found(language), found),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| {
        let value = value?;
        Some(view! { <div><dt>{name}</dt><dd class="mono break">{value}</dd></div> }.erase())
    });
    let facts: Vec<View> = facts.collect();
    view! { <dl class="facts">{stream}{facts}</dl> }.erase()
}

/// A crossing: the arrow, by its place in the drawing and its name, and the event that crossed it.
fn sequence_step(step: &SequenceStep) -> View {
    let event = step.event_id.map(event_link);
    let drawn = step.arrow.drawing_id(PATTERN_SHEET).unwrap_or_default();
    view! { <li data-step=drawn><code>{step.arrow.as_str()}</code>" "{event}</li> }.erase()
}
