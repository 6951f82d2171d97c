//! What the map adds to the drawing of the page: packets on the arrows, counted streams, figures at the
//! boxes, and the keyboard's way to all of them.
//!
//! The drawing is no part of the island, so nothing here takes part in hydration, and nothing is reactive: a
//! frame of the animation writes attributes of elements that it keeps. The focus follows an event from the
//! packet on one arrow to that on the next.

use leptos::{
    prelude::*,
    web_sys::{Element, HtmlElement},
};
use wasm_bindgen::JsCast;
use web_sys::{MediaQueryList, SvgGeometryElement};

use crate::{
    islands::lab::{
        DRAWING, LabSheet,
        svg_marks::{element, find, line_of, set, translation},
    },
    sorted::SortedMap,
};

/// The class of a drawing over which the map draws: the roles of its boxes make room for the figures.
const LIVE: &str = "lab-live";
/// The class of an arrow that a packet or a stream is on.
const LIT: &str = "lab-lit";
/// The radius of a packet, in units of the drawing.
const RADIUS: &str = "8";
/// How far above an arrow the short id of its packet stands.
const ID_ABOVE: &str = "-12";
/// How far above an arrow the number of its stream stands.
const COUNT_ABOVE: &str = "-6";

/// A packet as it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PacketMark {
    /// Stays the same while the packet moves.
    pub(super) key: String,
    /// The id of the arrow in the layout.
    pub(super) arrow: &'static str,
    /// How far it is: 0 at the start of the arrow, 1 at its end.
    pub(super) progress: f64,
    /// The event, or the command without one; empty for a query.
    pub(super) event: String,
    /// The short id.
    pub(super) short: String,
    /// What it has in common with everything of its intention.
    pub(super) correlation: String,
    /// How its crossing ended.
    pub(super) outcome: &'static str,
    /// The flow whose colour it has.
    pub(super) flow: &'static str,
    /// The name for assistive technology.
    pub(super) label: String,
}

/// A stream of packets as it is drawn: their number in place of each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StreamMark {
    /// The id of the arrow in the layout.
    pub(super) arrow: &'static str,
    /// The number, as in `240/s`.
    pub(super) count: String,
}

/// The drawing of the page.
pub(super) struct Drawing {
    layer: Element,
    /// Whether the person wants things to stay where they are.
    stillness: Option<MediaQueryList>,
    arrows: SortedMap<String, ArrowMark>,
    boxes: SortedMap<String, BoxMark>,
    packets: SortedMap<String, DrawnPacket>,
    streams: SortedMap<&'static str, Element>,
}

struct ArrowMark {
    group: Element,
    line: SvgGeometryElement,
    length: f32,
    is_lit: bool,
}

struct BoxMark {
    group: Element,
    title: Element,
    text: Element,
    figures: String,
    label: String,
}

struct DrawnPacket {
    group: Element,
    id: Element,
    /// What the attributes say: everything but the progress.
    shown: PacketMark,
}

impl Drawing {
    /// The drawing of the page with this sheet; `None` where the page has none.
    pub(super) fn of_page(sheet: &LabSheet) -> Option<Self> {
        let drawing = find(&["#", DRAWING, " svg"].concat())?;
        let _ = drawing.class_list().add_1(LIVE);
        let mut arrows = SortedMap::default();
        for arrow in &sheet.arrows {
            if let Some(mark) = ArrowMark::of_page(&arrow.id) {
                arrows.insert(arrow.id.clone(), mark);
            }
        }
        let mut boxes = SortedMap::default();
        for item in &sheet.boxes {
            if let Some(mark) = BoxMark::of_page(&item.id, &item.name) {
                boxes.insert(item.id.clone(), mark);
            }
        }
        let layer = element("g")?;
        set(&layer, "class", "lab-packets");
        let _ = drawing.append_child(&layer);
        let stillness = window().match_media("(prefers-reduced-motion: reduce)");
        Some(Self {
            layer,
            stillness: stillness.ok().flatten(),
            arrows,
            boxes,
            packets: SortedMap::default(),
            streams: SortedMap::default(),
        })
    }

