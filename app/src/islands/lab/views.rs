//! Views of one's own: the form that defines one, and each view with where it is and its documents, which
//! change while events are folded into them. Students and educators define views; a student deletes only
//! their own.
//!
//! | module | content |
//! |---|---|
//! | `session` | the newest views, what is entered, and what a person does |
//! | `form` | the form |
//! | `field_choice` | a field of an event, chosen among those that the event types offer |
//! | `card` | one view |
//! | `documents` | its documents |

mod card;
mod documents;
mod field_choice;
mod form;
mod session;

use domain::wire::{OfferedFields, OwnViewsAnswer};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[cfg(feature = "ssr")]
pub(crate) use self::documents::query_of;
use self::{card::card, form::form, session::ViewsSession};
use crate::{
    components::{either, for_each, only_if, text},
    erase::{Erase, View},
    islands::Island,
    lab::own_views::key_of,
    language::language,
    live::store::InitialListing,
    text,
};

/// The views of one's own.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabViews {
    /// The views when the page was rendered.
    pub(crate) answer: OwnViewsAnswer,
    /// The event types, and the fields that they offer.
    pub(crate) offered: OfferedFields,
    /// The first documents of each view, where they could be read.
    pub(crate) documents: Vec<InitialListing>,
    /// Whether the person may change the pipeline.
    pub(crate) may_control: bool,
}

impl Island for LabViews {
    const NAME: &'static str = "lab-views";

    fn view(self) -> View {
        let language = language();
        let session = ViewsSession::new(self);
        #[cfg(not(feature = "ssr"))]
        session.follow();
        let has_none = move || session.views.with(Vec::is_empty);
        let keys = move || session.views.with(|views| views.iter().map(key_of).collect());
        let list = move || {
            let cards = for_each(keys, move |key| card(session, key));
            view! { <div class="own-views">{cards}</div> }.erase()
        };
        let nothing = move || {
            view! {
                <div class="empty">
                    <h2>{text::lab_views::none_title(language)}</h2>
                    <p>{text::lab_views::none(language)}</p>
                </div>
            }
            .erase()
        };
        let offline = move || view! { <p class="notice">{text::lab::offline(language)}</p> }.erase();
        view! {
            <div class="lab-views" data-testid="lab-views">
                {outcome(session)}
                <div role="status">{only_if(move || session.is_lost.get(), offline)}</div>
                {form(session)}
                {either(has_none, nothing, list)}
            </div>
        }
        .erase()
    }
}

/// What came of the last thing that a person did, and what was refused.
fn outcome(session: ViewsSession) -> View {
    let language = language();
    let has_outcome = move || session.outcome.with(|words| !words.is_empty());
    let link = move || {
        let href = session.created.with(|name| ["#", &card::id_of(name)].concat());
        view! { " "<a href=href>{text::lab_views::to_view(language)}</a> }.erase()
    };
    // The view that was made may be deleted by now.
    let is_there = move || session.created.with(|name| session.names().contains(name));
    let said = move || {
        view! {
            <p class="notice notice--good">
                <span>{text(move || session.outcome.get())}{only_if(is_there, link)}</span>
            </p>
        }
        .erase()
    };
    let has_refusal = move || session.refusal.with(|words| !words.is_empty());
    let refusal =
        move || view! { <p class="notice notice--danger">{text(move || session.refusal.get())}</p> }.erase();
    view! {
        <div role="status" id=session::OUTCOME tabindex="-1" data-testid="views-outcome">
            {only_if(has_outcome, said)}
        </div>
        <div role="alert" data-testid="views-refusal">{only_if(has_refusal, refusal)}</div>
    }
    .erase()
}
