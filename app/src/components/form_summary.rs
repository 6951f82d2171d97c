//! The summary of a submitted form: at the top, focused when the page has loaded, with a link to each invalid
//! field. It works without scripts.

use leptos::prelude::*;

use super::{Icon, Picture};
use crate::{Flash, erase::Erase, language::language, translations::i18n::td_string};

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
    let locale = language();
    Some(match Flash::problem(flash, field)? {
        "taken" => td_string!(locale, account.email_taken),
        "email" => td_string!(locale, account.email_wrong),
        "display_name" => td_string!(locale, account.display_name_wrong),
        "password" | "new" => td_string!(locale, account.password_wrong),
        "current" => td_string!(locale, account.current_wrong),
        "confirm" => td_string!(locale, account.confirm_wrong),
        "unknown-code" => td_string!(locale, join.unknown_code),
        "workspace" => td_string!(locale, account.several),
        "wrong" => td_string!(locale, account.wrong),
        "already" => td_string!(locale, account.already),
        "erased" => td_string!(locale, account.erased_already),
        "rate-limited" => td_string!(locale, problem.too_many),
        "unavailable" => td_string!(locale, account.unavailable),
        _ => td_string!(locale, account.invalid),
    })
}

/// The summary; empty unless the form was submitted.
#[component]
pub(crate) fn FormSummary(
    flash: Option<Flash>,
    fields: &'static [FormField],
    done: &'static str,
) -> impl IntoView {
    let locale = language();
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
                    <h2>{td_string!(locale, problem.refused)}</h2>
                    <ul class="notice__list">{rest}{links}</ul>
                </div>
            </div>
        }
        .erase()
    })
}
