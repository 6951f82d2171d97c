//! What stands beside the flow: notes and side labels with their lines, the names of the sections, the cloud.

use crate::geometry::{Point, Rect};
use crate::icons::STROKE;
use crate::layout::{Cloud, Head, Note};
use crate::placement::{CLOUD_MARK, HEAD_MARK, Placement};
use crate::scene::Scene;
use crate::svg::{Svg, path};

use super::typeset;

/// By how much the cloud's icon is enlarged.
const CLOUD_SCALE: f64 = 1.75;

pub(super) fn paint_note(svg: &mut Svg, scene: &Scene<'_>, note: &Note, placement: &Placement) {
    let palette = scene.palette;
    let color = palette.flow(note.flow);
    svg.tag("g")
        .with("class", if note.is_side_label { "side" } else { "note" })
        .open();
    if let Some(leader) = placement.leader {
        paint_leader(svg, scene, leader, color);
    }
    let plate = typeset::plate(svg, placement.plate, "plate");
    if note.is_side_label {
        plate
            .with("fill", palette.raised)
            .with("stroke", color)
            .with("stroke-opacity", ".6")
            .close();
    } else {
        plate
            .with("fill", palette.background)
            .with("fill-opacity", ".92")
            .with("stroke", palette.line)
            .close();
        let rect = placement.plate;
        let left = if scene.projection.mirrored {
            rect.right - 4.0
        } else {
            rect.left + 1.0
        };
        let mark = Rect::new(left, rect.top + 4.0, left + 3.0, rect.bottom - 4.0);
        svg.tag("rect")
            .num("x", mark.left)
            .num("y", mark.top)
            .num("width", mark.width())
            .num("height", mark.height())
            .with("rx", "1.5")
            .with("fill", color)
            .close();
    }
    let fill = if note.is_side_label {
        palette.text
    } else {
        palette.note
    };
    for text in &placement.texts {
        typeset::paragraph(svg, scene, text, fill, "label");
    }
    svg.end("g");
}

/// A dotted line that ends in a ring at what a note is about.
fn paint_leader(svg: &mut Svg, scene: &Scene<'_>, leader: [Point; 2], color: &str) {
    let [edge, target] = leader;
    svg.tag("path")
        .with("class", "leader")
        .with("d", &path(&[edge, target]))
        .with("stroke", color)
        .with("stroke-opacity", ".8")
        .with("stroke-width", "1.4")
        .with("stroke-dasharray", "1.5 3.5")
        .with("stroke-linecap", "round")
        .close();
    svg.tag("circle")
        .num("cx", target.x)
        .num("cy", target.y)
        .with("r", "3")
        .with("fill", scene.palette.background)
        .with("stroke", color)
        .with("stroke-width", "1.6")
        .close();
}

pub(super) fn paint_head(svg: &mut Svg, scene: &Scene<'_>, head: &Head, placement: &Placement) {
    let color = scene.palette.flow(head.flow);
    for text in &placement.texts {
        let x = text.x - scene.projection.forward() * HEAD_MARK;
        let y = placement.rect.center().y;
        let diamond =
            [(-7.0, 0.0), (0.0, -3.5), (7.0, 0.0), (0.0, 3.5)].map(|(dx, dy)| Point::new(x + dx, y + dy));
        svg.tag("polygon").points(&diamond).with("fill", color).close();
        typeset::paragraph(svg, scene, text, color, "section");
    }
}

pub(super) fn paint_cloud(svg: &mut Svg, scene: &Scene<'_>, cloud: &Cloud, placement: &Placement) {
    let palette = scene.palette;
    svg.tag("g")
        .with("id", &format!("box-{}", cloud.id))
        .with("data-box", &cloud.id)
        .open();
    if let Some(leader) = placement.leader {
        paint_leader(svg, scene, leader, palette.muted);
    }
    for (text, (class, fill)) in placement
        .texts
        .iter()
        .zip([("name", palette.text), ("role", palette.muted)])
    {
        let middle = Point::new(
            text.x - scene.projection.forward() * CLOUD_MARK,
            placement.rect.center().y,
        );
        if class == "name" {
            let corner = [middle.x - 12.0 * CLOUD_SCALE, middle.y - 13.0 * CLOUD_SCALE];
            svg.tag("path")
                .with("class", "icon")
                .with("d", cloud.icon.path())
                .with(
                    "transform",
                    &format!("translate({:.1},{:.1})scale({CLOUD_SCALE})", corner[0], corner[1]),
                )
                .with("fill", palette.raised)
                .with("stroke", palette.muted)
                .fine("stroke-width", STROKE)
                .close();
        }
        typeset::paragraph(svg, scene, text, fill, class);
    }
    svg.end("g");
}
