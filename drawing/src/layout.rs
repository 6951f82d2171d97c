//! The layout files: where a sheet has its boxes, arrows, plates and notes.
//!
//! What lies on the ground is placed on the grid; what stands upright (title, notes, section heads, legend)
//! is placed on the canvas, in pixels. Texts are named by the id of their label. The places of plates, notes
//! and heads are wishes: the solver moves them where a language needs it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::icons::Icon;
use crate::palette::Flow;
use crate::sheet::{Format, Sheet};

/// A layout file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// Width and height of the canvas.
    pub(crate) size: [f64; 2],
    /// Half of the width of a grid unit, in pixels.
    pub(crate) unit: f64,
    /// Where the grid has its origin on the canvas.
    pub(crate) origin: [f64; 2],
    pub(crate) sizes: Sizes,
    pub(crate) heading: Heading,
    pub(crate) key: Key,
    pub(crate) planes: Vec<Plane>,
    pub(crate) boundary: Boundary,
    pub(crate) boxes: Vec<Block>,
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) notes: Vec<Note>,
    pub(crate) heads: Vec<Head>,
    pub(crate) legend: Legend,
    pub(crate) educational: Educational,
}

/// Sizes of type, in pixels, and of what goes with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sizes {
    pub(crate) title: f64,
    pub(crate) subtitle: f64,
    pub(crate) name: f64,
    pub(crate) role: f64,
    pub(crate) plate: f64,
    pub(crate) note: f64,
    pub(crate) head: f64,
    pub(crate) key: f64,
    pub(crate) legend: f64,
    pub(crate) educational: f64,
    /// How wide a name and a role may be.
    pub(crate) name_width: f64,
    /// How wide the text on a plate may be.
    pub(crate) plate_width: f64,
    /// By how much an icon, which is drawn on a grid of 24, is enlarged.
    pub(crate) icon: f64,
    /// How far an icon floats over its block.
    pub(crate) icon_lift: f64,
    /// The radius of a number in the flow.
    pub(crate) number: f64,
    /// Length and half of the width of an arrow's head, in grid units.
    pub(crate) arrow_head: [f64; 2],
}

/// Title and subtitle.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heading {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) description: String,
    /// Start of the base line.
    pub(crate) at: [f64; 2],
    pub(crate) width: f64,
    /// How far down title and subtitle may reach.
    pub(crate) bottom: f64,
}

/// The key to the colours of the flows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) at: [f64; 2],
    pub(crate) width: f64,
    pub(crate) step: f64,
    pub(crate) flows: Vec<Flow>,
}

/// A plane that holds the boxes of a section.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plane {
    pub(crate) flow: Flow,
    pub(crate) points: Vec<[f64; 2]>,
}

/// The dashed outline: of the cloud, or of the CQRS part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Boundary {
    pub(crate) points: Vec<[f64; 2]>,
    pub(crate) cloud: Option<Cloud>,
}

/// The box that is the outline itself: its icon, name and role stand beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cloud {
    pub(crate) id: String,
    pub(crate) icon: Icon,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) at: [f64; 2],
    pub(crate) width: f64,
    /// The points of the outline that its line may lead to, the best first.
    pub(crate) targets: Vec<[f64; 3]>,
}

/// A box.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) id: String,
    /// Its middle on the grid.
    pub(crate) at: [f64; 2],
    /// Width and depth in grid units, and height in pixels.
    pub(crate) size: [f64; 3],
    pub(crate) shape: Shape,
    pub(crate) icon: Icon,
    /// Where the icon is, if not in the middle.
    pub(crate) icon_at: Option<[f64; 2]>,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) name_width: Option<f64>,
    /// Where the name is, if not above the block: on its upper face.
    pub(crate) name_on: Option<[f64; 2]>,
    /// The flow whose colour its edges have.
    pub(crate) flow: Option<Flow>,
    /// The step of the legend that happens here.
    pub(crate) number: Option<Number>,
    /// The one box that glows more than the others.
    #[serde(default)]
    pub(crate) is_hero: bool,
}

