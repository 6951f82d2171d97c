//! `/sign-in`: the form for people with an account, also outside of a workspace.

use leptos::prelude::*;

use super::register::{MAX_EMAIL, MAX_PASSWORD};
use crate::{
    Flash,
    components::{Field, FormField, FormSummary, WindowTitle, field_problem},
    erase::Erase,
    language::language,
    text,
};

const FIELDS: &[FormField] = &[
    FormField {
        name: "email",
        id: "sign-in-email",
    },
    FormField {
        name: "password",
        id: "sign-in-password",
    },
    FormField {
        name: "code",
        id: "sign-in-code",
    },
];

/// The page.
#[component]
pub(crate) fn SignInPage() -> impl IntoView {
    let language = language();
    let flash = Flash::about("sign-in");
    let error = |field| {
        let message = field_problem(flash.as_ref(), field);
        Signal::derive(move || message)
    };
    let typed = |field| Flash::typed(flash.as_ref(), field).unwrap_or_default();
    view! {
        <WindowTitle text=text::account::sign_in_title(language) />
        <section class="panel panel--narrow">
            <h1>{text::account::sign_in_title(language)}</h1>
            <FormSummary flash=Flash::about("erased") fields=FIELDS done=text::account::erased(language) />
            <FormSummary flash=Flash::about("reset") fields=FIELDS done=text::account::reset_done(language) />
            <FormSummary flash=flash.clone() fields=FIELDS done="" />
            <form method="post" action="/session/sign-in" class="form">
                <Field
                    id="sign-in-email"
                    name="email"
                    label=text::account::email(language)
                    help=text::account::sign_in_email_help(language)
                    error=error("email")
                    value=typed("email")
                    required=true
                    max=MAX_EMAIL
                    autocomplete="username"
                    kind="email"
                />
                <Field
                    id="sign-in-password"
                    name="password"
                    label=text::account::password(language)
                    help=""
                    error=error("password")
                    required=true
                    max=MAX_PASSWORD
                    autocomplete="current-password"
                    kind="password"
                />
                <Field
                    id="sign-in-code"
                    name="code"
                    label=text::account::code(language)
                    help=text::account::code_help(language)
                    error=error("code")
                    value=typed("code")
                    max=32
                />
                <button class="button button--primary">{text::account::sign_in(language)}</button>
            </form>
            <p>
                <a href="/forgot-password">{text::account::forgot(language)}</a>
            </p>
            <p class="muted">{text::account::none_yet(language)}</p>
        </section>
    }
    .erase()
}
