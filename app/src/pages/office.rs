//! The back office, for those who run the shop. Students may look at everything and act on nothing; customers are told that
//! this is not theirs, with status 403.

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
use leptos_router::hooks::use_location;

use super::inside;
use crate::{
    StatusSetter,
    api::use_session,
    components::WindowTitle,
    erase::{Erase, View},
    language::language,
    translations::i18n::td_string,
};

/// Shows a page of the back office to those who may see it, under its places. `page` is told whether whoever looks may
/// also act.
fn office(page: impl FnOnce(bool) -> View) -> View {
    inside(|| {
        let role = use_session().map(|session| session.role);
        match role {
            Some(Role::Customer) | None => refused(),
            Some(role) => view! {
                <Places />
                {(!role.runs_shop()).then(|| view! {
                    <p class="notice">{td_string!(language(), office.read_only)}</p>
                })}
                {page(role.runs_shop())}
            }
            .erase(),
        }
    })
}

/// What customers are told: that this is not theirs, and what is.
fn refused() -> View {
    let locale = language();
    if let Some(StatusSetter(set_status)) = use_context::<StatusSetter>() {
        set_status(403);
    }
    view! {
        <WindowTitle text=td_string!(locale, office.refused_title) />
        <div class="empty">
            <h1>{td_string!(locale, office.refused_title)}</h1>
            <p>{td_string!(locale, office.refused)}</p>
            <p><a class="button button--primary" href="/orders">{td_string!(locale, office.refused_action)}</a></p>
        </div>
    }
    .erase()
}

/// The places of the back office.
#[component]
fn Places() -> impl IntoView {
    let locale = language();
    let places = [
        ("/office/orders", td_string!(locale, office.orders)),
        ("/office/stock", td_string!(locale, office.stock)),
        ("/office/products", td_string!(locale, office.products)),
        ("/office/payments", td_string!(locale, office.payments)),
        ("/office/customers", td_string!(locale, office.customers)),
        ("/office/sales", td_string!(locale, office.sales)),
        ("/office/activity", td_string!(locale, office.activity)),
        ("/office/people", td_string!(locale, office.people)),
    ];
    let here = use_location().pathname.get_untracked();
    let links = places.map(|(href, name)| {
        let is_here = here == href || (here == "/office" && href == "/office/orders");
        view! { <li><a class="place" href=href aria-current=is_here.then_some("page")>{name}</a></li> }
    });
    view! { <nav class="places" aria-label=td_string!(locale, office.places)><ul>{links.collect_view()}</ul></nav> }.erase()
}

/// Links that choose what a list shows, by what the address says.
fn choices(label: &'static str, choices: Vec<(String, &'static str, bool)>) -> View {
    let links = choices.into_iter().map(|(href, name, is_chosen)| {
        view! { <li><a class="tag" href=href aria-current=is_chosen.then_some("true")>{name}</a></li> }
    });
    view! { <nav class="tags" aria-label=label><ul>{links.collect_view()}</ul></nav> }.erase()
}
