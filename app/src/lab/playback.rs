//! Where on the [`Timeline`] a person is: live, paused, or playing at a speed.

use domain::timestamp::Timestamp;

use super::{
    hop_log::later,
    schedule::HOLD_US,
    timeline::{Timeline, Unit},
};

/// The speeds, slowest first.
pub const SPEEDS: [f64; 6] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0];
/// The speeds as they are written.
pub const SPEED_NAMES: [&str; 6] = ["0.1×", "0.25×", "0.5×", "1×", "2×", "4×"];

/// The longest time that one tick moves on: a page in the background is not ticked, and need not catch up.
const LONGEST_TICK_MS: f64 = 1_000.0;

/// How far the live moment may go back at once before the picture follows it.
const TOLERANCE_US: i64 = 2_000_000;

/// Whether the moment moves, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is the newest moment.
    Live,
    /// It stays.
    Paused,
    /// It moves at the speed; when it has come to the end, it is live, or paused in a recording.
    Playing,
}

/// The end towards which a playback moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The newest moment of a session, which moves on: [`ServerClock::live_moment`].
    Live(Timestamp),
    /// The last moment of a recording: [`Timeline::end`].
    Recording(Timestamp),
}

/// A place on the timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Playback {
    mode: Mode,
    moment: Timestamp,
    speed: f64,
    last_tick_ms: Option<f64>,
}

impl Playback {
    /// At the newest moment of a session.
    pub const fn live() -> Self {
        Self {
            mode: Mode::Live,
            moment: Timestamp::from_micros(0),
            speed: 1.0,
            last_tick_ms: None,
        }
    }

    /// Paused at a moment, as at the beginning of a recording.
    pub const fn paused_at(moment: Timestamp) -> Self {
        Self {
            mode: Mode::Paused,
            moment,
            speed: 1.0,
            last_tick_ms: None,
        }
    }

    /// Whether the moment moves, and how.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The moment that is shown.
    pub const fn moment(&self) -> Timestamp {
        self.moment
    }

    /// One of [`SPEEDS`].
    pub const fn speed(&self) -> f64 {
        self.speed
    }

    /// Moves on. `now_ms` is any clock of the browser that only moves forward.
    pub fn tick(&mut self, now_ms: f64, end: End) {
        let last = self.last_tick_ms.replace(now_ms).unwrap_or(now_ms);
        let elapsed_ms = (now_ms - last).clamp(0.0, LONGEST_TICK_MS);
        let (end, mode_at_end) = match end {
            End::Live(moment) => (moment, Mode::Live),
            End::Recording(moment) => (moment, Mode::Paused),
        };
        match self.mode {
            Mode::Paused => {}
            Mode::Live => {
                // The estimate of the servers' time may go back a little, and packets never do.
                if end > self.moment || later(end, TOLERANCE_US) < self.moment {
                    self.moment = end;
                }
                self.mode = mode_at_end;
            }
            Mode::Playing => {
                self.moment = later(self.moment, micros_of(elapsed_ms * self.speed));
                if self.moment >= end {
                    self.moment = end;
                    self.mode = mode_at_end;
                }
            }
        }
    }

    /// Stays at the shown moment.
    pub fn pause(&mut self) {
        self.mode = Mode::Paused;
    }

    /// Moves on from the shown moment.
    pub fn play(&mut self) {
        if self.mode == Mode::Paused {
            self.mode = Mode::Playing;
        }
    }

    /// Goes to the newest moment with the next tick.
    pub fn go_live(&mut self) {
        self.mode = Mode::Live;
    }

    /// Chooses the speed; one that is not among [`SPEEDS`] becomes the nearest of them.
    pub fn set_speed(&mut self, speed: f64) {
        let mut nearest = 1.0_f64;
        for candidate in SPEEDS {
            if (candidate - speed).abs() < (nearest - speed).abs() {
                nearest = candidate;
            }
        }
        self.speed = nearest;
    }

    /// Goes to a moment, and pauses there.
    pub fn seek(&mut self, moment: Timestamp) {
        self.moment = moment;
        self.pause();
    }