    /// Shows the packets and streams of a moment. For a person who wants things to stay where they are, the
    /// arrows light up, and no packet is drawn.
    pub(super) fn show(&mut self, packets: &[PacketMark], streams: &[StreamMark]) {
        for (id, arrow) in self.arrows.iter_mut() {
            let has_packet = packets.iter().any(|packet| packet.arrow == id);
            let has_stream = streams.iter().any(|stream| stream.arrow == id);
            arrow.light(has_packet || has_stream);
        }
        let is_still = self.stillness.as_ref().is_some_and(MediaQueryList::matches);
        let drawn: &[PacketMark] = if is_still { &[] } else { packets };
        let mut focused = None;
        self.packets.retain(|key, packet| {
            let stays = drawn.iter().any(|mark| mark.key == *key);
            if !stays && packet.leave() {
                focused = Some(packet.shown.event.clone());
            }
            stays
        });
        for mark in drawn {
            self.move_packet(mark);
        }
        // A query has no event that would go on.
        if let Some(event) = focused.filter(|event: &String| !event.is_empty()) {
            self.focus_event(&event);
        }
        self.streams.retain(|arrow, element| {
            let stays = streams.iter().any(|stream| stream.arrow == *arrow);
            if !stays {
                element.remove();
            }
            stays
        });
        for mark in streams {
            self.count_stream(mark);
        }
    }

    /// Writes the figures at a box, and its name for assistive technology.
    pub(super) fn set_figures(&mut self, id: &str, figures: &str, label: &str) {
        let Some(mark) = self.boxes.get_mut(id) else {
            return;
        };
        if mark.figures != figures {
            mark.text.set_text_content(Some(figures));
            figures.clone_into(&mut mark.figures);
        }
        if mark.label != label {
            mark.title.set_text_content(Some(label));
            label.clone_into(&mut mark.label);
        }
    }

    /// Marks the box that is selected.
    pub(super) fn select_box(&self, id: Option<&str>) {
        for (of, mark) in self.boxes.iter() {
            let is_selected = Some(of.as_str()) == id;
            set(
                &mark.group,
                "aria-pressed",
                if is_selected { "true" } else { "false" },
            );
        }
    }

    /// Marks the arrows that the selected event has crossed.
    pub(super) fn select_arrows(&self, ids: &[&str]) {
        for (of, mark) in self.arrows.iter() {
            let is_selected = ids.contains(&of.as_str());
            let _ = mark
                .group
                .toggle_attribute_with_force("data-crossed", is_selected);
        }
    }

    /// Gives the focus back to an event whose packet has come to the end of its arrow: to the packet on its
    /// next one, or else to its row of the list.
    fn focus_event(&self, event: &str) {
        let next = self.packets.values().find(|packet| packet.shown.event == event);
        let row = || find(&["[data-row=\"", event, "\"]"].concat());
        let element = next.map(|packet| packet.group.clone()).or_else(row);
        if let Some(element) = element {
            // Elements of SVG take the focus as those of HTML do.
            let _ = element.unchecked_into::<HtmlElement>().focus();
        }
    }

    fn move_packet(&mut self, mark: &PacketMark) {
        let Some(arrow) = self.arrows.get(mark.arrow) else {
            return;
        };
        let Some((x, y)) = arrow.point(mark.progress) else {
            return;
        };
        let drawn = self.packets.remove(&mark.key);
        let Some(mut packet) = drawn.or_else(|| DrawnPacket::new(&self.layer, mark)) else {
            return;
        };
        packet.describe(mark);
        set(&packet.group, "transform", &translation(x, y));
        self.packets.insert(mark.key.clone(), packet);
    }

    fn count_stream(&mut self, mark: &StreamMark) {
        if let Some(element) = self.streams.get(mark.arrow) {
            if element.text_content().as_deref() != Some(mark.count.as_str()) {
                element.set_text_content(Some(&mark.count));
            }
            return;
        }
        let point = self.arrows.get(mark.arrow).and_then(|arrow| arrow.point(0.5));
        let (Some((x, y)), Some(text)) = (point, element("text")) else {
            return;
        };
        for (name, value) in [
            ("class", "lab-stream"),
            ("data-testid", "stream"),
            ("data-arrow", mark.arrow),
            ("text-anchor", "middle"),
            ("dy", COUNT_ABOVE),
        ] {
            set(&text, name, value);
        }
        set(&text, "transform", &translation(x, y));
        text.set_text_content(Some(&mark.count));
        let _ = self.layer.append_child(&text);
        self.streams.insert(mark.arrow, text);
    }
}

impl ArrowMark {
    fn of_page(id: &str) -> Option<Self> {
        let group = find(&["#arrow-", id].concat())?;
        let line = line_of(&group)?;
        let length = line.get_total_length();
        Some(Self {
            group,
            line,
            length,
            is_lit: false,
        })
    }

