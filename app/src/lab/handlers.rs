//! The event handlers of a workspace as the lab shows them: what state each is in, its rate and trend, and
//! the dials that bend it.

use domain::wire::{ERASURE, HandlerKind, HandlerStatus, HandlersAnswer, ProjectionStatus};

use super::dials::BentValue;
use crate::sorted::SortedMap;

/// The most samples of a trend: those of the last minute, as the page takes one every two seconds.
pub const SAMPLES: usize = 30;

/// The time over which a rate is measured, in milliseconds.
const RATE_MS: u64 = 10_000;

/// The consumer that sends emails.
const NOTIFICATION: &str = "notification";

/// What an event handler is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerState {
    /// It has handled every event.
    UpToDate,
    /// It has events to handle.
    Behind,
    /// Its lanes are paused.
    Paused,
    /// Another generation of it is folded.
    Rebuilding,
    /// One of its lanes is tried again after an error.
    Retrying,
}

impl HandlerState {
    /// The state of a handler.
    pub fn of(handler: &HandlerStatus) -> Self {
        Self::of_status(&handler.status)
    }

    /// The state of a handler with this status.
    pub fn of_status(status: &ProjectionStatus) -> Self {
        if status.paused {
            Self::Paused
        } else if status.rebuild.is_some() {
            Self::Rebuilding
        } else if !status.failing.is_empty() {
            Self::Retrying
        } else if status.behind > 0 {
            Self::Behind
        } else {
            Self::UpToDate
        }
    }

    /// The name for the style sheet and for tests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "up-to-date",
            Self::Behind => "behind",
            Self::Paused => "paused",
            Self::Rebuilding => "rebuilding",
            Self::Retrying => "retrying",
        }
    }
}

/// Where a handler was at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at_ms: u64,
    handled: u64,
    behind: u64,
}

/// Where every handler was in the last minute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History(SortedMap<String, Vec<Sample>>);

impl History {
    /// Takes a sample of every handler.
    pub fn take(&mut self, now_ms: u64, answer: &HandlersAnswer) {
        for handler in &answer.data {
            let samples = self.0.or_default(handler.status.view.clone());
            let positions = handler.status.as_of.iter().map(|(_, position)| position);
            samples.push(Sample {
                at_ms: now_ms,
                handled: positions.fold(0, u64::saturating_add),
                behind: handler.status.behind,
            });
            if samples.len() > SAMPLES {
                samples.remove(0);
            }
        }
    }

    /// How many events a handler has handled in a second, in tenths; `None` while there is nothing to
    /// compare.
    pub fn rate_tenths(&self, name: &str) -> Option<u64> {
        let samples = self.0.get(name)?;
        let last = samples.last()?;
        let oldest = last.at_ms.saturating_sub(RATE_MS);
        let first = samples.iter().find(|sample| sample.at_ms >= oldest)?;
        let handled = last.handled.saturating_sub(first.handled);
        handled
            .saturating_mul(10_000)
            .checked_div(last.at_ms.saturating_sub(first.at_ms))
    }

    /// How many events a handler was behind, oldest sample first.
    pub fn trend(&self, name: &str) -> Vec<u64> {
        let samples = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        samples.iter().map(|sample| sample.behind).collect()
    }
}

/// Whether a dial changes what an event handler does.
pub fn bends(dial: &str, kind: HandlerKind, name: &str) -> bool {
    let (of, dial) = dial.split_once('.').unwrap_or((dial, ""));
    match of {
        "broker" => name != ERASURE,
        "projections" => dial.split_once('.').is_some_and(|(handler, _)| handler == name),
        "guarantees" => match dial {
            "duplicate_detection" | "gap_detection" | "publish_after_commit" => kind == HandlerKind::View,
            "no_effects_on_replay" => name == NOTIFICATION,
            _ => false,
        },
        "mail" => name == NOTIFICATION,
        "payment" | "clock" => kind == HandlerKind::ProcessManager,
        _ => false,
    }
}

/// The dials that bend an event handler, of those that are bent.
pub fn bent_of(bent: &[BentValue], kind: HandlerKind, name: &str) -> Vec<BentValue> {
    let of_handler = bent.iter().filter(|bent| bends(&bent.dial, kind, name));
    of_handler.cloned().collect()
}

/// Whether a dial poisons the events of a type for a handler, so that a retry of one must fail.
pub fn is_poisoned(bent: &[BentValue], view: &str, event_type: &str) -> bool {
    let dial = ["projections.", view, ".poison_type"].concat();
    bent.iter()
        .any(|bent| bent.dial == dial && bent.value == event_type)
}

