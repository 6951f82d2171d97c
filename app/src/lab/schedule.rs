//! The hops as packets that a person can follow. A hop takes well under a millisecond; on the schedule each
//! arrow takes at least [`SHORTEST_US`]. Each intention begins at its true time, and its hops begin in their
//! true order. A packet is on one arrow at a time; behind the bus, each view and each consumer has a copy of
//! its own.
//!
//! A schedule is a pure function of the log: the same hops give the same picture, live, paused and in a
//! recording. In a live picture the moment runs [`HOLD_US`] behind the servers, because the hop of a request
//! ends, and arrives, after the hops within it.

use domain::{
    timestamp::Timestamp,
    wire::{Arrow, Hop, HopOutcome},
};
use uuid::Uuid;

use super::hop_log::{HopLog, end_of, later, most_notable, short_id};
use crate::sorted::{SortedMap, sort_by_key};

/// The shortest time of a packet on an arrow, in microseconds.
pub const SHORTEST_US: i64 = 600_000;
/// The longest time of a packet on an arrow, in microseconds.
pub const LONGEST_US: i64 = 2_400_000;
/// How far a live picture runs behind the servers, in microseconds.
pub const HOLD_US: i64 = 500_000;
/// How late a packet may be on the schedule, in microseconds; a later one is not shown. A live picture needs
/// the hops of this time and no older ones.
pub const LATEST_US: i64 = 60_000_000;
/// The maximum number of packets in one picture; beyond it they merge into streams.
pub const MOST_PACKETS: usize = 60;

const SECOND_US: i64 = 1_000_000;
const ARROWS: usize = Arrow::ALL.len();

/// One event, or one query, on one arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The arrow.
    pub arrow: Arrow,
    /// The event; `None` for a query, and for a command that led to none.
    pub event_id: Option<Uuid>,
    /// Shared by all events of one intention.
    pub correlation_id: Option<Uuid>,
    /// The moment when the packet is at the arrow's tail.
    pub start: Timestamp,
    /// The moment when it is at its head.
    pub end: Timestamp,
    /// The true time of the first of its hops.
    pub started_at: Timestamp,
    /// The number of hops that it stands for: one for each lane.
    pub lanes: u64,
    /// Their most notable outcome.
    pub outcome: HopOutcome,
}

impl Leg {
    /// How far its packet is at a moment on its way: from 0 at the arrow's tail to 1 at its head.
    pub(super) fn progress(&self, at: Timestamp) -> f64 {
        let micros = |from: Timestamp, to: Timestamp| {
            let micros = u32::try_from(to.as_micros().saturating_sub(from.as_micros()));
            micros.map_or(0.0, f64::from)
        };
        // A leg has a length: it is at least the shortest.
        micros(self.start, at) / micros(self.start, self.end)
    }
}

/// A packet on an arrow.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// Tells packets of one picture apart, and is the same in the next one.
    pub id: String,
    /// The end of the event's id; empty without one.
    pub short_id: String,
    /// The event.
    pub event_id: Option<Uuid>,
    /// Shared by all events of one intention.
    pub correlation_id: Option<Uuid>,
    /// The arrow.
    pub arrow: Arrow,
    /// From 0 at the arrow's tail to 1 at its head.
    pub progress: f64,
    /// The number of lanes that the packet goes to at once.
    pub lanes: u64,
    /// The outcome of the hop.
    pub outcome: HopOutcome,
    /// The flow whose colour it has.
    pub flow: Flow,
}

/// Many packets on one arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The arrow.
    pub arrow: Arrow,
    /// The number of hops in the last second.
    pub per_second: u64,
}

/// What is on the arrows at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// Single packets, at most [`MOST_PACKETS`], in the order in which they began.
    pub packets: Vec<Packet>,
    /// Arrows with too many to show, or whose hops the servers have counted only.
    pub streams: Vec<Stream>,
}

/// A flow of the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Commands.
    Command,
    /// Events.
    Event,
    /// Queries and their answers.
    Query,
    /// Events that are read again.
    Replay,
}

impl Flow {
    /// The name in the drawing's layouts and in class names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Event => "event",
            Self::Query => "query",
            Self::Replay => "replay",
        }
    }
}

/// The flow of an arrow.
pub const fn flow_of(arrow: Arrow) -> Flow {
    match arrow {
        Arrow::HttpsJwtCommandRequest | Arrow::RestJsonCommand | Arrow::ValidateCommand => Flow::Command,
        Arrow::CacheLookup
        | Arrow::CacheSet
        | Arrow::QueryProjection
        | Arrow::HttpsReadRequest
        | Arrow::JsonResponse200 => Flow::Query,
        Arrow::ReplayStream | Arrow::HistoricalEvents => Flow::Replay,
        _ => Flow::Event,
    }
}

