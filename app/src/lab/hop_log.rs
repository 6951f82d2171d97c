//! The hops of a session, in the order in which they began: bounded, with the oldest out first and counted.

use std::collections::VecDeque;

use domain::{
    timestamp::Timestamp,
    wire::{Arrow, Hop, HopOutcome, MergedHops},
};
use uuid::Uuid;

use crate::sorted::{SortedMap, sort_by_key};

/// The maximum number of hops that a session keeps, and of counts in place of hops.
pub const CAPACITY: usize = 20_000;

/// The hops of a session.
#[derive(Debug, Clone)]
pub struct HopLog {
    /// Sorted by `started_at`; those of one instant by arrival.
    hops: VecDeque<Hop>,
    /// Sorted by `from`.
    merged: VecDeque<MergedHops>,
    capacity: usize,
    revision: u64,
    left_out: u64,
    dropped: u64,
}

/// One event in the list beside the map: the arrows that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub event_id: Uuid,
    /// The end of its id, as [`short_id`] has it.
    pub short_id: String,
    /// The event's type.
    pub event_type: Option<String>,
    /// Its stream.
    pub stream: Option<String>,
    /// Its partition.
    pub partition: Option<u32>,
    /// Its position in the partition.
    pub position: Option<u64>,
    /// Shared by all events of one intention.
    pub correlation_id: Option<Uuid>,
    /// The distinct arrows, in the order in which it first took them.
    pub arrows: Vec<Arrow>,
    /// The beginning of its first hop.
    pub started_at: Timestamp,
    /// From the beginning of its first hop to the end of its last one, in microseconds.
    pub total_us: u64,
    /// The most notable outcome of its hops: parked before refused, retried, duplicate and done.
    pub outcome: HopOutcome,
}

impl Default for HopLog {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl HopLog {
    /// A log that keeps at most `capacity` hops.
    pub const fn with_capacity(capacity: usize) -> Self {
        Self {
            hops: VecDeque::new(),
            merged: VecDeque::new(),
            capacity,
            revision: 0,
            left_out: 0,
            dropped: 0,
        }
    }

    /// Adds what one frame or page brought; `dropped` hops were lost before it. Hops that have arrived
    /// before, as after a loss of the connection, have no effect.
    pub fn receive(&mut self, hops: Vec<Hop>, merged: Vec<MergedHops>, dropped: u64) {
        for hop in hops {
            self.insert(hop);
        }
        for count in merged {
            self.insert_merged(count);
        }
        self.dropped = self.dropped.saturating_add(dropped);
        self.revision += 1;
    }

    fn insert(&mut self, hop: Hop) {
        let index = self
            .hops
            .partition_point(|before| before.started_at <= hop.started_at);
        let is_known = self
            .hops
            .range(..index)
            .rev()
            .take_while(|before| before.started_at == hop.started_at)
            .any(|before| *before == hop);
        if is_known {
            return;
        }
        self.hops.insert(index, hop);
        if self.hops.len() > self.capacity {
            self.hops.pop_front();
            self.left_out += 1;
        }
    }

    fn insert_merged(&mut self, count: MergedHops) {
        let index = self.merged.partition_point(|before| before.from <= count.from);
        let is_known = self
            .merged
            .range(..index)
            .rev()
            .take_while(|before| before.from == count.from)
            .any(|before| *before == count);
        if is_known {
            return;
        }
        self.merged.insert(index, count);
        if self.merged.len() > CAPACITY {
            self.merged.pop_front();
        }
    }

    /// Changes with every arrival.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of hops that are kept.
    pub fn len(&self) -> usize {
        self.hops.len()
    }

    /// Whether no hop is kept.
    pub fn is_empty(&self) -> bool {
        self.hops.is_empty()
    }

    /// The number of hops that had to make room for newer ones.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The number of hops that the servers dropped.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All hops, in the order in which they began.
    pub fn hops(&self) -> impl DoubleEndedIterator<Item = &Hop> {
        self.hops.iter()
    }

    /// The hops that began at `from` or later.
    pub fn since(&self, from: Timestamp) -> impl DoubleEndedIterator<Item = &Hop> {
        self.hops
            .range(self.hops.partition_point(|hop| hop.started_at < from)..)
    }

    /// The counts in place of hops, by the beginning of their windows.
    pub fn merged(&self) -> impl DoubleEndedIterator<Item = &MergedHops> {
        self.merged.iter()
    }

    /// The counts of windows that began at `from` or later.
    pub fn merged_since(&self, from: Timestamp) -> impl DoubleEndedIterator<Item = &MergedHops> {
        self.merged
            .range(self.merged.partition_point(|count| count.from < from)..)
    }

