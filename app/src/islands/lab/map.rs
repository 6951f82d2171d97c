//! The live map: what the pipeline does at this moment, drawn over the sheet that the page contains.
//!
//! | module | content |
//! |---|---|
//! | `session` | what the parts share: hops, events, the shown moment, the selection |
//! | `feed` | the browser's half: the live connection, the frames of the screen, loading |
//! | `drawing` | packets, streams and figures in the drawing of the page |
//! | `status`, `controls` | whether hops arrive, and the controls of time |
//! | `hop_list`, `box_table` | events, hops and boxes as tables, which need no picture |
//! | `details`, `views` | what is selected, and every view at the shown moment |
//! | `wording` | the words for outcomes, arrows and figures |

mod box_table;
mod controls;
mod details;
#[cfg(not(feature = "ssr"))]
mod drawing;
#[cfg(not(feature = "ssr"))]
mod feed;
mod hop_list;
mod session;
mod status;
mod views;
pub(super) mod wording;

use domain::{token::ConsistencyToken, wire::ProjectionStatus};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use self::{
    box_table::box_table,
    controls::controls,
    details::details,
    hop_list::{hop_list, hop_table},
    session::MapSession,
    status::{or_nothing_yet, status},
    views::views_panel,
};
use super::LabSheet;
use crate::{
    components::text,
    erase::{Erase, View},
    erased_signals::RwSignal,
    islands::Island,
    language::language,
    text,
};

/// The live map of one sheet.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabMap {
    /// The sheet.
    pub(crate) sheet: LabSheet,
    /// The head of the log when the page was rendered.
    pub(crate) head: ConsistencyToken,
    /// The status of every projection when the page was rendered.
    pub(crate) projections: Vec<ProjectionStatus>,
}

impl Island for LabMap {
    const NAME: &'static str = "lab-map";

    fn view(self) -> View {
        let language = language();
        let Self {
            sheet,
            head,
            projections,
        } = self;
        let position = head.to_string();
        let session = MapSession::new(sheet, head, projections);
        #[cfg(not(feature = "ssr"))]
        feed::start(session);
        view! {
            <section class="lab-map" data-head=position aria-label=text::lab::map(language)>
                <div class="lab-map__bar">
                    {status(session)}
                    {projector()}
                </div>
                {controls(session)}
                <div class="lab-map__columns">
                    <div class="lab-map__events">
                        <h2>{text::lab::list(language)}</h2>
                        {or_nothing_yet(session, move || hop_list(session))}
                    </div>
                    {details(session)}
                </div>
                <h2>{text::lab::boxes(language)}</h2>
                {box_table(session)}
                {hop_table(session)}
                {views_panel(session)}
            </section>
        }
        .erase()
    }
}

/// The button that fills the screen, with type that is large enough for the last row of a classroom.
fn projector() -> View {
    let language = language();
    let is_projected = RwSignal::new(false);
    #[cfg(not(feature = "ssr"))]
    feed::follow_full_screen(is_projected);
    let label = move || {
        if is_projected.get() {
            text::lab::projector_off(language)
        } else {
            text::lab::projector_on(language)
        }
    };
    view! {
        <button
            type="button"
            class="button button--small needs-script"
            data-testid="lab-projector"
            aria-pressed=text(move || is_projected.get().to_string())
            on:click=move |_| {
                #[cfg(not(feature = "ssr"))]
                feed::toggle_projector(is_projected);
            }
        >
            {text(label)}
        </button>
    }
    .erase()
}