    /// Goes to where the log has `count` events, and pauses there.
    pub fn seek_count(&mut self, timeline: &Timeline, count: usize) {
        self.seek(timeline.moment_of(count));
    }

    /// Goes one step on, and pauses there. False at the end.
    pub fn step(&mut self, timeline: &Timeline, unit: Unit) -> bool {
        self.seek_to(timeline.next(unit, self.moment))
    }

    /// Goes one step back, and pauses there. False at the start.
    pub fn step_back(&mut self, timeline: &Timeline, unit: Unit) -> bool {
        self.seek_to(timeline.previous(unit, self.moment))
    }

    fn seek_to(&mut self, target: Option<Timestamp>) -> bool {
        self.seek(target.unwrap_or(self.moment));
        target.is_some()
    }
}

/// The servers' time in the browser, from the ends of hops: no hop arrives before it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ServerClock {
    /// How far the servers are ahead of the browser's clock, in microseconds.
    ahead_us: Option<i64>,
}

impl ServerClock {
    /// A hop that ended at `ended_at` has arrived at `now_ms` of the browser's clock.
    pub fn observe(&mut self, ended_at: Timestamp, now_ms: f64) {
        let ahead = ended_at.as_micros().saturating_sub(micros_of(now_ms));
        self.ahead_us = Some(self.ahead_us.map_or(ahead, |known| known.max(ahead)));
    }

    /// The servers' time at `now_ms`; `None` before the first hop.
    pub fn now(&self, now_ms: f64) -> Option<Timestamp> {
        let ahead = self.ahead_us?;
        Some(later(Timestamp::from_micros(micros_of(now_ms)), ahead))
    }

    /// The moment that a live picture shows at `now_ms`: [`HOLD_US`] behind the servers. `None` before the
    /// first hop.
    pub fn live_moment(&self, now_ms: f64) -> Option<Timestamp> {
        self.now(now_ms).map(|now| later(now, -HOLD_US))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a clock of a browser is far from the limits, at which the conversion would saturate"
)]
fn micros_of(millis: f64) -> i64 {
    (millis * 1_000.0) as i64
}

#[cfg(test)]
mod tests {
    use domain::wire::{Arrow, hops::PATTERN_SHEET};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{
        super::{
            hop_log::{HopLog, testing::hop},
            schedule::Schedule,
            time_travel::{TimeTravel, testing::received},
        },
        *,
    };

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    /// Three events: the first without hops, and the others with two arrows each.
    fn timeline() -> Timeline {
        let mut log = HopLog::default();
        let hops = vec![
            hop(Arrow::AppendEvents, 2, 10_000_000),
            hop(Arrow::PublishedDomainEvents, 2, 10_000_500),
            hop(Arrow::AppendEvents, 3, 20_000_000),
            hop(Arrow::PublishedDomainEvents, 3, 20_000_500),
        ];
        log.receive(hops, vec![], 0);
        let schedule = Schedule::of(&log, PATTERN_SHEET, None);
        let mut events = TimeTravel::default();
        // The workspace's clock is an hour ahead.
        let hour = 3_600_000_000;
        events.extend(vec![
            received(1, 1, hour),
            received(2, 2, hour + 1),
            received(3, 3, hour + 2),
        ]);
        Timeline::of(&schedule, &events)
    }

    #[test]
    fn an_event_is_in_the_log_when_its_packet_arrives_and_in_the_order_of_the_log() {
        let timeline = timeline();
        let moments: Vec<_> = (0..=3)
            .map(|count| timeline.moment_of(count).as_micros())
            .collect();
        assert_eq!(moments, [10_000_000, 10_600_000, 10_600_001, 20_600_000]);
    }

