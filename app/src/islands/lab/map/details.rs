//! The details of what is selected: an event with its payload, its causes and effects, its time on each arrow
//! and the views that have folded it; a box with its figures; an arrow with its newest hops.

use domain::{
    event::StoredEvent,
    wire::{Arrow, Hop, HopOutcome, ProjectionStatus},
};
use leptos::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::{
    hop_list::hop_row,
    session::{MapSession, Selection},
    views::indented,
    wording::{box_name, drawn_arrow_name, figure_words, milliseconds, trend},
};
use crate::{
    components::{When, only_if},
    erase::{Erase, View},
    erased_signals::Memo,
    lab::{dials::box_of_drawing, hop_log::short_id},
    language::language,
    text,
};

/// The number of hops that the details of an arrow list.
const MOST_HOPS: usize = 12;
/// The number of steps by which causes and effects are indented at most.
const DEEPEST: usize = 6;

/// The panel.
pub(super) fn details(session: MapSession) -> View {
    let language = language();
    let content = move || match session.selection.get() {
        None => view! { <p class="muted">{text::lab::details_hint(language)}</p> }.erase(),
        Some(Selection::Event(id)) => event_details(session, id),
        Some(Selection::Box(id)) => box_details(session, id),
        Some(Selection::Arrow(id)) => arrow_details(session, id),
    };
    view! {
        <section class="panel lab-details" data-testid="hop-details">
            <h2>{text::lab::details(language)}</h2>
            {content}
        </section>
    }
    .erase()
}

fn event_details(session: MapSession, id: Uuid) -> View {
    let language = language();
    let track = Memo::new(move |_| {
        session.revision.track();
        session
            .log
            .with_value(|log| log.track_of(id).into_iter().cloned().collect::<Vec<Hop>>())
    });
    let hops = move || {
        let rows = track.get();
        rows.iter().map(|hop| hop_row(session, hop)).collect::<Vec<_>>()
    };
    let event = Memo::new(move |_| session.intention.with(|events| EventSummary::find(events, id)));
    let payload = move || {
        event.with(|event| match event {
            Some(event) => event_facts(event),
            None => view! { <p class="muted">{text::lab::event_unknown(language)}</p> }.erase(),
        })
    };
    let family = move || {
        let rows = session.intention.with(|events| family(events, id));
        rows.into_iter()
            .map(|relative| relative_item(session, relative))
            .collect::<Vec<_>>()
    };
    let folded = move || {
        let position = event.with(|event| event.as_ref().map(|event| (event.partition, event.position)));
        let hops = track.get();
        session.projections.with(|projections| {
            let views = projections.iter();
            views
                .map(|view| folded_item(view, position, &hops))
                .collect::<Vec<_>>()
        })
    };
    let page = ["/lab/events/", &id.to_string()].concat();
    view! {
        <div data-event=id.to_string()>
            <h3 class="mono"><a href=page>{short_id(id)}</a></h3>
            {payload}
            <h3>{text::lab::family(language)}</h3>
            <ol class="lab-family" data-testid="lab-family">{family}</ol>
            <h3>{text::lab::track(language)}</h3>
            <table class="table" data-testid="lab-track">
                <thead>
                    <tr>
                        <th scope="col">{text::lab::arrow(language)}</th>
                        <th scope="col">{text::lab::event(language)}</th>
                        <th scope="col">{text::lab::lane(language)}</th>
                        <th scope="col" class="figure">{text::lab::time(language)}</th>
                        <th scope="col">{text::lab::outcome(language)}</th>
                    </tr>
                </thead>
                <tbody>{hops}</tbody>
            </table>
            <h3>{text::lab::folded_by(language)}</h3>
            <ul class="lab-folded" data-testid="lab-folded">{folded}</ul>
        </div>
    }
    .erase()
}

/// What the details show of a stored event.
#[derive(Debug, Clone, PartialEq)]
struct EventSummary {
    kind: String,
    stream: String,
    partition: u32,
    position: u64,
    recorded_at: domain::timestamp::Timestamp,
    payload: String,
}

impl EventSummary {
    fn find(events: &[StoredEvent], id: Uuid) -> Option<Self> {
        let event = events.iter().find(|event| event.event_id == id)?;
        let payload: Value = serde_json::from_str(event.payload.get()).unwrap_or_default();
        Some(Self {
            kind: event.event_type.clone(),
            stream: event.stream.to_string(),
            partition: event.partition,
            position: event.position,
            recorded_at: event.recorded_at,
            payload: indented(&payload),
        })
    }
}

