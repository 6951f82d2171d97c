//! `/reset-password?token=…`: sets a new password by the link of an email, outside of any session. Opening
//! the page uses nothing up; its form does.

use leptos::prelude::*;

use super::{email_link, register::MAX_PASSWORD};
use crate::{
    Flash,
    components::{Field, FormField, FormSummary, Icon, Picture, WindowTitle, field_problem},
    erase::Erase,
    language::language,
    text,
};

const FIELDS: &[FormField] = &[FormField {
    name: "password",
    id: "reset-password",
}];

/// The page.
#[component]
pub(crate) fn ResetPasswordPage() -> impl IntoView {
    let language = language();
    let flash = Flash::about("reset");
    let error = {
        let message = field_problem(flash.as_ref(), "password");
        Signal::derive(move || message)
    };
    let is_refused = Flash::problem(flash.as_ref(), "token").is_some();
    let form = match email_link::token().filter(|_| !is_refused) {
        None => view! {
            <div class="notice notice--danger" role="alert" tabindex="-1" autofocus>
                <Icon picture=Picture::Alert />
                <p>{text::account::link_invalid(language)}</p>
            </div>
            <p>
                <a class="button button--primary" href="/forgot-password">
                    {text::account::link_again(language)}
                </a>
            </p>
        }
        .erase(),
        Some(token) => view! {
            <p>{text::account::reset_lead(language)}</p>
            <FormSummary flash=flash.clone() fields=FIELDS done="" />
            <form method="post" action="/session/reset" class="form">
                <input type="hidden" name="token" value=token />
                <Field
                    id="reset-password"
                    name="password"
                    label=text::account::password_new(language)
                    help=text::account::password_help(language)
                    error=error
                    required=true
                    max=MAX_PASSWORD
                    autocomplete="new-password"
                    kind="password"
                />
                <button class="button button--primary">{text::account::reset(language)}</button>
            </form>
        }
        .erase(),
    };
    view! {
        <WindowTitle text=text::account::reset_title(language) />
        <section class="panel panel--narrow">
            <h1>{text::account::reset_title(language)}</h1>
            {form}
        </section>
    }
    .erase()
}