    /// The point at a part of the way.
    #[expect(clippy::cast_possible_truncation, reason = "a place on a screen")]
    fn point(&self, progress: f64) -> Option<(f32, f32)> {
        let way = self.length * progress.clamp(0.0, 1.0) as f32;
        let point = self.line.get_point_at_length(way).ok()?;
        Some((point.x(), point.y()))
    }

    fn light(&mut self, is_lit: bool) {
        if self.is_lit != is_lit {
            self.is_lit = is_lit;
            let _ = self.group.class_list().toggle_with_force(LIT, is_lit);
        }
    }
}

impl BoxMark {
    fn of_page(id: &str, name: &str) -> Option<Self> {
        let group = find(&["#box-", id].concat())?;
        for (attribute, value) in [("tabindex", "0"), ("role", "button"), ("aria-pressed", "false")] {
            set(&group, attribute, value);
        }
        // The name of the button: as an attribute it would have to repeat what is written on the box.
        let title = element("title")?;
        title.set_text_content(Some(name));
        let _ = group.insert_before(&title, group.first_child().as_ref());
        let text = element("text")?;
        set(&text, "text-anchor", "middle");
        // The cloud has no place for figures, because it has none.
        if let Some(place) = find(&["#figures-", id].concat()) {
            let figures = element("g")?;
            set(&figures, "class", "lab-figure");
            set(&figures, "data-box", id);
            for (attribute, kept) in [("x", "data-x"), ("y", "data-y")] {
                set(&text, attribute, &place.get_attribute(kept).unwrap_or_default());
            }
            let _ = figures.append_child(&text);
            let _ = place.append_child(&figures);
        }
        Some(Self {
            group,
            title,
            text,
            figures: String::new(),
            label: name.to_owned(),
        })
    }
}

impl DrawnPacket {
    fn new(layer: &Element, mark: &PacketMark) -> Option<Self> {
        let (group, circle, id) = (element("g")?, element("circle")?, element("text")?);
        for (name, value) in [
            ("class", "lab-packet"),
            ("data-testid", "packet"),
            ("tabindex", "0"),
            ("role", "button"),
        ] {
            set(&group, name, value);
        }
        set(&circle, "r", RADIUS);
        set(&id, "text-anchor", "middle");
        set(&id, "dy", ID_ABOVE);
        let _ = group.append_child(&circle);
        let _ = group.append_child(&id);
        let packet = Self {
            group,
            id,
            shown: mark.clone(),
        };
        packet.write();
        let _ = layer.append_child(&packet.group);
        Some(packet)
    }

    /// Follows the packet to its next arrow.
    fn describe(&mut self, mark: &PacketMark) {
        if self.shown.arrow != mark.arrow
            || self.shown.outcome != mark.outcome
            || self.shown.label != mark.label
        {
            self.shown = mark.clone();
            self.write();
        }
    }

    fn write(&self) {
        let mark = &self.shown;
        for (name, value) in [
            ("data-arrow", mark.arrow),
            ("data-event", mark.event.as_str()),
            ("data-correlation", mark.correlation.as_str()),
            ("data-outcome", mark.outcome),
            ("data-flow", mark.flow),
            ("aria-label", mark.label.as_str()),
        ] {
            set(&self.group, name, value);
        }
        self.id.set_text_content(Some(&mark.short));
    }

    /// Removes the packet. True if it had the focus.
    fn leave(&self) -> bool {
        let is_focused = document().active_element().as_ref() == Some(&self.group);
        self.group.remove();
        is_focused
    }
}

