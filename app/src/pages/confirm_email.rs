//! `/confirm-email?token=…`: confirms an address by the link of an email, outside of any session. Opening the
//! page confirms nothing, because email programs open links to preview them; its form does.

use leptos::prelude::*;

use super::email_link;
use crate::{
    Flash,
    components::{FormSummary, WindowTitle},
    erase::Erase,
    language::language,
    text,
};

/// The page.
#[component]
pub(crate) fn ConfirmEmailPage() -> impl IntoView {
    let language = language();
    let flash = Flash::about("confirm");
    let token = email_link::token().filter(|_| flash.is_none());
    let form = token.map(|token| {
        view! {
            <p>{text::account::confirm_lead(language)}</p>
            <form method="post" action="/session/confirm" class="form">
                <input type="hidden" name="token" value=token />
                <button class="button button--primary">{text::account::confirm_email(language)}</button>
            </form>
        }
        .erase()
    });
    let way_on = form.is_none().then(|| {
        let is_confirmed = flash.as_ref().is_some_and(|flash| flash.problems.is_empty());
        let help = (!is_confirmed).then(|| view! { <p>{text::account::confirm_again(language)}</p> }.erase());
        view! {
            {help}
            <p>
                <a class="button" href="/account">{text::account::title(language)}</a>
            </p>
        }
        .erase()
    });
    view! {
        <WindowTitle text=text::account::confirm_title(language) />
        <section class="panel panel--narrow">
            <h1>{text::account::confirm_title(language)}</h1>
            <FormSummary flash=flash.clone() fields=&[] done=text::account::confirmed(language) />
            {form}
            {way_on}
        </section>
    }
    .erase()
}
