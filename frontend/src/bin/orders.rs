//! The program `orders`: brings the pages of what somebody has ordered and was told to life, and nothing else.

// As in `app`: the layout of a view is a type as deep as the view.
#![recursion_limit = "256"]

fn main() {
    console_error_panic_hook::set_once();
    app::hydrate_orders();
}
