//! The picture of the architecture: a sheet as a still SVG, or as Mermaid text, in any language.
//!
//! [`draw`] takes a [`Request`] and gives the document. A sheet comes from a layout file, which has boxes on
//! an isometric grid, arrows as lists of grid points and wishes where texts should stand, and from a table of
//! [`Labels`]. The crate knows nothing of HTTP, of the interface, or of being live: every box and every arrow
//! has an id, so that a live map can draw over the same picture.
//!
//! | module | content |
//! |---|---|
//! | `sheet` | what a caller chooses |
//! | `labels` | the tables of labels and their check |
//! | `layout`, `icons`, `palette` | the data of the drawing |
//! | `text`, `paragraph` | widths, line breaks, sizes |
//! | `geometry`, `obstacles` | the projection, and what a text may not touch |
//! | `frame`, `placement` | where texts with a fixed place, and all others, stand |
//! | `scene` | a request with what it needs |
//! | `paint`, `svg` | the document |
//! | `mermaid` | the same as Mermaid text |
//! | `outline` | boxes and arrows with their names |

mod frame;
mod geometry;
mod icons;
mod labels;
mod layout;
mod mermaid;
mod obstacles;
mod outline;
mod paint;
mod palette;
mod paragraph;
mod placement;
mod scene;
mod sheet;
mod svg;
mod text;

pub use domain::language::{Direction, Language};
pub use labels::{DESCRIPTION_LIMIT, LABEL_LIMIT, LabelError, Labels, TITLE_LIMIT, label_ids, label_limit};
pub use mermaid::mermaid;
pub use outline::{Outline, OutlineArrow, OutlineBox, outline};
pub use sheet::{Bus, Format, Names, Search, Sheet, Theme};

use frame::Frame;
use labels::stacks_marks;
use palette::Palette;
use scene::Scene;

/// What to draw.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The sheet.
    pub sheet: Sheet,
    /// The shape of its canvas.
    pub format: Format,
    /// Its colours.
    pub theme: Theme,
    /// The language of the labels as a BCP 47 tag, for the attribute `lang`.
    pub language: &'a str,
    /// The direction in which they are written; from right to left the whole sheet is mirrored.
    pub direction: Direction,
    /// What is written on it.
    pub labels: &'a Labels,
    /// A title that replaces the one of the labels, of at most [`TITLE_LIMIT`] characters. A blank one does
    /// not.
    pub title: Option<&'a str>,
    /// The names that follow the running configuration.
    pub names: Names,
}

impl Request<'static> {
    /// A sheet in one of the languages that come with the program, with its own title and the document's
    /// names.
    pub fn shipped(sheet: Sheet, format: Format, theme: Theme, language: Language) -> Self {
        Self {
            sheet,
            format,
            theme,
            language: language.code(),
            direction: language.direction(),
            labels: Labels::of(language),
            title: None,
            names: Names::DOCUMENT,
        }
    }
}

/// A sheet that has been drawn.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// The document.
    pub svg: String,
    /// The labels that are smaller than they should be, with the part of the size that they have: 0.7 to 1.
    pub shrunk: Vec<(String, f32)>,
}

/// Why a sheet cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// The labels are of another sheet.
    #[error("the label {label:?} is missing")]
    MissingLabel {
        /// The id of the label.
        label: String,
    },
    /// The label finds no place, even at 70 % of its size.
    #[error("the label {label:?} is too long for its place")]
    CannotFit {
        /// The id of the label.
        label: String,
    },
    /// The title has too many characters.
    #[error("the title has more than {limit} characters")]
    TitleTooLong {
        /// How many it may have.
        limit: usize,
    },
}

/// Draws a sheet.
pub fn draw(request: &Request<'_>) -> Result<Drawing, DrawError> {
    draw_in(request, Palette::of(request.theme))
}

/// Draws a sheet that is a part of a page: its colours are custom properties of the page's style sheet, whose
/// names begin with `--sheet-`, so that it follows the theme of the page. The theme of the request has no
/// effect.
pub fn draw_for_page(request: &Request<'_>) -> Result<Drawing, DrawError> {
    draw_in(request, Palette::of_page())
}

fn draw_in(request: &Request<'_>, palette: &'static Palette) -> Result<Drawing, DrawError> {
    if request
        .title
        .is_some_and(|title| title.chars().count() > TITLE_LIMIT)
    {
        return Err(DrawError::TitleTooLong { limit: TITLE_LIMIT });
    }
    if request.title.is_some_and(stacks_marks) {
        return Err(DrawError::CannotFit {
            label: "title".to_owned(),
        });
    }
    let scene = Scene::of(request, palette)?;
    let frame = Frame::of(&scene)?;
    let placements = placement::arrange(&scene, &paint::obstacles(&scene, &frame))?;
    let texts = frame
        .texts()
        .chain(placements.iter().flat_map(|placement| &placement.texts));
    let shrunk = texts.filter(|text| text.paragraph.scale < 1.0).map(|text| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a number between 0.7 and 1, for a message"
        )]
        let scale = text.paragraph.scale as f32;
        (text.paragraph.label.clone(), scale)
    });
    Ok(Drawing {
        shrunk: shrunk.collect(),
        svg: paint::paint(request, &scene, &frame, &placements),
    })
}