/// The legs of the hops on one sheet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schedule {
    /// Sorted by start.
    legs: Vec<Leg>,
    /// The moment when an event arrives at the event store.
    stored: SortedMap<Uuid, Timestamp>,
}

impl Schedule {
    /// Lays out the hops that began at `from` or later and whose arrows are on the sheet (`pattern` or
    /// `business`).
    pub fn of(log: &HopLog, sheet: &str, from: Option<Timestamp>) -> Self {
        let mut layout = Layout::default();
        for hop in log.since(from.unwrap_or(Timestamp::from_micros(i64::MIN))) {
            if hop.arrow.drawing_id(sheet).is_some() {
                layout.add(hop);
            }
        }
        let mut legs = layout.legs;
        let mut stored: SortedMap<Uuid, Timestamp> = SortedMap::default();
        for leg in legs.iter().filter(|leg| leg.arrow == Arrow::AppendEvents) {
            if let Some(event) = leg.event_id
                && !stored.contains_key(&event)
            {
                stored.insert(event, leg.end);
            }
        }
        sort_by_key(&mut legs, |leg| {
            (leg.start.as_micros(), leg.started_at.as_micros(), 0)
        });
        Self { legs, stored }
    }

    /// The same for a live picture at a moment: older hops are not in it any more.
    pub fn live(log: &HopLog, sheet: &str, at: Timestamp) -> Self {
        Self::of(log, sheet, Some(later(at, -(LATEST_US + LONGEST_US))))
    }

    /// All legs, by start.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The moment when an event's packet arrives at the event store; `None` if its append was not seen.
    pub fn stored_at(&self, event: Uuid) -> Option<Timestamp> {
        self.stored.get(&event).copied()
    }

    /// The picture at a moment. `log` has the counts of the servers.
    pub fn picture(&self, log: &HopLog, at: Timestamp) -> Picture {
        let from = self.starting_at(later(at, -LONGEST_US));
        let to = self.starting_at(later(at, 1));
        let active: Vec<&Leg> = self.legs[from..to].iter().filter(|leg| at < leg.end).collect();

        let mut counts = [0_usize; ARROWS];
        for leg in &active {
            counts[index(leg.arrow)] += 1;
        }
        let mut is_stream = [false; ARROWS];
        let mut packets = active.len();
        while packets > MOST_PACKETS {
            let fullest = (0..ARROWS).filter(|&n| !is_stream[n]).max_by_key(|&n| counts[n]);
            let Some(fullest) = fullest else { break };
            is_stream[fullest] = true;
            packets -= counts[fullest];
        }

        let mut rates = [0_u64; ARROWS];
        let second = self.starting_at(later(at, 1 - SECOND_US));
        for leg in &self.legs[second..to] {
            rates[index(leg.arrow)] += leg.lanes;
        }
        for count in log.merged_since(later(at, 1 - SECOND_US)) {
            if count.from > at {
                break;
            }
            is_stream[index(count.arrow)] = true;
            let rate = &mut rates[index(count.arrow)];
            *rate = rate.saturating_add(count.count);
        }

        let stream = |arrow: Arrow| Stream {
            arrow,
            per_second: rates[index(arrow)],
        };
        let is_counted = |arrow: &Arrow| is_stream[index(*arrow)];
        Picture {
            packets: active
                .into_iter()
                .filter(|leg| !is_stream[index(leg.arrow)])
                .map(|leg| packet(leg, at))
                .collect(),
            streams: Arrow::ALL.into_iter().filter(is_counted).map(stream).collect(),
        }
    }

    /// The index of the first leg that starts at `at` or later.
    fn starting_at(&self, at: Timestamp) -> usize {
        self.legs.partition_point(|leg| leg.start < at)
    }
}

/// The index of an arrow in [`Arrow::ALL`].
fn index(arrow: Arrow) -> usize {
    Arrow::ALL.iter().position(|other| *other == arrow).unwrap_or(0)
}

fn packet(leg: &Leg, at: Timestamp) -> Packet {
    Packet {
        id: [leg.arrow.as_str(), "-", &leg.started_at.as_micros().to_string()].concat(),
        short_id: leg.event_id.map(short_id).unwrap_or_default(),
        event_id: leg.event_id,
        correlation_id: leg.correlation_id,
        arrow: leg.arrow,
        progress: leg.progress(at),
        lanes: leg.lanes,
        outcome: leg.outcome,
        flow: flow_of(leg.arrow),
    }
}

