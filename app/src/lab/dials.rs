//! The dials of a workspace as the interface shows them: each with its kind and its value. The document of
//! the dials stays JSON here, because every page reads what is bent, and most of them nothing else of it; the
//! server checks what it is sent.

use domain::{event::personal::ERASED, wire::HandlerKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a dial is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialKind {
    /// On or off; at rest it is off.
    Switch,
    /// A number of milliseconds; at rest it is 0.
    Milliseconds,
    /// A number of milliseconds; at rest there is none.
    OptionalMilliseconds,
    /// How often a fault happens: three numbers, whose names begin with that of the dial.
    Frequency,
    /// Of so many events one is struck; at rest it is 0.
    OneOf,
    /// What the payment provider answers.
    Mode,
    /// A type of event; at rest there is none.
    EventType,
    /// Held or taken away; at rest it is held.
    Guarantee,
}

/// The dials of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialBox {
    /// The first part of their paths, and the anchor of the box on the page of the dials.
    pub id: &'static str,
    /// The last part of each path, with its kind.
    pub dials: &'static [(&'static str, DialKind)],
}

/// The box of the event handlers: its dials are there for each view, process manager and consumer, as in
/// `projections.orders.paused`.
pub const PROJECTIONS: &str = "projections";

/// The box of the guarantees.
pub const GUARANTEES: &str = "guarantees";

/// The box of the clock.
pub const CLOCK: &str = "clock";

/// The numbers of a frequency: the ends of their names.
pub const FREQUENCY: [&str; 3] = ["next", "every", "percent"];

/// The frequencies: the last parts of their paths, without the ends.
const FREQUENCIES: [&str; 4] = ["duplicate", "lose_acknowledgement", "fail", "lose_frame"];

/// All dials, in the order of the page.
pub static BOXES: [DialBox; 8] = {
    use DialKind::{
        EventType, Frequency, Guarantee, Milliseconds, Mode, OneOf, OptionalMilliseconds, Switch,
    };
    [
        DialBox {
            id: "broker",
            dials: &[
                ("paused", Switch),
                ("delay_ms", Milliseconds),
                ("jitter_ms", Milliseconds),
                ("duplicate", Frequency),
                ("reorder_within", OneOf),
                ("lose_acknowledgement", Frequency),
            ],
        },
        DialBox {
            id: PROJECTIONS,
            dials: &[
                ("paused", Switch),
                ("slow_ms", Milliseconds),
                ("fail", Frequency),
                ("poison_type", EventType),
            ],
        },
        DialBox {
            id: "cache",
            dials: &[
                ("off", Switch),
                ("ttl_ms", OptionalMilliseconds),
                ("skip_invalidation", Switch),
            ],
        },
        DialBox {
            id: "payment",
            dials: &[("mode", Mode), ("delay_ms", Milliseconds), ("fail", Frequency)],
        },
        DialBox {
            id: "mail",
            dials: &[("away", Switch), ("fail", Frequency)],
        },
        DialBox {
            id: "live",
            dials: &[
                ("cut", Switch),
                ("delay_ms", Milliseconds),
                ("lose_frame", Frequency),
            ],
        },
        DialBox {
            id: CLOCK,
            dials: &[("frozen", Switch)],
        },
        DialBox {
            id: GUARANTEES,
            dials: &[
                ("optimistic_concurrency", Guarantee),
                ("duplicate_detection", Guarantee),
                ("gap_detection", Guarantee),
                ("idempotency_keys", Guarantee),
                ("no_effects_on_replay", Guarantee),
                ("publish_after_commit", Guarantee),
            ],
        },
    ]
};

