//! One file for each page. The server alone renders pages; their interactive parts are islands.

mod account;
mod basket;
mod class;
mod confirm_email;
mod email_link;
mod forgot_password;
mod form_problem;
mod inbox;
mod infographic;
mod join;
mod lab;
mod landing;
mod mailbox;
mod not_found;
mod office;
mod open;
mod order;
mod orders;
mod product;
mod register;
mod reset_password;
mod shop;
mod sign_in;

pub(crate) use account::AccountPage;
pub(crate) use basket::BasketPage;
pub(crate) use class::ClassPage;
pub(crate) use confirm_email::ConfirmEmailPage;
pub(crate) use forgot_password::ForgotPasswordPage;
pub(crate) use inbox::InboxPage;
pub(crate) use infographic::InfographicPage;
pub(crate) use join::JoinPage;
pub(crate) use lab::{
    LabClassCodePage, LabClassPage, LabDeadLettersPage, LabDialsPage, LabEventPage, LabGlossaryPage,
    LabHandlersPage, LabLessonPage, LabLessonsPage, LabMapPage, LabPresentPage, LabRecordingPage,
    LabRecordingsPage, LabSplitPage, LabStreamPage, LabStreamsPage, LabViewsPage,
};
pub(crate) use landing::LandingPage;
pub(crate) use mailbox::MailboxPage;
pub(crate) use not_found::NotFoundPage;
pub(crate) use office::{
    OfficeActivityPage, OfficeCustomersPage, OfficeOrdersPage, OfficePaymentsPage, OfficePeoplePage,
    OfficeProductsPage, OfficeSalesPage, OfficeStockPage,
};
pub(crate) use open::OpenPage;
pub(crate) use order::OrderPage;
pub(crate) use orders::OrdersPage;
pub(crate) use product::ProductPage;
pub(crate) use register::RegisterPage;
pub(crate) use reset_password::ResetPasswordPage;
pub(crate) use shop::ShopPage;
pub(crate) use sign_in::SignInPage;

use domain::wire::Problem;
use leptos::{prelude::*, tachys::reactive_graph::OwnedView};
use leptos_router::hooks::use_location;

use crate::{
    StatusSetter,
    api::use_session,
    components::{Icon, PageHead, Picture, WindowTitle, explain},
    erase::{Erase, View},
    language::language,
    text,
};

/// The maximum number of rows of a listing's page.
const PAGE_ROWS: u32 = 50;

/// The page for people whose role may not see an area, with status 403 and a link to one that they may see.
fn refused_page(title: &'static str, text: &'static str, action: &'static str, href: &'static str) -> View {
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(403);
    }
    view! {
        <WindowTitle text=title />
        <div class="empty">
            <h1>{title}</h1>
            <p>{text}</p>
            <p><a class="button button--primary" href=href>{action}</a></p>
        </div>
    }
    .erase()
}

/// The navigation of an area: its pages, and the area's name. `is_here` tells whether an address belongs to a
/// page although it is not the page's own.
fn places(
    label: &'static str,
    pages: &[(&'static str, &'static str)],
    is_here: impl Fn(&str, &str) -> bool,
) -> View {
    let here = use_location().pathname.get_untracked();
    let links = pages.iter().map(|(href, name)| {
        let is_here = here == *href || is_here(&here, href);
        view! { <li><a class="place" href=*href aria-current=is_here.then_some("page")>{*name}</a></li> }
    });
    view! {
        <nav class="places" aria-label=label>
            <ul>{links.collect_view()}</ul>
        </nav>
    }
    .erase()
}

/// Renders the page if there is a session, or else the ways into a workspace.
fn within_workspace(page: impl FnOnce() -> View) -> View {
    if use_session().is_some() {
        return page();
    }
    let language = language();
    view! {
        <WindowTitle text=text::outside::title(language) />
        <div class="empty">
            <h1>{text::outside::title(language)}</h1>
            <p>{text::outside::text(language)}</p>
            <p><a class="button button--primary" href="/">{text::outside::action(language)}</a></p>
        </div>
    }
    .erase()
}

/// A page that awaits data. It is rendered under the current reactive owner, whichever thread completes the
/// future: without an owner, lists in it could not be rendered.
fn suspend(page: impl Future<Output = View> + Send + 'static) -> View {
    Suspend::new(async move { OwnedView::new(page.await) }).erase()
}

/// The page for a problem: the reason, and a link that retries.
fn problem_view(title: &'static str, problem: &Problem) -> View {
    let language = language();
    let text = explain(problem);
    if let Some(crate::StatusSetter(set_status)) = use_context::<crate::StatusSetter>()
        && problem.status >= 400
    {
        set_status(problem.status);
    }
    view! {
        <WindowTitle text=title />
        <PageHead title />
        <div class="notice notice--danger" role="alert">
            <Icon picture=Picture::Alert />
            <div>
                <h2>{text::problem::title(language)}</h2>
                <p>{text}</p>
                <a class="button" href="">{text::problem::retry(language)}</a>
            </div>
        </div>
    }
    .erase()
}

/// The page for an item that does not exist, with a link back to its parent page.
fn missing(parent: &'static str, parent_title: &'static str) -> View {
    view! { <BackLink href=parent text=parent_title /><NotFoundPage /> }.erase()
}

/// A link back to the parent page.
#[component]
fn BackLink(href: &'static str, text: &'static str) -> impl IntoView {
    view! { <p><a class="back" href=href><Icon picture=Picture::Back />{text}</a></p> }.erase()
}
