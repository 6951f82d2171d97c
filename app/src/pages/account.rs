//! `/account`: plain forms that change name, email, language and password, sign out, and erase the person. A
//! person without an account is offered registration, and can be erased as well, because orders store the
//! display name.

use domain::{aggregate::user::is_example_address, language::Language, view::customers::CustomerDocument};
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
    components::{Field, FormField, FormSummary, Icon, PageHead, Picture, WindowTitle, field_problem},
    erase::{Erase, View},
    language::language,
    text::{self, SLOT, around, server::is_translated},
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
const LANGUAGE: &[FormField] = &[FormField {
    name: "language",
    id: "account-language",
}];
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
        let language = language();
        let session = use_session();
        let id = session.as_ref().map(|session| session.actor_id.to_string());
        let chosen = session.as_ref().and_then(|session| session.language);
        let name = session.map(|session| session.display_name).unwrap_or_default();
        let document = api::document("customers", id.unwrap_or_default());
        let [
            name_flash,
            email_flash,
            language_flash,
            password_flash,
            erase_flash,
            confirmation_flash,
        ] = ["name", "email", "language", "password", "erase", "confirmation"].map(Flash::about);
        suspend(async move {
            let answer = match document.await {
                Ok(document) => document.answer,
                Err(problem) => return problem_view(text::account::title(language), &problem),
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
                    {profile(&account, name_flash, email_flash, confirmation_flash)}
                    {account_language(chosen.unwrap_or_default(), language_flash)}
                    {password(password_flash)}
                    {sign_out()}
                }
                .erase(),
                None => no_account(),
            };
            view! {
                <WindowTitle text=text::account::title(language) />
                <PageHead title=text::account::title(language) />
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
    let language = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{text::account::none_title(language)}</h2>
            <p>{text::account::register_lead(language)}</p>
            <p>
                <a class="button button--primary" href="/register">{text::account::register(language)}</a>
            </p>
        </section>
    }
    .erase()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a page consumes the flash of its form"
)]
fn profile(
    account: &CustomerDocument,
    name_flash: Option<Flash>,
    email_flash: Option<Flash>,
    confirmation_flash: Option<Flash>,
) -> View {
    let language = language();
    let confirmation = confirmation(account.email_confirmed, confirmation_flash);
    let name = Flash::typed(name_flash.as_ref(), "display_name").unwrap_or(account.display_name.clone());
    let email = Flash::typed(email_flash.as_ref(), "email").or(account.email.clone());
    let is_example = account.email.as_deref().is_some_and(is_example_address);
    let example = is_example.then(|| view! { <p class="muted">{text::account::email_example(language)}</p> });
    view! {
        <section class="panel panel--narrow">
            <h2>{text::account::name_title(language)}</h2>
            <FormSummary flash=name_flash.clone() fields=NAME done=text::account::saved(language) />
            <form method="post" action="/session/name" class="form">
                <Field
                    id="account-name"
                    name="display_name"
                    label=text::account::display_name(language)
                    help=text::account::display_name_help(language)
                    error=error(name_flash.as_ref(), "display_name")
                    value=name
                    required=true
                    max=MAX_NAME
                    autocomplete="nickname"
                />
                <button class="button">{text::account::save_name(language)}</button>
            </form>
        </section>
        <section class="panel panel--narrow">
            <h2>{text::account::email_title(language)}</h2>
            {confirmation}
            {example}
            <FormSummary flash=email_flash.clone() fields=EMAIL done=text::account::saved(language) />
            <form method="post" action="/session/email" class="form">
                <Field
                    id="account-email"
                    name="email"
                    label=text::account::email(language)
                    help=text::account::email_help(language)
                    error=error(email_flash.as_ref(), "email")
                    value=email.unwrap_or_default()
                    required=true
                    max=MAX_EMAIL
                    autocomplete="email"
                    kind="email"
                />
                {current_password(
                    "account-email-password",
                    text::account::email_password(language),
                    email_flash.as_ref(),
                )}
                <button class="button">{text::account::save_email(language)}</button>
            </form>
        </section>
    }
    .erase()
}