/// The form of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    Service,
    /// Three slabs: the layers of a log or of tables.
    Store,
    /// Four thin slabs.
    Stack,
    /// As a service, in neutral colours: it belongs to the reader.
    Client,
    /// A long block with lanes.
    Bus,
}

/// A number of the legend, and the flow whose colour it has.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    pub(crate) value: u8,
    pub(crate) flow: Flow,
}

/// An arrow along the axes of the grid.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arrow {
    pub(crate) id: String,
    pub(crate) flow: Flow,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) points: Vec<[f64; 2]>,
    /// Whether it has a head at either end.
    #[serde(default)]
    pub(crate) is_both_ways: bool,
    pub(crate) plate: Option<Plate>,
}

/// The plate with an arrow's label.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plate {
    pub(crate) label: String,
    /// The segment of the arrow on which it sits, and how far along.
    #[serde(default)]
    pub(crate) segment: usize,
    #[serde(default = "middle")]
    pub(crate) along: f64,
    /// How far from the line it sits, in pixels.
    #[serde(default)]
    pub(crate) shift: [f64; 2],
    pub(crate) width: Option<f64>,
    /// The step of the legend that happens here.
    pub(crate) number: Option<u8>,
}

const fn middle() -> f64 {
    0.5
}

/// A note, or a side label of a store, with the point that it is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) label: String,
    pub(crate) flow: Flow,
    pub(crate) at: [f64; 2],
    pub(crate) width: f64,
    #[serde(default)]
    pub(crate) is_side_label: bool,
    /// What its line may lead to, the best first: places on the grid, and the height over the ground.
    pub(crate) targets: Vec<[f64; 3]>,
}

/// The name of a section.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) label: String,
    pub(crate) flow: Flow,
    /// The middle.
    pub(crate) at: [f64; 2],
}

/// The numbered steps under the picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Legend {
    /// Left, top, width and height.
    pub(crate) frame: [f64; 4],
    pub(crate) columns: usize,
    /// The radius of a number.
    pub(crate) number: f64,
    pub(crate) steps: Vec<Step>,
}

/// A step of the legend.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) label: String,
    pub(crate) flow: Flow,
}

/// The line that says what the picture is not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Educational {
    pub(crate) label: String,
    pub(crate) at: [f64; 2],
    pub(crate) width: f64,
}

impl Layout {
    /// The layout of a sheet in a format.
    pub(crate) fn of(sheet: Sheet, format: Format) -> &'static Self {
        #[expect(
            clippy::expect_used,
            reason = "the layouts are part of the program, and a test parses each of them"
        )]
        static PARSED: LazyLock<[Layout; 4]> = LazyLock::new(|| {
            [
                include_str!("../layouts/pattern.wide.json"),
                include_str!("../layouts/pattern.tall.json"),
                include_str!("../layouts/business.wide.json"),
                include_str!("../layouts/business.tall.json"),
            ]
            .map(|layout| serde_json::from_str(layout).expect("a layout has the form of its type"))
        });
        let index = match (sheet, format) {
            (Sheet::Pattern, Format::Wide) => 0,
            (Sheet::Pattern, Format::Tall) => 1,
            (Sheet::Business, Format::Wide) => 2,
            (Sheet::Business, Format::Tall) => 3,
        };
        &PARSED[index]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn both_formats_have_the_same_boxes_and_arrows() {
        for (sheet, boxes, arrows) in [(Sheet::Pattern, 11, 13), (Sheet::Business, 17, 17)] {
            let ids = |format| {
                let layout = Layout::of(sheet, format);
                let boxes: BTreeSet<&str> = layout.boxes.iter().map(|it| it.id.as_str()).collect();
                let arrows: BTreeSet<_> = layout
                    .arrows
                    .iter()
                    .map(|it| (it.id.as_str(), it.from.as_str(), it.to.as_str()))
                    .collect();
                for (_, from, to) in &arrows {
                    assert!(boxes.contains(from) && boxes.contains(to), "{from} {to}");
                }
                (boxes, arrows)
            };
            assert_eq!(ids(Format::Wide), ids(Format::Tall));
            assert_eq!(
                (ids(Format::Wide).0.len(), ids(Format::Wide).1.len()),
                (boxes, arrows)
            );
        }
    }
}
