//! Blocks: a plinth, a body or slabs, an icon that floats over the upper face, and above it the name with the
//! role.
//!
//! Each is a group with the id of its box. It has an empty group for the figures of a live map, with the
//! place that is kept for them: the one of the role, which a live map hides.

use crate::geometry::{Point, Rect, hull};
use crate::icons::STROKE;
use crate::layout::{Block, Layout, Shape};
use crate::obstacles::Obstacles;
use crate::palette::Shades;
use crate::placement::Placement;
use crate::scene::Scene;
use crate::svg::{Svg, path};

use super::typeset;

/// How high a plinth is, and how far the body stands back from its edge.
const PLINTH: f64 = 4.0;
const INSET: f64 = 0.22;
/// How far other texts stay away from a block.
const GAP: f64 = 2.0;
/// Half of the side of the pad under an icon.
const PAD: f64 = 1.25;
/// By how much the soft light around a block is larger than it.
const HALO: f64 = 0.5;

/// Where a body stands on the grid: from, to; and its lower and upper side.
#[derive(Debug, Clone, Copy)]
struct Prism {
    x: [f64; 2],
    y: [f64; 2],
    z: [f64; 2],
}

impl Prism {
    fn of(block: &Block, inset: f64, z: [f64; 2]) -> Self {
        let [x, y] = block.at;
        let (width, depth) = (block.size[0] / 2.0 - inset, block.size[1] / 2.0 - inset);
        Self {
            x: [x - width, x + width],
            y: [y - depth, y + depth],
            z,
        }
    }

    /// The upper face.
    fn top(self, scene: &Scene<'_>) -> [Point; 4] {
        let ([x0, x1], [y0, y1]) = (self.x, self.y);
        [[x0, y0], [x1, y0], [x1, y1], [x0, y1]].map(|point| scene.projection.grid(point, self.z[1]))
    }

    /// The face along one of the axes.
    fn side(self, scene: &Scene<'_>, ends: [[f64; 2]; 2]) -> [Point; 4] {
        let [low, high] = self.z;
        let [a, b] = ends;
        [(a, high), (b, high), (b, low), (a, low)].map(|(point, z)| scene.projection.grid(point, z))
    }
}

/// The blocks in the order in which they are painted.
pub(super) fn from_back_to_front(layout: &Layout) -> Vec<(usize, &Block)> {
    let mut blocks: Vec<_> = layout.boxes.iter().enumerate().collect();
    blocks.sort_by(|(_, a), (_, b)| (a.at[0] + a.at[1]).total_cmp(&(b.at[0] + b.at[1])));
    blocks
}

/// Adds all blocks, and the numbers on them, to the obstacles.
pub(super) fn obstruct(scene: &Scene<'_>, obstacles: &mut Obstacles) {
    for block in &scene.layout.boxes {
        obstacles.add_body(silhouette(scene, block), GAP);
        if block.number.is_some() {
            let radius = scene.layout.sizes.number + 1.0;
            obstacles.add_text(Rect::around(number_at(scene, block), 2.0 * radius, 2.0 * radius));
        }
    }
}

fn silhouette(scene: &Scene<'_>, block: &Block) -> Vec<Point> {
    let ground = Prism::of(block, 0.0, [0.0, 0.0]).top(scene);
    let top = Prism::of(block, 0.0, [0.0, block.size[2]]).top(scene);
    hull(&[ground, top].concat())
}

/// The front corner of the upper face, where no arrow comes.
fn number_at(scene: &Scene<'_>, block: &Block) -> Point {
    let front = [
        block.at[0] + block.size[0] / 2.0 - INSET,
        block.at[1] + block.size[1] / 2.0 - INSET,
    ];
    let corner = scene.projection.grid(front, block.size[2]);
    Point::new(corner.x, corner.y + 1.0)
}

/// The soft light on the ground around all blocks, blurred at once.
pub(super) fn paint_glow(svg: &mut Svg, scene: &Scene<'_>) {
    svg.tag("g")
        .with("class", "glow")
        .with("filter", "url(#drawing-soft)")
        .open();
    for block in &scene.layout.boxes {
        let opacity = if block.is_hero { 0.42 } else { 0.17 };
        svg.tag("polygon")
            .points(&Prism::of(block, -HALO, [0.0, 0.0]).top(scene))
            .with("fill", edge(scene, block))
            .fine("fill-opacity", opacity)
            .close();
    }
    svg.end("g");
}

