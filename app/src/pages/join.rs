//! The form that joins a workspace by code, on the landing page and on a page of its own for shared links. It
//! is a plain form and needs no script.

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    components::{Field, WindowTitle},
    erase::Erase,
    language::language,
    translations::i18n::td_string,
};

/// The maximum length of a display name.
pub(super) const MAX_NAME: u16 = 40;

/// The form.
#[component]
pub(super) fn JoinForm(#[prop(into)] code: String, #[prop(optional)] primary: bool) -> impl IntoView {
    let locale = language();
    let query = use_query_map();
    let problem = move |named: &str| {
        query.with(|query| query.get_str("code").is_some() && query.get_str("problem") == Some(named))
    };
    let code_error =
        Signal::derive(move || problem("unknown-code").then(|| td_string!(locale, join.unknown_code)));
    let name_error =
        Signal::derive(move || problem("display-name").then(|| td_string!(locale, join.display_name_wrong)));
    view! {
        <form method="post" action="/session/join" class="form">
            <Field
                id="join-code"
                name="code"
                label=td_string!(locale, join.code)
                help=td_string!(locale, join.code_help)
                error=code_error
                value=code
                required=true
                max=32
            />
            <Field
                id="join-name"
                name="display_name"
                label=td_string!(locale, join.display_name)
                help=td_string!(locale, join.display_name_help)
                error=name_error
                required=true
                max=MAX_NAME
                autocomplete="nickname"
            />
            <button class="button" class:button--primary=primary>{td_string!(locale, join.action)}</button>
        </form>
    }
    .erase()
}

/// `/join/{code}`: the form, with the code filled in.
#[component]
pub(crate) fn JoinPage() -> impl IntoView {
    let locale = language();
    let code = use_params_map()
        .with_untracked(|params| params.get("code"))
        .unwrap_or_default();
    view! {
        <WindowTitle text=td_string!(locale, join.title) />
        <section class="panel panel--narrow">
            <h1>{td_string!(locale, join.title)}</h1>
            <p>{td_string!(locale, join.lead)}</p>
            <JoinForm code primary=true />
        </section>
    }
    .erase()
}
