//! The list beside the map: the newest events with the arrows that each took, and, for readers without the
//! picture, every hop as a row of a table.

use domain::wire::Hop;
use leptos::prelude::*;
use uuid::Uuid;

use super::{
    session::{MapSession, Selection},
    wording::{arrow_name, milliseconds, outcome_word, short_stream},
};
use crate::{
    components::{for_each, text},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::hop_log::{EventRow, short_id},
    language::language,
    text,
};

/// The maximum number of events in the list.
const MOST_ROWS: usize = 40;
/// The maximum number of hops in the table.
const MOST_HOPS: usize = 30;

/// The list of events, newest first.
pub(super) fn hop_list(session: MapSession) -> View {
    let language = language();
    let rows = Memo::new(move |_| {
        session.revision.track();
        let until = (!session.is_live()).then(|| session.moment.get());
        session.log.with_value(|log| log.rows(until, MOST_ROWS))
    });
    let keys = move || rows.with(|rows| rows.iter().map(|row| row.event_id.to_string()).collect());
    view! {
        <table class="table lab-list" data-testid="hop-list">
            <caption class="hidden">{text::lab::list(language)}</caption>
            <thead>
                <tr>
                    <th scope="col">{text::lab::event(language)}</th>
                    <th scope="col">{text::lab::kind(language)}</th>
                    <th scope="col">{text::lab::stream(language)}</th>
                    <th scope="col">{text::lab::arrows(language)}</th>
                    <th scope="col" class="figure">{text::lab::time(language)}</th>
                    <th scope="col">{text::lab::outcome(language)}</th>
                </tr>
            </thead>
            <tbody
                on:keydown=move |event| {
                    #[cfg(not(feature = "ssr"))]
                    browser::walk(&event);
                    #[cfg(feature = "ssr")]
                    let _ = event;
                }
            >
                {for_each(keys, move |key| row(session, rows, &key))}
            </tbody>
        </table>
    }
    .erase()
}

fn row(session: MapSession, rows: Memo<Vec<EventRow>>, key: &str) -> View {
    let language = language();
    let id: Uuid = key.parse().unwrap_or_default();
    let row = Memo::new(move |_| rows.with(|rows| rows.iter().find(|row| row.event_id == id).cloned()));
    let field = move |read: fn(&EventRow) -> String| {
        text(move || row.with(|row| row.as_ref().map(read).unwrap_or_default()))
    };
    let is_selected = move || session.selection.get() == Some(Selection::Event(id));
    let path = move || {
        let names = row.with(|row| {
            session.sheet.with_value(|sheet| {
                let arrows = row.iter().flat_map(|row| &row.arrows);
                arrows.map(|arrow| arrow_name(sheet, *arrow)).collect::<Vec<_>>()
            })
        });
        let names = names.into_iter().map(|name| view! { <li>{name}</li> }.erase());
        names.collect::<Vec<_>>()
    };
    let outcome = move || row.with(|row| row.as_ref().map_or("", |row| outcome_word(row.outcome)));
    view! {
        <tr
            data-event=key.to_owned()
            data-correlation=field(|row| row.correlation_id.map(|id| id.to_string()).unwrap_or_default())
            data-arrows=field(|row| {
                let names: Vec<_> = row.arrows.iter().map(|arrow| arrow.as_str()).collect();
                names.join(" ")
            })
            data-outcome=field(|row| row.outcome.as_str().to_owned())
            class:lab-list__selected=is_selected
        >
            <th scope="row">
                <button
                    type="button"
                    class="lab-link row-link mono"
                    data-row=key.to_owned()
                    title=key.to_owned()
                    aria-pressed=text(move || is_selected().to_string())
                    on:click=move |_| session.selection.set(Some(Selection::Event(id)))
                >
                    {short_id(id)}
                </button>
            </th>
            <td data-label=text::lab::kind(language)>
                <code>{field(|row| row.event_type.clone().unwrap_or_default())}</code>
            </td>
            <td data-label=text::lab::stream(language)>
                <code title=field(|row| row.stream.clone().unwrap_or_default())>
                    {field(|row| row.stream.as_deref().map(short_stream).unwrap_or_default())}
                </code>
            </td>
            <td data-label=text::lab::arrows(language)><ol class="lab-path">{path}</ol></td>
            <td class="figure mono" data-label=text::lab::time(language)>
                {field(|row| milliseconds(row.total_us))}
            </td>
            <td data-label=text::lab::outcome(language)>
                <span class="lab-outcome" data-outcome=field(|row| row.outcome.as_str().to_owned())>
                    {text(outcome)}
                </span>
            </td>
        </tr>
    }
    .erase()
}

