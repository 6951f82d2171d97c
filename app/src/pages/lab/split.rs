//! The page of the split view: what the event store knows beside what the views show.

use domain::wire::{Order, Problem};
use leptos::prelude::*;

use super::{head, lab};
use crate::{
    api::{self, use_session},
    backend::ListingQuery,
    erase::Erase,
    islands::{Island, LabSplit},
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// The views that can be chosen, each with its listing and whether that begins with its newest. The first
/// three are chosen.
const VIEWS: [(&str, &str, Order); 6] = [
    ("orders", "all", Order::Desc),
    ("inventory", "all", Order::Asc),
    ("activity", "recent", Order::Desc),
    ("payments", "all", Order::Desc),
    ("products", "all", Order::Asc),
    ("sales", "by_day", Order::Desc),
];

/// The rows of a view that the page comes with. An order needs one product of them that is in stock.
const ROWS: u32 = 24;

/// `/lab/split`.
#[component]
pub(crate) fn LabSplitPage() -> impl IntoView {
    lab(|may_control| {
        let language = language();
        let title = text::lab::split(language);
        let pipeline = api::pipeline();
        let person = use_session().map(|session| session.actor_id.to_string());
        let own_orders = api::listing(query("orders", "by_customer", person, Order::Desc));
        let views = VIEWS.map(|(view, listing, order)| api::listing(query(view, listing, None, order)));
        suspend(async move {
            let rendered = async {
                let (position, projections) = pipeline.await?;
                let mut listings = Vec::new();
                for view in views {
                    listings.push(view.await?);
                }
                Ok::<_, Problem>(LabSplit {
                    head: position,
                    projections,
                    views: listings,
                    own_orders: own_orders.await?,
                    may_control,
                })
            };
            match rendered.await {
                Ok(split) => view! {
                    {head(title, text::lab_page::split_lead(language))}
                    <div class="lab">{split.island()}</div>
                }
                .erase(),
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}

fn query(view: &str, listing: &str, group: Option<String>, order: Order) -> ListingQuery {
    ListingQuery {
        view: view.to_owned(),
        listing: listing.to_owned(),
        group: group.unwrap_or_default(),
        order,
        limit: ROWS,
        cursor: None,
    }
}
