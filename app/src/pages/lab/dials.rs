//! The page of the dials and lights, beside the drawing that they are about. Without a script it shows what
//! is bent, and what the lights say.

use domain::event::DomainEvent;
use drawing::Sheet;
use leptos::prelude::*;

use super::{head, lab, sheet::Subject};
use crate::{
    api::{self, use_session},
    erase::Erase,
    islands::{Island, LabDials, STAGE},
    lab::class::dials_of,
    language::language,
    pages::{class::state_of_page, problem_view, suspend},
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
        let own_views = api::own_view_names();
        let person = use_session()
            .map(|session| session.actor_id.to_string())
            .unwrap_or_default();
        // An educator sets every dial.
        let class = (!may_control).then(api::class);
        suspend(async move {
            // Lights that are late come with the live connection.
            let lights = lights.await.unwrap_or_default();
            let own_views = own_views.await;
            let class = match class {
                Some(class) => class.await.ok(),
                None => None,
            };
            let handed = class.map(|(class, _)| dials_of(&state_of_page(&class), &person));
            let unreadable = || api::unreachable_server("the dials could not be read".to_owned());
            match answer.ok_or_else(unreadable) {
                Ok(answer) => {
                    let types = DomainEvent::types().map(|known| known.name.to_owned());
                    let dials = LabDials {
                        answer,
                        lights,
                        event_types: types.collect(),
                        own_views,
                        may_control,
                        handed: handed.unwrap_or_default(),
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