    #[test]
    fn a_step_back_takes_the_newest_event_away_and_a_step_brings_it_again() {
        let timeline = timeline();
        let mut playback = Playback::live();
        playback.seek(at(15_000_000));
        assert_eq!(timeline.count_at(playback.moment()), 2);
        for count in [1, 0] {
            assert!(playback.step_back(&timeline, Unit::Event));
            assert_eq!(timeline.count_at(playback.moment()), count);
        }
        for count in [1, 2, 3] {
            assert!(playback.step(&timeline, Unit::Event));
            assert_eq!(timeline.count_at(playback.moment()), count);
        }
        assert!(!playback.step(&timeline, Unit::Event));
        playback.seek_count(&timeline, 2);
        assert_eq!(
            (timeline.count_at(playback.moment()), playback.mode()),
            (2, Mode::Paused)
        );
    }

    #[test]
    fn a_step_by_hop_goes_from_one_arrow_to_the_next_and_back() {
        let timeline = timeline();
        let mut playback = Playback::paused_at(timeline.start());
        let mut moments = Vec::new();
        while playback.step(&timeline, Unit::Hop) {
            moments.push(playback.moment().as_micros());
        }
        assert_eq!(moments, [10_300_000, 10_900_000, 20_300_000, 20_900_000]);
        while playback.step_back(&timeline, Unit::Hop) {}
        assert_eq!(playback.moment(), timeline.start());
    }

    #[test]
    fn a_recording_plays_at_its_speed_and_pauses_at_its_end() {
        let end = End::Recording(at(10_000_000));
        for (speed, moment) in [(0.1, 60_000), (0.25, 150_000), (1.0, 600_000), (4.0, 2_400_000)] {
            let mut playback = Playback::paused_at(at(0));
            playback.set_speed(speed);
            playback.play();
            playback.tick(500.0, end);
            playback.tick(1_100.0, end);
            assert_eq!(playback.moment(), at(moment));
        }
        let mut playback = Playback::paused_at(at(9_900_000));
        playback.play();
        playback.tick(0.0, end);
        playback.tick(900.0, end);
        assert_eq!(
            (playback.moment(), playback.mode()),
            (at(10_000_000), Mode::Paused)
        );
    }

    #[test]
    fn a_page_that_was_in_the_background_does_not_leap() {
        let mut playback = Playback::paused_at(at(0));
        playback.play();
        playback.tick(0.0, End::Recording(at(100_000_000)));
        playback.tick(60_000.0, End::Recording(at(100_000_000)));
        assert_eq!(playback.moment(), at(1_000_000));
    }

    #[test]
    fn a_session_that_is_played_to_its_end_is_live_and_a_live_one_never_goes_back() {
        let mut playback = Playback::paused_at(at(1_000_000));
        playback.play();
        playback.tick(0.0, End::Live(at(2_000_000)));
        playback.tick(1_000.0, End::Live(at(2_000_000)));
        assert_eq!(playback.mode(), Mode::Live);
        playback.tick(1_016.0, End::Live(at(1_900_000)));
        assert_eq!(playback.moment(), at(2_000_000));
        playback.tick(1_032.0, End::Live(at(2_100_000)));
        assert_eq!(playback.moment(), at(2_100_000));
        playback.pause();
        playback.tick(1_048.0, End::Live(at(2_200_000)));
        assert_eq!(playback.moment(), at(2_100_000));
        playback.go_live();
        playback.tick(1_064.0, End::Live(at(2_300_000)));
        assert_eq!(playback.moment(), at(2_300_000));
    }

    #[test]
    fn a_speed_is_one_of_the_six() {
        let mut playback = Playback::live();
        for (asked, speed) in [(0.0, 0.1), (0.3, 0.25), (1.0, 1.0), (99.0, 4.0), (f64::NAN, 1.0)] {
            playback.set_speed(asked);
            assert!((playback.speed() - speed).abs() < f64::EPSILON, "{asked}");
        }
    }

    #[test]
    fn the_servers_time_follows_from_the_hop_that_arrived_fastest() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.live_moment(1_000.0), None);
        clock.observe(at(5_000_000), 1_300.0);
        clock.observe(at(5_100_000), 1_200.0);
        clock.observe(at(5_200_000), 2_000.0);
        assert_eq!(clock.now(1_200.0), Some(at(5_100_000)));
        assert_eq!(clock.live_moment(2_200.0), Some(at(5_600_000)));
    }
}
