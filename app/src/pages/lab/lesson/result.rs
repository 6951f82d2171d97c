//! What a step has shown: whether the prediction was right, what happened, what was checked on the running
//! system, the evidence of this run, the term, and the file of the source that does it.

use domain::{
    lesson::{Fact, LessonOutline, StepOutline},
    wire::{Expectation, LessonEvidence, RunStep},
};
use leptos::prelude::*;
use serde_json::Value;

use super::{paragraphs, words};
use crate::{
    components::{Icon, Id, Picture},
    erase::{Erase, View},
    format::fixed_millis,
    language::language,
    pages::lab::{
        glossary::{meaning, term_name},
        lessons::GLOSSARY,
    },
    text,
};

/// Whether a step shows something once it is revealed: one that only tells has nothing more.
pub(super) fn shows(outline: &StepOutline) -> bool {
    outline.question.is_some() || outline.acts
}

/// The part of a step that is revealed.
pub(super) fn part(lesson: &LessonOutline, outline: &'static StepOutline, step: &RunStep) -> Option<View> {
    if !step.revealed {
        return None;
    }
    let explanation = explanation(outline);
    if !shows(outline) {
        return explanation;
    }
    let language = language();
    let (picture, verdict, state) = match step.right {
        Some(true) => (Picture::Check, text::lessons::right(language), "right"),
        Some(false) => (Picture::Undo, text::lessons::wrong(language), "wrong"),
        None => (Picture::Check, text::lessons::happened(language), "shown"),
    };
    let view = view! {
        <div class="lesson__result" data-result=state>
            <h3 tabindex="-1" data-due="true"><Icon picture />{verdict}</h3>
            {paragraphs(words(lesson, &[outline.name, "_reveal"].concat()))}
            {expectations(&step.expectations)}
            {evidence(&step.evidence)}
            {explanation}
        </div>
    };
    Some(view.erase())
}

/// The words for what an expectation or a piece of evidence is about.
fn fact(fact: Fact) -> &'static str {
    text::by_name(language(), "lesson_facts", fact.as_str()).unwrap_or("…")
}

/// What was checked on the running system.
fn expectations(expectations: &[Expectation]) -> Option<View> {
    let language = language();
    if expectations.is_empty() {
        return None;
    }
    let items = expectations.iter().map(|expectation| {
        let Expectation {
            name,
            holds,
            expected,
            seen,
        } = expectation.clone();
        let (picture, state) = if holds {
            (Picture::Check, text::lessons::holds(language))
        } else {
            (Picture::Alert, text::lessons::does_not_hold(language))
        };
        let difference = (!holds).then(|| text::lessons::expected_and_seen(language, expected, &seen));
        view! {
            <li data-holds=holds.to_string()>
                <Icon picture />
                <span>
                    {text::layout::pair(language, fact(name), state)}
                    " "
                    <code class="break">{seen.clone()}</code>
                    " "
                    {difference}
                </span>
            </li>
        }
    });
    let items = items.collect_view();
    let view = view! {
        <h3>{text::lessons::checked(language)}</h3>
        <ul class="lesson__checks">{items}</ul>
    };
    Some(view.erase())
}

/// The evidence as a table.
fn evidence(evidence: &[LessonEvidence]) -> Option<View> {
    let language = language();
    if evidence.is_empty() {
        return None;
    }
    let label = text::lessons::evidence_shown(language);
    let rows = evidence.iter().map(|piece| {
        let (name, kind, shown) = shown(piece);
        view! {
            <tr data-evidence=kind>
                <th scope="row">{fact(name)}</th>
                <td data-label=label>{shown}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    let view = view! {
        <h3>{text::lessons::evidence(language)}</h3>
        <table class="table lesson__evidence">
            <thead>
                <tr>
                    <th scope="col">{text::lessons::evidence_of(language)}</th>
                    <th scope="col">{label}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    };
    Some(view.erase())
}

/// What a piece of evidence is about, its kind, and what it shows. The sandbox of a run has sessions of its
/// own, so its events are named and not linked.
fn shown(piece: &LessonEvidence) -> (Fact, &'static str, View) {
    let language = language();
    match piece.clone() {
        LessonEvidence::Event {
            name,
            event_id,
            event_type,
            stream,
            position,
            recorded_at,
        } => {
            let at = text::lab::at_position(language, position);
            let view = view! {
                <span class="lesson__event">
                    <code>{event_type}</code>
                    <Id id=event_id.to_string() />
                    <code class="break">{stream}</code>
                    <span>{at}</span>
                    <span class="mono">{fixed_millis(recorded_at)}</span>
                </span>
            };
            (name, "event", view.erase())
        }
        LessonEvidence::Document {
            name,
            view: of,
            key,
            data,
            as_of,
        } => {
            let as_of = text::freshness::as_of(language, as_of);
            let document = match data {
                Value::Null => view! { <p>{text::lessons::no_document(language)}</p> }.erase(),
                data => json(&data),
            };
            let view = view! {
                <p>
                    <code class="break">{[of.as_str(), "/", &key].concat()}</code>
                    " "
                    <span class="muted">{as_of}</span>
                </p>
                {document}
            };
            (name, "document", view.erase())
        }
        LessonEvidence::Answer { name, status, detail } => {
            let words = text::lessons::status(language, status);
            let view = view! { <span>{words}</span>" "<code class="break" lang="en">{detail}</code> };
            (name, "answer", view.erase())
        }
        LessonEvidence::Number { name, value, unit } => {
            let words = match unit.as_str() {
                "ms" => text::lab::milliseconds(language, value),
                "events" => text::lab::events(language, value),
                "" => value.to_string(),
                unit => format!("{value} {unit}"),
            };
            let view = view! { <span class="mono">{words}</span> };
            (name, "number", view.erase())
        }
    }
}

/// A document, which is unfolded to be read.
fn json(data: &Value) -> View {
    // A value with string keys is always written.
    let pretty = serde_json::to_string_pretty(data).unwrap_or_default();
    view! {
        <details>
            <summary>{text::lessons::document(language())}</summary>
            <pre class="lesson__json">{pretty}</pre>
        </details>
    }
    .erase()
}

/// The term that a step explains, and the file of the source that does it.
pub(super) fn explanation(outline: &StepOutline) -> Option<View> {
    let language = language();
    let term = outline.term.map(|term| {
        let href = [GLOSSARY, "#", term].concat();
        view! {
            <div>
                <dt>{text::lessons::term(language)}</dt>
                <dd><a href=href>{term_name(term)}</a>" "{meaning(term)}</dd>
            </div>
        }
    });
    let source = outline.source.map(|source| {
        view! {
            <div>
                <dt>{text::lessons::source(language)}</dt>
                <dd><code class="break">{source}</code></dd>
            </div>
        }
    });
    if term.is_none() && source.is_none() {
        return None;
    }
    let view = view! {
        <dl class="lesson__term">
            {term}
            {source}
        </dl>
    };
    Some(view.erase())
}