/// The box of dials that bend a box of the drawing, on either sheet.
pub fn box_of_drawing(id: &str) -> Option<&'static str> {
    Some(match id {
        "message_broker" | "event_bus" => "broker",
        "projection_worker"
        | "read_model"
        | "read_model_database"
        | "analytics_consumer"
        | "inventory_consumer"
        | "search_indexer" => PROJECTIONS,
        "cache" => "cache",
        "payment_service" => "payment",
        "notification_consumer" | "email_push" => "mail",
        "web_client" | "api_gateway" => "live",
        "command_service" | "aggregate" | "event_store" | "write_model" => GUARANTEES,
        "monitoring" => "lights",
        _ => return None,
    })
}

/// A dial that is bent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BentValue {
    /// Its path.
    pub dial: String,
    /// The name of the person who bent it; empty if it is not known any more.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// What is bent, from the answer of `GET /api/v1/lab/dials/bent`; a frequency is one dial.
pub fn bent(answer: &Value) -> Vec<BentValue> {
    let bent = answer.get("bent").and_then(Value::as_array);
    let (Some(bent), Some(dials)) = (bent, answer.get("dials")) else {
        return Vec::new();
    };
    let mut values = Vec::new();
    for entry in bent {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let dial = frequency_of(text("dial")).unwrap_or(text("dial")).to_owned();
        if values.iter().any(|known: &BentValue| known.dial == dial) {
            continue;
        }
        // The name of an erased person is not theirs any more.
        let name = Some(text("name")).filter(|name| *name != ERASED);
        values.push(BentValue {
            value: value_at(dials, &dial).unwrap_or_default(),
            name: name.unwrap_or_default().to_owned(),
            dial,
        });
    }
    values
}

/// What differs between two lists of bent dials: as it is now, and what is at rest again with the value null.
pub fn changes(before: &[BentValue], now: &[BentValue]) -> Vec<BentValue> {
    let is_same = |one: &BentValue, other: &BentValue| one.dial == other.dial && one.value == other.value;
    let mut changes: Vec<BentValue> = now
        .iter()
        .filter(|bent| !before.iter().any(|other| is_same(bent, other)))
        .cloned()
        .collect();
    let rested = before
        .iter()
        .filter(|bent| !now.iter().any(|other| other.dial == bent.dial));
    changes.extend(rested.map(|bent| BentValue {
        dial: bent.dial.clone(),
        name: String::new(),
        value: Value::Null,
    }));
    changes
}

/// The views that have dials: those that every workspace has, and then those of one's own. An answer names
/// the bent ones, also one that was defined after `own` was read.
pub fn views_of(answer: &Value, everywhere: &[&str], own: &[String]) -> Vec<String> {
    let mut views: Vec<String> = everywhere.iter().map(|view| (*view).to_owned()).collect();
    views.extend_from_slice(own);
    let named = answer.get("dials").and_then(|dials| dials.get(PROJECTIONS));
    for view in named.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        let is_view = HandlerKind::of(view).is_none_or(|kind| kind == HandlerKind::View);
        if is_view && !views.contains(view) {
            views.push(view.clone());
        }
    }
    views
}

/// The version of an answer.
pub fn version(answer: &Value) -> u64 {
    answer.get("version").and_then(Value::as_u64).unwrap_or_default()
}

/// The path of the frequency that a number is of, if it is of one.
fn frequency_of(dial: &str) -> Option<&str> {
    let (path, end) = dial.rsplit_once('_')?;
    (FREQUENCY.contains(&end) && is_frequency(path)).then_some(path)
}

/// Whether the dial with this path is a frequency.
pub fn is_frequency(path: &str) -> bool {
    path.rsplit('.')
        .next()
        .is_some_and(|last| FREQUENCIES.contains(&last))
}

/// The dials of these names in the API, as the pages show them: a frequency is one dial.
pub fn whole_dials(names: Vec<String>) -> Vec<String> {
    let mut dials: Vec<String> = Vec::new();
    for name in names {
        let dial = frequency_of(&name).map(str::to_owned).unwrap_or(name);
        if !dials.contains(&dial) {
            dials.push(dial);
        }
    }
    dials
}

