//! The problem with which the server sends a form of a visitor back to its page: a code in the query, worded
//! here.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{language::language, text};

/// The message about a form that came back, if one did.
pub(super) fn message() -> Signal<Option<String>> {
    let language = language();
    let query = use_query_map();
    Signal::derive(move || {
        query.with(|query| {
            let text = match query.get_str("problem")? {
                "unknown-code" => text::join::unknown_code(language),
                "full" => text::join::full(language),
                "display-name" => text::join::display_name_wrong(language),
                "rate-limited" => text::problem::too_many(language),
                _ => text::join::invalid(language),
            };
            Some(text.to_owned())
        })
    })
}

/// The message beside a field, if the form came back with this problem.
pub(super) fn field_error(problem: &'static str, text: &'static str) -> Signal<Option<&'static str>> {
    let query = use_query_map();
    Signal::derive(move || query.with(|query| (query.get_str("problem") == Some(problem)).then_some(text)))
}
