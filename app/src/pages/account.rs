//! `/account`: plain forms that change name, email and password, sign out, and erase the person. A person
//! without an account is offered registration, and can be erased as well, because orders store the display
//! name.

use domain::view::customers::CustomerDocument;
use leptos::prelude::*;

use super::{
    join::MAX_NAME,
    problem_view,
    register::{MAX_EMAIL, MAX_PASSWORD},
    suspend, within_workspace,
};
use crate::{
    Flash, api,
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
    within_workspace(|| {
        let locale = language();
        let session = use_session();
        let id = session.as_ref().map(|session| session.actor_id.to_string());
        let name = session.map(|session| session.display_name).unwrap_or_default();
        let document = api::document("customers", id.unwrap_or_default());
        let [name_flash, email_flash, password_flash, erase_flash] =
            ["name", "email", "password", "erase"].map(Flash::about);
        suspend(async move {
            let answer = match document.await {
                Ok(document) => document.answer,
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
                    {profile(&account, name_flash, email_flash)}
                    {password(password_flash)}
                    {sign_out()}
                }
                .erase(),
                None => no_account(),
            };
            view! {
                <WindowTitle text=td_string!(locale, account.title) />
                <PageHead title=td_string!(locale, account.title) />
                {forms}
                {erase_account(&name, has_account, erase_flash)}
            }
            .erase()
        })
    })
}

fn error(flash: Option<&Flash>, field: &str) -> Signal<Option<&'static str>> {
    let message = field_problem(flash, field);
    Signal::derive(move || message)
}

fn no_account() -> View {
    let locale = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.none_title)}</h2>
            <p>{td_string!(locale, account.register_lead)}</p>
            <p>
                <a class="button button--primary" href="/register">{td_string!(locale, account.register)}</a>
            </p>
        </section>
    }
    .erase()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a page consumes the flash of its form"
)]
fn profile(account: &CustomerDocument, name_flash: Option<Flash>, email_flash: Option<Flash>) -> View {
    let locale = language();
    let name = Flash::typed(name_flash.as_ref(), "display_name").unwrap_or(account.display_name.clone());
    let email = Flash::typed(email_flash.as_ref(), "email").or(account.email.clone());
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.name_title)}</h2>
            <FormSummary flash=name_flash.clone() fields=NAME done=td_string!(locale, account.saved) />
            <form method="post" action="/session/name" class="form">
                <Field
                    id="account-name"
                    name="display_name"
                    label=td_string!(locale, account.display_name)
                    help=td_string!(locale, account.display_name_help)
                    error=error(name_flash.as_ref(), "display_name")
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
            <FormSummary flash=email_flash.clone() fields=EMAIL done=td_string!(locale, account.saved) />
            <form method="post" action="/session/email" class="form">
                <Field
                    id="account-email"
                    name="email"
                    label=td_string!(locale, account.email)
                    help=td_string!(locale, account.email_help)
                    error=error(email_flash.as_ref(), "email")
                    value=email.unwrap_or_default()
                    required=true
                    max=MAX_EMAIL
                    autocomplete="email"
                    kind="email"
                />
                {current_password(
                    "account-email-password",
                    td_string!(locale, account.email_password),
                    email_flash.as_ref(),
                )}
                <button class="button">{td_string!(locale, account.save_email)}</button>
            </form>
        </section>
    }
    .erase()
}

/// The field for the current password, for changes that could take over or remove the account.
fn current_password(id: &'static str, label: &'static str, flash: Option<&Flash>) -> View {
    let locale = language();
    view! {
        <Field
            id=id
            name="password"
            label=label
            help=td_string!(locale, account.password_current_help)
            error=error(flash, "password")
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
    reason = "a page consumes the flash of its form"
)]
fn password(flash: Option<Flash>) -> View {
    let locale = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.password_title)}</h2>
            <FormSummary
                flash=flash.clone()
                fields=PASSWORD
                done=td_string!(locale, account.password_saved)
            />
            <form method="post" action="/session/password" class="form">
                <Field
                    id="account-password"
                    name="current"
                    label=td_string!(locale, account.password_current)
                    help=td_string!(locale, account.password_current_help)
                    error=error(flash.as_ref(), "current")
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
                    error=error(flash.as_ref(), "new")
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

fn sign_out() -> View {
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
    reason = "a page consumes the flash of its form"
)]
fn erase_account(name: &str, has_account: bool, flash: Option<Flash>) -> View {
    let locale = language();
    let name = name.to_owned();
    view! {
        <section class="panel panel--narrow">
            <h2>{td_string!(locale, account.erase_title)}</h2>
            <p>{td_string!(locale, account.erase_text)}</p>
            <FormSummary flash=flash.clone() fields=ERASE done="" />
            <form method="post" action="/session/erase" class="form">
                <p>{td_string!(locale, account.erase_type)} " " <strong>{name}</strong></p>
                <Field
                    id="account-confirm"
                    name="confirm"
                    label=td_string!(locale, account.confirm)
                    help=td_string!(locale, account.confirm_help)
                    error=error(flash.as_ref(), "confirm")
                    required=true
                    max=MAX_NAME
                />
                {has_account
                    .then(|| {
                        current_password(
                            "account-erase-password",
                            td_string!(locale, account.erase_password),
                            flash.as_ref(),
                        )
                    })}
                <button class="button button--danger">{td_string!(locale, account.erase)}</button>
            </form>
        </section>
    }
    .erase()
}
