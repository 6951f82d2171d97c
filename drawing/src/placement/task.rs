//! The texts that need a place, in the order in which they get one.

use crate::layout::Layout;
use crate::scene::Scene;

/// A text that needs a place, by its index in the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Name and role of a box.
    Name(usize),
    /// The plate of an arrow.
    Plate(usize),
    /// Icon, name and role of the cloud.
    Cloud,
    /// The name of a section.
    Head(usize),
    /// A note or a side label.
    Note(usize),
}

impl Task {
    /// All texts of a layout: those that can move least come first.
    pub(crate) fn all(layout: &Layout) -> Vec<Self> {
        let plates = layout
            .arrows
            .iter()
            .enumerate()
            .filter(|(_, arrow)| arrow.plate.is_some());
        let names = (0..layout.boxes.len()).map(Self::Name);
        let mut tasks: Vec<Self> = names.chain(plates.map(|(i, _)| Self::Plate(i))).collect();
        tasks.extend(layout.boundary.cloud.iter().map(|_| Self::Cloud));
        tasks.extend((0..layout.notes.len()).map(Self::Note));
        tasks.extend((0..layout.heads.len()).map(Self::Head));
        tasks
    }

    /// The id of its label, for an error.
    pub(crate) fn label(self, scene: &Scene<'_>) -> String {
        let layout = scene.layout;
        let label = match self {
            Self::Name(i) => &layout.boxes[i].name,
            Self::Plate(i) => layout.arrows[i]
                .plate
                .as_ref()
                .map_or(&layout.arrows[i].id, |plate| &plate.label),
            Self::Cloud => layout
                .boundary
                .cloud
                .as_ref()
                .map_or(&layout.heading.title, |cloud| &cloud.name),
            Self::Head(i) => &layout.heads[i].label,
            Self::Note(i) => &layout.notes[i].label,
        };
        scene.names.resolve(label)
    }
}
