//! The axis of sliders and steps: the moments of hops and of events. It is a pure function of a schedule and
//! of the loaded events, and is made anew when either has changed.

use domain::timestamp::Timestamp;

use super::{
    event_log::EventLog,
    hop_log::later,
    schedule::{Leg, Schedule},
};
use crate::sorted::sort_by_key;

/// The moments of a session or a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When each packet is half way along an arrow; distinct and sorted.
    hops: Vec<Timestamp>,
    /// When each event is in the log; distinct and sorted.
    events: Vec<Timestamp>,
    start: Timestamp,
    end: Timestamp,
}

/// What one step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// One arrow of one packet, which is half way along it.
    #[default]
    Hop,
    /// One event of the log.
    Event,
}

impl Timeline {
    /// The moments of all legs and of all loaded events. An event is in the log from the moment when its
    /// packet arrives at the event store, or from its recorded time if no hop of it was seen; never before an
    /// earlier event, and never after a later one.
    pub fn of(schedule: &Schedule, events: &EventLog) -> Self {
        let legs = schedule.legs();
        let mut hops: Vec<Timestamp> = legs.iter().map(half_way).collect();
        sort_by_key(&mut hops, |moment| (moment.as_micros(), 0, 0));
        hops.dedup();

        let seen: Vec<(Option<Timestamp>, Timestamp)> = events
            .events()
            .map(|event| (schedule.stored_at(event.event_id), event.recorded_at))
            .collect();
        // Recorded times are of the workspace's clock, which may be ahead of the servers' that hops have.
        let mut next = Timestamp::from_micros(i64::MAX);
        let mut latest: Vec<Timestamp> = Vec::with_capacity(seen.len());
        for (stored, _) in seen.iter().rev() {
            next = stored.unwrap_or(next).min(next);
            latest.push(next);
        }
        let mut moments: Vec<Timestamp> = Vec::with_capacity(seen.len());
        for ((stored, recorded), latest) in seen.into_iter().zip(latest.into_iter().rev()) {
            let moment = stored.unwrap_or(recorded).min(latest);
            let earliest = moments.last().map(|before| later(*before, 1));
            moments.push(earliest.map_or(moment, |earliest| moment.max(earliest)));
        }

        let first_event = moments.first().map(|first| later(*first, -1));
        let first_leg = legs.first().map(|leg| leg.start);
        let start = first_event.into_iter().chain(first_leg).min();
        let last_leg = legs.iter().map(|leg| leg.end).max();
        let end = moments.last().copied().into_iter().chain(last_leg).max();
        Self {
            hops,
            events: moments,
            start: start.unwrap_or_default(),
            end: end.unwrap_or_default(),
        }
    }

    /// The first moment: no event is in the log yet.
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// The last moment: everything has arrived.
    pub const fn end(&self) -> Timestamp {
        self.end
    }

    /// The number of events: the largest count.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The number of events that the log has at a moment.
    pub fn count_at(&self, moment: Timestamp) -> usize {
        self.events.partition_point(|event| *event <= moment)
    }

    /// The moment from which the log has `count` events, or all if there are fewer.
    pub fn moment_of(&self, count: usize) -> Timestamp {
        let last = count.min(self.events.len()).checked_sub(1);
        last.and_then(|last| self.events.get(last))
            .copied()
            .unwrap_or(self.start)
    }

    /// The next step after a moment; `None` at the end.
    pub fn next(&self, unit: Unit, after: Timestamp) -> Option<Timestamp> {
        let moments = self.moments(unit);
        let next = moments.partition_point(|moment| *moment <= after);
        moments.get(next).copied()
    }

    /// The step before a moment; before the first one, the start. `None` at the start.
    pub fn previous(&self, unit: Unit, before: Timestamp) -> Option<Timestamp> {
        let moments = self.moments(unit);
        let count = moments.partition_point(|moment| *moment < before);
        // A moment between two events shows the first of them, so the step back is to the one before that.
        let is_between = moments.get(count) != Some(&before);
        let back = usize::from(unit == Unit::Event && is_between);
        let previous = count.checked_sub(1 + back).and_then(|index| moments.get(index));
        let start = (self.start < before).then_some(self.start);
        previous.copied().or(start)
    }

    fn moments(&self, unit: Unit) -> &[Timestamp] {
        match unit {
            Unit::Hop => &self.hops,
            Unit::Event => &self.events,
        }
    }
}

fn half_way(leg: &Leg) -> Timestamp {
    let length = leg.end.as_micros().saturating_sub(leg.start.as_micros());
    later(leg.start, length / 2)
}
