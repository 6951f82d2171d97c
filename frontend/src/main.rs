//! The entry point of the shop's bundle: hydrates the islands of a workspace's page, except those of the lab.

// As in `app`: the layout of a view is a type as deep as the view.
#![recursion_limit = "256"]

fn main() {
    console_error_panic_hook::set_once();
    app::hydrate_workspace();
}
