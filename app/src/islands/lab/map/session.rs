//! What the parts of the map share: the hops of this session, the events of the workspace, the moment that is
//! shown, and the selection.
//!
//! Hops arrive ten times a second, and a moment moves with every frame of the animation. Neither is a signal,
//! so that neither renders anything by itself: the map publishes what it shows a few times a second
//! ([`MapSession::publish`]), and at once after a click.

use domain::{
    event::StoredEvent,
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{Problem, ProjectionStatus},
};
use leptos::prelude::*;
use uuid::Uuid;

use crate::{
    erased_signals::RwSignal,
    islands::lab::{LabSheet, folds::Folds},
    lab::{
        event_log::EventLog,
        figures::Figures,
        hop_log::HopLog,
        playback::{Mode, Playback},
        schedule::Schedule,
        timeline::{Timeline, Unit},
    },
};

/// A log with so many events is loaded with the page; a longer one when a person goes back in time.
const EAGER: u64 = 1_000;

/// What the details are about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "ssr",
    expect(dead_code, reason = "packets are chosen in the browser")
)]
pub(super) enum Selection {
    /// An event.
    Event(Uuid),
    /// A box, by its id on the sheet.
    Box(String),
    /// An arrow, by its id on the sheet.
    Arrow(String),
}

/// How far the events of the workspace are loaded.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "ssr",
    expect(dead_code, reason = "events are loaded in the browser")
)]
pub(super) enum Loading {
    /// They are loaded when they are wanted.
    Idle,
    /// Pages of them arrive.
    Running,
    /// They are all there.
    Complete,
    /// There are more than can be folded in a browser: those beyond the limit are not loaded.
    TooMany,
    /// They could not be read.
    Failed(Problem),
}

/// The session, as its parts share it.
#[derive(Clone, Copy)]
pub(super) struct MapSession {
    /// The sheet.
    pub(super) sheet: StoredValue<LabSheet>,
    /// The hops that have arrived.
    pub(super) log: StoredValue<HopLog>,
    /// The hops as packets.
    pub(super) schedule: StoredValue<Schedule>,
    /// The events of the workspace.
    pub(super) history: StoredValue<EventLog>,
    /// Their documents.
    pub(super) folds: Folds,
    /// The moments of hops and events.
    timeline: StoredValue<Timeline>,
    /// The moment that is shown.
    pub(super) playback: StoredValue<Playback>,
    /// The newest event that is known of each partition.
    #[cfg_attr(feature = "ssr", expect(dead_code, reason = "it is read in the browser"))]
    pub(super) head: StoredValue<ConsistencyToken>,
    /// The revision of the log that is shown.
    pub(super) revision: RwSignal<u64>,
    /// The number of loaded events.
    pub(super) recorded: RwSignal<usize>,
    /// Whether the moment moves, and how.
    pub(super) mode: RwSignal<Mode>,
    /// The speed of a playback.
    pub(super) speed: RwSignal<f64>,
    /// The moment that is shown, as of the last publication.
    pub(super) moment: RwSignal<Timestamp>,
    /// What one step is.
    pub(super) unit: RwSignal<Unit>,
    /// What the details are about.
    pub(super) selection: RwSignal<Option<Selection>>,
    /// The events of the intention to which the selected event belongs, oldest first.
    pub(super) intention: RwSignal<Vec<StoredEvent>>,
    /// The figures at the boxes.
    pub(super) figures: RwSignal<Figures>,
    /// The status of every projection.
    pub(super) projections: RwSignal<Vec<ProjectionStatus>>,
    /// How far the events of the workspace are loaded.
    pub(super) loading: RwSignal<Loading>,
    /// Whether the events of the workspace are wanted.
    pub(super) wants_history: RwSignal<bool>,
    /// Whether the server has said that it makes hops.
    pub(super) is_armed: RwSignal<bool>,
    /// Why the server sends no hops.
    pub(super) refusal: RwSignal<Option<Problem>>,
}

