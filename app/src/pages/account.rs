//! `/account`: who one is, with name, email and password to change, the way out, and the way to be erased. Plain forms; whoever has no
//! account is shown how to make one, and can be erased too: an order has left a name.

use domain::view::customers::CustomerDocument;
use leptos::prelude::*;

use super::{
    inside,
    join::MAX_NAME,
    later, problem_view,
    register::{MAX_EMAIL, MAX_PASSWORD},
};
use crate::{
    FormNotes, api,
    api::use_session,
    components::{Field, FormField, FormSummary, PageHead, WindowTitle, field_problem},
    erase::{Erase, View},
    language::language,
    translations::i18n::td_string,
};

const NAME: &[FormField] = &[FormField {
    name: "display_name",
    id: "account-name",
}];
const EMAIL: &[FormField] = &[
    FormField {
        name: "email",
        id: "account-email",
    },
    FormField {
        name: "password",
        id: "account-email-password",
    },
];
const PASSWORD: &[FormField] = &[
    FormField {
        name: "current",
        id: "account-password",
    },
    FormField {
        name: "new",
        id: "account-new-password",
    },
];
const ERASE: &[FormField] = &[
    FormField {
        name: "confirm",
        id: "account-confirm",
    },
    FormField {
        name: "password",
        id: "account-erase-password",
    },
];

/// The page.
#[component]
pub(crate) fn AccountPage() -> impl IntoView {
    inside(|| {
        let locale = language();
        let session = use_session();
        let id = session.as_ref().map(|session| session.actor_id.to_string());
        let name = session.map(|session| session.display_name).unwrap_or_default();
        let found = api::document("customers", id.unwrap_or_default());
        let [renamed, moved, secured, erasing] = ["name", "email", "password", "erase"].map(FormNotes::about);
        later(async move {
            let answer = match found.await {
                Ok(found) => found.answer,
                Err(problem) => return problem_view(td_string!(locale, account.title), &problem),
            };
            let customer =
                answer.and_then(|answer| serde_json::from_value::<CustomerDocument>(answer.data).ok());
            let account = customer.filter(|customer| customer.registered_at.is_some() && !customer.erased);
            let name = account
                .as_ref()
                .map_or(name, |account| account.display_name.clone());
            let has_account = account.is_some();
            let forms = match account {
                Some(account) => view! {
                    {changes(&account, renamed, moved)}
                    {password(secured)}
                    {way_out()}
                }
                .erase(),
                None => none_yet(),
            };
            view! {
                <WindowTitle text=td_string!(locale, account.title) />
                <PageHead title=td_string!(locale, account.title) />
                {forms}
                {erase_me(&name, has_account, erasing)}
            }
            .erase()
        })
    })
}

fn error(notes: Option<&FormNotes>, field: &str) -> Signal<Option<&'static str>> {
    let said = field_problem(notes, field);
    Signal::derive(move || said)
}

