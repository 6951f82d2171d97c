//! The drawing of the page: a box that is bent is marked, and leads to its dials; the arrows of a broken
//! invariant have the numbers of its sequence. The drawing is no part of the island, and nothing here is
//! reactive but the two effects.

use domain::wire::PATTERN_SHEET;
use leptos::{
    ev,
    prelude::*,
    web_sys::{Element, HtmlElement},
};
use wasm_bindgen::JsCast;
use web_sys::SvgGeometryElement;

use super::session::DialSession;
use crate::{
    erased_effects::effect,
    islands::lab::DRAWING,
    lab::dials::{bent, box_of_drawing},
};

/// The namespace of SVG.
const SVG: &str = "http://www.w3.org/2000/svg";

/// The class of what is drawn here.
const STEP: &str = "light-step";

/// The radius of a number's circle, in units of the drawing.
const RADIUS: &str = "14";

/// Marks what is bent and broken, while the page is open.
pub(super) fn follow(session: DialSession) {
    effect(lead_to_dials);
    effect(move || {
        let bent_boxes: Vec<String> = session.answer.with(|answer| {
            let first = |dial: &str| dial.split('.').next().unwrap_or_default().to_owned();
            bent(answer).iter().map(|bent| first(&bent.dial)).collect()
        });
        for (group, of) in boxes() {
            let is_bent = bent_boxes.iter().any(|bent| bent == of);
            let _ = group.toggle_attribute_with_force("data-bent", is_bent);
        }
    });
    effect(move || {
        let drawn = session.drawn.get();
        let arrows: Vec<&'static str> = session.lights.with(|lights| {
            let light = lights
                .iter()
                .find(|light| Some(light.name) == drawn && !light.holds);
            let steps = light.map(|light| light.sequence.as_slice()).unwrap_or_default();
            let ids = steps.iter().map(|step| step.arrow.drawing_id(PATTERN_SHEET));
            ids.map(Option::unwrap_or_default).collect()
        });
        draw_sequence(&arrows);
    });
}

/// The boxes of the drawing that have dials, each with the box of its dials.
fn boxes() -> Vec<(Element, &'static str)> {
    let groups = all(&["#", DRAWING, " [data-box]"].concat()).into_iter();
    let with_dials = groups.filter_map(|group| {
        let of = box_of_drawing(&group.get_attribute("data-box")?)?;
        Some((group, of))
    });
    with_dials.collect()
}

/// Makes a link of each box that has dials.
fn lead_to_dials() {
    for (group, _) in boxes() {
        set(&group, "role", "link");
        set(&group, "tabindex", "0");
    }
    // The listeners live as long as the page.
    std::mem::forget(window_event_listener(ev::click, |event| {
        go_to_dials(event.target());
    }));
    std::mem::forget(window_event_listener(ev::keydown, |event| {
        if event.key() == "Enter" {
            go_to_dials(event.target());
        }
    }));
}

/// Shows the dials of the box that was chosen in the drawing.
fn go_to_dials(target: Option<web_sys::EventTarget>) {
    let element = target.and_then(|target| target.dyn_into::<Element>().ok());
    let selector = ["#", DRAWING, " [data-box]"].concat();
    let group = element.and_then(|element| element.closest(&selector).ok().flatten());
    let id = group.and_then(|group| group.get_attribute("data-box"));
    let section = id
        .and_then(|id| box_of_drawing(&id))
        .and_then(|id| document().get_element_by_id(id));
    if let Some(section) = section.and_then(|section| section.dyn_into::<HtmlElement>().ok()) {
        section.scroll_into_view();
        let _ = section.focus();
    }
}

/// Marks the arrows of a sequence, and writes at each the numbers of its steps.
fn draw_sequence(arrows: &[&str]) {
    for number in all(&["#", DRAWING, " .", STEP].concat()) {
        number.remove();
    }
    for group in all(&["#", DRAWING, " [data-crossed]"].concat()) {
        let _ = group.remove_attribute("data-crossed");
    }
    for (at, arrow) in arrows.iter().enumerate() {
        let of_arrow = arrows.iter().filter(|other| *other == arrow).count();
        let before = arrows.iter().take(at).filter(|other| *other == arrow).count();
        // An arrow that this sheet does not have is in the list beside the drawing.
        let _ = draw_step(arrow, at + 1, (before + 1, of_arrow + 1));
    }
}

/// Writes a number at an arrow, at a part of its way.
fn draw_step(arrow: &str, number: usize, part: (usize, usize)) -> Option<()> {
    let group = find(&["#arrow-", arrow].concat())?;
    let line = group.query_selector("path.line").ok().flatten()?;
    let line: SvgGeometryElement = line.dyn_into().ok()?;
    let (place, all) = (u16::try_from(part.0).ok()?, u16::try_from(part.1).ok()?);
    let way = line.get_total_length() * f32::from(place) / f32::from(all);
    let point = line.get_point_at_length(way).ok()?;
    set(&group, "data-crossed", "");
    let (step, circle, text) = (element("g")?, element("circle")?, element("text")?);
    set(&step, "class", STEP);
    set(
        &step,
        "transform",
        &format!("translate({:.1} {:.1})", point.x(), point.y()),
    );
    set(&circle, "r", RADIUS);
    set(&text, "text-anchor", "middle");
    set(&text, "dy", "5");
    text.set_text_content(Some(&number.to_string()));
    let _ = step.append_child(&circle);
    let _ = step.append_child(&text);
    let drawing = find(&["#", DRAWING, " svg"].concat())?;
    let _ = drawing.append_child(&step);
    Some(())
}

fn find(selector: &str) -> Option<Element> {
    document().query_selector(selector).ok().flatten()
}

/// The elements that a selector finds, in their order.
fn all(selector: &str) -> Vec<Element> {
    let Ok(found) = document().query_selector_all(selector) else {
        return Vec::new();
    };
    let nodes = (0..found.length()).filter_map(|index| found.item(index));
    nodes.filter_map(|node| node.dyn_into().ok()).collect()
}

fn element(name: &str) -> Option<Element> {
    document().create_element_ns(Some(SVG), name).ok()
}

/// Sets an attribute, whose name is one of ours and so is valid.
fn set(element: &Element, name: &str, value: &str) {
    let _ = element.set_attribute(name, value);
}