/// The names in the API of a dial as the pages show it: those of the three numbers of a frequency.
pub fn names_in_api(dial: &str) -> Vec<String> {
    if is_frequency(dial) {
        FREQUENCY.map(|end| [dial, "_", end].concat()).into()
    } else {
        vec![dial.to_owned()]
    }
}

/// The value of a dial, by its path; `None` where the document does not have it, so that it is at rest. A
/// frequency is an object of its numbers.
pub fn value_at(dials: &Value, path: &str) -> Option<Value> {
    let member = |path: &str| {
        let mut parts = path.split('.');
        parts.try_fold(dials, |value, member| value.get(member)).cloned()
    };
    if !is_frequency(path) {
        return member(path);
    }
    let numbers = FREQUENCY.into_iter().filter_map(|end| {
        let number = member(&[path, "_", end].concat())?;
        Some((end.to_owned(), number))
    });
    let numbers: Map<String, Value> = numbers.collect();
    (!numbers.is_empty()).then_some(Value::Object(numbers))
}

/// The dials with another value at a path; null takes the member away, so that it is at rest.
pub fn changed(dials: &Value, path: &str, value: Value) -> Value {
    let mut dials = dials.clone();
    if is_frequency(path) {
        for end in FREQUENCY {
            let number = value.get(end).cloned().unwrap_or_default();
            set(&mut dials, &[path, "_", end].concat(), number);
        }
    } else {
        set(&mut dials, path, value);
    }
    dials
}

