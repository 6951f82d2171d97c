//! A sheet in words: its boxes and its arrows with their names, for lists and tables beside the picture.

use crate::labels::Labels;
use crate::layout::Layout;
use crate::sheet::{Format, Names, Sheet};
use crate::svg::is_forbidden;

/// The boxes and arrows of a sheet, each in the order of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The boxes; the outline that holds the others is the last one.
    pub boxes: Vec<OutlineBox>,
    /// The arrows.
    pub arrows: Vec<OutlineArrow>,
}

/// A box of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineBox {
    /// Its id: its group in the picture is `box-<id>`.
    pub id: &'static str,
    /// Its name.
    pub name: String,
    /// What it does; empty for a box that has only a name.
    pub role: String,
}

/// An arrow of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineArrow {
    /// Its id: its group in the picture is `arrow-<id>`.
    pub id: &'static str,
    /// What its plate says; empty for an arrow without a plate.
    pub label: String,
    /// The box where it begins.
    pub from: &'static str,
    /// The box where it ends.
    pub to: &'static str,
    /// The flow whose colour it has: `command`, `event`, `query` or `replay`.
    pub flow: &'static str,
}

/// The boxes and arrows of a sheet, named by these labels.
pub fn outline(sheet: Sheet, labels: &Labels, names: Names) -> Outline {
    let layout = Layout::of(sheet, Format::Wide);
    let text = |label: &str| {
        let text = labels.get(&names.resolve(label)).unwrap_or_default();
        // Marks that only line breaking needs are not read aloud.
        let is_read = |it: &char| !is_forbidden(*it) && !['\u{ad}', '\u{200b}'].contains(it);
        text.chars().filter(is_read).collect::<String>()
    };
    let blocks = layout.boxes.iter().map(|block| OutlineBox {
        id: &block.id,
        name: text(&block.name),
        role: block.role.as_deref().map(text).unwrap_or_default(),
    });
    let cloud = layout.boundary.cloud.iter().map(|cloud| OutlineBox {
        id: &cloud.id,
        name: text(&cloud.name),
        role: text(&cloud.role),
    });
    let arrows = layout.arrows.iter().map(|arrow| OutlineArrow {
        id: &arrow.id,
        label: arrow
            .plate
            .as_ref()
            .map(|plate| text(&plate.label))
            .unwrap_or_default(),
        from: &arrow.from,
        to: &arrow.to,
        flow: arrow.flow.as_str(),
    });
    Outline {
        boxes: blocks.chain(cloud).collect(),
        arrows: arrows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use domain::language::Language;

    use super::*;

    fn english(sheet: Sheet) -> Outline {
        outline(sheet, Labels::of(Language::En), Names::DOCUMENT)
    }

    #[test]
    fn the_pattern_has_twelve_boxes_with_roles_and_thirteen_labelled_arrows() {
        let Outline { boxes, arrows } = english(Sheet::Pattern);
        assert_eq!((boxes.len(), arrows.len()), (12, 13));
        assert!(boxes.iter().all(|it| !it.name.is_empty() && !it.role.is_empty()));
        assert!(arrows.iter().all(|it| !it.label.is_empty()));
        assert_eq!(boxes[0].name, "Web Client");
        assert_eq!(boxes[11].id, "cloud");
    }

    #[test]
    fn a_name_has_no_marks_of_line_breaking_and_follows_the_configuration() {
        let german = outline(Sheet::Pattern, Labels::of(Language::De), Names::DOCUMENT);
        assert!(german.boxes.iter().all(|it| !it.role.contains('\u{ad}')));
        let bus = english(Sheet::Business).boxes;
        let bus = bus.iter().find(|it| it.id == "event_bus").unwrap();
        assert!(bus.name.contains("Kafka"), "{}", bus.name);
    }
}
