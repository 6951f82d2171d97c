//! The page that opens a workspace with names: the educator's and the workspace's. The form is plain and
//! needs no script.

use leptos::prelude::*;

use super::{
    form_problem::{field_error, message},
    join::MAX_NAME,
};
use crate::{
    components::{Field, ProblemSummary, WindowTitle},
    erase::Erase,
    language::language,
    text,
};

/// The maximum length of a workspace's name.
const MAX_WORKSPACE_NAME: u16 = 80;

/// The page; a refused opening comes back here.
#[component]
pub(crate) fn OpenPage() -> impl IntoView {
    let language = language();
    let name_error = field_error("display-name", text::join::display_name_wrong(language));
    view! {
        <WindowTitle text=text::open::title(language) />
        <section class="panel panel--narrow">
            <h1>{text::open::title(language)}</h1>
            <p>{text::open::lead(language)}</p>
            <ProblemSummary message=message() />
            <form method="post" action="/session/open" class="form">
                <input type="hidden" name="template" value="shop" />
                <Field
                    id="open-display-name"
                    name="display_name"
                    label=text::open::display_name(language)
                    help=text::open::display_name_help(language)
                    error=name_error
                    max=MAX_NAME
                    autocomplete="nickname"
                />
                <Field
                    id="open-name"
                    name="name"
                    label=text::open::name(language)
                    help=text::open::name_help(language)
                    max=MAX_WORKSPACE_NAME
                />
                <button class="button button--primary">{text::open::action(language)}</button>
            </form>
        </section>
    }
    .erase()
}
