//! The interface in a browser, without a server. `cargo xtask test wasm` runs this on a page.

#![cfg(target_arch = "wasm32")]

use leptos::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn a_view_follows_its_signal() {
    let (count, set_count) = signal(1);
    mount_to_body(move || view! { <output id="count">{count}</output> });
    let output = document().get_element_by_id("count").unwrap();
    assert_eq!(output.text_content().as_deref(), Some("1"));
    set_count.set(2);
    leptos::task::tick().await;
    assert_eq!(output.text_content().as_deref(), Some("2"));
}