#[cfg(test)]
mod tests {
    use domain::wire::{FailingLane, RebuildProgress};
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn handler(position: u64, behind: u64) -> HandlerStatus {
        HandlerStatus {
            kind: HandlerKind::View,
            behind_ms: None,
            status: ProjectionStatus {
                view: "orders".to_owned(),
                generation: 1,
                as_of: format!("0:{position}").parse().unwrap(),
                behind,
                dead_letters: 0,
                waiting: 0,
                failing: Vec::new(),
                paused: false,
                slow_ms: 0,
                fails_by_dial: false,
                poison: None,
                panics: 0,
                rebuild: None,
            },
        }
    }

    fn answer(position: u64, behind: u64) -> HandlersAnswer {
        HandlersAnswer {
            data: vec![handler(position, behind)],
            ..HandlersAnswer::default()
        }
    }

    #[test]
    fn the_state_of_a_handler_is_the_first_that_a_person_has_to_know() {
        let mut handler = handler(7, 0);
        assert_eq!(HandlerState::of(&handler), HandlerState::UpToDate);
        handler.status.behind = 3;
        assert_eq!(HandlerState::of(&handler), HandlerState::Behind);
        handler.status.failing.push(FailingLane {
            partition: 0,
            failures: 1,
            stopped: false,
            reason: "it does not answer".to_owned(),
        });
        assert_eq!(HandlerState::of(&handler), HandlerState::Retrying);
        handler.status.rebuild = Some(RebuildProgress {
            generation: 2,
            events_done: 0,
            events_total: 7,
            events_per_second: 0,
            remaining_ms: None,
            failing: None,
        });
        assert_eq!(HandlerState::of(&handler), HandlerState::Rebuilding);
        handler.status.paused = true;
        assert_eq!(HandlerState::of(&handler), HandlerState::Paused);
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_and_a_trend_that_of_the_last_minute() {
        let mut history = History::default();
        assert_eq!(history.rate_tenths("orders"), None);
        history.take(0, &answer(100, 9));
        assert_eq!(history.rate_tenths("orders"), None, "there is nothing to compare");
        history.take(20_000, &answer(200, 5));
        history.take(25_000, &answer(207, 0));
        assert_eq!(history.rate_tenths("orders"), Some(14));
        assert_eq!(history.trend("orders"), [9, 5, 0]);
        // A view that begins again has handled nothing.
        history.take(30_000, &answer(0, 207));
        assert_eq!(history.rate_tenths("orders"), Some(0));
        for second in 0..100 {
            history.take(40_000 + second * 1_000, &answer(207, second));
        }
        assert_eq!(history.trend("orders").len(), SAMPLES);
        assert_eq!(history.trend("orders").last(), Some(&99));
        assert!(history.trend("sales").is_empty());
    }

    #[test]
    fn a_handler_shows_the_dials_that_bend_it_and_no_others() {
        let bent = |dial: &str| BentValue {
            dial: dial.to_owned(),
            name: "Ada".to_owned(),
            value: json!(true),
        };
        let dials = [
            "broker.paused",
            "projections.orders.paused",
            "projections.sales.slow_ms",
            "projections.fulfilment.paused",
            "projections.search.slow_ms",
            "guarantees.duplicate_detection",
            "guarantees.no_effects_on_replay",
            "guarantees.publish_after_commit",
            "mail.away",
            "payment.mode",
            "live.cut",
        ];
        let all = dials.map(bent);
        let shown = |kind, name| {
            let bent = bent_of(&all, kind, name);
            bent.into_iter().map(|bent| bent.dial).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(HandlerKind::View, "orders"),
            [
                "broker.paused",
                "projections.orders.paused",
                "guarantees.duplicate_detection",
                "guarantees.publish_after_commit"
            ]
        );
        assert_eq!(
            shown(HandlerKind::ProcessManager, "fulfilment"),
            ["broker.paused", "projections.fulfilment.paused", "payment.mode"]
        );
        assert_eq!(
            shown(HandlerKind::Consumer, NOTIFICATION),
            ["broker.paused", "guarantees.no_effects_on_replay", "mail.away"]
        );
        assert_eq!(
            shown(HandlerKind::Consumer, "search"),
            ["broker.paused", "projections.search.slow_ms"]
        );
        assert_eq!(shown(HandlerKind::Consumer, ERASURE), [""; 0]);
    }

    #[test]
    fn a_retry_must_fail_while_a_dial_poisons_the_type_for_the_view() {
        let bent = [BentValue {
            dial: "projections.orders.poison_type".to_owned(),
            name: "Ada".to_owned(),
            value: json!("OrderConfirmed"),
        }];
        assert!(is_poisoned(&bent, "orders", "OrderConfirmed"));
        assert!(!is_poisoned(&bent, "orders", "OrderCreated"));
        assert!(!is_poisoned(&bent, "sales", "OrderConfirmed"));
    }
}