fn none_yet() -> View {
    let locale = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.none_title)}</h2>
            <p>{td_string!(locale, account.register_lead)}</p>
            <p><a class="button button--primary" href="/register">{td_string!(locale, account.register)}</a></p>
        </section>
    }
    .erase()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what a form has noted is used up by its page"
)]
fn changes(account: &CustomerDocument, renamed: Option<FormNotes>, moved: Option<FormNotes>) -> View {
    let locale = language();
    let name = FormNotes::typed(renamed.as_ref(), "display_name").unwrap_or(account.display_name.clone());
    let email = FormNotes::typed(moved.as_ref(), "email").or(account.email.clone());
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.name_title)}</h2>
            <FormSummary notes=renamed.clone() fields=NAME done=td_string!(locale, account.saved) />
            <form method="post" action="/session/name" class="form">
                <Field
                    id="account-name"
                    name="display_name"
                    label=td_string!(locale, account.display_name)
                    help=td_string!(locale, account.display_name_help)
                    error=error(renamed.as_ref(), "display_name")
                    value=name
                    required=true
                    max=MAX_NAME
                    autocomplete="nickname"
                />
                <button class="button">{td_string!(locale, account.save_name)}</button>
            </form>
        </section>
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.email_title)}</h2>
            <FormSummary notes=moved.clone() fields=EMAIL done=td_string!(locale, account.saved) />
            <form method="post" action="/session/email" class="form">
                <Field
                    id="account-email"
                    name="email"
                    label=td_string!(locale, account.email)
                    help=td_string!(locale, account.email_help)
                    error=error(moved.as_ref(), "email")
                    value=email.unwrap_or_default()
                    required=true
                    max=MAX_EMAIL
                    autocomplete="email"
                    kind="email"
                />
                {current(
                    "account-email-password",
                    td_string!(locale, account.email_password),
                    moved.as_ref(),
                )}
                <button class="button">{td_string!(locale, account.save_email)}</button>
            </form>
        </section>
    }
    .erase()
}

/// The password as it is now, for what would take an account over or away.
fn current(id: &'static str, label: &'static str, notes: Option<&FormNotes>) -> View {
    let locale = language();
    view! {
        <Field
            id=id
            name="password"
            label=label
            help=td_string!(locale, account.password_current_help)
            error=error(notes, "password")
            required=true
            max=MAX_PASSWORD
            autocomplete="current-password"
            kind="password"
        />
    }
    .erase()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what a form has noted is used up by its page"
)]
fn password(notes: Option<FormNotes>) -> View {
    let locale = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.password_title)}</h2>
            <FormSummary notes=notes.clone() fields=PASSWORD done=td_string!(locale, account.password_saved) />
            <form method="post" action="/session/password" class="form">
                <Field
                    id="account-password"
                    name="current"
                    label=td_string!(locale, account.password_current)
                    help=td_string!(locale, account.password_current_help)
                    error=error(notes.as_ref(), "current")
                    required=true
                    max=MAX_PASSWORD
                    autocomplete="current-password"
                    kind="password"
                />
                <Field
                    id="account-new-password"
                    name="new"
                    label=td_string!(locale, account.password_new)
                    help=td_string!(locale, account.password_help)
                    error=error(notes.as_ref(), "new")
                    required=true
                    max=MAX_PASSWORD
                    autocomplete="new-password"
                    kind="password"
                />
                <button class="button">{td_string!(locale, account.save_password)}</button>
            </form>
        </section>
    }
    .erase()
}

fn way_out() -> View {
    let locale = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.sign_out_title)}</h2>
            <p>{td_string!(locale, account.sign_out_text)}</p>
            <form method="post" action="/session/leave">
                <button class="button">{td_string!(locale, account.sign_out)}</button>
            </form>
        </section>
    }
    .erase()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what a form has noted is used up by its page"
)]
fn erase_me(name: &str, has_account: bool, notes: Option<FormNotes>) -> View {
    let locale = language();
    let name = name.to_owned();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.erase_title)}</h2>
            <p>{td_string!(locale, account.erase_text)}</p>
            <FormSummary notes=notes.clone() fields=ERASE done="" />
            <form method="post" action="/session/erase" class="form">
                <p>{td_string!(locale, account.erase_type)} " " <strong>{name}</strong></p>
                <Field
                    id="account-confirm"
                    name="confirm"
                    label=td_string!(locale, account.confirm)
                    help=td_string!(locale, account.confirm_help)
                    error=error(notes.as_ref(), "confirm")
                    required=true
                    max=MAX_NAME
                />
                {has_account
                    .then(|| {
                        current(
                            "account-erase-password",
                            td_string!(locale, account.erase_password),
                            notes.as_ref(),
                        )
                    })}
                <button class="button button--danger">{td_string!(locale, account.erase)}</button>
            </form>
        </section>
    }
    .erase()
}
