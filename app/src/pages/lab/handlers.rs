//! The page of the event handlers: projections, process managers and consumers. Without a script it shows
//! where they were when it was rendered, and answers what they have done with an event.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::{head, lab};
use crate::{
    api,
    components::explain,
    erase::Erase,
    islands::{Island, LabHandlers},
    lab::dials::bent,
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// `/lab/projections?event=`: the id of an event, or its place as in `0:127`.
#[component]
pub(crate) fn LabHandlersPage() -> impl IntoView {
    lab(|may_control| {
        let language = language();
        let title = text::lab_handlers::title(language);
        let asked = use_query_map().with_untracked(|query| query.get("event").unwrap_or_default());
        let bent = api::dials().map(|dials| bent(&dials)).unwrap_or_default();
        let answer = api::handlers();
        let handled = api::handled(asked.clone());
        suspend(async move {
            let answer = match answer.await {
                Ok(answer) => answer,
                Err(problem) => return problem_view(title, &problem),
            };
            let (handled, unknown) = match handled.await {
                None => (None, String::new()),
                Some(Ok(handled)) => (Some(handled), String::new()),
                Some(Err(problem)) => {
                    let words = match problem.status {
                        400 => text::lab_handlers::asked_malformed(language).to_owned(),
                        404 => text::lab_handlers::asked_unknown(language).to_owned(),
                        _ => explain(&problem),
                    };
                    (None, words)
                }
            };
            let handlers = LabHandlers {
                answer,
                bent,
                asked,
                handled,
                unknown,
                may_control,
            };
            view! {
                {head(title, text::lab_page::handlers_lead(language))}
                <noscript>
                    <p class="notice">{text::lab_page::handlers_need_script(language)}</p>
                </noscript>
                <div class="lab">{handlers.island()}</div>
            }
            .erase()
        })
    })
}
