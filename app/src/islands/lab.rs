//! The islands of the lab, which only its own bundles contain: the live map, the dials, the event handlers,
//! the dead letters, views of one's own, lessons, the class, the streams and events, the split view and the
//! recordings. Their texts are those of the frame and the shop, and the groups of the lab; a page of the lab
//! loads no others.
//!
//! The drawing of the map is no part of an island: the page has it as a static element with the id
//! [`DRAWING`], over which the map draws. The names on a sheet come with the props, in the page's language,
//! because the tables of labels stay on the server.

mod class;
mod dead_letters;
mod dials;
mod document_step;
mod folds;
mod handlers;
mod lesson;
mod log;
#[cfg(not(feature = "ssr"))]
mod log_reader;
mod map;
mod recording;
mod split;
#[cfg(not(feature = "ssr"))]
mod svg_marks;
mod views;

pub(crate) use class::{LabClass, LabPresent};
#[cfg(feature = "ssr")]
pub(crate) use class::{LessonChoice, StepChoice};
pub(crate) use dead_letters::LabDeadLetters;
pub(crate) use dials::LabDials;
#[cfg(feature = "ssr")]
pub(crate) use dials::invariant_name;
#[cfg(feature = "ssr")]
pub(crate) use document_step::sealed_json;
#[cfg(not(feature = "ssr"))]
pub use folds::answer_folds;
pub(crate) use handlers::LabHandlers;
pub(crate) use lesson::LabLesson;
#[cfg(feature = "ssr")]
pub(crate) use lesson::{LessonQuestion, STEPS as LESSON_STEPS};
pub(crate) use log::{LabHandling, LabTail, LabTimeLine};
#[cfg(feature = "ssr")]
pub(crate) use log::{event_name, payload_of, stream_link, summary};
pub(crate) use map::LabMap;
pub(crate) use recording::LabRecording;
pub(crate) use split::LabSplit;
pub(crate) use views::LabViews;
#[cfg(feature = "ssr")]
pub(crate) use views::query_of as own_documents;

use serde::{Deserialize, Serialize};

/// The id of the element that contains the drawing as an inline SVG.
pub(crate) const DRAWING: &str = "lab-drawing";

/// The id of the element around drawing and map, which fills the screen for a projector.
pub(crate) const STAGE: &str = "lab-stage";

/// A sheet of the drawing, with its names in the page's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LabSheet {
    /// `pattern` or `business`.
    pub(crate) name: String,
    /// Its boxes, in the order of the layout.
    pub(crate) boxes: Vec<LabBox>,
    /// Its arrows, in the order of the layout.
    pub(crate) arrows: Vec<LabArrow>,
}

/// A box of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LabBox {
    /// Its id: the group `box-<id>` of the drawing.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// What it does; empty on the sheet `business`, where most boxes have a name only.
    pub(crate) role: String,
}

/// An arrow of a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LabArrow {
    /// Its id: the group `arrow-<id>` of the drawing.
    pub(crate) id: String,
    /// Its label; empty if the drawing has none for it.
    pub(crate) label: String,
    /// The id of the box where it begins.
    pub(crate) from: String,
    /// The id of the box where it ends.
    pub(crate) to: String,
    /// The flow whose colour it has: `command`, `event`, `query` or `replay`.
    pub(crate) flow: String,
}
