//! The pages of the lab, for students and educators, who may read the log. Others get status 403.

mod class;
mod dead_letters;
mod dials;
mod event;
mod glossary;
mod handlers;
mod lesson;
mod lessons;
mod map;
mod recording;
mod sheet;
mod split;
mod stream;
mod streams;
mod views;

pub(crate) use class::{LabClassCodePage, LabClassPage, LabPresentPage};
pub(crate) use dead_letters::LabDeadLettersPage;
pub(crate) use dials::LabDialsPage;
pub(crate) use event::LabEventPage;
pub(crate) use glossary::LabGlossaryPage;
pub(crate) use handlers::LabHandlersPage;
pub(crate) use lesson::LabLessonPage;
pub(crate) use lessons::LabLessonsPage;
pub(crate) use map::LabMapPage;
pub(crate) use recording::{LabRecordingPage, LabRecordingsPage};
pub(crate) use split::LabSplitPage;
pub(crate) use stream::LabStreamPage;
pub(crate) use streams::LabStreamsPage;
pub(crate) use views::LabViewsPage;

use domain::access::Role;
use leptos::prelude::*;

use super::{places, refused_page, within_workspace};
use crate::{
    api::use_session,
    components::WindowTitle,
    erase::{Erase, View},
    lab::log_filter::PAGE,
    language::language,
    text,
};

/// The page of the lessons; each lesson has a page below it.
const LESSONS: &str = "/lab/lessons";

/// The page of the class, with the presenter's view and the code below it.
const CLASS: &str = "/lab/class";

/// Renders a page of the lab below its navigation, if the session's role may read the log. `page` receives
/// whether the role may also change the pipeline.
fn lab(page: impl FnOnce(bool) -> View) -> View {
    within_workspace(|| {
        let role = use_session().map(|session| session.role);
        match role.filter(|role| role.reads_lab()) {
            None => refused(),
            Some(role) => {
                let is_educator = role == Role::Educator;
                view! {
                    <LabNavigation is_educator />
                    {page(is_educator)}
                }
                .erase()
            }
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

/// The navigation of the lab. The class is an educator's.
#[component]
fn LabNavigation(is_educator: bool) -> impl IntoView {
    let language = language();
    let mut pages = vec![
        ("/lab", text::lab::map(language)),
        (LESSONS, text::lessons::title(language)),
        ("/lab/dials", text::lab_dials::title(language)),
        (PAGE, text::streams::title(language)),
        ("/lab/projections", text::lab_handlers::title(language)),
        ("/lab/views", text::lab_views::title(language)),
        ("/lab/dead-letters", text::lab_handlers::dead_letters(language)),
        ("/lab/split", text::lab::split(language)),
        ("/lab/recording", text::lab::recordings(language)),
    ];
    if is_educator {
        pages.push((CLASS, text::lab_page::class(language)));
    }
    places(text::lab_page::navigation(language), &pages, |here, href| {
        let is_below = |path: &str| here.starts_with(path);
        match href {
            "/lab/recording" | CLASS => is_below(&[href, "/"].concat()),
            // The terms that the lessons teach have a page of their own.
            LESSONS => is_below("/lab/lessons/") || here == "/lab/glossary",
            PAGE => is_below("/lab/streams/") || is_below("/lab/events/"),
            _ => false,
        }
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
