//! The pages of the recordings: the list of those that are kept, where a file can be played too, and one of
//! them, beside the drawing, on which its events move. The island fetches what it plays, because a file is
//! played in the same way. Where nothing is played, the style sheet hides the drawing.

use drawing::Sheet;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use uuid::Uuid;

use super::{head, lab, sheet::Subject};
use crate::{
    api,
    erase::{Erase, View},
    islands::{Island, LabRecording, STAGE},
    language::language,
    pages::{missing, problem_view, suspend},
    text,
};

/// The page of the list.
const LIST: &str = "/lab/recording";

/// `/lab/recording`.
#[component]
pub(crate) fn LabRecordingsPage() -> impl IntoView {
    lab(|may_control| page(None, may_control))
}

/// `/lab/recording/{id}`.
#[component]
pub(crate) fn LabRecordingPage() -> impl IntoView {
    lab(|may_control| {
        let id = use_params_map().with_untracked(|params| params.get("id").unwrap_or_default());
        match Uuid::parse_str(&id) {
            Ok(id) => page(Some(id), may_control),
            Err(_not_an_id) => missing(LIST, text::lab::recordings(language())),
        }
    })
}

fn page(id: Option<Uuid>, may_control: bool) -> View {
    let language = language();
    let title = text::lab::recordings(language);
    let subject = Subject::of_request(Sheet::Pattern);
    let kept = api::recordings();
    let pipeline = api::pipeline();
    suspend(async move {
        let (kept, position) = match (kept.await, pipeline.await) {
            (Ok(kept), Ok((position, _))) => (kept, position),
            (Err(problem), _) | (_, Err(problem)) => return problem_view(title, &problem),
        };
        if id.is_some_and(|id| kept.iter().all(|recording| recording.id != id)) {
            return missing(LIST, title);
        }
        let recordings = LabRecording {
            id,
            kept,
            head: position,
            may_control,
        };
        view! {
            {head(title, text::lab_page::recordings_lead(language))}
            <div class="lab" id=STAGE>
                {subject.stage()}
                {recordings.island()}
            </div>
        }
        .erase()
    })
}