    /// The hops of one event, in the order in which they began; first those of its command.
    pub fn track_of(&self, event: Uuid) -> Vec<&Hop> {
        let own = self.hops.iter().filter(|hop| hop.event_id == Some(event));
        own.collect()
    }

    /// The hops of one intention, in the order in which they began.
    pub fn of_correlation(&self, correlation: Uuid) -> Vec<&Hop> {
        let own = self
            .hops
            .iter()
            .filter(|hop| hop.correlation_id == Some(correlation));
        own.collect()
    }

    /// The newest events, at most `limit`, newest first; with `until`, those with a hop by then, as far as
    /// they had come. A person who reads the log again makes no event new.
    pub fn rows(&self, until: Option<Timestamp>, limit: usize) -> Vec<EventRow> {
        let end = until.map_or(self.hops.len(), |until| {
            self.hops.partition_point(|hop| hop.started_at <= until)
        });
        let mut rows: SortedMap<Uuid, Option<EventRow>> = SortedMap::default();
        for (event, _) in self.hops.range(..end).rev().filter_map(event_hop) {
            if rows.len() >= limit {
                break;
            }
            rows.or_default(event);
        }
        for (event, hop) in self.hops.range(..end).filter_map(event_hop) {
            match rows.get_mut(&event) {
                Some(Some(row)) => row.add(hop),
                Some(row @ None) => *row = Some(EventRow::new(event, hop)),
                None => {}
            }
        }
        let mut rows: Vec<EventRow> = rows.into_values().flatten().collect();
        sort_by_key(&mut rows, |row| (-row.started_at.as_micros(), 0, 0));
        rows
    }
}

/// The event of a hop, unless the hop only reads it again.
fn event_hop(hop: &Hop) -> Option<(Uuid, &Hop)> {
    let event = hop.event_id.filter(|_| hop.arrow != Arrow::ReplayStream)?;
    Some((event, hop))
}

impl EventRow {
    fn new(event_id: Uuid, hop: &Hop) -> Self {
        Self {
            event_id,
            short_id: short_id(event_id),
            event_type: hop.event_type.clone(),
            stream: hop.stream.clone(),
            partition: hop.partition,
            position: hop.position,
            correlation_id: hop.correlation_id,
            arrows: vec![hop.arrow],
            started_at: hop.started_at,
            total_us: hop.duration_us,
            outcome: hop.outcome,
        }
    }

