//! What the islands of the lab draw over the drawing of a page, which is no part of them: finding its
//! elements, making new ones, and places on its arrows.

use leptos::{prelude::*, web_sys::Element};
use wasm_bindgen::JsCast;
use web_sys::SvgGeometryElement;

/// The namespace of SVG.
const SVG: &str = "http://www.w3.org/2000/svg";

/// The first element that a selector finds.
pub(super) fn find(selector: &str) -> Option<Element> {
    document().query_selector(selector).ok().flatten()
}

/// The elements that a selector finds, in their order.
pub(super) fn all(selector: &str) -> Vec<Element> {
    let Ok(found) = document().query_selector_all(selector) else {
        return Vec::new();
    };
    let nodes = (0..found.length()).filter_map(|index| found.item(index));
    nodes.filter_map(|node| node.dyn_into().ok()).collect()
}

/// A new element of an SVG.
pub(super) fn element(name: &str) -> Option<Element> {
    document().create_element_ns(Some(SVG), name).ok()
}

/// Sets an attribute, whose name is one of ours and so is valid.
pub(super) fn set(element: &Element, name: &str, value: &str) {
    let _ = element.set_attribute(name, value);
}

/// The line of an arrow, by the group of the arrow.
pub(super) fn line_of(group: &Element) -> Option<SvgGeometryElement> {
    let line = group.query_selector("path.line").ok().flatten()?;
    line.dyn_into().ok()
}

/// The transformation to the point at a part of an arrow's way: 0 at its start, 1 at its end.
#[expect(clippy::cast_possible_truncation, reason = "a place on a screen")]
pub(super) fn place_on(group: &Element, part: f64) -> Option<String> {
    let line = line_of(group)?;
    let way = line.get_total_length() * part.clamp(0.0, 1.0) as f32;
    let point = line.get_point_at_length(way).ok()?;
    Some(translation(point.x(), point.y()))
}

/// The transformation to a point of the drawing, to a tenth of its unit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a drawing is a few thousand units wide"
)]
pub(super) fn translation(x: f32, y: f32) -> String {
    // As whole tenths, because a float's own text would bring its formatter into the bundle.
    let tenths = |value: f32| {
        let value = (value * 10.0).round() as i32;
        format!("{}.{}", value.max(0) / 10, value.max(0) % 10)
    };
    ["translate(", &tenths(x), " ", &tenths(y), ")"].concat()
}
