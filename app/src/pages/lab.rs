//! The pages of the lab, for students and educators, who may read the log. Others get status 403.

mod map;
mod recording;
mod sheet;
mod split;

pub(crate) use map::LabMapPage;
pub(crate) use recording::{LabRecordingPage, LabRecordingsPage};
pub(crate) use split::LabSplitPage;

use domain::access::Role;
use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::within_workspace;
use crate::{
    StatusSetter,
    api::use_session,
    components::WindowTitle,
    erase::{Erase, View},
    language::language,
    text,
};

/// Renders a page of the lab below its navigation, if the session's role may read the log. `page` receives
/// whether the role may also change the pipeline.
fn lab(page: impl FnOnce(bool) -> View) -> View {
    within_workspace(|| {
        let role = use_session().map(|session| session.role);
        match role.filter(|role| role.reads_lab()) {
            None => refused(),
            Some(role) => view! {
                <LabNavigation />
                {page(role == Role::Educator)}
            }
            .erase(),
        }
    })
}

/// The page for customers and staff, with a link to the shop.
fn refused() -> View {
    let language = language();
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(403);
    }
    view! {
        <WindowTitle text=text::lab_page::refused_title(language) />
        <div class="empty">
            <h1>{text::lab_page::refused_title(language)}</h1>
            <p>{text::lab_page::refused(language)}</p>
            <p>
                <a class="button button--primary" href="/shop">
                    {text::lab_page::refused_action(language)}
                </a>
            </p>
        </div>
    }
    .erase()
}

/// The navigation of the lab.
#[component]
fn LabNavigation() -> impl IntoView {
    let language = language();
    let pages = [
        ("/lab", text::lab::map(language)),
        ("/lab/split", text::lab::split(language)),
        ("/lab/recording", text::lab::recordings(language)),
    ];
    let here = use_location().pathname.get_untracked();
    let links = pages.map(|(href, name)| {
        let is_here = here == href || (href == "/lab/recording" && here.starts_with("/lab/recording/"));
        view! { <li><a class="place" href=href aria-current=is_here.then_some("page")>{name}</a></li> }
    });
    view! {
        <nav class="places" aria-label=text::lab_page::navigation(language)>
            <ul>{links.collect_view()}</ul>
        </nav>
    }
    .erase()
}

/// The head of a page of the lab: its title, and a sentence that says what it shows.
fn head(title: &'static str, lead: &'static str) -> View {
    view! {
        <WindowTitle text=title />
        <header class="lab-head">
            <h1>{title}</h1>
            <p class="muted">{lead}</p>
        </header>
    }
    .erase()
}
