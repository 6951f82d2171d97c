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

use super::{places, refused_page, within_workspace};
use crate::{
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
    refused_page(
        text::lab_page::refused_title(language),
        text::lab_page::refused(language),
        text::lab_page::refused_action(language),
        "/shop",
    )
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
    places(text::lab_page::navigation(language), &pages, |here, href| {
        href == "/lab/recording" && here.starts_with("/lab/recording/")
    })
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