fn event_facts(event: &EventSummary) -> View {
    let language = language();
    let EventSummary {
        kind,
        stream,
        partition,
        position,
        recorded_at,
        payload,
    } = event.clone();
    let href = ["/lab/streams/", &stream].concat();
    view! {
        <dl class="facts">
            <div><dt>{text::lab::kind(language)}</dt><dd><code>{kind}</code></dd></div>
            <div>
                <dt>{text::lab::stream(language)}</dt>
                <dd><a class="mono break" href=href>{stream}</a></dd>
            </div>
            <div>
                <dt>{text::lab::position(language)}</dt>
                <dd class="mono">{format!("{partition}:{position}")}</dd>
            </div>
            <div><dt>{text::lab::recorded(language)}</dt><dd><When at=recorded_at /></dd></div>
        </dl>
        <pre class="code" tabindex="0" aria-label=text::lab::payload(language) data-testid="lab-payload">
            <code>{payload}</code>
        </pre>
    }
    .erase()
}

/// An event of the same intention.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Relative {
    id: Uuid,
    kind: String,
    /// The number of causes that led to it, one after the other.
    depth: usize,
    is_selected: bool,
}

/// The causes and effects of an event as a tree: all events of its intention, each below its cause.
fn family(events: &[StoredEvent], selected: Uuid) -> Vec<Relative> {
    fn add(
        events: &[StoredEvent],
        cause: Option<Uuid>,
        depth: usize,
        selected: Uuid,
        rows: &mut Vec<Relative>,
    ) {
        let is_listed = |id: Uuid| events.iter().any(|event| event.event_id == id);
        for event in events {
            // The cause of the first may be an event of another intention.
            let of_event = event.metadata.causation_id.filter(|id| is_listed(*id));
            if of_event != cause || rows.iter().any(|row| row.id == event.event_id) {
                continue;
            }
            rows.push(Relative {
                id: event.event_id,
                kind: event.event_type.clone(),
                depth,
                is_selected: event.event_id == selected,
            });
            add(events, Some(event.event_id), depth + 1, selected, rows);
        }
    }
    let mut rows = Vec::new();
    add(events, None, 0, selected, &mut rows);
    rows
}

fn relative_item(session: MapSession, relative: Relative) -> View {
    let Relative {
        id,
        kind,
        depth,
        is_selected,
    } = relative;
    view! {
        <li
            data-event=id.to_string()
            data-depth=depth.min(DEEPEST).to_string()
            aria-current=is_selected.then_some("true")
        >
            <button
                type="button"
                class="lab-link"
                on:click=move |_| session.selection.set(Some(Selection::Event(id)))
            >
                <code>{kind}</code>
                " "
                <code class="id">{short_id(id)}</code>
            </button>
        </li>
    }
    .erase()
}

/// Whether a view has folded the event at this position, and how long its lane took.
fn folded_item(view: &ProjectionStatus, position: Option<(u32, u64)>, track: &[Hop]) -> View {
    let language = language();
    let of_lane = |hop: &&Hop| hop.lane.as_deref() == Some(view.view.as_str());
    let upsert = track
        .iter()
        .filter(of_lane)
        .find(|hop| hop.arrow == Arrow::UpsertProjection && hop.outcome == HopOutcome::Done);
    let is_covered = position.is_some_and(|(partition, position)| view.as_of.position(partition) >= position);
    let is_folded = upsert.is_some() || is_covered;
    let words = match upsert {
        Some(hop) => text::lab::folded_in(language, milliseconds(hop.duration_us)),
        None if is_covered => text::lab::folded(language).to_owned(),
        None if view.paused => text::lab::not_folded_paused(language).to_owned(),
        None => text::lab::not_folded(language).to_owned(),
    };
    view! {
        <li data-view=view.view.clone() data-folded=is_folded.to_string()>
            <code>{view.view.clone()}</code>
            " "
            <span>{words}</span>
        </li>
    }
    .erase()
}

fn box_details(session: MapSession, id: String) -> View {
    let language = language();
    let item = session
        .sheet
        .with_value(|sheet| sheet.boxes.iter().find(|item| item.id == id).cloned());
    let (name, role) = item.map(|item| (item.name, item.role)).unwrap_or_default();
    let of_box = id.clone();
    let figures = Memo::new(move |_| session.figures.with(|figures| figures.of_box(&of_box)));
    let words = move || {
        let words = figures.with(figure_words);
        words
            .into_iter()
            .map(|words| view! { <li>{words}</li> }.erase())
            .collect::<Vec<_>>()
    };
    let line = move || figures.with(|figures| (!figures.trend.is_empty()).then(|| trend(&figures.trend)));
    let nothing = move || view! { <p class="muted">{text::lab::no_figures(language)}</p> }.erase();
    let has_none = move || figures.with(|figures| figure_words(figures).is_empty());
    let dials = box_of_drawing(&id).map(|of| {
        let href = ["/lab/dials#", of].concat();
        view! { <p><a href=href data-testid="lab-to-dials">{text::lab::to_dials(language)}</a></p> }.erase()
    });
    view! {
        <div data-box=id>
            <h3>{name}</h3>
            <p class="muted">{role}</p>
            {dials}
            <ul class="lab-figures mono">{words}</ul>
            {line}
            {only_if(has_none, nothing)}
        </div>
    }
    .erase()
}

