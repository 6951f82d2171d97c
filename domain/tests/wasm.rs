//! The domain in a browser: the same rules, compiled to WebAssembly. `cargo xtask test wasm` runs this on a page.

#![cfg(target_arch = "wasm32")]

use domain::money::Money;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// `usize` has 32 bits there; amounts of money have 64 on both sides.
#[wasm_bindgen_test]
fn amounts_beyond_32_bits_are_exact() {
    let price = Money::new(i64::from(u32::MAX), "EUR");
    assert_eq!(price.times(3), Some(Money::new(12_884_901_885, "EUR")));
    assert_eq!(Money::new(i64::MAX, "EUR").times(2), None);
}
