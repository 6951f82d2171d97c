//! The drawing of the page at the shown moment: the newest event as a packet on its arrow, the arrows that it
//! crosses, and the boxes at their ends. The drawing is no part of the island, and nothing here is reactive
//! but the effect.

use super::player::Player;
use crate::{
    erased_effects::effect,
    islands::lab::{
        DRAWING,
        svg_marks::{all, element, find, place_on, set},
    },
    lab::recording::Crossing,
};

/// The classes of a packet; by the second one it is found again.
const PACKET: &str = "lab-packet run-packet";

/// The radius of a packet, in units of the drawing.
const RADIUS: &str = "8";

/// How far above its arrow the short id stands.
const ID_ABOVE: &str = "-12";

/// Shows the moment of a player, while the page is open.
pub(super) fn follow(player: Player) {
    effect(move || show(&player.crossing()));
}

fn show(crossing: &Crossing) {
    clear();
    for arrow in &crossing.arrows {
        let Some(group) = find(&["#arrow-", *arrow].concat()) else {
            continue;
        };
        set(&group, "data-crossed", "");
        for end in ["data-from", "data-to"] {
            let id = group.get_attribute(end).unwrap_or_default();
            if let Some(item) = find(&["#box-", &id].concat()) {
                set(&item, "data-lit", "");
            }
        }
    }
    for (arrow, progress) in &crossing.places {
        // An arrow that this sheet does not have is in the table of events.
        let _ = draw_packet(arrow, *progress, &crossing.short_id);
    }
}

/// Takes away what was drawn for the moment before.
fn clear() {
    let of_drawing = |selector: &str| all(&["#", DRAWING, " ", selector].concat());
    for packet in of_drawing(".run-packet") {
        packet.remove();
    }
    for name in ["data-crossed", "data-lit"] {
        for marked in of_drawing(&["[", name, "]"].concat()) {
            let _ = marked.remove_attribute(name);
        }
    }
    for lit in of_drawing(".lab-lit") {
        let _ = lit.class_list().remove_1("lab-lit");
    }
}

/// Draws the event with its short id on an arrow.
fn draw_packet(arrow: &str, progress: f64, short_id: &str) -> Option<()> {
    let group = find(&["#arrow-", arrow].concat())?;
    let at = place_on(&group, progress)?;
    let drawing = find(&["#", DRAWING, " svg"].concat())?;
    let _ = group.class_list().add_1("lab-lit");
    let (packet, circle, text) = (element("g")?, element("circle")?, element("text")?);
    for (name, value) in [
        ("class", PACKET),
        ("transform", at.as_str()),
        ("data-testid", "run-packet"),
        ("data-arrow", arrow),
    ] {
        set(&packet, name, value);
    }
    set(&circle, "r", RADIUS);
    set(&text, "text-anchor", "middle");
    set(&text, "dy", ID_ABOVE);
    text.set_text_content(Some(short_id));
    let _ = packet.append_child(&circle);
    let _ = packet.append_child(&text);
    let _ = drawing.append_child(&packet);
    Some(())
}
