//! A listing as a table: the page head with the freshness mark, one row for each document, the empty state,
//! and the button for the next page.

use std::sync::Arc;

use leptos::prelude::*;
use serde_json::Value;

use super::{Freshness, LiveRows, MoreRows, PageHead, either, live_rows};
use crate::{
    erase::{Erase, View},
    live::store::LiveListing,
};

/// A column, by its heading.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    is_figure: bool,
}

impl Column {
    /// A column of words.
    pub(crate) const fn words(heading: &'static str) -> Self {
        Self {
            heading,
            is_figure: false,
        }
    }

    /// A column of figures, aligned by digit.
    pub(crate) const fn figures(heading: &'static str) -> Self {
        Self {
            heading,
            is_figure: true,
        }
    }

    fn head(self) -> View {
        if self.is_figure {
            view! { <th scope="col" class="figure">{self.heading}</th> }.erase()
        } else {
            view! { <th scope="col">{self.heading}</th> }.erase()
        }
    }
}

/// A listing with its page head.
pub(crate) struct ListingTable {
    /// The title of the page.
    pub(crate) title: &'static str,
    /// The name of its view.
    pub(crate) view: &'static str,
    /// The listing.
    pub(crate) listing: LiveListing<Value>,
    /// The columns, in order.
    pub(crate) columns: Vec<Column>,
    /// The content between the page head and the table.
    pub(crate) before: Option<View>,
}

impl ListingTable {
    /// Renders the table: `row` builds the row of a key, `nothing` the empty state.
    pub(crate) fn show(
        self,
        row: impl Fn(String) -> View + Send + Sync + 'static,
        nothing: impl Fn() -> View + Send + Sync + 'static,
    ) -> View {
        self.page(Arc::new(row), Box::new(nothing))
    }

    fn page(
        self,
        row: Arc<dyn Fn(String) -> View + Send + Sync>,
        nothing: Box<dyn Fn() -> View + Send + Sync>,
    ) -> View {
        let Self {
            title,
            view,
            listing,
            columns,
            before,
        } = self;
        let table = move || {
            let heads: Vec<_> = columns.iter().map(|column| column.head()).collect();
            let row = Arc::clone(&row);
            let LiveRows { rows, notice } = live_rows(listing, move |key| row(key), gap);
            view! {
                <table class="table">
                    <thead>
                        <tr>{heads}</tr>
                    </thead>
                    <tbody data-rows="">{rows}</tbody>
                </table>
                {notice}
            }
            .erase()
        };
        view! {
            <PageHead
                title=title
                mark=view! { <Freshness view=view progress=listing.progress() /> }.erase()
            />
            {before}
            {either(move || listing.is_empty(), nothing, table)}
            <MoreRows listing=listing />
        }
        .erase()
    }
}

/// The place of a row that left the listing.
fn gap(height: String) -> View {
    view! { <tr class="gap" aria-hidden="true" style:height=height><td colspan="99"></td></tr> }.erase()
}