fn arrow_details(session: MapSession, id: String) -> View {
    let language = language();
    let (name, start, end) = session.sheet.with_value(|sheet| {
        let ends = sheet.arrows.iter().find(|arrow| arrow.id == id);
        let (start, end) = ends.map_or(("", ""), |arrow| (arrow.from.as_str(), arrow.to.as_str()));
        let start = box_name(sheet, start).to_owned();
        (
            drawn_arrow_name(sheet, &id),
            start,
            box_name(sheet, end).to_owned(),
        )
    });
    let of_arrow = id.clone();
    let hops = Memo::new(move |_| {
        session.revision.track();
        let sheet = session.sheet.with_value(|sheet| sheet.name.clone());
        session.log.with_value(|log| {
            let crossed = |hop: &&Hop| hop.arrow.drawing_id(&sheet) == Some(of_arrow.as_str());
            let hops = log.hops().rev().filter(crossed).take(MOST_HOPS);
            hops.cloned().collect::<Vec<Hop>>()
        })
    });
    let rows = move || {
        hops.get()
            .iter()
            .map(|hop| hop_row(session, hop))
            .collect::<Vec<_>>()
    };
    view! {
        <div data-arrow=id>
            <h3>{name}</h3>
            <p class="muted">{text::lab::from_to(language, start, end)}</p>
            <table class="table"><tbody>{rows}</tbody></table>
        </div>
    }
    .erase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An event with this id, caused by another one.
    fn event(id: u128, cause: Option<u128>) -> StoredEvent {
        let event = json!({
            "workspace": Uuid::from_u128(1), "partition": 0, "position": id, "stream": format!("order-{id}"),
            "version": 1, "event_id": Uuid::from_u128(id), "type": "OrderCreated", "schema_version": 1,
            "payload": {"id": id.to_string()}, "recorded_at": "2026-11-21T20:22:36Z", "hash": "",
            "metadata": {
                "correlation_id": Uuid::from_u128(9), "causation_id": cause.map(Uuid::from_u128),
                "command_id": Uuid::from_u128(8),
                "actor": {"id": Uuid::from_u128(7), "role": "customer"},
            },
        });
        serde_json::from_str(&event.to_string()).unwrap()
    }

    fn depths(events: &[StoredEvent]) -> Vec<(u128, usize)> {
        let rows = family(events, Uuid::from_u128(2));
        rows.iter().map(|row| (row.id.as_u128(), row.depth)).collect()
    }

    #[test]
    fn causes_and_effects_are_a_tree_in_which_each_event_is_below_its_cause() {
        let events = [
            event(1, None),
            event(2, Some(1)),
            event(3, Some(1)),
            event(4, Some(2)),
        ];
        assert_eq!(depths(&events), [(1, 0), (2, 1), (4, 2), (3, 1)]);
        let selected: Vec<_> = family(&events, Uuid::from_u128(2))
            .into_iter()
            .filter(|row| row.is_selected)
            .collect();
        assert_eq!(selected.len(), 1);
    }

    #[test]
    fn an_event_whose_cause_is_of_another_intention_begins_its_own_tree() {
        assert_eq!(depths(&[event(2, Some(77)), event(3, Some(2))]), [(2, 0), (3, 1)]);
    }

    #[test]
    fn an_event_that_names_itself_as_its_cause_does_not_end_in_a_loop() {
        let events = [event(1, None), event(2, Some(2))];
        assert_eq!(depths(&events), [(1, 0)]);
    }

    #[test]
    fn the_summary_of_an_event_has_its_payload_in_lines() {
        let found = EventSummary::find(&[event(1, None)], Uuid::from_u128(1)).unwrap();
        assert_eq!((found.position, found.stream.as_str()), (1, "order-1"));
        assert!(found.payload.contains("\"id\": \"1\""), "{}", found.payload);
        assert_eq!(EventSummary::find(&[], Uuid::from_u128(1)), None);
    }
}
