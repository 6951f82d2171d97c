//! Paints a sheet whose texts have their places: from the ground up, what is nearer over what is farther.

mod arrows;
mod blocks;
mod ground;
mod notes;
mod surround;
mod typeset;

use crate::Request;
use crate::frame::Frame;
use crate::geometry::Rect;
use crate::obstacles::Obstacles;
use crate::placement::{Placement, Task};
use crate::scene::Scene;
use crate::svg::Svg;

/// The fonts of the system, the one that a language needs first.
fn fonts(language: &str) -> &'static str {
    match language.split('-').next().unwrap_or_default() {
        "ja" => "Roboto,Arial,'Noto Sans','Hiragino Sans','Yu Gothic','Noto Sans CJK JP',sans-serif",
        "ko" => {
            "Roboto,Arial,'Noto Sans','Apple SD Gothic Neo','Malgun Gothic','Noto Sans CJK KR',sans-serif"
        }
        "zh" => "Roboto,Arial,'Noto Sans','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif",
        "ar" => "'Segoe UI','Noto Sans','Noto Sans Arabic','Geeza Pro',Arial,sans-serif",
        "hi" => {
            "'Noto Sans','Noto Sans Devanagari','Nirmala UI','Kohinoor Devanagari',Roboto,Arial,sans-serif"
        }
        _ => "'Segoe UI',Roboto,'Helvetica Neue',Arial,'Noto Sans','Liberation Sans',sans-serif",
    }
}

/// The obstacles that the layout itself has: blocks, arrows, the numbers on boxes.
pub(crate) fn obstacles(scene: &Scene<'_>, frame: &Frame) -> Obstacles {
    let mut obstacles = Obstacles::new(scene.layout.size);
    for rect in frame.taken(scene.layout, scene.projection.forward()) {
        obstacles.add_text(rect);
    }
    blocks::obstruct(scene, &mut obstacles);
    arrows::obstruct(scene, &mut obstacles);
    obstacles
}

/// The document.
pub(crate) fn paint(
    request: &Request<'_>,
    scene: &Scene<'_>,
    frame: &Frame,
    placements: &[Placement],
) -> String {
    let mut svg = Svg::default();
    let [width, height] = scene.layout.size;
    let title = &scene.layout.heading;
    svg.tag("svg")
        .with("xmlns", "http://www.w3.org/2000/svg")
        .with("viewBox", &format!("0 0 {width} {height}"))
        .num("width", width)
        .num("height", height)
        .with("role", "img")
        .with("lang", request.language)
        .with("direction", request.direction.as_str())
        .with("aria-labelledby", "drawing-title")
        .with("aria-describedby", "drawing-description")
        .with("font-family", fonts(request.language))
        .open();
    svg.tag("title")
        .with("id", "drawing-title")
        .content(&scene.spoken(&title.title));
    let description = format!(
        "{} {}",
        scene.spoken(&title.description),
        scene.spoken(&scene.layout.educational.label)
    );
    svg.tag("desc")
        .with("id", "drawing-description")
        .content(&description);

    // Lines on the ground are interrupted where a text stands.
    let texts: Vec<Rect> = placements
        .iter()
        .map(|placement| placement.plate.grown(3.0, 3.0))
        .collect();
    ground::paint(&mut svg, scene, &texts);
    if scene.palette.glows {
        blocks::paint_glow(&mut svg, scene);
        arrows::paint_glow(&mut svg, scene);
    }
    let placement = |task| placements.iter().find(|placement| placement.task == task);
    for (i, arrow) in scene.layout.arrows.iter().enumerate() {
        arrows::paint(&mut svg, scene, arrow, placement(Task::Plate(i)));
    }
    for (i, block) in blocks::from_back_to_front(scene.layout) {
        blocks::paint(&mut svg, scene, block, placement(Task::Name(i)));
    }
    for (i, note) in scene.layout.notes.iter().enumerate() {
        if let Some(placement) = placement(Task::Note(i)) {
            notes::paint_note(&mut svg, scene, note, placement);
        }
    }
    for (i, head) in scene.layout.heads.iter().enumerate() {
        if let Some(placement) = placement(Task::Head(i)) {
            notes::paint_head(&mut svg, scene, head, placement);
        }
    }
    if let (Some(cloud), Some(placement)) = (&scene.layout.boundary.cloud, placement(Task::Cloud)) {
        notes::paint_cloud(&mut svg, scene, cloud, placement);
    }
    surround::paint(&mut svg, scene, frame);
    svg.end("svg");
    svg.into_string()
}