impl MapSession {
    /// A session that has seen no hop yet.
    pub(super) fn new(sheet: LabSheet, head: ConsistencyToken, projections: Vec<ProjectionStatus>) -> Self {
        let mut figures = Figures::default();
        // At rest, without a clock: what the server renders is what the browser hydrates.
        figures.sample(Timestamp::default(), &HopLog::default(), &projections, &head);
        let loading = if ConsistencyToken::default().behind(&head) <= EAGER {
            Loading::Running
        } else {
            Loading::Idle
        };
        let playback = Playback::live();
        Self {
            sheet: StoredValue::new(sheet),
            log: StoredValue::new(HopLog::default()),
            schedule: StoredValue::new(Schedule::default()),
            history: StoredValue::new(EventLog::default()),
            folds: Folds::new(),
            timeline: StoredValue::new(Timeline::default()),
            playback: StoredValue::new(playback),
            head: StoredValue::new(head),
            revision: RwSignal::new(0),
            recorded: RwSignal::new(0),
            mode: RwSignal::new(playback.mode()),
            speed: RwSignal::new(playback.speed()),
            moment: RwSignal::new(playback.moment()),
            unit: RwSignal::new(Unit::default()),
            selection: RwSignal::new(None),
            intention: RwSignal::new(Vec::new()),
            figures: RwSignal::new(figures),
            projections: RwSignal::new(projections),
            loading: RwSignal::new(loading),
            wants_history: RwSignal::new(false),
            is_armed: RwSignal::new(false),
            refusal: RwSignal::new(None),
        }
    }

    /// Whether the newest moment is shown.
    pub(super) fn is_live(self) -> bool {
        self.mode.get() == Mode::Live
    }

    /// The number of events that the log has at the shown moment. Tracked.
    pub(super) fn count(self) -> usize {
        let recorded = self.recorded.get();
        let moment = self.moment.get();
        match self.mode.get() {
            Mode::Live => recorded,
            Mode::Paused | Mode::Playing => self
                .timeline
                .with_value(|timeline| timeline.count_at(moment))
                .min(recorded),
        }
    }

    /// The first and the last moment between which the slider of the time runs. Tracked.
    pub(super) fn span(self) -> (Timestamp, Timestamp) {
        self.mode.track();
        self.recorded.track();
        let first = self
            .schedule
            .with_value(|schedule| schedule.legs().first().map(|leg| leg.start));
        self.timeline.with_value(|timeline| {
            let start = first.unwrap_or_else(|| timeline.start());
            (start, timeline.end().max(start))
        })
    }

    /// Pauses, or goes on from the shown moment.
    pub(super) fn pause_or_play(self) {
        let mode = self.mode.get_untracked();
        // The newest moment that is shown is a little behind the newest hop, which is in the list already.
        let newest = self
            .log
            .with_value(|log| log.hops().next_back().map(|hop| hop.started_at));
        self.control(&|playback, _| match (mode, newest) {
            (Mode::Paused, _) => playback.play(),
            (Mode::Live, Some(newest)) if newest > playback.moment() => playback.seek(newest),
            (Mode::Live | Mode::Playing, _) => playback.pause(),
        });
    }

    /// Goes to the newest moment.
    pub(super) fn go_live(self) {
        self.playback.update_value(Playback::go_live);
        self.publish();
    }

    /// Goes one step on.
    pub(super) fn step(self) {
        let unit = self.unit.get_untracked();
        self.control(&|playback, timeline| {
            leave_live(playback, timeline, unit);
            playback.step(timeline, unit);
        });
    }

    /// Goes one step back.
    pub(super) fn step_back(self) {
        let unit = self.unit.get_untracked();
        self.control(&|playback, timeline| {
            leave_live(playback, timeline, unit);
            playback.step_back(timeline, unit);
        });
    }

    /// Chooses the speed.
    pub(super) fn set_speed(self, speed: f64) {
        self.playback.update_value(|playback| playback.set_speed(speed));
        self.publish();
    }

    /// Goes to where the log has this many events.
    pub(super) fn seek_count(self, count: usize) {
        self.control(&|playback, timeline| playback.seek_count(timeline, count));
    }

    /// Goes to a moment.
    pub(super) fn seek(self, moment: Timestamp) {
        self.control(&|playback, _| playback.seek(moment));
    }

    /// Changes the playback, over an axis with everything that is known.
    fn control(self, change: &dyn Fn(&mut Playback, &Timeline)) {
        set_if_changed(self.wants_history, true);
        self.folds.want();
        self.prepare();
        let mut playback = self.playback.get_value();
        self.timeline.with_value(|timeline| {
            // Before the first hop nothing is known of the servers' time: the last moment is the newest one.
            if playback.mode() == Mode::Live && playback.moment() < timeline.start() {
                playback.seek(timeline.end());
            }
            change(&mut playback, timeline);
        });
        self.playback.set_value(playback);
        self.publish();
    }

