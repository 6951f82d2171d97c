//! The pages of the back office, for staff and educators. Students have read-only access; customers get
//! status 403.

mod activity;
mod customers;
mod orders;
mod payments;
mod people;
mod products;
mod sales;
mod stock;

pub(crate) use activity::OfficeActivityPage;
pub(crate) use customers::OfficeCustomersPage;
pub(crate) use orders::OfficeOrdersPage;
pub(crate) use payments::OfficePaymentsPage;
pub(crate) use people::OfficePeoplePage;
pub(crate) use products::OfficeProductsPage;
pub(crate) use sales::OfficeSalesPage;
pub(crate) use stock::OfficeStockPage;

use domain::access::Role;
use leptos::prelude::*;

use super::{places, refused_page, within_workspace};
use crate::{
    api::use_session,
    erase::{Erase, View},
    language::language,
    text,
};

/// Renders a page of the back office below its navigation, if the session's role may see it. `page` receives
/// whether the role may also act.
fn office(page: impl FnOnce(bool) -> View) -> View {
    within_workspace(|| {
        let role = use_session().map(|session| session.role);
        match role {
            Some(Role::Customer) | None => refused(),
            Some(role) => view! {
                <OfficeNavigation />
                {(!role.runs_shop()).then(|| view! {
                    <p class="notice">{text::office::read_only(language())}</p>
                })}
                {page(role.runs_shop())}
            }
            .erase(),
        }
    })
}

/// The page for customers, with a link to their own orders.
fn refused() -> View {
    let language = language();
    refused_page(
        text::office::refused_title(language),
        text::office::refused(language),
        text::office::refused_action(language),
        "/orders",
    )
}

/// The navigation of the back office.
#[component]
fn OfficeNavigation() -> impl IntoView {
    let language = language();
    let pages = [
        ("/office/orders", text::office::orders(language)),
        ("/office/stock", text::office::stock(language)),
        ("/office/products", text::office::products(language)),
        ("/office/payments", text::office::payments(language)),
        ("/office/customers", text::office::customers(language)),
        ("/office/sales", text::office::sales(language)),
        ("/office/activity", text::office::activity(language)),
        ("/office/people", text::office::people(language)),
    ];
    places(text::office::navigation(language), &pages, |here, href| {
        here == "/office" && href == "/office/orders"
    })
}

/// Links that filter or sort a list through the page's address.
fn choices(label: &'static str, choices: Vec<(String, &'static str, bool)>) -> View {
    let links = choices.into_iter().map(|(href, name, is_chosen)| {
        view! { <li><a class="tag" href=href aria-current=is_chosen.then_some("true")>{name}</a></li> }
    });
    view! { <nav class="tags" aria-label=label><ul>{links.collect_view()}</ul></nav> }.erase()
}
