//! Arrows: a groove in the ground, the line with its glow, a head that lies flat, and the plate with the
//! label.
//!
//! Each is a group with the id of its arrow and one path from its start to its end, so that a live map can
//! send packets along it.

use crate::geometry::{Point, hull};
use crate::layout::Arrow;
use crate::obstacles::Obstacles;
use crate::placement::Placement;
use crate::scene::Scene;
use crate::svg::{Svg, path};

use super::typeset;

/// The width of the groove.
const GROOVE: &str = "11";
/// How far other texts stay away from a head.
const HEAD_GAP: f64 = 2.5;
/// How much of a head's length the line goes into, and where the head's notch is.
const INSET: f64 = 0.8;
const NOTCH: f64 = 0.78;

/// Adds all arrows to the obstacles, each under its index.
pub(super) fn obstruct(scene: &Scene<'_>, obstacles: &mut Obstacles) {
    for (i, arrow) in scene.layout.arrows.iter().enumerate() {
        let points: Vec<Point> = arrow
            .points
            .iter()
            .map(|point| scene.projection.grid(*point, 0.0))
            .collect();
        obstacles.add_line(i, &points);
        for head in heads(scene, arrow) {
            obstacles.add_body(hull(&head), HEAD_GAP);
        }
    }
}

/// The glow of all lines, blurred at once.
pub(super) fn paint_glow(svg: &mut Svg, scene: &Scene<'_>) {
    svg.tag("g")
        .with("class", "glow")
        .with("filter", "url(#drawing-glow)")
        .with("fill", "none")
        .with("stroke-width", "4")
        .with("stroke-opacity", ".55")
        .open();
    for arrow in &scene.layout.arrows {
        let color = scene.palette.flow(arrow.flow);
        svg.tag("path")
            .with("d", &path(&line(scene, arrow)))
            .with("stroke", color)
            .close();
    }
    svg.end("g");
}

pub(super) fn paint(svg: &mut Svg, scene: &Scene<'_>, arrow: &Arrow, placement: Option<&Placement>) {
    let color = scene.palette.flow(arrow.flow);
    svg.tag("g")
        .with("id", &format!("arrow-{}", arrow.id))
        .with("data-arrow", &arrow.id)
        .with("data-from", &arrow.from)
        .with("data-to", &arrow.to)
        .with("data-flow", arrow.flow.as_str())
        .open();
    let line = path(&line(scene, arrow));
    svg.tag("g")
        .with("fill", "none")
        .with("stroke-linejoin", "round")
        .open();
    for (stroke, opacity) in [(scene.palette.groove, 1.0), (color, 0.13)] {
        svg.tag("path")
            .with("class", "groove")
            .with("d", &line)
            .with("stroke", stroke)
            .fine("stroke-opacity", opacity)
            .with("stroke-width", GROOVE)
            .with("stroke-linecap", "round")
            .close();
    }
    svg.tag("path")
        .with("class", "line")
        .with("d", &line)
        .with("stroke", color)
        .with("stroke-width", "2.4")
        .close();
    svg.end("g");
    for head in heads(scene, arrow) {
        svg.tag("polygon")
            .with("class", "head")
            .points(&head)
            .with("fill", color)
            .close();
    }
    if !arrow.is_both_ways {
        let start = scene.projection.grid(arrow.points[0], 0.0);
        svg.tag("ellipse")
            .num("cx", start.x)
            .num("cy", start.y)
            .num("rx", 4.2)
            .num("ry", 2.1)
            .with("fill", color)
            .close();
    }
    if let Some(placement) = placement {
        paint_plate(svg, scene, arrow, placement, color);
    }
    svg.end("g");
}

fn paint_plate(svg: &mut Svg, scene: &Scene<'_>, arrow: &Arrow, placement: &Placement, color: &str) {
    typeset::plate(svg, placement.plate, "plate")
        .with("fill", scene.palette.surface)
        .with("stroke", color)
        .with("stroke-opacity", ".75")
        .close();
    for text in &placement.texts {
        typeset::paragraph(svg, scene, text, scene.palette.text, "label");
    }
    if let Some(value) = arrow.plate.as_ref().and_then(|plate| plate.number) {
        let start = if scene.projection.mirrored {
            placement.plate.right
        } else {
            placement.plate.left
        };
        let center = Point::new(start, placement.plate.center().y);
        typeset::number(svg, scene, center, scene.layout.sizes.number, value.into(), color);
    }
}

/// The unit vector from one point of the grid to another; arrows run along the axes.
fn direction([x, y]: [f64; 2], [to_x, to_y]: [f64; 2]) -> [f64; 2] {
    let length = (to_x - x).hypot(to_y - y).max(1e-9);
    [(to_x - x) / length, (to_y - y) / length]
}

/// The line, which ends within its heads.
fn line(scene: &Scene<'_>, arrow: &Arrow) -> Vec<Point> {
    let inset = scene.layout.sizes.arrow_head[0] * INSET;
    let mut points = arrow.points.clone();
    if let [.., before, last] = &mut points[..] {
        *last = step(*last, direction(*last, *before), inset);
    }
    if let ([first, next, ..], true) = (&mut points[..], arrow.is_both_ways) {
        *first = step(*first, direction(*first, *next), inset);
    }
    points
        .into_iter()
        .map(|point| scene.projection.grid(point, 0.0))
        .collect()
}

fn step([x, y]: [f64; 2], [dx, dy]: [f64; 2], by: f64) -> [f64; 2] {
    [x + dx * by, y + dy * by]
}

/// The heads: one at the end, or one at either end.
fn heads(scene: &Scene<'_>, arrow: &Arrow) -> Vec<[Point; 4]> {
    let head = |tip: [f64; 2], before: [f64; 2]| {
        let [length, half] = scene.layout.sizes.arrow_head;
        let back = direction(tip, before);
        let side = [-back[1], back[0]];
        let base = step(tip, back, length);
        [
            tip,
            step(base, side, half),
            step(tip, back, length * NOTCH),
            step(base, side, -half),
        ]
        .map(|point| scene.projection.grid(point, 0.0))
    };
    let mut heads = Vec::new();
    if let [.., before, tip] = arrow.points[..] {
        heads.push(head(tip, before));
    }
    if let ([tip, next, ..], true) = (&arrow.points[..], arrow.is_both_ways) {
        heads.push(head(*tip, *next));
    }
    heads
}
