//! The words of the map: outcomes, arrows, times and figures.

use std::fmt::Write;

#[cfg(any(test, not(feature = "ssr")))]
use domain::token::ConsistencyToken;
use domain::wire::{Arrow, HopOutcome};
use leptos::prelude::*;

use crate::{
    erase::{Erase, View},
    islands::lab::LabSheet,
    lab::figures::BoxFigures,
    language::language,
    text,
};

/// The number of characters of a long id.
const SHOWN_OF_ID: usize = 8;

/// The word for an outcome.
pub(super) fn outcome_word(outcome: HopOutcome) -> &'static str {
    let language = language();
    match outcome {
        HopOutcome::Done => text::lab::outcome_done(language),
        HopOutcome::Refused => text::lab::outcome_refused(language),
        HopOutcome::Retried => text::lab::outcome_retried(language),
        HopOutcome::Parked => text::lab::outcome_parked(language),
        HopOutcome::Duplicate => text::lab::outcome_duplicate(language),
    }
}

/// The name of a box of the sheet; its id if the sheet has no such box.
pub(super) fn box_name<'a>(sheet: &'a LabSheet, id: &'a str) -> &'a str {
    let named = sheet.boxes.iter().find(|item| item.id == id);
    named.map_or(id, |item| item.name.as_str())
}

/// The name of an arrow of the sheet, by its id in the layout: its label, or from where to where it leads.
pub(super) fn drawn_arrow_name(sheet: &LabSheet, id: &str) -> String {
    let Some(arrow) = sheet.arrows.iter().find(|arrow| arrow.id == id) else {
        return id.to_owned();
    };
    if arrow.label.is_empty() {
        let (start, end) = (box_name(sheet, &arrow.from), box_name(sheet, &arrow.to));
        text::lab::from_to(language(), start, end)
    } else {
        arrow.label.clone()
    }
}

/// The name of an arrow; that of its hops if the sheet does not have it.
pub(super) fn arrow_name(sheet: &LabSheet, arrow: Arrow) -> String {
    match arrow.drawing_id(&sheet.name) {
        Some(id) => drawn_arrow_name(sheet, id),
        None => arrow.as_str().to_owned(),
    }
}

/// A stream in a column of few characters: its category, and the end of a long id.
pub(super) fn short_stream(stream: &str) -> String {
    let end = stream
        .char_indices()
        .rev()
        .nth(SHOWN_OF_ID - 1)
        .map_or(0, |(at, _)| at);
    match stream.split_once('-') {
        Some((category, id)) if category.len() + 2 < end && id.len() > 2 * SHOWN_OF_ID => {
            [category, "-…", stream.get(end..).unwrap_or_default()].concat()
        }
        _ => stream.to_owned(),
    }
}

/// Microseconds as milliseconds with two digits: `0.41`.
pub(super) fn milliseconds(micros: u64) -> String {
    let words = format!("{}.{:02}", micros / 1_000, micros % 1_000 / 10);
    text::lab::milliseconds(language(), words)
}

/// The lag of a box or view in events and milliseconds.
pub(in crate::islands::lab) fn lag_words(events: u64, ms: Option<u64>) -> String {
    let language = language();
    match (events, ms) {
        (0, None) => text::lab::up_to_date(language).to_owned(),
        (0, Some(ms)) => text::lab::up_to_date_ms(language, ms),
        (_, None) => text::freshness::behind(language, events),
        (_, Some(ms)) => text::freshness::behind_ms(language, events, ms),
    }
}

/// The figures of a box as a list of sentences; empty if nothing is known about it.
pub(super) fn figure_words(figures: &BoxFigures) -> Vec<String> {
    let language = language();
    let mut words = Vec::new();
    match (&figures.position, &figures.head) {
        (Some(position), Some(head)) if position != head => {
            words.push(text::lab::position_of_head(language, position, head));
        }
        (Some(position), _) => words.push(text::lab::at_position(language, position)),
        (None, Some(head)) => words.push(text::lab::at_head(language, head)),
        (None, None) => {}
    }
    if let Some(queue) = figures.queue {
        words.push(text::lab::waiting(language, queue));
    }
    if let Some(events) = figures.lag_events {
        words.push(lag_words(events, figures.lag_ms));
    }
    if let Some(rate) = figures.hit_rate {
        words.push(text::lab::hit_rate(language, rate));
    }
    if let Some(subscribers) = figures.subscribers {
        words.push(text::lab::subscribers(language, subscribers));
    }
    if figures.failed > 0 {
        words.push(text::lab::failed(language, figures.failed));
    }
    if figures.per_second > 0 {
        words.push(text::lab::per_second(language, figures.per_second));
    }
    words
}

