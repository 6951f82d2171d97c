//! A request with everything that drawing it needs: its layout, its colours, its projection and its texts.

use crate::geometry::Projection;
use crate::labels::Labels;
use crate::layout::Layout;
use crate::palette::Palette;
use crate::paragraph::Draft;
use crate::sheet::Names;
use crate::svg::is_forbidden;
use crate::text::Weight;
use crate::{Direction, DrawError, Request};

/// What is drawn, and with what.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) layout: &'static Layout,
    pub(crate) palette: &'static Palette,
    pub(crate) projection: Projection,
    pub(crate) names: Names,
    labels: &'a Labels,
    title: Option<&'a str>,
}

impl<'a> Scene<'a> {
    pub(crate) fn of(request: &Request<'a>, palette: &'static Palette) -> Result<Self, DrawError> {
        let layout = Layout::of(request.sheet, request.format);
        let projection = Projection {
            unit: layout.unit,
            origin: layout.origin,
            width: layout.size[0],
            mirrored: request.direction == Direction::RightToLeft,
        };
        let missing = crate::labels::label_ids(request.sheet).find(|id| request.labels.get(id).is_none());
        if let Some(label) = missing {
            return Err(DrawError::MissingLabel {
                label: label.to_owned(),
            });
        }
        Ok(Self {
            layout,
            palette,
            projection,
            names: request.names,
            labels: request.labels,
            title: request.title.filter(|title| !crate::labels::is_blank(title)),
        })
    }

    /// The text of a label of the layout, without what cannot be drawn.
    pub(crate) fn text(&self, label: &str) -> String {
        let own = if label == self.layout.heading.title {
            self.title
        } else {
            None
        };
        let text = own
            .or_else(|| self.labels.get(&self.names.resolve(label)))
            .unwrap_or_default();
        text.chars().filter(|it| !is_forbidden(*it)).collect()
    }

    /// The text of a label for a reader who hears it: without the marks that only line breaking needs.
    pub(crate) fn spoken(&self, label: &str) -> String {
        self.text(label).replace(['\u{ad}', '\u{200b}'], "")
    }

    /// A label that is to be placed, in the type that it should have.
    pub(crate) fn draft(&self, label: &str, size: f64, weight: Weight) -> Draft {
        Draft::new(&self.names.resolve(label), &self.text(label), size, weight)
    }
}