/// Whether the email is confirmed, and the form that sends the link again.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a page consumes the flash of its form"
)]
fn confirmation(is_confirmed: bool, flash: Option<Flash>) -> View {
    let language = language();
    if is_confirmed {
        return view! {
            <div class="notice notice--good">
                <Icon picture=Picture::Live />
                <p>{text::account::email_confirmed(language)}</p>
            </div>
        }
        .erase();
    }
    view! {
        <FormSummary flash=flash.clone() fields=&[] done=text::account::confirm_sent(language) />
        <div class="notice">
            <Icon picture=Picture::Alert />
            <div>
                <p>{text::account::email_unconfirmed(language)}</p>
                <form method="post" action="/session/confirmation">
                    <button class="button">{text::account::confirm_send_again(language)}</button>
                </form>
            </div>
        </div>
    }
    .erase()
}

/// The choice of the account's language, among those that the interface is translated into. An account may
/// have another one, from the API.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a page consumes the flash of its form"
)]
fn account_language(chosen: Language, flash: Option<Flash>) -> View {
    let language = language();
    let offered = Language::ALL
        .into_iter()
        .filter(|offered| is_translated(*offered) || *offered == chosen);
    let options = offered.map(|offered| {
        let selected = offered == chosen;
        view! {
            <option value=offered.code() lang=offered.code() selected=selected>
                {offered.endonym()}
            </option>
        }
    });
    // The texts of emails are in the languages of the interface.
    let untranslated = (!is_translated(chosen))
        .then(|| view! { <p class="muted">{text::account::language_untranslated(language)}</p> });
    view! {
        <section class="panel panel--narrow">
            <h2>{text::account::language_title(language)}</h2>
            <FormSummary flash=flash.clone() fields=LANGUAGE done=text::account::saved(language) />
            {untranslated}
            <form method="post" action="/session/language" class="form">
                <div class="field">
                    <label for="account-language">{text::account::language(language)}</label>
                    <select
                        id="account-language"
                        name="language"
                        aria-describedby="account-language-help"
                    >
                        {options.collect_view()}
                    </select>
                    <p class="field__help" id="account-language-help">
                        {text::account::language_help(language)}
                    </p>
                </div>
                <button class="button">{text::account::save_language(language)}</button>
            </form>
        </section>
    }
    .erase()
}

/// The field for the current password, for changes that could take over or remove the account.
fn current_password(id: &'static str, label: &'static str, flash: Option<&Flash>) -> View {
    let language = language();
    view! {
        <Field
            id=id
            name="password"
            label=label
            help=text::account::password_current_help(language)
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
    let language = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{text::account::password_title(language)}</h2>
            <FormSummary
                flash=flash.clone()
                fields=PASSWORD
                done=text::account::password_saved(language)
            />
            <form method="post" action="/session/password" class="form">
                <Field
                    id="account-password"
                    name="current"
                    label=text::account::password_current(language)
                    help=text::account::password_current_help(language)
                    error=error(flash.as_ref(), "current")
                    required=true
                    max=MAX_PASSWORD
                    autocomplete="current-password"
                    kind="password"
                />
                <Field
                    id="account-new-password"
                    name="new"
                    label=text::account::password_new(language)
                    help=text::account::password_help(language)
                    error=error(flash.as_ref(), "new")
                    required=true
                    max=MAX_PASSWORD
                    autocomplete="new-password"
                    kind="password"
                />
                <button class="button">{text::account::save_password(language)}</button>
            </form>
        </section>
    }
    .erase()
}

fn sign_out() -> View {
    let language = language();
    view! {
        <section class="panel panel--narrow">
            <h2>{text::account::sign_out_title(language)}</h2>
            <p>{text::account::sign_out_text(language)}</p>
            <form method="post" action="/session/leave">
                <button class="button">{text::account::sign_out(language)}</button>
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
    let language = language();
    let name = name.to_owned();
    let (before, after) = around(&text::account::erase_type(language, SLOT));
    view! {
        <section class="panel panel--narrow">
            <h2>{text::account::erase_title(language)}</h2>
            <p>{text::account::erase_text(language)}</p>
            <FormSummary flash=flash.clone() fields=ERASE done="" />
            <form method="post" action="/session/erase" class="form">
                <p>{before}<strong><bdi>{name}</bdi></strong>{after}</p>
                <Field
                    id="account-confirm"
                    name="confirm"
                    label=text::account::confirm(language)
                    help=text::account::confirm_help(language)
                    error=error(flash.as_ref(), "confirm")
                    required=true
                    max=MAX_NAME
                />
                {has_account
                    .then(|| {
                        current_password(
                            "account-erase-password",
                            text::account::erase_password(language),
                            flash.as_ref(),
                        )
                    })}
                <button class="button button--danger">{text::account::erase(language)}</button>
            </form>
        </section>
    }
    .erase()
}
