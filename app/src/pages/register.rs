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
    translations::i18n::td_string,
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
        let locale = language();
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
            <WindowTitle text=td_string!(locale, account.register_title) />
            <section class="panel panel--narrow">
                <h1>{td_string!(locale, account.register_title)}</h1>
                <p>{td_string!(locale, account.register_lead)}</p>
                <FormSummary flash=flash.clone() fields=FIELDS done="" />
                <form method="post" action="/session/register" class="form">
                    <Field
                        id="register-name"
                        name="display_name"
                        label=td_string!(locale, account.display_name)
                        help=td_string!(locale, account.display_name_help)
                        error=error("display_name")
                        value=typed("display_name").unwrap_or(name)
                        required=true
                        max=MAX_NAME
                        autocomplete="nickname"
                    />
                    <Field
                        id="register-email"
                        name="email"
                        label=td_string!(locale, account.email)
                        help=td_string!(locale, account.email_help)
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
                        label=td_string!(locale, account.password)
                        help=td_string!(locale, account.password_help)
                        error=error("password")
                        required=true
                        max=MAX_PASSWORD
                        autocomplete="new-password"
                        kind="password"
                    />
                    <button class="button button--primary">{td_string!(locale, account.register)}</button>
                </form>
                <p class="muted">
                    {td_string!(locale, account.have_one)}
                    " "
                    <a href="/sign-in">{td_string!(locale, account.sign_in)}</a>
                </p>
            </section>
        }
        .erase()
    })
}
