//! `/register`: creates an account for a guest of a workspace. A plain form; the guest keeps basket and
//! orders, because the account has the guest's id.

use leptos::prelude::*;

use super::{join::MAX_NAME, within_workspace};
use crate::{
    Flash,
    api::use_session,
    components::{Field, FormField, FormSummary, WindowTitle, field_problem},
    erase::Erase,
    language::language,
    text,
};

/// The maximum length of an email address.
pub(super) const MAX_EMAIL: u16 = 254;
/// The maximum length of a password.
pub(super) const MAX_PASSWORD: u16 = 200;

const FIELDS: &[FormField] = &[
    FormField {
        name: "email",
        id: "register-email",
    },
    FormField {
        name: "display_name",
        id: "register-name",
    },
    FormField {
        name: "password",
        id: "register-password",
    },
];

/// The page.
#[component]
pub(crate) fn RegisterPage() -> impl IntoView {
    within_workspace(|| {
        let language = language();
        let flash = Flash::about("register");
        let error = |field| {
            let message = field_problem(flash.as_ref(), field);
            Signal::derive(move || message)
        };
        let typed = |field| Flash::typed(flash.as_ref(), field);
        let name = use_session()
            .map(|session| session.display_name)
            .unwrap_or_default();
        view! {
            <WindowTitle text=text::account::register_title(language) />
            <section class="panel panel--narrow">
                <h1>{text::account::register_title(language)}</h1>
                <p>{text::account::register_lead(language)}</p>
                <FormSummary flash=flash.clone() fields=FIELDS done="" />
                <form method="post" action="/session/register" class="form">
                    <Field
                        id="register-name"
                        name="display_name"
                        label=text::account::display_name(language)
                        help=text::account::display_name_help(language)
                        error=error("display_name")
                        value=typed("display_name").unwrap_or(name)
                        required=true
                        max=MAX_NAME
                        autocomplete="nickname"
                    />
                    <Field
                        id="register-email"
                        name="email"
                        label=text::account::email(language)
                        help=text::account::email_help(language)
                        error=error("email")
                        value=typed("email").unwrap_or_default()
                        required=true
                        max=MAX_EMAIL
                        autocomplete="email"
                        kind="email"
                    />
                    <Field
                        id="register-password"
                        name="password"
                        label=text::account::password(language)
                        help=text::account::password_help(language)
                        error=error("password")
                        required=true
                        max=MAX_PASSWORD
                        autocomplete="new-password"
                        kind="password"
                    />
                    <button class="button button--primary">{text::account::register(language)}</button>
                </form>
                <p class="muted">
                    {text::account::have_one(language)}
                    " "
                    <a href="/sign-in">{text::account::sign_in(language)}</a>
                </p>
            </section>
        }
        .erase()
    })
}
