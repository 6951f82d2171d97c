//! The page that joins a workspace by its code, also for shared links that carry the code. The form is plain
//! and needs no script.

use domain::language::Language;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    components::{Field, ProblemSummary, WindowTitle},
    erase::Erase,
    language::language,
    text,
};

/// The maximum length of a display name.
pub(super) const MAX_NAME: u16 = 40;

/// The message for the code of a problem with which the server sends a form back.
pub(super) fn problem_text(language: Language, problem: &str) -> &'static str {
    match problem {
        "unknown-code" => text::join::unknown_code(language),
        "full" => text::join::full(language),
        "display-name" => text::join::display_name_wrong(language),
        "rate-limited" => text::problem::too_many(language),
        _ => text::join::invalid(language),
    }
}

/// `/join` and `/join/{code}`: the form, with the code filled in; a refused form comes back to `/join`.
#[component]
pub(crate) fn JoinPage() -> impl IntoView {
    let language = language();
    let query = use_query_map();
    let code = use_params_map()
        .with_untracked(|params| params.get("code"))
        .or_else(|| query.with_untracked(|query| query.get("code")))
        .unwrap_or_default();
    let problem = move || query.with(|query| query.get_str("problem").map(str::to_owned));
    let message =
        Signal::derive(move || problem().map(|problem| problem_text(language, &problem).to_owned()));
    let code_error = Signal::derive(move || {
        (problem().as_deref() == Some("unknown-code")).then(|| text::join::unknown_code(language))
    });
    let name_error = Signal::derive(move || {
        (problem().as_deref() == Some("display-name")).then(|| text::join::display_name_wrong(language))
    });
    view! {
        <WindowTitle text=text::join::title(language) />
        <section class="panel panel--narrow">
            <h1>{text::join::title(language)}</h1>
            <p>{text::join::lead(language)}</p>
            <ProblemSummary message />
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