fn edge(scene: &Scene<'_>, block: &Block) -> &'static str {
    block
        .flow
        .map_or(scene.palette.accent, |flow| scene.palette.flow(flow))
}

pub(super) fn paint(svg: &mut Svg, scene: &Scene<'_>, block: &Block, placement: Option<&Placement>) {
    svg.tag("g")
        .with("id", &format!("box-{}", block.id))
        .with("data-box", &block.id)
        .open();
    svg.tag("g")
        .with("class", "block")
        .with("stroke-linejoin", "round")
        .open();
    let height = block.size[2];
    let palette = scene.palette;
    paint_prism(
        svg,
        scene,
        block,
        Prism::of(block, 0.0, [0.0, PLINTH]),
        palette.plinth,
        (1.0, 0.35),
    );
    match block.shape {
        Shape::Store => paint_slabs(svg, scene, block, 3.0, 3.2),
        Shape::Stack => paint_slabs(svg, scene, block, 4.0, 4.0),
        Shape::Service | Shape::Client | Shape::Bus => {
            let neutral = block.shape == Shape::Client;
            let shades = if neutral {
                palette.neutral
            } else {
                Shades {
                    top: "url(#drawing-top)",
                    ..palette.body
                }
            };
            let body = Prism::of(block, INSET, [PLINTH, height]);
            paint_prism(svg, scene, block, body, shades, (1.4, palette.edge_opacity));
            paint_details(svg, scene, block);
        }
    }
    if block.shape == Shape::Bus {
        paint_lanes(svg, scene, block);
    }
    paint_icon(svg, scene, block);
    svg.end("g");
    if let Some(number) = block.number {
        let color = palette.flow(number.flow);
        typeset::number(
            svg,
            scene,
            number_at(scene, block),
            scene.layout.sizes.number,
            number.value.into(),
            color,
        );
    }
    if let Some(placement) = placement {
        paint_name(svg, scene, block, placement);
    }
    svg.end("g");
}

/// A body: its two visible sides, its upper face, and the edges that catch the light.
fn paint_prism(
    svg: &mut Svg,
    scene: &Scene<'_>,
    block: &Block,
    prism: Prism,
    shades: Shades,
    (stroke, opacity): (f64, f64),
) {
    let shades = if scene.projection.mirrored {
        shades.mirrored()
    } else {
        shades
    };
    let ([x0, x1], [y0, y1]) = (prism.x, prism.y);
    let top = prism.top(scene);
    for (points, fill) in [
        (prism.side(scene, [[x0, y1], [x1, y1]]), shades.left),
        (prism.side(scene, [[x1, y0], [x1, y1]]), shades.right),
    ] {
        svg.tag("polygon").points(&points).with("fill", fill).close();
    }
    svg.tag("polygon")
        .points(&top)
        .with("fill", shades.top)
        .with("stroke", edge(scene, block))
        .fine("stroke-opacity", opacity)
        .fine("stroke-width", stroke)
        .close();
    let front = [prism.z[1], prism.z[0]].map(|z| scene.projection.grid([x1, y1], z));
    svg.tag("path")
        .with("d", &path(&front))
        .with("stroke", edge(scene, block))
        .fine("stroke-opacity", opacity * 0.45)
        .close();
}

/// The slabs of a store, one over the other.
fn paint_slabs(svg: &mut Svg, scene: &Scene<'_>, block: &Block, count: f64, gap: f64) {
    let palette = scene.palette;
    let thickness = (block.size[2] - PLINTH - gap * (count - 1.0)) / count;
    let mut bottom = PLINTH;
    while bottom < block.size[2] {
        let is_top = bottom + thickness + gap > block.size[2];
        let top = if is_top { "url(#drawing-top)" } else { palette.slab };
        let line = if is_top {
            (1.4, palette.edge_opacity)
        } else {
            (1.0, 0.5)
        };
        let slab = Prism::of(block, INSET, [bottom, bottom + thickness]);
        paint_prism(svg, scene, block, slab, Shades { top, ..palette.body }, line);
        bottom += thickness + gap;
    }
}

/// Vents on one side and lamps on the other: it is a machine that runs.
fn paint_details(svg: &mut Svg, scene: &Scene<'_>, block: &Block) {
    let Prism {
        x: [_, x1],
        y: [_, y1],
        ..
    } = Prism::of(block, INSET, [0.0, 0.0]);
    let (half, height) = (block.size[0] / 2.0, block.size[2]);
    let grid = |point, z| scene.projection.grid(point, z);
    let mut vents = String::new();
    for row in 0..3 {
        let z = height - 9.0 - 5.0 * f64::from(row);
        if z > PLINTH + 3.0 {
            vents.push_str(&path(&[
                grid([x1, y1 - half * 0.32], z),
                grid([x1, y1 - half * 0.82], z),
            ]));
        }
    }
    svg.tag("path")
        .with("d", &vents)
        .with("stroke", edge(scene, block))
        .with("stroke-opacity", ".38")
        .with("stroke-width", "1.3")
        .close();
    for (lamp, opacity) in [(0.3, 0.95), (0.5, 0.7), (0.7, 0.45)] {
        let x = block.at[0] + half * lamp;
        let points = [
            grid([x, y1], PLINTH + 8.0),
            grid([x + half * 0.08, y1], PLINTH + 8.0),
        ];
        svg.tag("path")
            .with("d", &path(&points))
            .with("stroke", edge(scene, block))
            .fine("stroke-opacity", opacity)
            .with("stroke-width", "2")
            .close();
    }
}

/// The lanes of a bus, with events in them.
fn paint_lanes(svg: &mut Svg, scene: &Scene<'_>, block: &Block) {
    let Prism {
        x: [x0, x1],
        y: [y0, y1],
        ..
    } = Prism::of(block, INSET + 0.12, [0.0, 0.0]);
    let grid = |point| scene.projection.grid(point, block.size[2]);
    let lane = (x1 - x0) / 3.0;
    let mut lines = String::new();
    for i in 1..3 {
        let x = x0 + lane * f64::from(i);
        lines.push_str(&path(&[grid([x, y0]), grid([x, y1])]));
    }
    let color = edge(scene, block);
    svg.tag("path")
        .with("d", &lines)
        .with("stroke", color)
        .with("stroke-opacity", ".28")
        .close();
    let mut events = String::new();
    for i in 0..3 {
        let x = x0 + lane * (f64::from(i) + 0.5);
        let mut y = y0 + 1.2 + f64::from(i) * 0.8;
        while y + 0.7 < y1 {
            events.push_str(&path(&[grid([x, y]), grid([x, y + 0.7])]));
            y += 2.6;
        }
    }
    svg.tag("path")
        .with("d", &events)
        .with("stroke", color)
        .with("stroke-opacity", ".3")
        .with("stroke-width", "2.4")
        .close();
}

fn paint_icon(svg: &mut Svg, scene: &Scene<'_>, block: &Block) {
    let (palette, sizes) = (scene.palette, &scene.layout.sizes);
    let (height, [x, y]) = (block.size[2], block.icon_at.unwrap_or(block.at));
    let pad = [[-PAD, -PAD], [PAD, -PAD], [PAD, PAD], [-PAD, PAD]]
        .map(|[dx, dy]| scene.projection.grid([x + dx, y + dy], height));
    svg.tag("polygon")
        .points(&pad)
        .with("fill", palette.icon_shade)
        .with("fill-opacity", ".34")
        .with("stroke", edge(scene, block))
        .with("stroke-opacity", ".25")
        .close();
    let center = scene.projection.grid([x, y], height + sizes.icon_lift);
    let transform = format!(
        "translate({:.1},{:.1})scale({})",
        center.x - 12.0 * sizes.icon,
        center.y - 12.0 * sizes.icon,
        sizes.icon
    );
    let color = block.flow.map_or(palette.icon, |flow| palette.flow(flow));
    svg.tag("g")
        .with("class", "icon")
        .with("transform", &transform)
        .with("fill", "none")
        .with("stroke-linecap", "round")
        .open();
    if palette.glows {
        svg.tag("path")
            .with("class", "glow")
            .with("d", block.icon.path())
            .with("stroke", color)
            .with("stroke-width", "4.6")
            .with("stroke-opacity", ".16")
            .close();
    }
    svg.tag("path")
        .with("d", block.icon.path())
        .with("stroke", palette.icon_shade)
        .with("stroke-width", "3.4")
        .with("stroke-opacity", ".6")
        .close();
    svg.tag("path")
        .with("d", block.icon.path())
        .with("stroke", color)
        .fine("stroke-width", STROKE)
        .close();
    svg.end("g");
}

fn paint_name(svg: &mut Svg, scene: &Scene<'_>, block: &Block, placement: &Placement) {
    let palette = scene.palette;
    let backing = typeset::plate(svg, placement.plate, "backing").with("fill", palette.background);
    if block.name_on.is_some() {
        backing
            .with("fill-opacity", ".9")
            .with("stroke", edge(scene, block))
            .with("stroke-opacity", ".6")
            .close();
    } else {
        backing.with("fill-opacity", ".72").close();
    }
    for (text, (class, fill)) in placement
        .texts
        .iter()
        .zip([("name", palette.text), ("role", palette.muted)])
    {
        typeset::paragraph(svg, scene, text, fill, class);
    }
    // A live map puts its figures where the role stands, or over the name of a box without a role.
    let figures = match &placement.texts[..] {
        [_, role] => role.rect(scene.projection.forward()),
        _ => Rect::new(
            placement.rect.left,
            placement.rect.top - 16.0,
            placement.rect.right,
            placement.rect.top,
        ),
    };
    svg.tag("g")
        .with("class", "figures")
        .with("id", &format!("figures-{}", block.id))
        .num("data-x", figures.center().x)
        .num("data-y", figures.top + 11.0)
        .num("data-width", figures.width())
        .close();
}
