//! A label that has been wrapped, and shrunk if it had to be.

use crate::geometry::Rect;
use crate::text::{Line, Metrics, Weight, Wrapping};

/// The sizes that are tried for a label that does not fit, as parts of the size that it should have.
pub(crate) const SCALES: [f64; 8] = [1.0, 0.96, 0.92, 0.88, 0.84, 0.79, 0.74, 0.7];

/// A label in the lines and the size in which it is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Paragraph {
    /// The id of the label.
    pub(crate) label: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) size: f64,
    /// The part of the intended size that it has.
    pub(crate) scale: f64,
    pub(crate) weight: Weight,
    pub(crate) metrics: Metrics,
}

impl Paragraph {
    /// The width of its widest line, in pixels.
    pub(crate) fn width(&self) -> f64 {
        self.lines.iter().map(|line| line.width).fold(0.0, f64::max) * self.size
    }

    /// From the top of the first line's letters to the bottom of the last line's.
    pub(crate) fn height(&self) -> f64 {
        self.leading() * (count(&self.lines) - 1.0) + (self.metrics.ascent + self.metrics.descent) * self.size
    }

    /// How far its base lines are apart.
    pub(crate) fn leading(&self) -> f64 {
        self.metrics.line * self.size
    }

    /// How far the first base line is under the top.
    pub(crate) fn first_base_line(&self) -> f64 {
        self.metrics.ascent * self.size
    }

    /// How many of its lines end within a word.
    pub(crate) fn cuts(&self) -> f64 {
        count(self.lines.iter().filter(|line| !line.ends_word))
    }
}

fn count(items: impl IntoIterator) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a label has at most two hundred lines")]
    let count = items.into_iter().count() as f64;
    count
}

/// A label with the type that it should have.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    label: String,
    whole: Wrapping,
    size: f64,
    weight: Weight,
    metrics: Metrics,
}

impl Draft {
    pub(crate) fn new(label: &str, text: &str, size: f64, weight: Weight) -> Self {
        Self {
            label: label.to_owned(),
            whole: Wrapping::new(text, weight),
            size,
            weight,
            metrics: Metrics::of(text),
        }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The label at a scale, on at most `lines` lines of `width` pixels. Words are cut only if `cut` says so.
    pub(crate) fn set(&self, scale: f64, width: f64, lines: usize, cut: bool) -> Option<Paragraph> {
        let size = self.size * scale;
        let limit = width / size;
        if !self.whole.may_fit(limit, lines) {
            return None;
        }
        // Without a word that is too wide, cutting words is nothing new.
        let lines = if cut {
            self.whole.shattered(limit)?.wrap(limit, lines)
        } else {
            self.whole.wrap(limit, lines)
        };
        Some(Paragraph {
            label: self.label.clone(),
            lines: lines?,
            size,
            scale,
            weight: self.weight,
            metrics: self.metrics,
        })
    }

    /// The label as large as it fits into `width` and `height`; a word is cut only where no size keeps it
    /// whole.
    pub(crate) fn fit(&self, width: f64, height: f64, lines: usize) -> Option<Paragraph> {
        attempts().find_map(|(cut, scale)| {
            self.set(scale, width, lines, cut)
                .filter(|paragraph| paragraph.height() <= height)
        })
    }
}

/// What is tried for a label, in order: all sizes with whole words, then all sizes with words that are cut.
pub(crate) fn attempts() -> impl Iterator<Item = (bool, f64)> {
    [false, true]
        .into_iter()
        .flat_map(|cut| SCALES.map(|scale| (cut, scale)))
}

/// A paragraph and where it is drawn.
#[derive(Debug, Clone)]
pub(crate) struct TextBlock {
    pub(crate) paragraph: Paragraph,
    pub(crate) anchor: Anchor,
    /// The middle or the start of its lines.
    pub(crate) x: f64,
    /// Its top.
    pub(crate) y: f64,
}

/// To what the lines of a paragraph are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
}

impl TextBlock {
    /// A paragraph whose lines are centred on `x`.
    pub(crate) fn centred(paragraph: Paragraph, x: f64, y: f64) -> Self {
        Self {
            paragraph,
            anchor: Anchor::Middle,
            x,
            y,
        }
    }

    /// A paragraph whose lines start at `x`.
    pub(crate) fn started(paragraph: Paragraph, x: f64, y: f64) -> Self {
        Self {
            paragraph,
            anchor: Anchor::Start,
            x,
            y,
        }
    }

    /// The place that it takes; `forward` is the direction of the lines.
    pub(crate) fn rect(&self, forward: f64) -> Rect {
        let (width, height) = (self.paragraph.width(), self.paragraph.height());
        let left = match self.anchor {
            Anchor::Middle => self.x - width / 2.0,
            Anchor::Start if forward > 0.0 => self.x,
            Anchor::Start => self.x - width,
        };
        Rect::new(left, self.y, left + width, self.y + height)
    }
}
