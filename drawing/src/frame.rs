//! The texts with a fixed place around the picture: title and subtitle, the key to the flows, the legend, and
//! the line that says what the picture is not. They may wrap and shrink, and they do not move.

use crate::DrawError;
use crate::geometry::{Point, Rect};
use crate::layout::Layout;
use crate::palette::Flow;
use crate::paragraph::{Draft, Paragraph, TextBlock};
use crate::scene::Scene;
use crate::text::Weight;

/// Between title and subtitle, and between subtitle and the rule under it.
const TITLE_GAP: f64 = 8.0;
/// The rule under the subtitle.
pub(crate) const RULE: [f64; 2] = [48.0, 3.0];
/// From the start of an arrow in the key to its text.
const KEY_TEXT: f64 = 42.0;
/// Around and between the steps of the legend.
const LEGEND_PAD: [f64; 2] = [16.0, 12.0];
const LEGEND_GUTTER: f64 = 14.0;
const NUMBER_GAP: f64 = 9.0;

/// A text with the point of its mark: an arrow of the key, or the number of a step.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) flow: Flow,
    pub(crate) mark: Point,
    pub(crate) text: TextBlock,
}

/// The texts around the picture.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: TextBlock,
    pub(crate) subtitle: TextBlock,
    pub(crate) rule: Rect,
    pub(crate) key: Vec<Entry>,
    pub(crate) legend: Vec<Entry>,
    pub(crate) educational: TextBlock,
}

impl Frame {
    pub(crate) fn of(scene: &Scene<'_>) -> Result<Self, DrawError> {
        let layout = scene.layout;
        let (title, subtitle, rule) = heading(scene)?;
        let line = &layout.educational;
        let draft = scene.draft(&line.label, layout.sizes.educational, Weight::Regular);
        let text = fit(&draft, line.width, f64::INFINITY, 1)?;
        let start = scene.projection.canvas(line.at);
        Ok(Self {
            title,
            subtitle,
            rule,
            key: key(scene)?,
            legend: legend(scene)?,
            educational: TextBlock::started(text, start.x, start.y),
        })
    }

    /// The places that no other text may take.
    pub(crate) fn taken(&self, layout: &Layout, forward: f64) -> Vec<Rect> {
        let [left, top, width, height] = layout.legend.frame;
        let key = self.key.iter().map(|it| {
            let rect = it.text.rect(forward);
            Rect::new(
                rect.left.min(it.mark.x),
                rect.top,
                rect.right.max(it.mark.x),
                rect.bottom,
            )
        });
        let frame = Rect::new(left, top, left + width, top + height);
        let texts = [&self.title, &self.subtitle, &self.educational].map(|text| text.rect(forward));
        key.chain(texts).chain([self.rule, frame]).collect()
    }

    /// Every text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &TextBlock> {
        let entries = self.key.iter().chain(&self.legend).map(|it| &it.text);
        [&self.title, &self.subtitle, &self.educational]
            .into_iter()
            .chain(entries)
    }
}

fn fit(draft: &Draft, width: f64, height: f64, lines: usize) -> Result<Paragraph, DrawError> {
    let error = || DrawError::CannotFit {
        label: draft.label().to_owned(),
    };
    draft.fit(width, height, lines).ok_or_else(error)
}

fn heading(scene: &Scene<'_>) -> Result<(TextBlock, TextBlock, Rect), DrawError> {
    let (title, sizes) = (&scene.layout.heading, &scene.layout.sizes);
    let start = scene.projection.canvas(title.at);
    let subtitle = scene.draft(&title.subtitle, sizes.subtitle, Weight::Regular);
    let subtitle = fit(&subtitle, title.width, f64::INFINITY, 3)?;
    let room = title.bottom - start.y - subtitle.height() - 2.0 * TITLE_GAP - RULE[1];
    let main = fit(
        &scene.draft(&title.title, sizes.title, Weight::Bold),
        title.width,
        room,
        4,
    )?;
    let below = start.y + main.height() + TITLE_GAP;
    let rule = below + subtitle.height() + TITLE_GAP;
    let end = start.x + scene.projection.forward() * RULE[0];
    Ok((
        TextBlock::started(main, start.x, start.y),
        TextBlock::started(subtitle, start.x, below),
        Rect::new(start.x.min(end), rule, start.x.max(end), rule + RULE[1]),
    ))
}

fn key(scene: &Scene<'_>) -> Result<Vec<Entry>, DrawError> {
    let key = &scene.layout.key;
    let (forward, mut mark) = (scene.projection.forward(), scene.projection.canvas(key.at));
    let mut entries = Vec::new();
    for flow in &key.flows {
        let draft = scene.draft(
            &format!("flow.{}", flow.as_str()),
            scene.layout.sizes.key,
            Weight::Regular,
        );
        let text = fit(&draft, key.width - KEY_TEXT, key.step + 8.0, 2)?;
        let top = mark.y - text.height() / 2.0;
        entries.push(Entry {
            flow: *flow,
            mark,
            text: TextBlock::started(text, mark.x + forward * KEY_TEXT, top),
        });
        mark.y += key.step;
    }
    Ok(entries)
}

fn legend(scene: &Scene<'_>) -> Result<Vec<Entry>, DrawError> {
    let (legend, forward) = (&scene.layout.legend, scene.projection.forward());
    let [left, top, width, height] = legend.frame;
    let rows = legend.steps.len().div_ceil(legend.columns);
    #[expect(clippy::cast_precision_loss, reason = "a legend has a handful of steps")]
    let count = |n: usize| n as f64;
    let cell = [
        (width - 2.0 * LEGEND_PAD[0]) / count(legend.columns),
        (height - 2.0 * LEGEND_PAD[1]) / count(rows),
    ];
    let text_start = 2.0 * legend.number + NUMBER_GAP;
    let gutter = if legend.columns > 1 { LEGEND_GUTTER } else { 0.0 };
    let mut entries = Vec::new();
    for (i, step) in legend.steps.iter().enumerate() {
        let draft = scene.draft(&step.label, scene.layout.sizes.legend, Weight::Regular);
        let text = fit(&draft, cell[0] - text_start - gutter, cell[1], 6)?;
        let column = left + LEGEND_PAD[0] + count(i % legend.columns) * cell[0];
        let row = top + LEGEND_PAD[1] + count(i / legend.columns) * cell[1];
        let first_line = (text.metrics.ascent - 0.36) * text.size;
        // In columns, steps begin at one height; in rows, each is in the middle of its own.
        let (mark, text_top) = if rows > 1 {
            (row + cell[1] / 2.0, row + (cell[1] - text.height()) / 2.0)
        } else {
            (row + legend.number + 2.0, row + legend.number + 2.0 - first_line)
        };
        let mark = scene.projection.canvas([column + legend.number, mark]);
        let start = mark.x + forward * (text_start - legend.number);
        entries.push(Entry {
            flow: step.flow,
            mark,
            text: TextBlock::started(text, start, text_top),
        });
    }
    Ok(entries)
}
