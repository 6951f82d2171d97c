//! The customers, with their orders and spending; erased ones without a name.

use domain::{money::Money, view::customers::CustomerDocument};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    components::{
        Column, EmptyState, Icon, ListingTable, Picture, Price, When, highlight_class, role_word, text,
    },
    erase::{Erase, View},
    islands::Island,
    language::language,
    live::store::{InitialListing, LiveListing, Revision},
    text,
};

/// The customers.
#[derive(Serialize, Deserialize)]
pub(crate) struct OfficeCustomers {
    /// The first page.
    pub(crate) initial: InitialListing,
}

impl Island for OfficeCustomers {
    const NAME: &'static str = "office-customers";

    fn view(self) -> View {
        let language = language();
        let listing = LiveListing::<CustomerDocument>::new(self.initial);
        let columns = vec![
            Column::words(text::orders::customer(language)),
            Column::words(text::office::email(language)),
            Column::figures(text::orders::title(language)),
            Column::figures(text::office::spent(language)),
            Column::words(text::office::last_order(language)),
        ];
        let nothing = move || {
            view! {
                <EmptyState
                    title=text::office::customers_none(language)
                    text=text::office::customers_empty(language)
                    action=().erase()
                />
            }
            .erase()
        };
        ListingTable {
            title: text::office::customers(language),
            view: "customers",
            listing: listing.untyped(),
            columns,
            before: None,
        }
        .show(move |key| row(&key, listing.row(key.clone())), nothing)
    }
}

fn row(id: &str, customer: Memo<Revision<CustomerDocument>>) -> View {
    // The cells change seldom, and together: the row is rendered again as a whole.
    let id = id.to_owned();
    let cells = move || {
        customer.with(|customer| {
            customer
                .as_ref()
                .map_or_else(|| ().erase(), |(customer, _)| cells(&id, customer))
        })
    };
    view! { <tr class=text(move || highlight_class(customer))>{cells}</tr> }.erase()
}

fn cells(id: &str, customer: &CustomerDocument) -> View {
    let language = language();
    let name = if customer.erased {
        view! {
            <span class="badge"><Icon picture=Picture::Ban />{text::office::erased(language)}</span>
        }
        .erase()
    } else {
        view! { {customer.display_name.clone()} }.erase()
    };
    let role = customer.role.filter(|_| !customer.erased);
    let role = role.map(|role| view! { " "<span class="muted">{role_word(role)}</span> });
    let orders = if customer.orders > 0 {
        view! { <a href=format!("/office/orders?customer={id}")>{customer.orders}</a> }.erase()
    } else {
        view! { {customer.orders} }.erase()
    };
    let last = customer.last_order_at.map(|at| view! { <When at /> });
    view! {
        <th scope="row">{name}{role}</th>
        <td class="break" data-label=text::office::email(language)>
            {customer.email.clone().unwrap_or_else(|| "–".to_owned())}
        </td>
        <td class="figure mono" data-label=text::orders::title(language)>{orders}</td>
        <td class="figure" data-label=text::office::spent(language)>{sums(customer.spent.as_slice())}</td>
        <td data-label=text::office::last_order(language)>{last}</td>
    }
    .erase()
}

/// Sums in several currencies, side by side.
pub(super) fn sums(sums: &[Money]) -> View {
    if sums.is_empty() {
        return view! { <span class="mono">"–"</span> }.erase();
    }
    let sums: Vec<_> = sums
        .iter()
        .map(|sum| view! { <Price amount=Some(sum.clone()) />" " }.erase())
        .collect();
    sums.erase()
}