    /// Makes the axis of all hops and events anew.
    pub(super) fn prepare(self) {
        let sheet = self.sheet.with_value(|sheet| sheet.name.clone());
        let schedule = self.log.with_value(|log| Schedule::of(log, &sheet, None));
        let timeline = self.history.with_value(|events| Timeline::of(&schedule, events));
        self.schedule.set_value(schedule);
        self.timeline.set_value(timeline);
    }

    /// Shows what has changed.
    pub(super) fn publish(self) {
        let playback = self.playback.get_value();
        let revision = self.log.with_value(HopLog::revision);
        let recorded = self.history.with_value(EventLog::len);
        set_if_changed(self.mode, playback.mode());
        set_if_changed(self.speed, playback.speed());
        set_if_changed(self.moment, playback.moment());
        set_if_changed(self.revision, revision);
        set_if_changed(self.recorded, recorded);
    }
}

/// Before a step by events, leaves the newest moment where the log has all of them. The packets of the last
/// ones may still be on their way.
fn leave_live(playback: &mut Playback, timeline: &Timeline, unit: Unit) {
    if playback.mode() == Mode::Live && unit == Unit::Event {
        playback.seek_count(timeline, timeline.len());
    }
}

/// Sets a signal that shows another value.
fn set_if_changed<T: PartialEq + Copy + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    // The map may be gone.
    if signal.try_get_untracked().is_some_and(|shown| shown != value) {
        signal.set(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The events 1 to `count` of a log of one partition, a second apart.
    fn events(count: u128) -> Vec<StoredEvent> {
        let event = |position: u128| {
            let event = json!({
                "workspace": Uuid::from_u128(1), "partition": 0, "position": position,
                "stream": format!("order-{position}"), "version": 1, "event_id": Uuid::from_u128(position),
                "type": "OrderCreated", "schema_version": 1, "payload": {}, "hash": "",
                "recorded_at": format!("2026-11-21T20:22:{position:02}Z"),
                "metadata": {
                    "correlation_id": Uuid::from_u128(9), "command_id": Uuid::from_u128(8),
                    "actor": {"id": Uuid::from_u128(7), "role": "customer"},
                },
            });
            serde_json::from_str(&event.to_string()).unwrap()
        };
        (1..=count).map(event).collect()
    }

    fn session(head: &str) -> MapSession {
        let sheet = LabSheet {
            name: "pattern".to_owned(),
            boxes: Vec::new(),
            arrows: Vec::new(),
        };
        MapSession::new(sheet, head.parse().unwrap(), Vec::new())
    }

    fn shown(session: MapSession) -> (Mode, usize) {
        untrack(|| (session.mode.get(), session.count()))
    }

    #[test]
    fn time_goes_both_ways_over_the_events_of_the_log() {
        Owner::new().with(|| {
            let session = session("0:3");
            session.history.update_value(|history| {
                history.extend(events(3));
            });
            session.publish();
            assert_eq!(shown(session), (Mode::Live, 3));
            session.unit.set(Unit::Event);
            session.step_back();
            assert_eq!(
                shown(session),
                (Mode::Paused, 2),
                "the newest event is not there yet"
            );
            session.seek_count(0);
            assert_eq!(shown(session), (Mode::Paused, 0));
            session.step();
            assert_eq!(shown(session), (Mode::Paused, 1));
            session.pause_or_play();
            assert_eq!(shown(session), (Mode::Playing, 1));
            session.go_live();
            assert_eq!(shown(session), (Mode::Live, 3));
        });
    }

    #[test]
    fn the_speed_can_be_chosen_without_leaving_the_newest_moment() {
        Owner::new().with(|| {
            let session = session("0:0");
            session.set_speed(0.25);
            assert_eq!(session.mode.get_untracked(), Mode::Live);
            assert!((session.speed.get_untracked() - 0.25).abs() < f64::EPSILON);
        });
    }

    #[test]
    fn a_short_log_is_loaded_with_the_page_and_a_long_one_when_a_person_goes_back() {
        Owner::new().with(|| {
            assert_eq!(session("0:600,1:400").loading.get_untracked(), Loading::Running);
            let long = session("0:600,1:401");
            assert_eq!(long.loading.get_untracked(), Loading::Idle);
            assert!(!long.wants_history.get_untracked());
            long.pause_or_play();
            assert!(long.wants_history.get_untracked());
        });
    }
}
