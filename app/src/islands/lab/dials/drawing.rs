//! The drawing of the page: a box that is bent is marked, and leads to its dials, which unfold; the arrows of
//! a broken invariant have the numbers of its sequence. The drawing is no part of the island, and nothing
//! here is reactive but the effects.

use domain::wire::PATTERN_SHEET;
use leptos::{
    ev,
    prelude::*,
    web_sys::{Element, HtmlElement},
};
use wasm_bindgen::JsCast;

use super::session::DialSession;
use crate::{
    erased_effects::effect,
    islands::lab::{
        DRAWING,
        svg_marks::{all, element, find, place_on, set},
    },
    lab::dials::{bent, box_of_drawing},
};

/// The class of what is drawn here.
const STEP: &str = "light-step";

/// The radius of a number's circle, in units of the drawing.
const RADIUS: &str = "14";

/// Marks what is bent and broken, while the page is open.
pub(super) fn follow(session: DialSession) {
    effect(lead_to_dials);
    let mut known: Vec<String> = Vec::new();
    effect(move || {
        let dials: Vec<String> = session.answer.with(|answer| {
            let bent = bent(answer).into_iter();
            bent.map(|bent| bent.dial).collect()
        });
        // What a person has folded up stays so, until another of its dials is bent.
        for dial in dials.iter().filter(|dial| !known.contains(dial)) {
            unfold_around(dial);
        }
        let bent_boxes: Vec<String> = dials.iter().map(|dial| first_part(dial).to_owned()).collect();
        known = dials;
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

/// The box of a dial.
fn first_part(dial: &str) -> &str {
    dial.split('.').next().unwrap_or_default()
}

/// Unfolds the dials of a box: the browser itself does so only for what is within them.
pub(super) fn reveal(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        let details = element.query_selector(":scope > details").ok().flatten();
        unfold(&details.unwrap_or(element));
    }
}

/// Unfolds what contains a dial.
fn unfold_around(dial: &str) {
    let mut around = document().get_element_by_id(dial);
    while let Some(details) = around.and_then(|it| it.closest("details").ok().flatten()) {
        unfold(&details);
        around = details.parent_element();
    }
}

fn unfold(details: &Element) {
    if details.tag_name() == "DETAILS" {
        set(details, "open", "");
    }
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

/// Makes a link of each box that has dials, and unfolds those that the address names.
fn lead_to_dials() {
    let hash = window().location().hash().unwrap_or_default();
    if let Some(id) = hash.strip_prefix('#') {
        reveal(id);
        unfold_around(id);
        if let Some(element) = document().get_element_by_id(id) {
            element.scroll_into_view();
        }
    }
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
    let Some(of) = id.and_then(|id| box_of_drawing(&id)) else {
        return;
    };
    reveal(of);
    let section = document().get_element_by_id(of);
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
    let (place, places) = (u16::try_from(part.0).ok()?, u16::try_from(part.1).ok()?);
    let at = place_on(&group, f64::from(place) / f64::from(places))?;
    set(&group, "data-crossed", "");
    let (step, circle, text) = (element("g")?, element("circle")?, element("text")?);
    set(&step, "class", STEP);
    set(&step, "transform", &at);
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
