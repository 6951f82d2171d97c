//! Text elements: one for each label, with a span for each of its lines, and the discs with numbers.

use crate::geometry::{Point, Rect};
use crate::paragraph::{Anchor, TextBlock};
use crate::scene::Scene;
use crate::svg::Svg;

/// The space between two lines belongs to the first, and would push it off the middle by half of its width.
const SPACE: f64 = 0.27;

/// A paragraph. The texts of its lines, with the spaces between them, are the label word for word.
pub(super) fn paragraph(svg: &mut Svg, scene: &Scene<'_>, placed: &TextBlock, fill: &str, class: &str) {
    let paragraph = &placed.paragraph;
    let lines = &paragraph.lines;
    let mut base = placed.y + paragraph.first_base_line();
    let mut tag = svg
        .tag("text")
        .with("data-label", &paragraph.label)
        .with("class", class)
        .with("fill", fill);
    tag = tag
        .num("font-size", paragraph.size)
        .with("font-weight", paragraph.weight.as_str());
    if placed.anchor == Anchor::Middle {
        tag = tag.with("text-anchor", "middle");
    }
    if let [line] = &lines[..] {
        tag.num("x", placed.x).num("y", base).content(&line.text);
        return;
    }
    tag.open();
    for (i, line) in lines.iter().enumerate() {
        let ends_with_space = line.ends_word && i + 1 < lines.len();
        let shift = if ends_with_space && placed.anchor == Anchor::Middle {
            scene.projection.forward() * SPACE * paragraph.size / 2.0
        } else {
            0.0
        };
        svg.tag("tspan")
            .num("x", placed.x + shift)
            .num("y", base)
            .content(&line.text);
        if ends_with_space {
            svg.text(" ");
        }
        base += paragraph.leading();
    }
    svg.end("text");
}

/// A number of the legend on a disc.
pub(super) fn number(
    svg: &mut Svg,
    scene: &Scene<'_>,
    center: Point,
    radius: f64,
    value: usize,
    color: &str,
) {
    svg.tag("g").with("class", "number").open();
    svg.tag("circle")
        .num("cx", center.x)
        .num("cy", center.y)
        .num("r", radius)
        .with("fill", color)
        .with("stroke", scene.palette.background)
        .with("stroke-width", "2.5")
        .close();
    let size = radius * 1.2;
    svg.tag("text")
        .num("x", center.x)
        .num("y", center.y + size * 0.36)
        .num("font-size", size)
        .with("font-weight", "700")
        .with("fill", scene.palette.figure)
        .with("text-anchor", "middle")
        .content(&value.to_string());
    svg.end("g");
}

/// A plate with rounded corners; the caller adds its colours and closes it.
pub(super) fn plate<'a>(svg: &'a mut Svg, rect: Rect, class: &str) -> crate::svg::Tag<'a> {
    svg.tag("rect")
        .with("class", class)
        .num("x", rect.left)
        .num("y", rect.top)
        .num("width", rect.width())
        .num("height", rect.height())
        .with("rx", "5")
}
