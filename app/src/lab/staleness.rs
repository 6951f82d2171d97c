//! How far the views were behind the log when they took its events: measured from hops, so by the clock of
//! the servers, and not by when the browser was told.

use std::collections::VecDeque;

use domain::{
    timestamp::Timestamp,
    wire::{Arrow, Hop, HopOutcome},
};

use super::hop_log::end_of;
use crate::sorted::SortedMap;

/// The number of appended events that are remembered until every view has taken them.
const REMEMBERED: usize = 5_000;

/// A lag behind the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// The number of events.
    pub events: u64,
    /// The milliseconds that the oldest of them had waited, rounded up.
    pub ms: u64,
}

/// The lags of one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lags {
    /// The lag when the view took its newest event.
    pub last: Lag,
    /// The most events, and the most milliseconds, since the beginning.
    pub longest: Lag,
}

/// An event that the log has.
#[derive(Debug, Clone, Copy)]
struct Appended {
    partition: u32,
    position: u64,
    at: Timestamp,
}

/// The lags of all views since the beginning.
#[derive(Debug, Clone, Default)]
pub struct Staleness {
    appended: VecDeque<Appended>,
    of_view: SortedMap<String, Lags>,
}

impl Staleness {
    /// Takes hops of one frame. The commit of an event may be told after its effect on a view, so a frame is
    /// taken as a whole.
    pub fn receive(&mut self, hops: &[Hop]) {
        for hop in hops.iter().filter(|hop| is_done(hop, Arrow::AppendEvents)) {
            if let (Some(partition), Some(position)) = (hop.partition, hop.position) {
                self.appended.push_back(Appended {
                    partition,
                    position,
                    at: end_of(hop),
                });
            }
        }
        for hop in hops.iter().filter(|hop| is_done(hop, Arrow::UpsertProjection)) {
            self.fold(hop);
        }
        while self.appended.len() > REMEMBERED {
            self.appended.pop_front();
        }
    }

    /// The lags of a view; `None` before it has taken an event that was seen.
    pub fn of(&self, view: &str) -> Option<Lags> {
        self.of_view.get(view).copied()
    }

    fn fold(&mut self, hop: &Hop) {
        let (Some(view), Some(partition), Some(position)) = (&hop.lane, hop.partition, hop.position) else {
            return;
        };
        let folded_at = end_of(hop);
        let is_it = |event: &&Appended| event.partition == partition && event.position == position;
        let Some(appended) = self.appended.iter().find(is_it).copied() else {
            return;
        };
        let waited = |event: &&Appended| {
            event.partition == partition && event.position >= position && event.at <= folded_at
        };
        let events = self.appended.iter().filter(waited).count() as u64;
        let micros = folded_at.as_micros().saturating_sub(appended.at.as_micros());
        let lag = Lag {
            events: events.max(1),
            ms: u64::try_from(micros).unwrap_or(0).div_ceil(1_000),
        };
        let lags = self.of_view.or_default(view.clone());
        lags.last = lag;
        lags.longest = Lag {
            events: lags.longest.events.max(lag.events),
            ms: lags.longest.ms.max(lag.ms),
        };
    }
}

fn is_done(hop: &Hop, arrow: Arrow) -> bool {
    hop.arrow == arrow && hop.outcome == HopOutcome::Done
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A hop of the event at a position of a partition, which ends at this millisecond.
    fn hop(arrow: Arrow, lane: Option<&str>, partition: u32, position: u64, ends_ms: i64) -> Hop {
        Hop {
            arrow,
            event_id: None,
            event_type: None,
            stream: None,
            partition: Some(partition),
            position: Some(position),
            correlation_id: None,
            lane: lane.map(str::to_owned),
            started_at: Timestamp::from_micros((ends_ms - 1) * 1_000),
            duration_us: 1_000,
            outcome: HopOutcome::Done,
        }
    }

    fn appended(partition: u32, position: u64, at_ms: i64) -> Hop {
        hop(Arrow::AppendEvents, None, partition, position, at_ms)
    }

    fn folded(view: &str, partition: u32, position: u64, at_ms: i64) -> Hop {
        hop(Arrow::UpsertProjection, Some(view), partition, position, at_ms)
    }

    #[test]
    fn a_lag_is_from_the_commit_to_the_fold_also_if_the_fold_is_told_first() {
        let mut staleness = Staleness::default();
        staleness.receive(&[folded("orders", 0, 1, 107), appended(0, 1, 100)]);
        let lag = Lag { events: 1, ms: 7 };
        let lags = Lags {
            last: lag,
            longest: lag,
        };
        assert_eq!(staleness.of("orders"), Some(lags));
        assert_eq!(staleness.of("sales"), None);
    }

    #[test]
    fn a_view_that_was_held_is_behind_by_all_that_came_meanwhile() {
        let mut staleness = Staleness::default();
        staleness.receive(&[appended(0, 1, 100), appended(0, 2, 200), appended(0, 3, 300)]);
        staleness.receive(&[appended(1, 1, 150), folded("orders", 0, 1, 900)]);
        staleness.receive(&[folded("orders", 0, 2, 901), folded("orders", 0, 3, 902)]);
        let lags = staleness.of("orders").unwrap();
        assert_eq!(lags.longest, Lag { events: 3, ms: 800 });
        assert_eq!(lags.last, Lag { events: 1, ms: 602 });
    }

    #[test]
    fn an_event_whose_commit_was_not_seen_or_that_was_put_aside_measures_nothing() {
        let mut staleness = Staleness::default();
        let mut parked = folded("orders", 0, 1, 200);
        parked.outcome = HopOutcome::Parked;
        staleness.receive(&[appended(0, 1, 100), parked, folded("orders", 0, 7, 300)]);
        assert_eq!(staleness.of("orders"), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut staleness = Staleness::default();
        for position in 1..=6_000 {
            staleness.receive(&[appended(0, position, 100)]);
        }
        assert_eq!(staleness.appended.len(), REMEMBERED);
        staleness.receive(&[folded("orders", 0, 1, 200)]);
        assert_eq!(staleness.of("orders"), None, "the oldest made room");
    }
}
