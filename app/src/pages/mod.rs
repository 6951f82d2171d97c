//! One file for each page. The server alone renders pages; their interactive parts are islands.

mod account;
mod basket;
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
mod stream;
mod streams;

pub(crate) use account::AccountPage;
pub(crate) use basket::BasketPage;
pub(crate) use confirm_email::ConfirmEmailPage;
pub(crate) use forgot_password::ForgotPasswordPage;
pub(crate) use inbox::InboxPage;
pub(crate) use infographic::InfographicPage;
pub(crate) use join::JoinPage;
pub(crate) use lab::{LabMapPage, LabRecordingPage, LabRecordingsPage, LabSplitPage};
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
pub(crate) use stream::StreamPage;
pub(crate) use streams::StreamsPage;

use domain::wire::Problem;
use leptos::{prelude::*, tachys::reactive_graph::OwnedView};

use crate::{
    api::use_session,
    components::{Icon, PageHead, Picture, WindowTitle, explain},
    erase::{Erase, View},
    language::language,
    text,
};

/// The maximum number of rows of a listing's page.
const PAGE_ROWS: u32 = 50;

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