fn set(place: &mut Value, path: &str, value: Value) {
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    let Some(members) = place.as_object_mut() else {
        return;
    };
    match path.split_once('.') {
        Some((member, rest)) => set(members.entry(member).or_insert(Value::Null), rest, value),
        None if value.is_null() => {
            members.remove(path);
        }
        None => {
            members.insert(path.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        timestamp::Timestamp,
        wire::{BentDial, Dials, DialsAnswer},
    };
    use serde_json::json;
    use uuid::Uuid;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A value of each kind that is not at rest.
    fn bent_value(kind: DialKind) -> Value {
        match kind {
            DialKind::Switch => json!(true),
            DialKind::Milliseconds | DialKind::OptionalMilliseconds => json!(250),
            DialKind::Frequency => json!({"next": 3, "every": 4, "percent": 5}),
            DialKind::OneOf => json!(3),
            DialKind::Mode => json!("silent"),
            DialKind::EventType => json!("OrderCreated"),
            DialKind::Guarantee => json!(false),
        }
    }

    /// The path of a dial; of a handler's, that of the view `orders`.
    fn path(of: &DialBox, dial: &str) -> String {
        if of.id == PROJECTIONS {
            format!("{}.orders.{dial}", of.id)
        } else {
            format!("{}.{dial}", of.id)
        }
    }

    fn all() -> Vec<(String, DialKind)> {
        let of_box = |of: DialBox| {
            let dials = of.dials.iter();
            dials.map(move |(dial, kind)| (path(&of, dial), *kind))
        };
        BOXES.into_iter().flat_map(of_box).collect()
    }

    #[test]
    fn views_of_ones_own_have_dials_after_those_that_every_workspace_has() {
        let answer = json!({"dials": {"projections": {"orders": {}, "later": {}, "spent": {}}}});
        let own = ["spent".to_owned(), "visits".to_owned()];
        assert_eq!(
            views_of(&answer, &["sales", "orders"], &own),
            ["sales", "orders", "spent", "visits", "later"]
        );
        assert_eq!(views_of(&json!({}), &["sales"], &[]), ["sales"]);
    }

    #[test]
    fn every_dial_of_the_document_is_on_the_page_and_no_other() {
        let mut dials = json!({});
        for (path, kind) in all() {
            dials = changed(&dials, &path, bent_value(kind));
        }
        // The document refuses a member that it does not know.
        let bent: Dials = serde_json::from_value(dials).unwrap();
        let numbers = |(path, kind): (String, DialKind)| match kind {
            DialKind::Frequency => FREQUENCY.map(|end| format!("{path}_{end}")).to_vec(),
            _ => vec![path],
        };
        let mut expected: Vec<String> = all().into_iter().flat_map(numbers).collect();
        let mut found = bent.bent();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_dial_that_is_taken_away_is_at_rest() {
        let rest = serde_json::to_value(Dials::default()).unwrap();
        for (path, kind) in all() {
            let bent = changed(&rest, &path, bent_value(kind));
            assert_eq!(value_at(&bent, &path), Some(bent_value(kind)), "{path}");
            let again = changed(&bent, &path, Value::Null);
            assert_eq!(value_at(&again, &path), None, "{path}");
            let again: Dials = serde_json::from_value(again).unwrap();
            assert!(again.are_at_rest(), "{path}");
        }
    }

    #[test]
    fn what_is_bent_is_told_with_its_value_and_the_person() {
        let mut answer = DialsAnswer {
            version: 4,
            ..DialsAnswer::default()
        };
        answer.dials.broker.delay_ms = 2_000;
        answer.bent = vec![BentDial {
            dial: "broker.delay_ms".to_owned(),
            by: Uuid::from_u128(1),
            name: "Ada".to_owned(),
            at: Timestamp::from_micros(0),
        }];
        let answer = serde_json::to_value(&answer).unwrap();
        assert_eq!(version(&answer), 4);
        let told = bent(&answer);
        let delay = |ms: u32| BentValue {
            dial: "broker.delay_ms".to_owned(),
            name: "Ada".to_owned(),
            value: json!(ms),
        };
        assert_eq!(told, [delay(2_000)]);
        // A frequency is told once, with all of its numbers.
        let entry = |dial: &str| json!({"dial": dial, "name": "Ada"});
        let often = json!({
            "dials": {"mail": {"fail_next": 2, "fail_every": 0, "fail_percent": 7}},
            "bent": [entry("mail.fail_next"), entry("mail.fail_percent")],
        });
        let often = bent(&often);
        let numbers = json!({"next": 2, "every": 0, "percent": 7});
        assert_eq!(
            (often.len(), &often[0].dial[..], &often[0].value),
            (1, "mail.fail", &numbers)
        );
        assert!(bent(&json!({})).is_empty());
    }

    #[test]
    fn a_frequency_is_one_dial_of_the_pages_and_three_of_the_api() {
        let names = names_in_api("broker.duplicate");
        assert_eq!(names[0], "broker.duplicate_next");
        assert_eq!(names.len(), 3);
        let all = [names, names_in_api("cache.off")].concat();
        assert_eq!(whole_dials(all), ["broker.duplicate", "cache.off"]);
        assert!(whole_dials(Vec::new()).is_empty());
    }

    #[test]
    fn what_another_person_has_changed_is_what_differs() {
        let bent = |dial: &str, value: Value| BentValue {
            dial: dial.to_owned(),
            name: "Ada".to_owned(),
            value,
        };
        let before = [bent("cache.off", json!(true)), bent("mail.away", json!(true))];
        let now = [bent("broker.delay_ms", json!(5)), bent("mail.away", json!(true))];
        let rested = BentValue {
            dial: "cache.off".to_owned(),
            name: String::new(),
            value: Value::Null,
        };
        assert_eq!(
            changes(&before, &now),
            [bent("broker.delay_ms", json!(5)), rested]
        );
        assert!(changes(&now, &now).is_empty());
    }

    #[test]
    fn a_box_of_the_drawing_leads_to_a_box_of_the_page() {
        for id in [
            "message_broker",
            "projection_worker",
            "cache",
            "payment_service",
            "email_push",
        ] {
            let section = box_of_drawing(id).unwrap();
            assert!(BOXES.iter().any(|of| of.id == section), "{id}");
        }
        assert_eq!(box_of_drawing("monitoring"), Some("lights"));
        assert_eq!(box_of_drawing("order_service"), None);
    }
}
