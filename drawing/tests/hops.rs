//! The arrows that hops cross are those that are drawn: every one of a layout, and no other.

use std::collections::BTreeSet;

use domain::wire::hops::{Arrow, BUSINESS_SHEET, PATTERN_SHEET};
use serde_json::Value;

const LAYOUTS: [(&str, &str); 4] = [
    (PATTERN_SHEET, include_str!("../layouts/pattern.wide.json")),
    (PATTERN_SHEET, include_str!("../layouts/pattern.tall.json")),
    (BUSINESS_SHEET, include_str!("../layouts/business.wide.json")),
    (BUSINESS_SHEET, include_str!("../layouts/business.tall.json")),
];

#[test]
fn every_drawn_arrow_can_be_crossed_and_every_arrow_that_can_be_crossed_is_drawn() {
    for (sheet, layout) in LAYOUTS {
        let layout: Value = serde_json::from_str(layout).unwrap();
        let drawn: BTreeSet<&str> = layout["arrows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arrow| arrow["id"].as_str().unwrap())
            .collect();
        let crossed: BTreeSet<&str> = Arrow::ALL
            .into_iter()
            .filter_map(|arrow| arrow.drawing_id(sheet))
            .collect();
        assert_eq!(crossed, drawn, "{sheet}");
    }
}
