//! The page of the activity feed.

use domain::wire::Order;
use leptos::prelude::*;

use super::office;
use crate::{
    api::{self, use_session},
    backend::ListingQuery,
    components::WindowTitle,
    erase::Erase,
    islands::{Island, OfficeActivity},
    language::language,
    pages::{PAGE_ROWS, problem_view, suspend},
    text,
};

/// `/office/activity`.
#[component]
pub(crate) fn OfficeActivityPage() -> impl IntoView {
    office(|_acts| {
        let title = text::office::activity(language());
        let reads_streams = use_session().is_some_and(|session| session.role.reads_lab());
        let initial = api::listing(ListingQuery {
            view: "activity".to_owned(),
            listing: "recent".to_owned(),
            group: String::new(),
            order: Order::Desc,
            limit: PAGE_ROWS,
            cursor: None,
        });
        suspend(async move {
            match initial.await {
                Ok(initial) => {
                    view! { <WindowTitle text=title />{OfficeActivity { initial, reads_streams }.island()} }
                        .erase()
                }
                Err(problem) => problem_view(title, &problem),
            }
        })
    })
}
