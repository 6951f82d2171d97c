//! The recordings: a run of the workspace is kept under a link, played again, saved as a file, opened from
//! one, and done again in a fresh sandbox.

mod again;
mod documents;
#[cfg(not(feature = "ssr"))]
mod drawing;
mod events;
mod file;
mod keep;
mod list;
mod player;

use domain::{token::ConsistencyToken, wire::RecordingInfo};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    erase::{Erase, View},
    islands::Island,
    language::language,
    text,
};
use player::Player;

/// The recordings of a workspace.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabRecording {
    /// The recording that the address names; `None` for the list, and for a file.
    pub(crate) id: Option<Uuid>,
    /// The recordings that the workspace kept when the page was rendered, newest first.
    pub(crate) kept: Vec<RecordingInfo>,
    /// The head of the log when the page was rendered.
    pub(crate) head: ConsistencyToken,
    /// Whether the person may change the pipeline.
    pub(crate) may_control: bool,
}

impl Island for LabRecording {
    const NAME: &'static str = "lab-recording";

    fn view(self) -> View {
        let language = language();
        let Self {
            id,
            kept,
            head,
            may_control,
        } = self;
        let player = Player::new(id);
        #[cfg(not(feature = "ssr"))]
        {
            drawing::follow(player);
            if let Some(id) = id {
                player.load(id);
            }
        }
        let lists = id.is_none().then(|| {
            view! {
                {keep::form(head)}
                {file::opener(player)}
                {list::table(kept, may_control)}
            }
            .erase()
        });
        let playing = move || player.is_loaded().then(|| player::view(player));
        view! {
            <section
                class="lab-recording"
                data-recording=id.map(|id| id.to_string())
                aria-label=text::lab::recordings(language)
            >
                {player::status(player)}
                {playing}
                {lists}
            </section>
        }
        .erase()
    }
}
