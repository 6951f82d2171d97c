//! The summary of a submitted form: at the top, focused when the page has loaded, with a link to each invalid
//! field. It works without scripts.

use leptos::prelude::*;

use super::{Icon, Picture};
use crate::{Flash, erase::Erase, language::language, text};

/// A field of a form, for its summary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormField {
    /// The field's name in the form.
    pub(crate) name: &'static str,
    /// The id of its input.
    pub(crate) id: &'static str,
}

/// The message for a field's problem.
pub(crate) fn field_problem(flash: Option<&Flash>, field: &str) -> Option<&'static str> {
    let language = language();
    Some(match Flash::problem(flash, field)? {
        "taken" => text::account::email_taken(language),
        "email" => text::account::email_wrong(language),
        "display_name" => text::account::display_name_wrong(language),
        "password" | "new" => text::account::password_wrong(language),
        "current" => text::account::current_wrong(language),
        "token" => text::account::link_invalid(language),
        "confirm" => text::account::confirm_wrong(language),
        "unknown-code" => text::join::unknown_code(language),
        "wrong" => text::account::wrong(language),
        "already" => text::account::already(language),
        "erased" => text::account::erased_already(language),
        "rate-limited" => text::problem::too_many(language),
        "unavailable" => text::account::unavailable(language),
        _ => text::account::invalid(language),
    })
}

/// The summary; empty unless the form was submitted.
#[component]
pub(crate) fn FormSummary(
    flash: Option<Flash>,
    fields: &'static [FormField],
    done: &'static str,
) -> impl IntoView {
    let language = language();
    flash.map(|flash| {
        if flash.problems.is_empty() {
            return view! {
                <div class="notice" role="status" tabindex="-1" autofocus>
                    <Icon picture=Picture::Live />
                    <p>{done}</p>
                </div>
            }
            .erase();
        }
        let link = |field: &FormField| {
            let message = field_problem(Some(&flash), field.name)?;
            let href = format!("#{}", field.id);
            Some(view! { <li><a href=href>{message}</a></li> })
        };
        let links: Vec<_> = fields.iter().filter_map(link).collect();
        let is_about_a_field = |named: &String| fields.iter().any(|field| field.name == named.as_str());
        let rest: Vec<_> = flash
            .problems
            .keys()
            .filter(|named| !is_about_a_field(named))
            .filter_map(|named| field_problem(Some(&flash), named))
            .map(|message| view! { <li>{message}</li> })
            .collect();
        view! {
            <div class="notice notice--danger" role="alert" tabindex="-1" autofocus>
                <Icon picture=Picture::Alert />
                <div>
                    <h2>{text::problem::refused(language)}</h2>
                    <ul class="notice__list">{rest}{links}</ul>
                </div>
            </div>
        }
        .erase()
    })
}