/// The hops that are laid out together: an intention, a query with all that it encloses, or the hops of an
/// event whose intention is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    Intention(Uuid),
    Event(Uuid),
    Query(Timestamp),
}

/// A copy of a packet: the packet itself, or the one for a consumer.
type Branch = u8;

const TRUNK: Branch = 0;

/// The copy that takes an arrow.
const fn branch(arrow: Arrow) -> Branch {
    match arrow {
        Arrow::EventSubscription | Arrow::UpsertProjection | Arrow::HistoricalEvents => 1,
        Arrow::InventoryConsumer | Arrow::InventoryDb => 2,
        Arrow::NotificationConsumer | Arrow::EmailPush => 3,
        Arrow::AnalyticsConsumer | Arrow::DataWarehouse => 4,
        Arrow::SearchIndexer | Arrow::SearchIndex => 5,
        _ => TRUNK,
    }
}

/// A packet, or a copy of it.
type Track = (Run, Option<Uuid>, Branch);

/// A schedule while it is made, from hops in the order in which they began.
#[derive(Default)]
struct Layout<'a> {
    legs: Vec<Leg>,
    /// The lanes of each leg.
    lanes: Vec<Vec<&'a str>>,
    /// The legs of each track, in order.
    tracks: SortedMap<Track, Vec<usize>>,
    /// The start of the last leg of each run.
    runs: SortedMap<Run, Timestamp>,
    /// The newest query, and its end.
    query: Option<(Run, Timestamp)>,
}

impl<'a> Layout<'a> {
    fn add(&mut self, hop: &'a Hop) {
        let run = self.run_of(hop);
        let track = (run, hop.event_id, branch(hop.arrow));
        if let Some(lane) = hop.lane.as_deref()
            && let Some(leg) = self.leg_without_lane(track, hop.arrow, lane)
        {
            self.lanes[leg].push(lane);
            self.legs[leg].lanes += 1;
            self.legs[leg].outcome = most_notable(self.legs[leg].outcome, hop.outcome);
            return;
        }
        let before = |track: Track| self.tracks.get(&track).and_then(|legs| legs.last());
        let trunk = || before((run, hop.event_id, TRUNK));
        let arrived = before(track).or_else(trunk).map(|leg| self.legs[*leg].end);
        let start = hop
            .started_at
            .max(arrived.unwrap_or_default())
            .max(self.runs.get(&run).copied().unwrap_or_default());
        if start > later(hop.started_at, LATEST_US) {
            return;
        }
        let duration = i64::try_from(hop.duration_us).unwrap_or(i64::MAX);
        self.runs.insert(run, start);
        self.tracks.or_default(track).push(self.legs.len());
        self.lanes.push(hop.lane.as_deref().into_iter().collect());
        self.legs.push(Leg {
            arrow: hop.arrow,
            event_id: hop.event_id,
            correlation_id: hop.correlation_id,
            start,
            end: later(start, duration.clamp(SHORTEST_US, LONGEST_US)),
            started_at: hop.started_at,
            lanes: 1,
            outcome: hop.outcome,
        });
    }

    /// The newest leg of a track on this arrow, if the lane is not among its lanes: a lane that crosses the
    /// arrow again, as after a failure, is a leg of its own.
    fn leg_without_lane(&self, track: Track, arrow: Arrow, lane: &str) -> Option<usize> {
        let legs = self.tracks.get(&track)?;
        let leg = *legs.iter().rev().find(|leg| self.legs[**leg].arrow == arrow)?;
        let lanes = &self.lanes[leg];
        (!lanes.is_empty() && !lanes.contains(&lane)).then_some(leg)
    }

    /// A query has neither an event nor a correlation: its first hop encloses the others in time.
    fn run_of(&mut self, hop: &Hop) -> Run {
        if let Some(correlation) = hop.correlation_id {
            return Run::Intention(correlation);
        }
        if let Some(event) = hop.event_id {
            return Run::Event(event);
        }
        match self.query {
            Some((run, end)) if hop.started_at < end && hop.arrow != Arrow::HttpsReadRequest => run,
            _ => {
                let run = Run::Query(hop.started_at);
                self.query = Some((run, end_of(hop)));
                run
            }
        }
    }
}

#[cfg(test)]
mod tests;
