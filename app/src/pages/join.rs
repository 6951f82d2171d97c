//! The page that joins a workspace by its code, also for shared links that carry the code. The form is plain
//! and needs no script.

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use super::form_problem::{field_error, message};
use crate::{
    components::{Field, ProblemSummary, WindowTitle},
    erase::Erase,
    language::language,
    text,
};

/// The maximum length of a display name.
pub(super) const MAX_NAME: u16 = 40;

/// `/join` and `/join/{code}`: the form, with the code filled in; a refused form comes back to `/join`.
#[component]
pub(crate) fn JoinPage() -> impl IntoView {
    let language = language();
    let query = use_query_map();
    let code = use_params_map()
        .with_untracked(|params| params.get("code"))
        .or_else(|| query.with_untracked(|query| query.get("code")))
        .unwrap_or_default();
    let code_error = field_error("unknown-code", text::join::unknown_code(language));
    let name_error = field_error("display-name", text::join::display_name_wrong(language));
    view! {
        <WindowTitle text=text::join::title(language) />
        <section class="panel panel--narrow">
            <h1>{text::join::title(language)}</h1>
            <p>{text::join::lead(language)}</p>
            <ProblemSummary message=message() />
            <form method="post" action="/session/join" class="form">
                <Field
                    id="join-code"
                    name="code"
                    label=text::join::code(language)
                    help=text::join::code_help(language)
                    error=code_error
                    value=code
                    required=true
                    max=32
                />
                <Field
                    id="join-name"
                    name="display_name"
                    label=text::join::display_name(language)
                    help=text::join::display_name_help(language)
                    error=name_error
                    required=true
                    max=MAX_NAME
                    autocomplete="nickname"
                />
                <button class="button button--primary">{text::join::action(language)}</button>
            </form>
        </section>
    }
    .erase()
}
