//! The event handlers of the workspace: views, process managers and consumers, where each of them is, how
//! fast it handles events, what the dials bend there, and whether it has handled an event. An educator
//! pauses and crashes them here and rebuilds views, and others read.
//!
//! | module | content |
//! |---|---|
//! | `session` | the newest figures, and what a person does |
//! | `card` | one handler |
//! | `asked` | the event that a person asks about |

mod asked;
pub(super) mod card;
mod session;

use domain::wire::{HandledAnswer, HandlerKind, HandlersAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use self::{asked::asked, card::card, session::HandlerSession};
use crate::{
    components::{for_each, only_if, text},
    erase::{Erase, View},
    erased_signals::Memo,
    islands::Island,
    lab::dials::BentValue,
    language::language,
    text,
};

/// The event handlers.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabHandlers {
    /// Where they were when the page was rendered.
    pub(crate) answer: HandlersAnswer,
    /// What was bent then.
    pub(crate) bent: Vec<BentValue>,
    /// What the person has typed to ask about an event; empty if they have not.
    pub(crate) asked: String,
    /// The answer; `None` if there is none.
    pub(crate) handled: Option<HandledAnswer>,
    /// Why there is none; empty if there is one, or was no question.
    pub(crate) unknown: String,
    /// Whether the person may change the pipeline.
    pub(crate) may_control: bool,
}

impl Island for LabHandlers {
    const NAME: &'static str = "lab-handlers";

    fn view(self) -> View {
        let language = language();
        let (typed, unknown) = (self.asked.clone(), self.unknown.clone());
        let session = HandlerSession::new(self);
        #[cfg(not(feature = "ssr"))]
        session.follow();
        let sections = HandlerKind::ALL.into_iter().map(|kind| section(session, kind));
        let sections: Vec<View> = sections.collect();
        let has_refusal = move || session.refusal.with(|words| !words.is_empty());
        let refusal = move || {
            view! { <p class="notice notice--danger">{text(move || session.refusal.get())}</p> }.erase()
        };
        let lost = move || view! { <p class="notice">{text::lab::offline(language)}</p> }.erase();
        view! {
            <div class="lab-handlers" data-testid="lab-handlers">
                {asked(session, typed, unknown)}
                <div role="alert" data-testid="handlers-refusal">{only_if(has_refusal, refusal)}</div>
                <div role="status">{only_if(move || session.is_lost.get(), lost)}</div>
                {sections}
            </div>
        }
        .erase()
    }
}

/// The handlers of a kind.
fn section(session: HandlerSession, kind: HandlerKind) -> View {
    let language = language();
    let (title, lead) = match kind {
        HandlerKind::View => (
            text::lab_handlers::views(language),
            text::lab_handlers::views_lead(language),
        ),
        HandlerKind::ProcessManager => (
            text::lab_handlers::process_managers(language),
            text::lab_handlers::process_managers_lead(language),
        ),
        HandlerKind::Consumer => (
            text::lab_handlers::consumers(language),
            text::lab_handlers::consumers_lead(language),
        ),
    };
    // Views of one's own come and go while the page is open.
    let names = Memo::new(move |_| {
        session.answer.with(|answer| {
            let of_kind = answer.data.iter().filter(|handler| handler.kind == kind);
            let names = of_kind.map(|handler| handler.status.view.clone());
            names.collect::<Vec<String>>()
        })
    });
    let cards = for_each(move || names.get(), move |name| card(session, kind, name));
    view! {
        <section class="handlers" data-kind=kind.as_str()>
            <h2>{title}</h2>
            <p class="muted">{lead}</p>
            <ul class="handlers__list">{cards}</ul>
        </section>
    }
    .erase()
}