#[cfg(all(test, target_arch = "wasm32"))]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// A page with a drawing of one box and two arrows, and with a list of one event.
    fn page() -> Drawing {
        if let Some(before) = find("#lab-drawing") {
            before.remove();
        }
        let stage = document().create_element("div").unwrap();
        stage.set_id(DRAWING);
        stage.set_inner_html(
            "<svg viewBox='0 0 100 100'>\
             <g id='arrow-append' data-arrow='append'><path class='line' d='M0,10L100,10'/></g>\
             <g id='arrow-publish' data-arrow='publish'><path class='line' d='M0,50L0,90'/></g>\
             <g id='box-event_store' data-box='event_store'>\
             <g class='figures' id='figures-event_store' data-x='40' data-y='20'></g></g>\
             </svg><button data-row='e'>e</button>",
        );
        document().body().unwrap().append_child(&stage).unwrap();
        let sheet = serde_json::json!({
            "name": "pattern",
            "boxes": [{"id": "event_store", "name": "Event store", "role": ""}],
            "arrows": [
                {"id": "append", "label": "", "from": "aggregate", "to": "event_store", "flow": "event"},
                {"id": "publish", "label": "", "from": "event_store", "to": "broker", "flow": "event"},
                {"id": "missing", "label": "", "from": "event_store", "to": "broker", "flow": "event"},
            ],
        });
        Drawing::of_page(&serde_json::from_value(sheet).unwrap()).unwrap()
    }

    fn packet(arrow: &'static str, progress: f64) -> PacketMark {
        PacketMark {
            key: format!("{arrow}-1"),
            arrow,
            progress,
            event: "e".to_owned(),
            short: "abcd".to_owned(),
            correlation: "c".to_owned(),
            outcome: "done",
            flow: "event",
            label: "abcd on an arrow".to_owned(),
        }
    }

    fn packets() -> Vec<Element> {
        let all = document().get_elements_by_class_name("lab-packet");
        (0..all.length()).filter_map(|index| all.item(index)).collect()
    }

    fn attribute(element: &Element, name: &str) -> String {
        element.get_attribute(name).unwrap_or_default()
    }

    #[wasm_bindgen_test]
    fn a_packet_moves_along_its_arrow_and_goes_with_its_end() {
        let mut drawing = page();
        drawing.stillness = None;
        drawing.show(&[packet("append", 0.25)], &[]);
        let shown = packets();
        assert_eq!(shown.len(), 1);
        assert_eq!(attribute(&shown[0], "transform"), "translate(25.0 10.0)");
        assert_eq!(
            (
                attribute(&shown[0], "data-arrow"),
                attribute(&shown[0], "data-event")
            ),
            ("append".to_owned(), "e".to_owned())
        );
        assert!(find("#arrow-append.lab-lit").is_some());
        drawing.show(&[packet("append", 0.5)], &[]);
        assert_eq!(packets(), shown, "it is the same element");
        assert_eq!(attribute(&shown[0], "transform"), "translate(50.0 10.0)");
        drawing.show(&[packet("missing", 0.5)], &[]);
        assert!(packets().is_empty(), "an arrow that is not drawn carries nothing");
        assert!(find("#arrow-append.lab-lit").is_none());
    }

    #[wasm_bindgen_test]
    fn the_focus_follows_an_event_to_its_next_arrow_and_then_to_its_row() {
        let mut drawing = page();
        drawing.stillness = None;
        drawing.show(&[packet("append", 0.9)], &[]);
        let first = packets().remove(0).unchecked_into::<HtmlElement>();
        first.focus().unwrap();
        drawing.show(&[packet("publish", 0.1)], &[]);
        let focused = document().active_element().unwrap();
        assert_eq!(attribute(&focused, "data-arrow"), "publish");
        drawing.show(&[], &[]);
        let focused = document().active_element().unwrap();
        assert_eq!(attribute(&focused, "data-row"), "e");
    }

    #[wasm_bindgen_test]
    fn a_box_is_a_button_that_says_its_figures() {
        let mut drawing = page();
        drawing.set_figures("event_store", "0:12", "Event store: at 0:12");
        let group = find("#box-event_store").unwrap();
        assert_eq!(
            (attribute(&group, "role"), attribute(&group, "tabindex")),
            ("button".to_owned(), "0".to_owned())
        );
        let title = group.query_selector("title").unwrap().unwrap();
        assert_eq!(title.text_content().as_deref(), Some("Event store: at 0:12"));
        let figure = find(".lab-figure[data-box='event_store']").unwrap();
        assert_eq!(figure.text_content().as_deref(), Some("0:12"));
        drawing.select_box(Some("event_store"));
        assert_eq!(attribute(&group, "aria-pressed"), "true");
    }

    #[wasm_bindgen_test]
    fn many_packets_are_a_number_at_their_arrow() {
        let mut drawing = page();
        let stream = |count: &str| StreamMark {
            arrow: "append",
            count: count.to_owned(),
        };
        drawing.show(&[], &[stream("240/s")]);
        drawing.show(&[], &[stream("260/s")]);
        let shown = find("#lab-drawing [data-testid='stream']").unwrap();
        assert_eq!(shown.text_content().as_deref(), Some("260/s"));
        drawing.show(&[], &[]);
        assert!(find("#lab-drawing [data-testid='stream']").is_none());
    }
}
