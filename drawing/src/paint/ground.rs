//! The ground: gradients and filters, the background with its grid, the dashed outline, and the planes of the
//! sections.

use crate::geometry::{Point, Rect, clip};
use crate::scene::Scene;
use crate::svg::{Svg, path};

/// How far a plane's edge is under its surface.
const PLANE_DEPTH: f64 = 5.0;

pub(super) fn paint(svg: &mut Svg, scene: &Scene<'_>, texts: &[Rect]) {
    definitions(svg, scene);
    for fill in [
        scene.palette.background,
        "url(#drawing-grid)",
        "url(#drawing-vignette)",
    ] {
        let [width, height] = scene.layout.size;
        svg.tag("rect")
            .num("width", width)
            .num("height", height)
            .with("fill", fill)
            .close();
    }
    boundary(svg, scene, texts);
    planes(svg, scene, texts);
}

fn definitions(svg: &mut Svg, scene: &Scene<'_>) {
    let palette = scene.palette;
    let ([width, height], unit) = (scene.layout.size, scene.layout.unit);
    svg.tag("defs").open();
    for (id, deviation) in [("drawing-glow", "4"), ("drawing-soft", "14")] {
        svg.tag("filter")
            .with("id", id)
            .with("filterUnits", "userSpaceOnUse")
            .with("x", "0")
            .with("y", "0")
            .num("width", width)
            .num("height", height)
            .open();
        svg.tag("feGaussianBlur").with("stdDeviation", deviation).close();
        svg.end("filter");
    }
    svg.tag("radialGradient")
        .with("id", "drawing-vignette")
        .with("cy", "45%")
        .with("r", "70%")
        .open();
    svg.tag("stop")
        .with("stop-color", palette.accent)
        .fine("stop-opacity", palette.vignette_opacity)
        .close();
    svg.tag("stop")
        .with("offset", "1")
        .with("stop-color", palette.accent)
        .with("stop-opacity", "0")
        .close();
    svg.end("radialGradient");
    let vertical = |svg: &mut Svg, id, from: &str, to: &str, opacity: f64| {
        svg.tag("linearGradient")
            .with("id", id)
            .with("x2", "0")
            .with("y2", "1")
            .open();
        svg.tag("stop").with("stop-color", from).close();
        svg.tag("stop")
            .with("offset", "1")
            .with("stop-color", to)
            .fine("stop-opacity", opacity)
            .close();
        svg.end("linearGradient");
    };
    vertical(svg, "drawing-top", palette.slab, palette.body.top, 1.0);
    let (across, down) = (4.0 * unit, 2.0 * unit);
    let origin = scene.projection.grid([0.0, 0.0], 0.0);
    svg.tag("pattern")
        .with("id", "drawing-grid")
        .with("patternUnits", "userSpaceOnUse")
        .num("width", across)
        .num("height", down)
        .with(
            "patternTransform",
            &format!("translate({},{})", origin.x.round(), origin.y.round()),
        )
        .open();
    let lines = format!("M0,0L{across},{down}M0,{down}L{across},0");
    svg.tag("path")
        .with("d", &lines)
        .with("stroke", palette.accent)
        .fine("stroke-opacity", palette.grid_opacity)
        .close();
    svg.end("pattern");
    svg.end("defs");
}

fn boundary(svg: &mut Svg, scene: &Scene<'_>, texts: &[Rect]) {
    let boundary = &scene.layout.boundary;
    let points: Vec<Point> = boundary
        .points
        .iter()
        .map(|point| scene.projection.grid(*point, 0.0))
        .collect();
    let group = svg.tag("g").with("class", "boundary");
    match &boundary.cloud {
        Some(cloud) => group.with("id", &format!("outline-{}", cloud.id)).open(),
        None => group.open(),
    };
    svg.tag("polygon")
        .points(&points)
        .with("fill", scene.palette.accent)
        .fine("fill-opacity", scene.palette.plane_opacity * 0.5)
        .close();
    svg.tag("path")
        .with("d", &outline(&points, texts))
        .with("fill", "none")
        .with("stroke", scene.palette.strong)
        .with("stroke-width", "1.6")
        .with("stroke-dasharray", "7 6")
        .close();
    svg.end("g");
}

fn planes(svg: &mut Svg, scene: &Scene<'_>, texts: &[Rect]) {
    for plane in &scene.layout.planes {
        let points: Vec<Point> = plane
            .points
            .iter()
            .map(|point| scene.projection.grid(*point, 0.0))
            .collect();
        let under: Vec<Point> = points
            .iter()
            .map(|point| Point::new(point.x, point.y + PLANE_DEPTH))
            .collect();
        let color = scene.palette.flow(plane.flow);
        svg.tag("polygon")
            .points(&under)
            .with("fill", scene.palette.plinth.right)
            .with("fill-opacity", ".9")
            .close();
        svg.tag("polygon")
            .points(&points)
            .with("fill", scene.palette.surface)
            .with("fill-opacity", ".94")
            .close();
        svg.tag("polygon")
            .points(&points)
            .with("fill", color)
            .fine("fill-opacity", scene.palette.plane_opacity)
            .close();
        svg.tag("path")
            .with("d", &outline(&points, texts))
            .with("fill", "none")
            .with("stroke", color)
            .with("stroke-opacity", ".5")
            .with("stroke-width", "1.2")
            .close();
    }
}

/// The outline of a polygon, without what lies behind a text.
fn outline(points: &[Point], texts: &[Rect]) -> String {
    let mut data = String::new();
    for (i, from) in points.iter().enumerate() {
        let to = points[(i + 1) % points.len()];
        let mut hidden: Vec<(f64, f64)> = texts.iter().filter_map(|text| clip(*from, to, *text)).collect();
        hidden.sort_by(|a, b| a.0.total_cmp(&b.0));
        hidden.push((1.0, 1.0));
        let mut start = 0.0;
        for (hides, shows) in hidden {
            if hides > start {
                data.push_str(&path(&[from.toward(to, start), from.toward(to, hides)]));
            }
            start = shows.max(start);
        }
    }
    data
}
