//! The page of the dials and lights, beside the drawing that they are about. Without a script it shows what
//! is bent, and what the lights say.

use domain::event::DomainEvent;
use drawing::Sheet;
use leptos::prelude::*;

use super::{head, lab, sheet::Subject};
use crate::{
    api,
    erase::Erase,
    islands::{Island, LabDials, STAGE},
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// `/lab/dials`.
#[component]
pub(crate) fn LabDialsPage() -> impl IntoView {
    lab(|may_control| {
        let language = language();
        let title = text::lab_dials::title(language);
        let subject = Subject::of_request(Sheet::Pattern);
        let answer = api::dials();
        let lights = api::invariants();
        suspend(async move {
            // Lights that are late come with the live connection.
            let lights = lights.await.unwrap_or_default();
            let unreadable = || api::unreachable_server("the dials could not be read".to_owned());
            match answer.ok_or_else(unreadable) {
                Ok(answer) => {
                    let types = DomainEvent::types().map(|known| known.name.to_owned());
                    let dials = LabDials {
                        answer,
                        lights,
                        event_types: types.collect(),
                        may_control,
                    };
                    view! {
                        {head(title, text::lab_page::dials_lead(language))}
                        <noscript>
                            <p class="notice">{text::lab_page::dials_need_script(language)}</p>
                        </noscript>
                        <div class="lab" id=STAGE>
                            {subject.stage()}
                            {dials.island()}
                        </div>
                    }
                    .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
