//! The landing page: what this is, a sandbox without an account, and the way in with a code.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::join::{JoinForm, MAX_NAME};
use crate::{
    api::use_session,
    components::{Field, Icon, Picture, ProblemSummary},
    erase::Erase,
    translations::i18n::{tu_string, use_i18n},
};

/// The landing page.
#[component]
pub(crate) fn LandingPage() -> impl IntoView {
    let i18n = use_i18n();
    let query = use_query_map();
    let code = query
        .with_untracked(|query| query.get("code"))
        .unwrap_or_default();
    let message = Signal::derive(move || {
        let sentence = query.with(|query| match query.get_str("problem")? {
            "unknown-code" => Some(tu_string!(i18n, join.unknown_code)),
            "display-name" => Some(tu_string!(i18n, join.display_name_wrong)),
            "rate-limited" => Some(tu_string!(i18n, problem.too_many)),
            _ => Some(tu_string!(i18n, join.invalid)),
        });
        sentence.map(str::to_owned)
    });
    let back = use_session().map(|session| {
        view! {
            <p class="hero__actions">
                <a class="button button--primary" href="/shop">
                    {tu_string!(i18n, landing.back)}
                    " "
                    {session.workspace_name}
                </a>
            </p>
        }
    });
    view! {
        <Title text=tu_string!(i18n, landing.window) />
        <div class="landing">
            <section class="hero">
                <h1>{tu_string!(i18n, landing.title)}</h1>
                <p class="hero__lead">{tu_string!(i18n, landing.lead)}</p>
                {back}
            </section>
            <ProblemSummary message />
            <div class="ways-in">
                <section class="panel">
                    <h2>{tu_string!(i18n, landing.open_title)}</h2>
                    <p>{tu_string!(i18n, landing.open_text)}</p>
                    <OpenForm />
                </section>
                <section class="panel">
                    <h2>{tu_string!(i18n, join.title)}</h2>
                    <p>{tu_string!(i18n, join.lead)}</p>
                    <JoinForm code />
                </section>
            </div>
            <ul class="promises">
                <li>
                    <Icon picture=Picture::Live />
                    <h2>{tu_string!(i18n, landing.live_title)}</h2>
                    <p>{tu_string!(i18n, landing.live_text)}</p>
                </li>
                <li>
                    <Icon picture=Picture::Streams />
                    <h2>{tu_string!(i18n, landing.log_title)}</h2>
                    <p>{tu_string!(i18n, landing.log_text)}</p>
                </li>
                <li>
                    <Icon picture=Picture::Shield />
                    <h2>{tu_string!(i18n, landing.proof_title)}</h2>
                    <p>{tu_string!(i18n, landing.proof_text)}</p>
                </li>
            </ul>
            <p class="muted">{tu_string!(i18n, landing.educational)}</p>
        </div>
    }
    .erase()
}

/// Opens a sandbox: a plain form that needs no script.
#[component]
fn OpenForm() -> impl IntoView {
    let i18n = use_i18n();
    let query = use_query_map();
    let name_error = Signal::derive(move || {
        let here = query.with(|query| {
            query.get_str("code").is_none() && query.get_str("problem") == Some("display-name")
        });
        here.then(|| tu_string!(i18n, join.display_name_wrong))
    });
    view! {
        <form method="post" action="/session/open" class="form">
            <input type="hidden" name="template" value="shop" />
            <Field
                id="open-display-name"
                name="display_name"
                label=tu_string!(i18n, landing.display_name)
                help=tu_string!(i18n, landing.display_name_help)
                error=name_error
                max=MAX_NAME
                autocomplete="nickname"
            />
            <Field
                id="open-name"
                name="name"
                label=tu_string!(i18n, landing.workspace_name)
                help=tu_string!(i18n, landing.workspace_name_help)
                max=80
            />
            <button class="button button--primary">{tu_string!(i18n, landing.open_action)}</button>
        </form>
    }
    .erase()
}
