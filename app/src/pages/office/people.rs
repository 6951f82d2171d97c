//! The page that registers staff.

use domain::access::Role;
use leptos::prelude::*;

use super::office;
use crate::{
    api::use_session,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficePeople},
    language::language,
    translations::i18n::td_string,
};

/// `/office/people`.
#[component]
pub(crate) fn OfficePeoplePage() -> impl IntoView {
    office(|_acts| {
        let locale = language();
        let title = td_string!(locale, office.people);
        let gives_roles = use_session().is_some_and(|session| session.role == Role::Educator);
        if gives_roles {
            return view! { <WindowTitle text=title />{OfficePeople {}.island()} }.erase();
        }
        view! {
            <WindowTitle text=title />
            <div class="empty">
                <h1>{title}</h1>
                <p>{td_string!(locale, office.people_refused)}</p>
                <p><a class="button" href="/office/customers">{td_string!(locale, office.customers)}</a></p>
            </div>
        }
        .erase()
    })
}
