//! The dials in the hands of the class: an educator hands a dial to one person, who may then turn it on the
//! page of the dials, and takes it back, which puts it to rest.

use domain::view::NAMES;
use leptos::prelude::*;

use super::{
    act_button, select,
    session::{ClassSession, Deed},
};
use crate::{
    components::{dial_name, only_if},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    lab::{
        class::{list_of, text_of},
        dials::{BOXES, PROJECTIONS, whole_dials},
    },
    language::language,
    text,
};

/// The dials.
pub(super) fn dials(session: ClassSession) -> View {
    let language = language();
    let handed = Memo::new(move |_| session.state.with(handed_out));
    let rows = move || {
        let rows = handed.get().into_iter();
        rows.map(|(dial, name)| row(session, dial, &name))
            .collect::<Vec<View>>()
    };
    let nothing = move || view! { <p class="muted">{text::lab_class::none_handed(language)}</p> }.erase();
    let is_empty = move || handed.with(Vec::is_empty);
    view! {
        <section class="panel" aria-labelledby="class-dials">
            <h2 id="class-dials">{text::lab_class::dials(language)}</h2>
            <p class="muted">{text::lab_class::dials_lead(language)}</p>
            {only_if(is_empty, nothing)}
            <ul class="lab-class__handed" data-testid="handed">{rows}</ul>
            {form(session)}
            <p><a href="/lab/dials">{text::dials::to_dials(language)}</a></p>
        </section>
    }
    .erase()
}

/// The dials that are handed out as the pages show them, each with the name of the person.
fn handed_out(state: &serde_json::Value) -> Vec<(String, String)> {
    let mut handed: Vec<(String, String)> = Vec::new();
    for entry in list_of(state, "handed") {
        let name = entry.get("to").map(|to| text_of(to, "name")).unwrap_or_default();
        for dial in whole_dials(vec![text_of(entry, "dial").to_owned()]) {
            if handed.iter().all(|(known, _)| *known != dial) {
                handed.push((dial, name.to_owned()));
            }
        }
    }
    handed
}

fn row(session: ClassSession, dial: String, name: &str) -> View {
    let language = language();
    let words = text::layout::pair(language, dial_name(&dial), name);
    let shown = dial.clone();
    view! {
        <li data-dial=shown>
            <span>{words}</span>
            " "
            {act_button(session, text::lab_class::take_back(language), move || {
                Some(Deed::TakeBack(dial.clone()))
            })}
        </li>
    }
    .erase()
}

/// The form that hands a dial to a person.
fn form(session: ClassSession) -> View {
    let language = language();
    let dial = RwSignal::new("broker.delay_ms".to_owned());
    let person = RwSignal::new(String::new());
    let dials = move || {
        let dials = all_dials().into_iter();
        dials
            .map(|dial| (dial.clone(), dial_name(&dial)))
            .collect::<Vec<_>>()
    };
    let choose = text::lab_class::choose_person(language);
    let people = move || {
        let mut people = vec![(String::new(), choose.to_owned())];
        for member in session.roster() {
            // Customers of the template have no role here, and no device.
            if ["student", "customer", "staff"].contains(&text_of(&member, "role")) {
                people.push((
                    text_of(&member, "person").to_owned(),
                    text_of(&member, "name").to_owned(),
                ));
            }
        }
        people
    };
    let hand = move || {
        let (dial, person) = (dial.get_untracked(), person.get_untracked());
        (!person.is_empty()).then_some(Deed::Hand { dial, person })
    };
    view! {
        <div class="lab-class__row needs-script">
            {select("class-dial", text::lab_class::dial(language), dial, dials)}
            {select("class-person", text::lab_class::person(language), person, people)}
            {act_button(session, text::lab_class::hand_out(language), hand)}
        </div>
    }
    .erase()
}

/// The paths of all dials, as the pages show them.
fn all_dials() -> Vec<String> {
    let mut dials = Vec::new();
    for of in &BOXES {
        let views: &[&str] = if of.id == PROJECTIONS { &NAMES } else { &[] };
        for (dial, _) in of.dials {
            if of.id != PROJECTIONS {
                dials.push([of.id, ".", dial].concat());
            }
            dials.extend(views.iter().map(|view| [of.id, ".", view, ".", dial].concat()));
        }
    }
    dials
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn every_dial_of_a_box_and_of_each_view_can_be_handed_out() {
        let dials = all_dials();
        for dial in [
            "broker.delay_ms",
            "projections.orders.paused",
            "guarantees.gap_detection",
        ] {
            assert!(dials.iter().any(|known| known == dial), "{dial}");
        }
        assert!(!dials.iter().any(|known| known == "projections.paused"));
    }

    #[test]
    fn the_three_numbers_of_a_frequency_are_handed_out_as_one_dial() {
        let entry = |dial: &str| json!({"dial": dial, "to": {"id": "1", "name": "Eve"}});
        let names = ["mail.fail_next", "mail.fail_every", "cache.off"];
        let state = json!({"handed": names.map(entry)});
        let handed = handed_out(&state);
        let of = |dial: &str| (dial.to_owned(), "Eve".to_owned());
        assert_eq!(handed, [of("mail.fail"), of("cache.off")]);
    }
}
