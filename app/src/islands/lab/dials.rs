//! The dials of the workspace, its guarantees, and the lights of its invariants. An educator sets them, and
//! others read them. The page has the drawing beside the island: a box leads to its dials, and a red light
//! draws on the arrows the smallest sequence that shows how its invariant broke.
//!
//! | module | content |
//! |---|---|
//! | `session` | the present dials and lights, and what a person does with them |
//! | `row`, `control` | a dial, and what sets it |
//! | `clock` | the workspace's clock, beside its dial |
//! | `lights` | the lights with their evidence and cure |
//! | `drawing` | what is bent and broken, in the drawing of the page |
//! | `wording` | the titles and explanations of dials and invariants |

mod clock;
mod control;
#[cfg(not(feature = "ssr"))]
mod drawing;
mod lights;
mod row;
mod session;
mod wording;

use domain::{view::NAMES, wire::InvariantsAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{clock::clock, lights::lights, row::row, session::DialSession};
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    islands::Island,
    lab::dials::{BOXES, CLOCK, DialBox, GUARANTEES, PROJECTIONS, bent},
    language::language,
    text,
};

/// The dials and lights.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabDials {
    /// The dials when the page was rendered, as `GET /api/v1/lab/dials` answers.
    pub(crate) answer: Value,
    /// The lights when the page was rendered.
    pub(crate) lights: InvariantsAnswer,
    /// The types of events, of which a projection may be poisoned with one.
    pub(crate) event_types: Vec<String>,
    /// Whether the person may change the pipeline.
    pub(crate) may_control: bool,
}

impl Island for LabDials {
    const NAME: &'static str = "lab-dials";

    fn view(self) -> View {
        let language = language();
        let session = DialSession::new(self);
        #[cfg(not(feature = "ssr"))]
        {
            session.follow();
            drawing::follow(session);
        }
        let boxes: Vec<View> = BOXES.iter().map(|of| section(session, of)).collect();
        let reads = (!session.may_control)
            .then(|| view! { <p class="muted">{text::lab_dials::reads(language)}</p> }.erase());
        view! {
            <div class="lab-dials" data-testid="lab-dials">
                {bar(session)}
                {reads}
                {lights(session)}
                {boxes}
            </div>
        }
        .erase()
    }
}

/// How much is bent, the button that puts everything to rest, and what the server refused.
fn bar(session: DialSession) -> View {
    let language = language();
    let count = move || session.answer.with(|answer| bent(answer).len());
    let state = move || match count() {
        0 => text::lab_dials::at_rest(language).to_owned(),
        count => text::lab_dials::bent(language, count),
    };
    let undo = move || {
        view! {
            <button type="button" class="button button--small" on:click=move |_| session.undo()>
                {text::lab_dials::undo(language)}
            </button>
        }
        .erase()
    };
    let buttons = session.may_control.then(|| {
        view! {
            <div class="lab-dials__buttons needs-script">
                <button
                    type="button"
                    class="button button--small"
                    aria-disabled=text(move || (count() == 0).to_string())
                    on:click=move |_| {
                        if session.answer.with_untracked(|answer| !bent(answer).is_empty()) {
                            session.rest(None);
                        }
                    }
                >
                    {text::lab_dials::reset_all(language)}
                </button>
                {only_if(move || session.before_reset.with(Option::is_some), undo)}
            </div>
        }
        .erase()
    });
    let has_refusal = move || session.refusal.with(|words| !words.is_empty());
    let refusal =
        move || view! { <p class="notice notice--danger">{text(move || session.refusal.get())}</p> }.erase();
    view! {
        <div class="lab-dials__bar">
            <p role="status" data-testid="dials-state">{text(state)}</p>
            {buttons}
        </div>
        <div role="alert" data-testid="dials-refusal">{only_if(has_refusal, refusal)}</div>
    }
    .erase()
}

/// The dials of a box.
fn section(session: DialSession, of: &'static DialBox) -> View {
    let content: View = match of.id {
        PROJECTIONS => {
            let views: Vec<View> = NAMES.map(|view| projection(session, of, view)).into();
            views.erase()
        }
        id => rows(session, of, id),
    };
    let beside = (of.id == CLOCK).then(|| clock(session));
    let lead = (of.id == GUARANTEES)
        .then(|| view! { <p class="muted">{text::lab_dials::guarantees_lead(language())}</p> }.erase());
    view! {
        <section class="panel dials" id=of.id tabindex="-1" data-box=of.id>
            <h2>{wording::box_title(of.id)}</h2>
            {lead}
            {content}
            {beside}
        </section>
    }
    .erase()
}

/// The rows of a box, or of a view; `prefix` is the first part of their paths.
fn rows(session: DialSession, of: &DialBox, prefix: &str) -> View {
    let dials = of.dials.iter();
    let rows: Vec<View> = dials
        .map(|(dial, kind)| row(session, [prefix, ".", dial].concat(), *kind))
        .collect();
    view! { <ul class="dials__list">{rows}</ul> }.erase()
}

/// The dials of a view. They are open while one of them is bent.
fn projection(session: DialSession, of: &'static DialBox, view: &'static str) -> View {
    let language = language();
    let prefix = [PROJECTIONS, ".", view].concat();
    let start = [&prefix, "."].concat();
    let begins_bent = session
        .answer
        .with_untracked(|answer| bent(answer).iter().any(|bent| bent.dial.starts_with(&start)));
    let bent_here = move || {
        session.answer.with(|answer| {
            let bent = bent(answer);
            bent.iter().filter(|bent| bent.dial.starts_with(&start)).count()
        })
    };
    let count = move || match bent_here() {
        0 => String::new(),
        count => text::lab_dials::bent(language, count),
    };
    view! {
        <details class="dials__view" id=prefix.clone() open=begins_bent>
            <summary><code>{view}</code>" "<span class="dials__count">{text(count)}</span></summary>
            {rows(session, of, &prefix)}
            {session.may_control.then(|| crash(session, view))}
        </details>
    }
    .erase()
}

/// The button that makes the lanes of a view panic.
fn crash(session: DialSession, view: &'static str) -> View {
    let language = language();
    let outcome = RwSignal::new(String::new());
    view! {
        <div class="dials__crash needs-script">
            <button
                type="button"
                class="button button--small"
                data-crash=view
                on:click=move |_| session.crash(view, outcome)
            >
                {text::lab_dials::crash(language)}
                <span class="hidden">" "{view}</span>
            </button>
            <p class="muted">{text::lab_dials::crash_why(language)}</p>
            <p role="status">{text(move || outcome.get())}</p>
        </div>
    }
    .erase()
}
