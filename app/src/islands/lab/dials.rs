//! The dials of the workspace, its guarantees, and the lights of its invariants. An educator sets them,
//! others read them, and a person who was handed a dial sets this one. The page has the drawing beside the
//! island: a box leads to its dials, and a red light draws on the arrows the smallest sequence that shows
//! how its invariant broke.
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

use domain::wire::{ERASURE, HandlerKind, InvariantsAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(feature = "ssr")]
pub(crate) use self::wording::invariant as invariant_name;
use self::{clock::clock, lights::lights, row::row, session::DialSession};
use crate::{
    components::{for_each, only_if, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::Island,
    lab::dials::{BOXES, CLOCK, DialBox, GUARANTEES, PROJECTIONS, bent, views_of},
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
    /// The names of the views of one's own.
    pub(crate) own_views: Vec<String>,
    /// Whether the person may change the pipeline.
    pub(crate) may_control: bool,
    /// The dials that the person was handed, by their names in the API.
    pub(crate) handed: Vec<String>,
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
        let reads = (!session.may_control).then(|| {
            let says = move || {
                if session.handed.with(Vec::is_empty) {
                    text::lab_dials::reads(language)
                } else {
                    text::lab_dials::reads_but_handed(language)
                }
            };
            view! { <p class="muted" role="status">{text(says)}</p> }.erase()
        });
        view! {
            <div class="lab-dials" data-testid="lab-dials">
                {bar(session)}
                {reads}
                {jump_list(session)}
                {lights(session)}
                <div class="dials__boxes">{boxes}</div>
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

/// The number of bent dials whose paths begin so. Tracked.
fn bent_below(session: DialSession, start: &str) -> usize {
    session.answer.with(|answer| {
        let bent = bent(answer);
        bent.iter().filter(|bent| bent.dial.starts_with(start)).count()
    })
}

/// How much is bent, for the line that stays of dials that are folded up; empty at rest.
fn bent_words(session: DialSession, start: String) -> View {
    let words = move || match bent_below(session, &start) {
        0 => String::new(),
        count => text::lab_dials::bent(language(), count),
    };
    view! { <span class="dials__count">{text(words)}</span> }.erase()
}

/// The links to the lights and to each box, with a mark at those that are bent.
fn jump_list(session: DialSession) -> View {
    let language = language();
    let lights = view! { <li><a class="tag" href="#lights">{text::lab_dials::lights(language)}</a></li> };
    let boxes = BOXES.iter().map(|of| {
        let (id, start) = (of.id, [of.id, "."].concat());
        let is_bent = move || (bent_below(session, &start) > 0).to_string();
        view! {
            <li>
                <a
                    class="tag"
                    href=["#", id].concat()
                    data-bent=text(is_bent)
                    on:click=move |_| {
                        #[cfg(not(feature = "ssr"))]
                        drawing::reveal(id);
                    }
                >
                    {wording::box_title(id)}
                </a>
            </li>
        }
        .erase()
    });
    let boxes: Vec<View> = boxes.collect();
    view! {
        <nav class="tags dials__jump" aria-label=text::lab_dials::jump(language)>
            <ul>{lights}{boxes}</ul>
        </nav>
    }
    .erase()
}

/// The dials of a box. They are folded up while none of them is bent.
fn section(session: DialSession, of: &'static DialBox) -> View {
    let content: View = match of.id {
        PROJECTIONS => {
            let kinds = HandlerKind::ALL.into_iter();
            let kinds: Vec<View> = kinds.map(|kind| handlers(session, of, kind)).collect();
            kinds.erase()
        }
        id => rows(session, of, id),
    };
    let beside = (of.id == CLOCK).then(|| clock(session));
    let lead = (of.id == GUARANTEES)
        .then(|| view! { <p class="muted">{text::lab_dials::guarantees_lead(language())}</p> }.erase());
    let start = [of.id, "."].concat();
    let begins_bent = untrack(|| bent_below(session, &start) > 0);
    view! {
        <section class="panel dials" id=of.id tabindex="-1" data-box=of.id>
            <details open=begins_bent>
                <summary>
                    <h2>{wording::box_title(of.id)}</h2>
                    " "
                    {bent_words(session, start)}
                </summary>
                <div class="dials__content">
                    {lead}
                    {content}
                    {beside}
                </div>
            </details>
        </section>
    }
    .erase()
}

/// The rows of a box, or of an event handler; `prefix` is the first part of their paths.
fn rows(session: DialSession, of: &DialBox, prefix: &str) -> View {
    let dials = of.dials.iter();
    let rows: Vec<View> = dials
        .map(|(dial, kind)| row(session, [prefix, ".", dial].concat(), *kind))
        .collect();
    view! { <ul class="dials__list">{rows}</ul> }.erase()
}

/// The dials of the event handlers of a kind. The erasure of people has none, and the page says so. Views of
/// one's own come after those that every workspace has.
fn handlers(session: DialSession, of: &'static DialBox, kind: HandlerKind) -> View {
    let language = language();
    let title = match kind {
        HandlerKind::View => text::lab_handlers::views(language),
        HandlerKind::ProcessManager => text::lab_handlers::process_managers(language),
        HandlerKind::Consumer => text::lab_handlers::consumers(language),
    };
    let handlers = Memo::new(move |_| {
        if kind != HandlerKind::View {
            return kind.names().iter().map(|name| (*name).to_owned()).collect();
        }
        let own = session.own_views;
        session
            .answer
            .with(|answer| own.with_value(|own| views_of(answer, kind.names(), own)))
    });
    let handlers = for_each(
        move || handlers.get(),
        move |name: String| {
            if name == ERASURE {
                let why = text::lab_handlers::unbent(language);
                return view! { <p class="muted"><code>{name}</code>": "{why}</p> }.erase();
            }
            handler(session, of, &name)
        },
    );
    view! {
        <h3 class="dials__kind">{title}</h3>
        {handlers}
    }
    .erase()
}

/// The dials of an event handler. They are open while one of them is bent.
fn handler(session: DialSession, of: &'static DialBox, handler: &str) -> View {
    let prefix = [PROJECTIONS, ".", handler].concat();
    let start = [&prefix, "."].concat();
    let begins_bent = untrack(|| bent_below(session, &start) > 0);
    view! {
        <details class="dials__view" id=prefix.clone() open=begins_bent>
            <summary><code>{handler.to_owned()}</code>" "{bent_words(session, start)}</summary>
            {rows(session, of, &prefix)}
            {session.may_control.then(|| crash(session, handler))}
        </details>
    }
    .erase()
}

/// The button that makes the lanes of an event handler panic.
fn crash(session: DialSession, handler: &str) -> View {
    let language = language();
    let outcome = RwSignal::new(String::new());
    let name = StoredValue::new(handler.to_owned());
    view! {
        <div class="dials__crash needs-script">
            <button
                type="button"
                class="button button--small"
                data-crash=handler.to_owned()
                on:click=move |_| name.with_value(|handler| session.crash(handler, outcome))
            >
                {text::lab_dials::crash(language)}
                <span class="hidden">" "{handler.to_owned()}</span>
            </button>
            <p class="muted">{text::lab_dials::crash_why(language)}</p>
            <p role="status">{text(move || outcome.get())}</p>
        </div>
    }
    .erase()
}
