//! The WebAssembly entry point: brings the islands of the page that the server rendered to life, and nothing else.

// As in `app`: the layout of a view is a type as deep as the view.
#![recursion_limit = "256"]

use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the page's own script once the module is loaded.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    app::hydrate();
}
