//! The dead letters of the workspace: what could not be applied, why, after how many attempts, and what waits
//! behind it. An educator retries one or all, and discards one after the page has said what that means.
//!
//! | module | content |
//! |---|---|
//! | `session` | the newest dead letters, and what a person does |
//! | `card` | one dead letter |

mod card;
mod session;

use domain::wire::{DeadLetterInfo, Page};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use self::{card::card, session::LetterSession};
use crate::{
    components::{EmptyState, either, for_each, only_if, text},
    erase::{Erase, View},
    islands::Island,
    lab::dials::BentValue,
    language::language,
    text,
};

/// The dead letters.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabDeadLetters {
    /// The page of them, when it was rendered.
    pub(crate) letters: Page<DeadLetterInfo>,
    /// The handler whose dead letters are shown; `None`: those of all.
    pub(crate) view: Option<String>,
    /// Where the page begins; `None`: at the first.
    pub(crate) cursor: Option<String>,
    /// What was bent when it was rendered.
    pub(crate) bent: Vec<BentValue>,
    /// Whether the person may change the pipeline.
    pub(crate) may_control: bool,
}

impl Island for LabDeadLetters {
    const NAME: &'static str = "lab-dead-letters";

    fn view(self) -> View {
        let language = language();
        let session = LetterSession::new(self);
        #[cfg(not(feature = "ssr"))]
        session.follow();
        let has_none = move || session.letters.with(Vec::is_empty);
        let ids = move || {
            session.letters.with(|letters| {
                let ids = letters.iter().map(|letter| letter.id.to_string());
                ids.collect::<Vec<_>>()
            })
        };
        let list = move || {
            let cards = for_each(ids, move |id| card(session, id));
            view! { <ul class="letters">{cards}</ul> }.erase()
        };
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::lab_handlers::no_letters_title(language)
                    text=text::lab_handlers::no_letters(language)
                    action=view! {
                        <a class="button" href="/lab/dials#projections">
                            {text::dials::to_dials(language)}
                        </a>
                    }
                    .erase()
                />
            }
            .erase()
        };
        view! {
            <div class="lab-letters" data-testid="lab-letters">
                {bar(session)}
                {either(has_none, nothing, list)}
            </div>
        }
        .erase()
    }
}

/// The button that retries all, what came of the last thing that was done, and what was refused.
fn bar(session: LetterSession) -> View {
    let language = language();
    let has_some = move || session.letters.with(|letters| !letters.is_empty());
    let retry_all = move || {
        view! {
            <button
                type="button"
                class="button needs-script"
                data-action="retry-all"
                aria-disabled=text(move || session.is_busy.get().to_string())
                on:click=move |_| session.retry_all()
            >
                {text::lab_handlers::retry_all(language)}
            </button>
        }
        .erase()
    };
    let may_control = session.may_control;
    let has_refusal = move || session.refusal.with(|words| !words.is_empty());
    let refusal =
        move || view! { <p class="notice notice--danger">{text(move || session.refusal.get())}</p> }.erase();
    let reads =
        (!may_control).then(|| view! { <p class="muted">{text::lab_handlers::reads(language)}</p> }.erase());
    view! {
        {reads}
        {only_if(move || may_control && has_some(), retry_all)}
        <p role="status" data-testid="letters-outcome">{text(move || session.outcome.get())}</p>
        <div role="alert" data-testid="letters-refusal">{only_if(has_refusal, refusal)}</div>
    }
    .erase()
}
