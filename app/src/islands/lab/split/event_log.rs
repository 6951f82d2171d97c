//! The left column: the newest events of the log.

use leptos::prelude::*;
use uuid::Uuid;

use super::SplitSession;
use crate::{
    components::{Id, either, for_each, text},
    erase::{Erase, View},
    language::language,
    text,
};

pub(super) fn column(session: SplitSession) -> View {
    let language = language();
    let events = session.events;
    let keys = move || events.with(|events| events.iter().map(|event| event.event_id.to_string()).collect());
    let table = move || {
        view! {
            <table class="table lab-split__table">
                <thead>
                    <tr>
                        <th scope="col" class="figure">{text::lab::position(language)}</th>
                        <th scope="col">{text::lab::event(language)}</th>
                        <th scope="col">{text::lab::stream(language)}</th>
                    </tr>
                </thead>
                <tbody>{for_each(keys, move |key| row(session, &key))}</tbody>
            </table>
        }
        .erase()
    };
    let nothing = move || view! { <p class="muted">{text::lab::split_log_empty(language)}</p> }.erase();
    view! {
        <section class="panel lab-split__column lab-split__column--log" data-testid="split-log">
            <h2>{text::lab::split_log(language)}</h2>
            <p class="lab-split__position">
                <code>{text(move || session.head.with(ToString::to_string))}</code>
            </p>
            {either(move || events.with(Vec::is_empty), nothing, table)}
        </section>
    }
    .erase()
}

fn row(session: SplitSession, key: &str) -> View {
    let id: Uuid = key.parse().unwrap_or_default();
    let found = session.events.with_untracked(|events| {
        let event = events.iter().find(|event| event.event_id == id)?;
        let position = format!("{}:{}", event.partition, event.position);
        Some((position, event.event_type.clone(), event.stream.to_string()))
    });
    // A row without an event is about to be removed.
    let Some((position, event_type, stream)) = found else {
        return ().erase();
    };
    let language = language();
    let href = ["/lab/streams/", &stream].concat();
    let (category, rest) = stream.split_once('-').unwrap_or((stream.as_str(), ""));
    view! {
        <tr class="flash-odd" data-event=key.to_owned()>
            <td class="figure mono" data-label=text::lab::position(language)>{position}</td>
            <td data-label=text::lab::event(language)><code>{event_type}</code></td>
            <td data-label=text::lab::stream(language)>
                <a href=href><code>{category.to_owned()}"-"</code><Id id=rest.to_owned() /></a>
            </td>
        </tr>
    }
    .erase()
}
