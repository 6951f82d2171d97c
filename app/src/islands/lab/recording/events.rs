//! The events up to the shown moment, newest first, each with the arrows that it took.

use domain::wire::{Hop, HopOutcome};
use leptos::prelude::*;
use uuid::Uuid;

use super::player::Player;
use crate::{
    components::{Id, for_each, text},
    erase::{Erase, View},
    lab::hop_log::end_of,
    language::language,
    text,
};

/// How many events the table shows.
const MOST_EVENTS: usize = 30;

/// The table.
pub(super) fn table(player: Player) -> View {
    let language = language();
    let keys = move || {
        let count = player.count.get();
        let first = count.saturating_sub(MOST_EVENTS);
        player.playable.with_value(|playable| {
            let events = (first..count)
                .rev()
                .filter_map(|index| playable.events.event(index));
            events.map(|event| event.event_id.to_string()).collect()
        })
    };
    view! {
        <section class="panel" data-testid="hop-list">
            <h2>{text::lab::run_events(language)}</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">{text::lab::position(language)}</th>
                        <th scope="col">{text::lab::event(language)}</th>
                        <th scope="col">{text::lab::stream(language)}</th>
                        <th scope="col">{text::lab::arrows(language)}</th>
                        <th scope="col" class="figure">{text::lab::time(language)}</th>
                    </tr>
                </thead>
                <tbody>{for_each(keys, move |key| row(player, &key))}</tbody>
            </table>
        </section>
    }
    .erase()
}

/// The row of the event with this id.
fn row(player: Player, key: &str) -> View {
    let language = language();
    let id: Uuid = key.parse().unwrap_or_default();
    let known = player.playable.with_value(|playable| {
        let index = playable.events.index_of(id)?;
        let event = playable.events.event(index)?;
        let track = playable.log.track_of(event.event_id);
        let position = format!("{}:{}", event.partition, event.position);
        let names = (event.event_type.clone(), event.stream.to_string());
        Some((index, position, names, arrows(&track), duration(&track)))
    });
    let Some((index, position, (event_type, stream), arrows, duration)) = known else {
        return ().erase();
    };
    let is_newest = move || player.count.get() == index + 1;
    view! {
        <tr data-event=key.to_owned() aria-current=text(move || is_newest().to_string())>
            <th scope="row" class="mono" data-label=text::lab::position(language)>
                <button type="button" class="lab-link" on:click=move |_| player.seek(index + 1)>
                    {position}
                </button>
            </th>
            <td data-label=text::lab::event(language)><code>{event_type}</code></td>
            <td data-label=text::lab::stream(language)><Id id=stream /></td>
            <td data-label=text::lab::arrows(language) class="mono" dir="ltr">{arrows}</td>
            <td data-label=text::lab::time(language) class="figure mono">{duration}</td>
        </tr>
    }
    .erase()
}

/// The distinct arrows of a track in their order, with the outcome of those that did not simply do it.
fn arrows(track: &[&Hop]) -> String {
    let mut words: Vec<String> = Vec::new();
    for hop in track {
        let word = match hop.outcome {
            HopOutcome::Done => hop.arrow.as_str().to_owned(),
            other => format!("{} ({})", hop.arrow, other.as_str()),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        return "–".to_owned();
    }
    words.join(" → ")
}

/// From the beginning of the first hop to the end of the last, in milliseconds with two digits.
fn duration(track: &[&Hop]) -> String {
    let begins = track.iter().map(|hop| hop.started_at).min();
    let ends = track.iter().map(|hop| end_of(hop)).max();
    match (begins, ends) {
        (Some(begin), Some(end)) => {
            let micros = end.as_micros().saturating_sub(begin.as_micros());
            let words = format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10);
            text::lab::milliseconds(language(), words)
        }
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use domain::{timestamp::Timestamp, wire::Arrow};

    use super::*;

    fn hop(arrow: Arrow, outcome: HopOutcome) -> Hop {
        Hop {
            arrow,
            event_id: None,
            event_type: None,
            stream: None,
            partition: None,
            position: None,
            correlation_id: None,
            lane: None,
            started_at: Timestamp::from_micros(1_000),
            duration_us: 2_340,
            outcome,
        }
    }

    #[test]
    fn a_track_names_each_arrow_once_and_says_what_went_another_way() {
        let (append, parked) = (
            hop(Arrow::AppendEvents, HopOutcome::Done),
            hop(Arrow::UpsertProjection, HopOutcome::Parked),
        );
        let track = [&append, &append, &parked];
        assert_eq!(arrows(&track), "append-events → upsert-projection (parked)");
        assert_eq!(arrows(&[]), "–");
    }
}