/// Every hop, newest first: also those of queries, which have no event. The style sheet shows it where
/// nothing moves, and always to assistive technology.
pub(super) fn hop_table(session: MapSession) -> View {
    let language = language();
    let hops = Memo::new(move |_| {
        // Once a second, with the figures: under load, each row is another one every time.
        session.figures.track();
        let until = (!session.is_live()).then(|| session.moment.get());
        session.log.with_value(|log| {
            let shown = log.hops().rev();
            let shown = shown.filter(|hop| until.is_none_or(|until| hop.started_at <= until));
            shown.take(MOST_HOPS).cloned().collect::<Vec<Hop>>()
        })
    });
    let rows = move || {
        let hops = hops.get();
        let rows = hops.iter().map(|hop| hop_row(session, hop));
        rows.collect::<Vec<_>>()
    };
    view! {
        <div class="lab-alternative">
            <table class="table" data-testid="hop-table">
                <caption>{text::lab::hops(language)}</caption>
                <thead>
                    <tr>
                        <th scope="col">{text::lab::arrow(language)}</th>
                        <th scope="col">{text::lab::event(language)}</th>
                        <th scope="col">{text::lab::lane(language)}</th>
                        <th scope="col" class="figure">{text::lab::time(language)}</th>
                        <th scope="col">{text::lab::outcome(language)}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .erase()
}

/// One hop as a row, as the table and the details have it.
pub(super) fn hop_row(session: MapSession, hop: &Hop) -> View {
    let language = language();
    let name = session.sheet.with_value(|sheet| arrow_name(sheet, hop.arrow));
    let event = hop.event_id.map(short_id).unwrap_or_default();
    let lane = hop.lane.clone().unwrap_or_default();
    view! {
        <tr data-arrow=hop.arrow.as_str() data-event=hop.event_id.map(|id| id.to_string())>
            <td data-label=text::lab::arrow(language)>{name}</td>
            <td data-label=text::lab::event(language)><code>{event}</code></td>
            <td data-label=text::lab::lane(language)><code>{lane}</code></td>
            <td class="figure mono" data-label=text::lab::time(language)>{milliseconds(hop.duration_us)}</td>
            <td data-label=text::lab::outcome(language)>
                <span class="lab-outcome" data-outcome=hop.outcome.as_str()>{outcome_word(hop.outcome)}</span>
            </td>
        </tr>
    }
    .erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The arrow keys walk the rows.

    use leptos::{prelude::*, web_sys::HtmlElement};
    use wasm_bindgen::JsCast;
    use web_sys::KeyboardEvent;

    pub(super) fn walk(event: &KeyboardEvent) {
        let is_forward = match event.key().as_str() {
            "ArrowDown" => true,
            "ArrowUp" => false,
            _ => return,
        };
        let focused = document().active_element();
        let row = focused.and_then(|element| element.closest("tr").ok().flatten());
        let next = row.and_then(|row| {
            if is_forward {
                row.next_element_sibling()
            } else {
                row.previous_element_sibling()
            }
        });
        let link = next.and_then(|row| row.query_selector("[data-row]").ok().flatten());
        if let Some(link) = link.and_then(|link| link.dyn_into::<HtmlElement>().ok()) {
            event.prevent_default();
            let _ = link.focus();
        }
    }
}
