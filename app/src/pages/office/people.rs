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
    text,
};

/// `/office/people`.
#[component]
pub(crate) fn OfficePeoplePage() -> impl IntoView {
    office(|_acts| {
        let language = language();
        let title = text::office::people(language);
        let gives_roles = use_session().is_some_and(|session| session.role == Role::Educator);
        if gives_roles {
            return view! { <WindowTitle text=title />{OfficePeople {}.island()} }.erase();
        }
        view! {
            <WindowTitle text=title />
            <div class="empty">
                <h1>{title}</h1>
                <p>{text::office::people_refused(language)}</p>
                <p><a class="button" href="/office/customers">{text::office::customers(language)}</a></p>
            </div>
        }
        .erase()
    })
}
