//! The domain in a browser: the same rules, compiled to WebAssembly. `cargo xtask test wasm` runs this on a
//! page.

#![cfg(target_arch = "wasm32")]

use domain::{
    aggregate::inventory::{InventoryEvent, StockReservationFailed},
    event::DomainEvent,
    money::Money,
};
use serde_json::value::RawValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// `usize` has 32 bits there; amounts of money have 64 on both sides.
#[wasm_bindgen_test]
fn amounts_beyond_32_bits_are_exact() {
    let price = Money::new(i64::from(u32::MAX), "EUR");
    assert_eq!(price.times(3), Some(Money::new(12_884_901_885, "EUR")));
    assert_eq!(Money::new(i64::MAX, "EUR").times(2), None);
}

/// Old events are folded in the browser as on the server.
#[wasm_bindgen_test]
fn an_event_of_an_older_version_is_read() {
    let payload = RawValue::from_string(r#"{"order":"1","quantity":3,"available":2}"#.to_owned());
    let read = DomainEvent::decode("StockReservationFailed", 1, &payload.unwrap());
    let expected = StockReservationFailed {
        order: "1".to_owned(),
        requested: 3,
        available: 2,
    };
    assert_eq!(
        read.unwrap(),
        DomainEvent::Inventory(InventoryEvent::from(expected))
    );
}
