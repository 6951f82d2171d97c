//! The entry point of the module that folds events to documents for the pages of the lab. It has no islands:
//! a page of the lab loads it beside its own bundle when it first wants a document.

fn main() {
    console_error_panic_hook::set_once();
    app::answer_folds();
}
