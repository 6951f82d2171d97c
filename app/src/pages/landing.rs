//! The landing page: an introduction, and the forms that open a sandbox or join a workspace.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::join::{JoinForm, MAX_NAME};
use crate::{
    api::use_session,
    components::{Field, Icon, Picture, ProblemSummary, WindowTitle},
    erase::Erase,
    language::language,
    translations::i18n::td_string,
};

/// The landing page.
#[component]
pub(crate) fn LandingPage() -> impl IntoView {
    let locale = language();
    let query = use_query_map();
    let code = query
        .with_untracked(|query| query.get("code"))
        .unwrap_or_default();
    let message = Signal::derive(move || {
        let message = query.with(|query| match query.get_str("problem")? {
            "unknown-code" => Some(td_string!(locale, join.unknown_code)),
            "full" => Some(td_string!(locale, join.full)),
            "display-name" => Some(td_string!(locale, join.display_name_wrong)),
            "rate-limited" => Some(td_string!(locale, problem.too_many)),
            _ => Some(td_string!(locale, join.invalid)),
        });
        message.map(str::to_owned)
    });
    let return_link = use_session().map(|session| {
        view! {
            <p class="hero__actions">
                <a class="button button--primary" href="/shop">
                    {td_string!(locale, landing.back)}
                    " "
                    {session.workspace_name}
                </a>
            </p>
        }
    });
    view! {
        <WindowTitle text=td_string!(locale, landing.window) />
        <div class="landing">
            <section class="hero">
                <h1>{td_string!(locale, landing.title)}</h1>
                <p class="hero__lead">{td_string!(locale, landing.lead)}</p>
                {return_link}
            </section>
            <ProblemSummary message />
            <div class="ways-in">
                <section class="panel">
                    <h2>{td_string!(locale, landing.open_title)}</h2>
                    <p>{td_string!(locale, landing.open_text)}</p>
                    <OpenForm />
                </section>
                <section class="panel">
                    <h2>{td_string!(locale, join.title)}</h2>
                    <p>{td_string!(locale, join.lead)}</p>
                    <JoinForm code />
                </section>
            </div>
            <ul class="promises">
                <li>
                    <Icon picture=Picture::Live />
                    <h2>{td_string!(locale, landing.live_title)}</h2>
                    <p>{td_string!(locale, landing.live_text)}</p>
                </li>
                <li>
                    <Icon picture=Picture::Streams />
                    <h2>{td_string!(locale, landing.log_title)}</h2>
                    <p>{td_string!(locale, landing.log_text)}</p>
                </li>
                <li>
                    <Icon picture=Picture::Shield />
                    <h2>{td_string!(locale, landing.proof_title)}</h2>
                    <p>{td_string!(locale, landing.proof_text)}</p>
                </li>
            </ul>
            <p class="muted">{td_string!(locale, landing.educational)}</p>
        </div>
    }
    .erase()
}

/// Opens a sandbox: a plain form that needs no script.
#[component]
fn OpenForm() -> impl IntoView {
    let locale = language();
    let query = use_query_map();
    let name_error = Signal::derive(move || {
        let is_wrong = query.with(|query| {
            query.get_str("code").is_none() && query.get_str("problem") == Some("display-name")
        });
        is_wrong.then(|| td_string!(locale, join.display_name_wrong))
    });
    view! {
        <form method="post" action="/session/open" class="form">
            <input type="hidden" name="template" value="shop" />
            <Field
                id="open-display-name"
                name="display_name"
                label=td_string!(locale, landing.display_name)
                help=td_string!(locale, landing.display_name_help)
                error=name_error
                max=MAX_NAME
                autocomplete="nickname"
            />
            <Field
                id="open-name"
                name="name"
                label=td_string!(locale, landing.workspace_name)
                help=td_string!(locale, landing.workspace_name_help)
                max=80
            />
            <button class="button button--primary">{td_string!(locale, landing.open_action)}</button>
        </form>
    }
    .erase()
}
