//! `/forgot-password`: has a link sent by which a person sets a new password, also outside of a workspace. It
//! says the same whether there is an account or not.

use leptos::prelude::*;

use super::register::MAX_EMAIL;
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
        id: "forgot-email",
    },
    FormField {
        name: "code",
        id: "forgot-code",
    },
];

/// The page.
#[component]
pub(crate) fn ForgotPasswordPage() -> impl IntoView {
    let language = language();
    let flash = Flash::about("forgot");
    let error = |field| {
        let message = field_problem(flash.as_ref(), field);
        Signal::derive(move || message)
    };
    let typed = |field| Flash::typed(flash.as_ref(), field).unwrap_or_default();
    view! {
        <WindowTitle text=text::account::forgot(language) />
        <section class="panel panel--narrow">
            <h1>{text::account::forgot(language)}</h1>
            <p>{text::account::forgot_lead(language)}</p>
            <FormSummary flash=flash.clone() fields=FIELDS done=text::account::forgot_sent(language) />
            <form method="post" action="/session/forgot" class="form">
                <Field
                    id="forgot-email"
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
                    id="forgot-code"
                    name="code"
                    label=text::account::code(language)
                    help=text::account::forgot_code_help(language)
                    error=error("code")
                    value=typed("code")
                    max=32
                />
                <button class="button button--primary">{text::account::forgot_send(language)}</button>
            </form>
            <p class="muted">
                <a href="/sign-in">{text::account::sign_in(language)}</a>
            </p>
        </section>
    }
    .erase()
}
