//! What surrounds the picture: title, key, legend, and the line that says what it is not.

use crate::frame::{Entry, Frame};
use crate::geometry::{Point, Rect};
use crate::scene::Scene;
use crate::svg::Svg;

use super::typeset;

pub(super) fn paint(svg: &mut Svg, scene: &Scene<'_>, frame: &Frame) {
    let palette = scene.palette;
    typeset::paragraph(svg, scene, &frame.title, palette.text, "title");
    typeset::paragraph(svg, scene, &frame.subtitle, palette.muted, "subtitle");
    let rule = frame.rule;
    svg.tag("rect")
        .num("x", rule.left)
        .num("y", rule.top)
        .num("width", rule.width())
        .num("height", rule.height())
        .with("rx", "1.5")
        .with("fill", palette.accent)
        .close();
    for entry in &frame.key {
        paint_key(svg, scene, entry);
    }
    let [left, top, width, height] = scene.layout.legend.frame;
    typeset::plate(svg, Rect::new(left, top, left + width, top + height), "legend")
        .with("fill", palette.surface)
        .with("stroke", palette.line)
        .close();
    for (i, step) in frame.legend.iter().enumerate() {
        let color = palette.flow(step.flow);
        typeset::number(svg, scene, step.mark, scene.layout.legend.number, i + 1, color);
        typeset::paragraph(svg, scene, &step.text, palette.text, "step");
    }
    typeset::paragraph(svg, scene, &frame.educational, palette.muted, "educational");
}

/// A short arrow in the colour of a flow, with the flow's name.
fn paint_key(svg: &mut Svg, scene: &Scene<'_>, entry: &Entry) {
    let (color, forward) = (scene.palette.flow(entry.flow), scene.projection.forward());
    let Point { x, y } = entry.mark;
    svg.tag("path")
        .with(
            "d",
            &crate::svg::path(&[entry.mark, Point::new(x + forward * 24.0, y)]),
        )
        .with("stroke", color)
        .with("stroke-width", "2.4")
        .close();
    let head = [(32.0, 0.0), (21.0, -5.0), (23.5, 0.0), (21.0, 5.0)]
        .map(|(dx, dy)| Point::new(x + forward * dx, y + dy));
    svg.tag("polygon").points(&head).with("fill", color).close();
    typeset::paragraph(svg, scene, &entry.text, scene.palette.muted, "key");
}
