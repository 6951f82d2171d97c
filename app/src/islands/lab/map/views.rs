//! The views at the shown moment: the documents as they were, folded in the browser by the domain's own code,
//! and what the newest event of that moment has changed in them. Nothing is folded before a person first goes
//! back in time or opens a view.

use domain::view::NAMES;
use leptos::prelude::*;
use serde_json::Value;

use super::{
    session::{Loading, MapSession},
    wording::{lag_words, trend},
};
use crate::{
    components::{explain, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    lab::{
        difference::{Change, Difference, difference},
        figures::ViewFigures,
        folding::{DocumentStep, FoldedDocument},
        hop_log::short_id,
    },
    language::language,
    text,
};

/// The number of documents of a view that are shown: those that were touched last.
const MOST_DOCUMENTS: usize = 5;
/// The number of characters of a value in a difference.
const MOST_CHARACTERS: usize = 120;

/// The panel.
pub(super) fn views_panel(session: MapSession) -> View {
    let language = language();
    let steps = Memo::new(move |_| {
        let count = session.count();
        session
            .history
            .with_value(|history| session.folds.step(history, count))
    });
    let views: Vec<_> = NAMES.map(|name| view_item(session, name, steps)).into();
    view! {
        <section
            class="panel lab-views"
            data-testid="lab-views"
            data-count=text(move || session.count().to_string())
        >
            <h2>{text::lab::views(language)}</h2>
            <p class="muted">{text(move || newest_event(session))}</p>
            {history_status(session)}
            {session.folds.status()}
            <ul class="lab-views__list">{views}</ul>
        </section>
    }
    .erase()
}

/// The newest event at the shown moment.
fn newest_event(session: MapSession) -> String {
    let language = language();
    let count = session.count();
    let newest = session.history.with_value(|history| {
        let event = history.event(count.checked_sub(1)?)?;
        let position = history.token_at(count);
        Some((event.event_type.clone(), short_id(event.event_id), position))
    });
    match newest {
        Some((kind, id, position)) => text::lab::after_event(language, kind, id, position),
        None => text::lab::before_events(language).to_owned(),
    }
}

/// How far the events are loaded, and the button that loads them.
fn history_status(session: MapSession) -> View {
    let language = language();
    let words = move || match session.loading.get() {
        Loading::Idle => text::lab::history_idle(language).to_owned(),
        Loading::Running => text::lab::history_running(language, session.recorded.get()),
        Loading::Complete => text::lab::history_complete(language, session.recorded.get()),
        Loading::TooMany => text::lab::history_too_many(language, session.recorded.get()),
        Loading::Failed(problem) => explain(&problem),
    };
    let can_load = move || matches!(session.loading.get(), Loading::Idle | Loading::Failed(_));
    let load = move || {
        can_load().then(|| {
            view! {
                <button
                    type="button"
                    class="button button--small needs-script"
                    on:click=move |_| {
                        session.wants_history.set(false);
                        session.wants_history.set(true);
                        session.folds.want();
                    }
                >
                    {text::lab::history_load(language)}
                </button>
            }
            .erase()
        })
    };
    view! {
        <p
            class="muted lab-views__history needs-script"
            data-testid="lab-history"
            data-state=text(move || loading_name(session))
        >
            {text(words)}
        </p>
        {load}
    }
    .erase()
}

fn loading_name(session: MapSession) -> &'static str {
    match session.loading.get() {
        Loading::Idle => "idle",
        Loading::Running => "running",
        Loading::Complete => "complete",
        Loading::TooMany => "too-many",
        Loading::Failed(_) => "failed",
    }
}

