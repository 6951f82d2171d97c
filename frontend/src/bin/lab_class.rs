//! The entry point of the bundle of an educator's pages of the class: renders their islands.

// As in `app`: the layout of a view is a type as deep as the view.
#![recursion_limit = "256"]

fn main() {
    console_error_panic_hook::set_once();
    app::hydrate_lab_class();
}
