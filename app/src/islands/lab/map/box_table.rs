//! The boxes of the sheet as a table, each with its figures: the same that the drawing shows, for screen
//! readers, small screens and readers without a script.

use leptos::prelude::*;

use super::{
    session::{MapSession, Selection},
    wording::{figure_words, trend},
};
use crate::{
    components::text,
    erase::{Erase, View},
    erased_signals::Memo,
    islands::lab::LabBox,
    language::language,
    text,
};

/// The table.
pub(super) fn box_table(session: MapSession) -> View {
    let language = language();
    let boxes = session.sheet.with_value(|sheet| sheet.boxes.clone());
    let rows: Vec<_> = boxes.into_iter().map(|item| row(session, item)).collect();
    view! {
        <table class="table lab-boxes" data-testid="lab-boxes">
            <caption class="hidden">{text::lab::boxes(language)}</caption>
            <thead>
                <tr>
                    <th scope="col">{text::lab::box_name(language)}</th>
                    <th scope="col">{text::lab::figures(language)}</th>
                    <th scope="col">{text::lab::trend(language)}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .erase()
}

fn row(session: MapSession, item: LabBox) -> View {
    let language = language();
    let LabBox { id, name, role } = item;
    let figures = {
        let id = id.clone();
        Memo::new(move |_| session.figures.with(|figures| figures.of_box(&id)))
    };
    let words = move || figures.with(|figures| figure_words(figures).join(" · "));
    let line = move || figures.with(|figures| (!figures.trend.is_empty()).then(|| trend(&figures.trend)));
    let selection = Selection::Box(id.clone());
    let is_selected = {
        let selection = selection.clone();
        move || {
            session
                .selection
                .with(|selected| selected.as_ref() == Some(&selection))
        }
    };
    view! {
        <tr data-box-row=id>
            <th scope="row">
                <button
                    type="button"
                    class="lab-link row-link"
                    aria-pressed=text(move || is_selected().to_string())
                    on:click=move |_| session.selection.set(Some(selection.clone()))
                >
                    {name}
                </button>
                <span class="muted lab-boxes__role">{role}</span>
            </th>
            <td class="mono" data-label=text::lab::figures(language)>{text(words)}</td>
            <td data-label=text::lab::trend(language)>{line}</td>
        </tr>
    }
    .erase()
}