fn view_item(session: MapSession, name: &'static str, steps: Memo<Vec<DocumentStep>>) -> View {
    let language = language();
    let is_open = RwSignal::new(false);
    let figures = Memo::new(move |_| {
        session.figures.with(|figures| {
            let mut views = figures.views().into_iter();
            views.find(|view: &ViewFigures| view.view == name)
        })
    });
    let lag = move || {
        figures.with(|figures| {
            let Some(view) = figures else { return String::new() };
            let mut words = text::lab::at_position(language, &view.as_of);
            words.push_str(" · ");
            words.push_str(&lag_words(view.lag_events, view.lag_ms));
            if view.paused {
                words.push_str(" · ");
                words.push_str(text::lab::paused(language));
            }
            words
        })
    };
    let line = move || figures.with(|view| view.as_ref().map(|view| trend(&view.trend)));
    let documents = Memo::new(move |_| {
        let count = session.count();
        let is_open = is_open.get();
        session.history.with_value(|history| {
            let query = (name, count, MOST_DOCUMENTS, is_open);
            session.folds.documents(history, query)
        })
    });
    let list = move || {
        let documents = documents.get().into_iter().map(document_item);
        documents.collect::<Vec<_>>()
    };
    let changes = move || {
        steps.with(|steps| {
            let own = steps.iter().filter(|step| step.view == name);
            own.map(step_item).collect::<Vec<_>>()
        })
    };
    view! {
        <li class="lab-view" data-view=name>
            <h3 class="lab-view__head">
                <button
                    type="button"
                    class="lab-link mono"
                    aria-expanded=text(move || is_open.get().to_string())
                    on:click=move |_| {
                        is_open.update(|is_open| *is_open = !*is_open);
                        session.folds.want();
                    }
                >
                    {name}
                </button>
            </h3>
            <p class="muted">{text(lag)}{line}</p>
            <div class="lab-view__changes">{changes}</div>
            <ul class="lab-view__documents">{list}</ul>
        </li>
    }
    .erase()
}

fn document_item((key, document): FoldedDocument) -> View {
    let name = key.clone();
    let json = document.map(|document| json_block(name, indented(&document)));
    let shown = key.clone();
    view! { <li data-key=key><code class="break">{shown}</code>{json}</li> }.erase()
}

/// What the newest event has changed in a document.
fn step_item(step: &DocumentStep) -> View {
    let language = language();
    let (title, content) = match (&step.before, &step.after) {
        (None, Some(document)) => (
            text::lab::document_new(language, &step.key),
            json_block(step.key.clone(), indented(document)),
        ),
        (Some(_), None) => (text::lab::document_gone(language, &step.key), ().erase()),
        (before, after) => (
            text::lab::document_changed(language, &step.key),
            change_list(difference(before.as_ref(), after.as_ref())),
        ),
    };
    view! { <div class="lab-step" data-key=step.key.clone()><p>{title}</p>{content}</div> }.erase()
}

fn change_list(difference: Difference) -> View {
    let Difference { changes, left_out } = difference;
    let changes: Vec<_> = changes.iter().map(change_item).collect();
    let more = text::lab::more_changes(language(), left_out);
    let more = (left_out > 0).then(|| view! { <li>{more}</li> }.erase());
    view! { <ul>{changes}{more}</ul> }.erase()
}

/// A document as indented JSON, which the keyboard can scroll.
fn json_block(name: String, json: String) -> View {
    view! { <pre class="code" tabindex="0" aria-label=name><code>{json}</code></pre> }.erase()
}

fn change_item(change: &Change) -> View {
    let before = change
        .before
        .as_ref()
        .map(|value| view! { <del>{in_short(value)}</del> }.erase());
    let after = change
        .after
        .as_ref()
        .map(|value| view! { <ins>{in_short(value)}</ins> }.erase());
    view! { <li><code>{change.path.clone()}</code>" "{before}" "{after}</li> }.erase()
}

/// A value on one line, cut if it is long.
fn in_short(value: &Value) -> String {
    let json = value.to_string();
    match json.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => [json.get(..end).unwrap_or_default(), "…"].concat(),
        None => json,
    }
}

/// A document, indented for reading.
pub(super) fn indented(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(in_short(&json!({"a": 1})), "{\"a\":1}");
        let long = in_short(&json!("ä".repeat(500)));
        assert_eq!(long.chars().count(), MOST_CHARACTERS + 1);
        assert!(long.ends_with('…'));
    }
}