    fn add(&mut self, hop: &Hop) {
        if !self.arrows.contains(&hop.arrow) {
            self.arrows.push(hop.arrow);
        }
        // The hop of a command may not know yet what its event does.
        if self.position.is_none() {
            self.partition = hop.partition;
            self.position = hop.position;
        }
        if self.event_type.is_none() {
            self.event_type.clone_from(&hop.event_type);
        }
        if self.stream.is_none() {
            self.stream.clone_from(&hop.stream);
        }
        self.correlation_id = self.correlation_id.or(hop.correlation_id);
        let total = end_of(hop)
            .as_micros()
            .saturating_sub(self.started_at.as_micros());
        self.total_us = self.total_us.max(u64::try_from(total).unwrap_or(0));
        self.outcome = most_notable(self.outcome, hop.outcome);
    }
}

/// The outcome of two that a reader has to know about more.
pub fn most_notable(one: HopOutcome, other: HopOutcome) -> HopOutcome {
    let rank = |outcome| match outcome {
        HopOutcome::Done => 0,
        HopOutcome::Duplicate => 1,
        HopOutcome::Retried => 2,
        HopOutcome::Refused => 3,
        HopOutcome::Parked => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// The end of an id: ids of one moment share their beginning.
pub fn short_id(id: Uuid) -> String {
    let text = id.simple().to_string();
    text.get(24..).unwrap_or_default().to_owned()
}

/// The end of a hop.
pub fn end_of(hop: &Hop) -> Timestamp {
    later(hop.started_at, i64::try_from(hop.duration_us).unwrap_or(i64::MAX))
}

/// The instant that is `micros` after `at`, or before it if they are negative.
pub(super) const fn later(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(micros))
}

/// Hops for the tests of this module.
#[cfg(test)]
pub(super) mod testing {
    use domain::{
        timestamp::Timestamp,
        wire::{Arrow, Hop, HopOutcome},
    };
    use uuid::Uuid;

    /// A hop of an event, `at` microseconds after the epoch, which took 400 µs.
    pub(crate) fn hop(arrow: Arrow, event: u128, at: i64) -> Hop {
        Hop {
            arrow,
            event_id: Some(Uuid::from_u128(event)),
            event_type: Some("OrderCreated".to_owned()),
            stream: Some("order-1".to_owned()),
            partition: Some(0),
            position: None,
            correlation_id: Some(Uuid::from_u128(1)),
            lane: None,
            started_at: Timestamp::from_micros(at),
            duration_us: 400,
            outcome: HopOutcome::Done,
        }
    }

    /// The same in the lane of a view or a consumer.
    pub(crate) fn hop_of(arrow: Arrow, event: u128, at: i64, lane: &str) -> Hop {
        Hop {
            lane: Some(lane.to_owned()),
            ..hop(arrow, event, at)
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{
        testing::{hop, hop_of},
        *,
    };

    fn arrows(hops: &[&Hop]) -> Vec<Arrow> {
        hops.iter().map(|hop| hop.arrow).collect()
    }

    #[test]
    fn hops_that_arrive_when_they_end_are_in_the_order_in_which_they_began() {
        let mut log = HopLog::default();
        // The enclosing hop ends last.
        let arrived = vec![
            hop(Arrow::ValidateCommand, 7, 20),
            hop(Arrow::AppendEvents, 7, 30),
            hop(Arrow::RestJsonCommand, 7, 10),
            hop(Arrow::PublishedDomainEvents, 7, 40),
            hop(Arrow::AppendEvents, 8, 35),
            hop(Arrow::HttpsJwtCommandRequest, 7, 0),
        ];
        log.receive(arrived, vec![], 0);
        assert_eq!(
            arrows(&log.track_of(Uuid::from_u128(7))),
            [
                Arrow::HttpsJwtCommandRequest,
                Arrow::RestJsonCommand,
                Arrow::ValidateCommand,
                Arrow::AppendEvents,
                Arrow::PublishedDomainEvents,
            ]
        );
        assert_eq!(log.of_correlation(Uuid::from_u128(1)).len(), 6);
        assert_eq!(log.since(Timestamp::from_micros(30)).count(), 3);
    }

    #[test]
    fn hops_that_arrive_again_after_a_loss_of_the_connection_count_once() {
        let mut log = HopLog::default();
        let frame = || {
            vec![
                hop(Arrow::AppendEvents, 7, 30),
                hop_of(Arrow::EventSubscription, 7, 30, "orders"),
            ]
        };
        let count = MergedHops {
            arrow: Arrow::AppendEvents,
            from: Timestamp::from_micros(0),
            to: Timestamp::from_micros(100_000),
            count: 80,
        };
        log.receive(frame(), vec![count.clone()], 2);
        let revision = log.revision();
        log.receive(frame(), vec![count], 3);
        assert_eq!((log.len(), log.merged().count(), log.dropped()), (2, 1, 5));
        assert_ne!(log.revision(), revision);
    }

    #[test]
    fn the_oldest_hops_make_room_and_are_counted() {
        let mut log = HopLog::default();
        let total = CAPACITY + 30;
        for at in 0..total {
            let at = i64::try_from(at).unwrap();
            log.receive(vec![hop(Arrow::AppendEvents, 7, at)], vec![], 0);
        }
        assert_eq!((log.len(), log.left_out()), (CAPACITY, 30));
        assert_eq!(log.hops().next().unwrap().started_at.as_micros(), 30);
    }

    #[test]
    fn a_row_has_the_arrows_of_an_event_once_and_its_most_notable_outcome() {
        let mut log = HopLog::default();
        let retried = Hop {
            outcome: HopOutcome::Retried,
            position: Some(95),
            ..hop_of(Arrow::EventSubscription, 7, 20, "orders")
        };
        let hops = vec![
            hop(Arrow::AppendEvents, 7, 10),
            retried,
            hop_of(Arrow::EventSubscription, 7, 30, "orders"),
            hop_of(Arrow::UpsertProjection, 7, 35, "orders"),
            hop(Arrow::AppendEvents, 8, 50),
        ];
        log.receive(hops, vec![], 0);
        let rows = log.rows(None, 10);
        let events: Vec<_> = rows.iter().map(|row| row.short_id.as_str()).collect();
        assert_eq!(events, ["00000008", "00000007"], "newest first");
        let row = &rows[1];
        assert_eq!(
            row.arrows,
            [
                Arrow::AppendEvents,
                Arrow::EventSubscription,
                Arrow::UpsertProjection
            ]
        );
        assert_eq!(
            (row.total_us, row.position, row.outcome),
            (425, Some(95), HopOutcome::Retried)
        );
        assert_eq!(log.rows(None, 1).len(), 1);
        let before = log.rows(Some(Timestamp::from_micros(10)), 10);
        assert_eq!(before.len(), 1);
        assert_eq!(before[0].arrows, [Arrow::AppendEvents]);
    }

    #[test]
    fn reading_the_log_again_makes_no_row() {
        let mut log = HopLog::default();
        log.receive(vec![hop(Arrow::ReplayStream, 7, 10)], vec![], 0);
        assert!(log.rows(None, 10).is_empty());
    }
}
