//! The documents of a view of one's own as a table, which changes with each event that is folded.

use domain::wire::{FoldOp, Order, OwnFold, OwnView, own_views::ALL_LISTING};
use leptos::prelude::*;
use serde_json::Value;

use crate::{
    backend::ListingQuery,
    components::{Freshness, MoreRows, either, for_each, highlight_class, only_if, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::own_views::Cell,
    language::language,
    live::store::{InitialListing, LiveListing},
    text,
};

/// How many documents are shown at first; a button brings more.
const FIRST: u32 = 20;

/// The folds of a view, which are the columns of its table.
type Columns = StoredValue<Vec<OwnFold>>;

/// The query of the first documents of a view.
pub(crate) fn query_of(name: &str) -> ListingQuery {
    ListingQuery {
        view: name.to_owned(),
        listing: ALL_LISTING.to_owned(),
        group: String::new(),
        order: Order::Asc,
        limit: FIRST,
        cursor: None,
    }
}

/// Whether a column has figures, which are aligned by digit.
fn is_figure(fold: &OwnFold) -> bool {
    matches!(fold.op, FoldOp::Count | FoldOp::Sum)
}

/// The table, from the first documents on.
pub(super) fn documents(view: &OwnView, first: InitialListing) -> View {
    let language = language();
    let listing: LiveListing<Value> = LiveListing::new(first);
    let columns: Columns = StoredValue::new(view.fold.clone());
    let has_group = view.group.is_some();
    let caption = text::lab_views::documents(language, &view.name);
    let table = move || {
        let heads: Vec<View> = columns.with_value(|columns| columns.iter().map(head).collect());
        let group =
            has_group.then(|| view! { <th scope="col">{text::lab_views::group(language)}</th> }.erase());
        let rows = for_each(
            move || listing.keys(),
            move |key| row(listing, columns, has_group, key),
        );
        view! {
            <div class="own-view__table" role="region" aria-label=caption.clone() tabindex="0">
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">{text::lab_views::key(language)}</th>
                            {group}
                            {heads}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .erase()
    };
    let nothing = move || view! { <p class="muted">{text::lab_views::documents_none(language)}</p> }.erase();
    view! {
        <Freshness view=view.name.clone() progress=listing.progress() />
        {either(move || listing.is_empty(), nothing, table)}
        <MoreRows listing=listing />
    }
    .erase()
}

fn head(fold: &OwnFold) -> View {
    let name = fold.field.clone();
    if is_figure(fold) {
        view! { <th scope="col" class="figure"><code>{name}</code></th> }.erase()
    } else {
        view! { <th scope="col"><code>{name}</code></th> }.erase()
    }
}

/// The row of a document.
fn row(listing: LiveListing<Value>, columns: Columns, has_group: bool, key: String) -> View {
    let document = listing.row(key.clone());
    let cell = move |member: String, label: String, class: &'static str| {
        let cell = Memo::new(move |_| {
            document.with(|document| {
                let (document, _) = document.as_ref()?;
                Some(Cell::of(document, &member))
            })
        });
        view! { <td class=class data-label=label>{content(cell)}</td> }.erase()
    };
    let group = has_group.then(|| {
        let label = text::lab_views::group(language()).to_owned();
        cell("group".to_owned(), label, "mono")
    });
    let cells: Vec<View> = columns.with_value(|columns| {
        let cells = columns.iter().map(|fold| {
            let class = if is_figure(fold) { "figure mono" } else { "mono" };
            cell(fold.field.clone(), fold.field.clone(), class)
        });
        cells.collect()
    });
    let name = key.clone();
    view! {
        <tr class=text(move || highlight_class(document)) data-key=key>
            <th scope="row"><code class="break">{name}</code></th>
            {group}
            {cells}
        </tr>
    }
    .erase()
}

/// The value of a cell, how many values of a set are not shown, and whether it was cut.
fn content(cell: Memo<Option<Cell>>) -> View {
    let language = language();
    let of = move |read: fn(&Cell) -> String| cell.with(|cell| cell.as_ref().map(read).unwrap_or_default());
    let words = move || match of(|cell| cell.words.clone()) {
        words if words.is_empty() => "–".to_owned(),
        words => words,
    };
    let more = move || cell.with(|cell| cell.as_ref().map_or(0, |cell| cell.more));
    let is_cut = move || cell.with(|cell| cell.as_ref().is_some_and(|cell| cell.is_cut));
    let rest = move || {
        let words = move || text::lab_views::set_more(language, more());
        view! { <span class="muted">" "{text(words)}</span> }.erase()
    };
    let cut = move || view! { <span class="muted">" "{text::lab_views::cut(language)}</span> }.erase();
    view! {
        <span dir="auto">{text(words)}</span>
        {only_if(move || more() > 0, rest)}
        {only_if(is_cut, cut)}
    }
    .erase()
}
