//! `/sign-in`: the form for people with an account, also outside of a workspace.

use leptos::prelude::*;

use super::register::{MAX_EMAIL, MAX_PASSWORD};
use crate::{
    Flash,
    components::{Field, FormField, FormSummary, WindowTitle, field_problem},
    erase::Erase,
    language::language,
    translations::i18n::td_string,
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
    let locale = language();
    let flash = Flash::about("sign-in");
    let error = |field| {
        let message = field_problem(flash.as_ref(), field);
        Signal::derive(move || message)
    };
    let typed = |field| Flash::typed(flash.as_ref(), field).unwrap_or_default();
    view! {
        <WindowTitle text=td_string!(locale, account.sign_in_title) />
        <section class="panel panel--narrow">
            <h1>{td_string!(locale, account.sign_in_title)}</h1>
            <FormSummary flash=Flash::about("erased") fields=FIELDS done=td_string!(locale, account.erased) />
            <FormSummary flash=flash.clone() fields=FIELDS done="" />
            <form method="post" action="/session/sign-in" class="form">
                <Field
                    id="sign-in-email"
                    name="email"
                    label=td_string!(locale, account.email)
                    help=td_string!(locale, account.sign_in_email_help)
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
                    label=td_string!(locale, account.password)
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
                    label=td_string!(locale, account.code)
                    help=td_string!(locale, account.code_help)
                    error=error("code")
                    value=typed("code")
                    max=32
                />
                <button class="button button--primary">{td_string!(locale, account.sign_in)}</button>
            </form>
            <p class="muted">{td_string!(locale, account.none_yet)}</p>
        </section>
    }
    .erase()
}