/// The figure that is written at a box in the drawing, where there is room for a few characters only.
#[cfg(any(test, not(feature = "ssr")))]
pub(super) fn short_figure(figures: &BoxFigures) -> String {
    let language = language();
    if let Some(events) = figures.lag_events.filter(|events| *events > 0) {
        return lag_words(events, figures.lag_ms);
    }
    if let Some(queue) = figures.queue.filter(|queue| *queue > 0) {
        return text::lab::waiting(language, queue);
    }
    if let Some(rate) = figures.hit_rate {
        return text::lab::hit_rate(language, rate);
    }
    if let Some(position) = figures.position.as_ref().or(figures.head.as_ref()) {
        return short_position(position);
    }
    if let Some(subscribers) = figures.subscribers {
        return text::lab::subscribers(language, subscribers);
    }
    if figures.per_second > 0 {
        return text::lab::per_second(language, figures.per_second);
    }
    String::new()
}

/// A position in one partition as it is; of several partitions, the number of their events.
#[cfg(any(test, not(feature = "ssr")))]
fn short_position(position: &ConsistencyToken) -> String {
    if position.iter().count() > 1 {
        let events = position
            .iter()
            .map(|(_, position)| position)
            .fold(0, u64::saturating_add);
        text::lab::events(language(), events)
    } else {
        position.to_string()
    }
}

/// The line of a trend, newest sample at its end: 60 wide and 16 high.
pub(super) fn trend_path(samples: &[u64]) -> String {
    let highest = samples.iter().copied().max().unwrap_or_default().max(1);
    let mut path = String::new();
    for (at, sample) in samples.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        // In tenths, without a fraction of our own making.
        let height = 155 - sample.saturating_mul(150) / highest;
        let _ = write!(path, "{command}{at},{}.{}", height / 10, height % 10);
    }
    path
}

/// A trend as a line, beside the words that say the same.
pub(in crate::islands::lab) fn trend(samples: &[u64]) -> View {
    let highest = samples.iter().copied().max().unwrap_or_default();
    let words = text::lab::highest(language(), highest);
    view! {
        <svg class="lab-trend" viewBox="0 0 60 16" aria-hidden="true" focusable="false">
            <path d=trend_path(samples)></path>
        </svg>
        <span class="hidden">{words}</span>
    }
    .erase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> LabSheet {
        serde_json::from_value(serde_json::json!({
            "name": "business",
            "boxes": [
                {"id": "event_bus", "name": "Event bus", "role": ""},
                {"id": "search_indexer", "name": "Search indexer", "role": ""},
            ],
            "arrows": [
                {"id": "append", "label": "Append", "from": "event_bus", "to": "event_store",
                    "flow": "event"},
                {"id": "search_subscription", "label": "", "from": "event_bus", "to": "search_indexer",
                    "flow": "event"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn an_arrow_is_named_by_its_label_by_its_ends_or_by_its_hops() {
        let sheet = sheet();
        assert_eq!(arrow_name(&sheet, Arrow::AppendEvents), "Append");
        let named = arrow_name(&sheet, Arrow::SearchIndexer);
        assert!(
            named.contains("Event bus") && named.contains("Search indexer"),
            "{named}"
        );
        assert_eq!(arrow_name(&sheet, Arrow::CacheSet), "cache-set");
    }

    #[test]
    fn a_long_id_of_a_stream_is_shortened_and_a_name_is_not() {
        let order = short_stream("order-0198c1a2-7d1e-7c3f-9a54-0f1e2d3c4b5a");
        assert_eq!(order, "order-…2d3c4b5a");
        for stream in ["product-mug-01", "order-1", "order", ""] {
            assert_eq!(short_stream(stream), stream);
        }
    }

    #[test]
    fn a_time_has_two_digits_of_a_millisecond() {
        for (micros, words) in [(0, "0.00"), (412, "0.41"), (1_007, "1.00"), (65_432, "65.43")] {
            assert!(milliseconds(micros).contains(words), "{micros}");
        }
    }

    #[test]
    fn a_box_shows_what_is_behind_before_where_it_is() {
        let position: ConsistencyToken = "0:12".parse().unwrap();
        let mut figures = BoxFigures {
            position: Some(position),
            ..BoxFigures::default()
        };
        assert_eq!(short_figure(&figures), "0:12");
        figures.lag_events = Some(0);
        assert_eq!(short_figure(&figures), "0:12", "it is up to date");
        figures.lag_events = Some(3);
        figures.lag_ms = Some(740);
        assert!(short_figure(&figures).contains("740"));
        assert_eq!(figure_words(&BoxFigures::default()), Vec::<String>::new());
        assert_eq!(short_figure(&BoxFigures::default()), "");
    }

    #[test]
    fn a_trend_has_a_point_for_each_sample_and_reaches_from_the_bottom_to_the_top() {
        assert_eq!(trend_path(&[]), "");
        assert_eq!(trend_path(&[0, 0]), "M0,15.5L1,15.5");
        assert_eq!(trend_path(&[0, 5, 10]), "M0,15.5L1,8.0L2,0.5");
        assert!(trend_path(&[u64::MAX, 1]).starts_with("M0,"));
    }
}
