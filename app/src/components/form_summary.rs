//! The summary of a form that the server has refused or carried out: at the top, focused when the page has loaded, with a
//! link to each field that is wrong. It works without a script.

use leptos::prelude::*;

use super::{Icon, Picture};
use crate::{FormNotes, erase::Erase, language::language, translations::i18n::td_string};

/// A field of a form, as its summary names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormField {
    /// Its name in the form.
    pub(crate) name: &'static str,
    /// Its id on the page.
    pub(crate) id: &'static str,
}

/// What a code says about a field, in words.
pub(crate) fn field_problem(notes: Option<&FormNotes>, field: &str) -> Option<&'static str> {
    let locale = language();
    Some(match FormNotes::problem(notes, field)? {
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

/// The summary; nothing where nothing was sent.
#[component]
pub(crate) fn FormSummary(
    notes: Option<FormNotes>,
    fields: &'static [FormField],
    done: &'static str,
) -> impl IntoView {
    let locale = language();
    notes.map(|notes| {
        if notes.problems.is_empty() {
            return view! {
                <div class="notice" role="status" tabindex="-1" autofocus>
                    <Icon picture=Picture::Live />
                    <p>{done}</p>
                </div>
            }
            .erase();
        }
        let known = |field: &FormField| {
            let said = field_problem(Some(&notes), field.name)?;
            let href = format!("#{}", field.id);
            Some(view! { <li><a href=href>{said}</a></li> })
        };
        let links: Vec<_> = fields.iter().filter_map(known).collect();
        let is_about_a_field = |named: &String| fields.iter().any(|field| field.name == named.as_str());
        let rest: Vec<_> = notes
            .problems
            .keys()
            .filter(|named| !is_about_a_field(named))
            .filter_map(|named| field_problem(Some(&notes), named))
            .map(|said| view! { <li>{said}</li> })
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
