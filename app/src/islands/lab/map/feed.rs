//! The browser's half of the map: it takes hops from the live connection, moves the packets with the frames
//! of the screen, samples the figures, and loads events as they are wanted.
//!
//! A frame is asked for only while something moves, and a browser runs none while the page is hidden, so that
//! a map at rest costs nothing.

use std::{cell::RefCell, rc::Rc, time::Duration};

use domain::{
    timestamp::Timestamp,
    token::ConsistencyToken,
    wire::{Arrow, Hop, LabTopic, Problem, ServerFrame},
};
use gloo_timers::callback::Timeout;
use leptos::{
    ev,
    prelude::*,
    web_sys::{Element, EventTarget},
};
use uuid::Uuid;
use wasm_bindgen::JsCast;

use super::{
    drawing::{Drawing, PacketMark, StreamMark},
    session::{Loading, MapSession, Selection},
    wording::{arrow_name, figure_words, outcome_word, short_figure},
};
use crate::{
    api,
    erased_effects::{effect, spawn},
    erased_signals::RwSignal,
    islands::lab::{LabSheet, STAGE},
    lab::{
        event_log::EventLog,
        figures::Figures,
        hop_log::end_of,
        playback::{End, Mode, ServerClock},
        schedule::{LATEST_US, LONGEST_US, Packet, Picture, Schedule, Stream},
    },
    language::language,
    live::{
        protocol::Link,
        store::{follow_lab, use_link},
    },
    sorted::sort_by_key,
    text,
};

/// How often the map shows what has changed.
const BEAT: Duration = Duration::from_millis(250);
/// The number of beats between two samples of the figures: one second.
const SAMPLE: u32 = 4;
/// The number of beats between two questions about the projections.
const POLL: u32 = 8;
/// The newest hops that a live picture is made of.
const LIVE_HOPS: usize = 3_000;
/// How far back a live picture looks for the packets that are still on their way.
const LIVE_WINDOW_US: i64 = LATEST_US + LONGEST_US;
/// The wait before a page of events is asked for again.
const PATIENCE_MS: u32 = 2_000;
/// How often a page of events is asked for in vain.
const MOST_FAILURES: u32 = 5;
/// What can be chosen in the drawing.
const MARKS: &str = "#lab-drawing [data-testid='packet'], #lab-drawing [data-box]";
/// The class of the stage on a projector.
const PROJECTOR: &str = "lab--projector";

/// The feed of one map. Clones share it.
#[derive(Clone)]
struct Feed {
    session: MapSession,
    inner: Rc<RefCell<Inner>>,
}

#[derive(Default)]
struct Inner {
    drawing: Option<Drawing>,
    clock: ServerClock,
    /// Whether a frame has been asked for.
    awaits_frame: bool,
    /// Whether the figures have a sample with a time.
    has_sampled: bool,
    /// Whether pages of events are on their way.
    is_loading: bool,
    /// The intention whose events are loaded, and the number of its hops at that time.
    intention: Option<(Uuid, usize)>,
    beats: u32,
}

/// Starts the map once it is hydrated.
pub(super) fn start(session: MapSession) {
    let feed = Feed {
        session,
        inner: Rc::default(),
    };
    let receiver = feed.clone();
    follow_lab(LabTopic::Hops, move |frame| receiver.receive(frame));
    let link = use_link();
    effect(move || {
        if link.get() != Link::Live {
            session.is_armed.set(false);
        }
    });
    let opened = feed.clone();
    effect(move || opened.open());
    let moved = feed.clone();
    effect(move || {
        session.mode.track();
        session.moment.track();
        moved.wake();
    });
    let chosen = feed.clone();
    effect(move || {
        session.selection.track();
        chosen.load_intention();
        chosen.mark_selection();
    });
    effect(move || {
        if session.wants_history.get() {
            feed.load_history();
        }
    });
}

/// Fills the screen with drawing and map, or stops doing so.
pub(super) fn toggle_projector(is_projected: RwSignal<bool>) {
    let Some(stage) = document().get_element_by_id(STAGE) else {
        return;
    };
    let becomes = !is_projected.get_untracked();
    if becomes {
        // A browser without this still shows the large type.
        let _ = stage.request_fullscreen();
    } else if document().fullscreen_element().is_some() {
        document().exit_fullscreen();
    }
    let _ = stage.class_list().toggle_with_force(PROJECTOR, becomes);
    is_projected.set(becomes);
}

/// Follows a person who leaves the full screen by the browser's own means.
pub(super) fn follow_full_screen(is_projected: RwSignal<bool>) {
    // The listener lives as long as the page.
    std::mem::forget(window_event_listener_untyped("fullscreenchange", move |_| {
        if document().fullscreen_element().is_none() && is_projected.get_untracked() {
            toggle_projector(is_projected);
        }
    }));
}

impl Feed {
    /// Takes the drawing of the page, and begins to beat.
    fn open(&self) {
        let session = self.session;
        let drawing = session.sheet.with_value(Drawing::of_page);
        self.inner.borrow_mut().drawing = drawing;
        self.sample();
        if session.loading.get_untracked() == Loading::Running {
            session.wants_history.set(true);
        }
        let beating = self.clone();
        set_interval(move || beating.beat(), BEAT);
        let clicked = self.clone();
        // The listeners live as long as the page.
        std::mem::forget(window_event_listener(ev::click, move |event| {
            clicked.choose(event.target());
        }));
        let pressed = self.clone();
        std::mem::forget(window_event_listener(ev::keydown, move |event| {
            if matches!(event.key().as_str(), "Enter" | " ") && pressed.choose(event.target()) {
                event.prevent_default();
            }
        }));
    }

    /// Takes a frame of the subscription.
    fn receive(&self, frame: ServerFrame) {
        let session = self.session;
        match frame {
            ServerFrame::Hops {
                data,
                merged,
                dropped,
                ..
            } => {
                self.observe(&data);
                session.log.update_value(|log| log.receive(data, merged, dropped));
                session.is_armed.set(true);
                session.refusal.set(None);
                if session.mode.get_untracked() == Mode::Live {
                    self.reschedule();
                }
                self.wake();
            }
            ServerFrame::Error { problem, .. } => session.refusal.set(Some(problem)),
            _ => {}
        }
    }

    /// Learns the servers' time and the head of the log from hops.
    fn observe(&self, hops: &[Hop]) {
        let now = now_ms();
        let mut inner = self.inner.borrow_mut();
        for hop in hops {
            inner.clock.observe(end_of(hop), now);
        }
        self.session.head.update_value(|head| {
            for hop in hops {
                if let (Some(partition), Some(position)) = (hop.partition, hop.position) {
                    head.advance(partition, position);
                }
            }
        });
    }

    /// Lays out the newest hops for a live picture.
    fn reschedule(&self) {
        let session = self.session;
        let sheet = session.sheet.with_value(|sheet| sheet.name.clone());
        let schedule = session.log.with_value(|log| {
            let newest = log.hops().next_back().map(|hop| hop.started_at.as_micros());
            let earliest = newest.map(|newest| Timestamp::from_micros(newest - LIVE_WINDOW_US));
            let bound = log.hops().rev().nth(LIVE_HOPS).map(|hop| hop.started_at);
            Schedule::of(log, &sheet, bound.max(earliest))
        });
        session.schedule.set_value(schedule);
    }

    /// Asks for a frame, unless one is on its way.
    fn wake(&self) {
        let was_awaited = std::mem::replace(&mut self.inner.borrow_mut().awaits_frame, true);
        if !was_awaited {
            let feed = self.clone();
            request_animation_frame(move || feed.frame());
        }
    }

    /// Draws one frame.
    fn frame(&self) {
        let session = self.session;
        self.inner.borrow_mut().awaits_frame = false;
        let mut playback = session.playback.get_value();
        let now = now_ms();
        let live = self.inner.borrow().clock.live_moment(now);
        playback.tick(now, End::Live(live.unwrap_or_else(|| playback.moment())));
        session.playback.set_value(playback);
        if playback.mode() != session.mode.get_untracked() {
            self.reschedule();
            session.publish();
        }
        let moment = playback.moment();
        let picture = session
            .schedule
            .with_value(|schedule| session.log.with_value(|log| schedule.picture(log, moment)));
        let is_empty = picture.packets.is_empty() && picture.streams.is_empty();
        self.draw(&picture);
        let moves_on = match playback.mode() {
            Mode::Playing => true,
            Mode::Paused => false,
            Mode::Live => !is_empty || self.awaits_packets(moment),
        };
        if moves_on {
            self.wake();
        }
    }

    /// Whether hops have arrived whose packets set out after this moment.
    fn awaits_packets(&self, moment: Timestamp) -> bool {
        self.session.schedule.with_value(|schedule| {
            let last = schedule.legs().last();
            last.is_some_and(|leg| leg.start >= moment)
        })
    }

    fn draw(&self, picture: &Picture) {
        let (packets, streams) = self.session.sheet.with_value(|sheet| {
            let packets = picture
                .packets
                .iter()
                .filter_map(|packet| packet_mark(sheet, packet));
            let streams = picture
                .streams
                .iter()
                .filter_map(|stream| stream_mark(sheet, stream));
            (packets.collect::<Vec<_>>(), streams.collect::<Vec<_>>())
        });
        if let Some(drawing) = &mut self.inner.borrow_mut().drawing {
            drawing.show(&packets, &streams);
        }
    }

    /// Shows what has changed since the last beat.
    fn beat(&self) {
        if document().hidden() {
            return;
        }
        let session = self.session;
        let beats = {
            let mut inner = self.inner.borrow_mut();
            inner.beats = inner.beats.wrapping_add(1);
            inner.beats
        };
        if beats.is_multiple_of(SAMPLE) {
            if session.mode.get_untracked() == Mode::Playing {
                session.prepare();
            }
            self.sample();
            self.load_intention();
            self.mark_selection();
            self.follow_history();
        }
        if beats.is_multiple_of(POLL) {
            self.poll();
        }
        session.publish();
        self.wake();
    }

    /// Samples the figures, and writes them at the boxes.
    fn sample(&self) {
        let session = self.session;
        let now = self.inner.borrow().clock.now(now_ms());
        // Figures at rest have no time, so they have no place among those of the last minute.
        let is_first = now.is_none() || !self.inner.borrow().has_sampled;
        self.inner.borrow_mut().has_sampled = now.is_some();
        let head = session.head.get_value();
        session.figures.update(|figures| {
            if is_first {
                *figures = Figures::default();
            }
            session.projections.with_untracked(|projections| {
                session.log.with_value(|log| {
                    figures.sample(now.unwrap_or_default(), log, projections, &head);
                });
            });
        });
        let mut inner = self.inner.borrow_mut();
        let Some(drawing) = &mut inner.drawing else {
            return;
        };
        session.sheet.with_value(|sheet| {
            session.figures.with_untracked(|figures| {
                for item in &sheet.boxes {
                    let figures = figures.of_box(&item.id);
                    let label = match figure_words(&figures).as_slice() {
                        [] => item.name.clone(),
                        words => text::lab::box_with_figures(language(), &item.name, words.join(", ")),
                    };
                    drawing.set_figures(&item.id, &short_figure(&figures), &label);
                }
            });
        });
    }

    /// Asks for the status of the projections.
    fn poll(&self) {
        let session = self.session;
        spawn(async move {
            // The next poll asks again.
            let Ok(projections) = api::lab::projections().await else {
                return;
            };
            session.head.update_value(|head| {
                for (partition, position) in projections.iter().flat_map(|view| view.as_of.iter()) {
                    head.advance(partition, position);
                }
            });
            if session.projections.with_untracked(|shown| *shown != projections) {
                session.projections.set(projections);
            }
        });
    }

    /// Chooses what an element of the drawing stands for. False if it stands for nothing.
    fn choose(&self, target: Option<EventTarget>) -> bool {
        let element = target.and_then(|target| target.dyn_into::<Element>().ok());
        let mark = element.and_then(|element| element.closest(MARKS).ok().flatten());
        let selection = mark.as_ref().and_then(selection_of);
        let is_chosen = selection.is_some();
        if is_chosen {
            self.session.selection.set(selection);
        }
        is_chosen
    }

    /// Marks in the drawing what is selected.
    fn mark_selection(&self) {
        let session = self.session;
        let selection = session.selection.get_untracked();
        let inner = self.inner.borrow();
        let Some(drawing) = &inner.drawing else { return };
        let crossed = session.sheet.with_value(|sheet| match &selection {
            Some(Selection::Event(id)) => session.log.with_value(|log| {
                let hops = log.track_of(*id).into_iter();
                hops.filter_map(|hop| hop.arrow.drawing_id(&sheet.name)).collect()
            }),
            _ => Vec::new(),
        });
        drawing.select_arrows(&crossed);
        drawing.select_box(match &selection {
            Some(Selection::Box(id)) => Some(id.as_str()),
            _ => None,
        });
    }

    /// Loads the events of the intention of the selected event, again when more has happened.
    fn load_intention(&self) {
        let session = self.session;
        let Some(Selection::Event(id)) = session.selection.get_untracked() else {
            return;
        };
        let Some(correlation) = correlation_of(session, id) else {
            return;
        };
        // A page that reads events crosses an arrow, too, which is no news about the events.
        let hops = session.log.with_value(|log| {
            let hops = log.of_correlation(correlation).into_iter();
            hops.filter(|hop| hop.arrow != Arrow::ReplayStream).count()
        });
        let wanted = Some((correlation, hops));
        if std::mem::replace(&mut self.inner.borrow_mut().intention, wanted) == wanted {
            return;
        }
        spawn(async move {
            // What cannot be read stays as it is shown, and is asked for again with the next hop.
            if let Ok(page) = api::lab::events_of_intention(correlation).await {
                let mut events = page.data;
                sort_by_key(&mut events, |event| {
                    (
                        event.recorded_at.as_micros(),
                        i64::from(event.partition),
                        event.position,
                    )
                });
                session.intention.set(events);
            }
        });
    }

    /// Loads what has been added to the log since its events were loaded.
    fn follow_history(&self) {
        let session = self.session;
        if session.loading.get_untracked() != Loading::Complete {
            return;
        }
        let token = session.history.with_value(|history| history.token().clone());
        if session.head.with_value(|head| !token.covers(head)) {
            self.load_history();
        }
    }

    /// Loads the events of the workspace, from where they end here.
    fn load_history(&self) {
        let was_loading = std::mem::replace(&mut self.inner.borrow_mut().is_loading, true);
        if was_loading || self.session.loading.get_untracked() == Loading::TooMany {
            return;
        }
        if self.session.loading.get_untracked() != Loading::Complete {
            self.session.loading.set(Loading::Running);
        }
        let feed = self.clone();
        spawn(async move {
            let loaded = feed.load_pages().await;
            feed.inner.borrow_mut().is_loading = false;
            feed.session.loading.set(loaded.unwrap_or_else(Loading::Failed));
        });
    }

    async fn load_pages(&self) -> Result<Loading, Problem> {
        let session = self.session;
        let mut failures = 0;
        loop {
            let token: ConsistencyToken = session.history.with_value(|history| history.token().clone());
            let page = match api::lab::stored_events(&token).await {
                Ok(page) => page,
                Err(problem) => {
                    failures += 1;
                    let is_temporary = matches!(problem.status, 0 | 429 | 500..);
                    if !is_temporary || failures > MOST_FAILURES {
                        return Err(problem);
                    }
                    pause().await;
                    continue;
                }
            };
            failures = 0;
            let is_last = page.next.is_none();
            let extension = session
                .history
                .try_update_value(|history: &mut EventLog| history.extend(page.data))
                .unwrap_or_default();
            if session.mode.get_untracked() != Mode::Live {
                session.prepare();
            }
            session.publish();
            if extension.left_out > 0 {
                return Ok(Loading::TooMany);
            }
            if is_last || extension.added == 0 {
                return Ok(Loading::Complete);
            }
        }
    }
}

/// The intention of an event, from its hops or from the events that are loaded.
fn correlation_of(session: MapSession, id: Uuid) -> Option<Uuid> {
    let of_hops = session.log.with_value(|log| {
        let hops = log.track_of(id);
        hops.into_iter().find_map(|hop| hop.correlation_id)
    });
    of_hops
        .or_else(|| {
            session.history.with_value(|history| {
                let event = history.event(history.index_of(id)?)?;
                Some(event.metadata.correlation_id)
            })
        })
        .or_else(|| {
            session.intention.with_untracked(|events| {
                let event = events.iter().find(|event| event.event_id == id)?;
                Some(event.metadata.correlation_id)
            })
        })
}

/// What an element of the drawing stands for: a packet for its event, or for its arrow if it has none.
fn selection_of(mark: &Element) -> Option<Selection> {
    if let Some(id) = mark.get_attribute("data-box") {
        return Some(Selection::Box(id));
    }
    let event = mark.get_attribute("data-event").unwrap_or_default();
    event.parse().map(Selection::Event).ok().or_else(|| {
        let arrow = mark.get_attribute("data-arrow")?;
        Some(Selection::Arrow(arrow))
    })
}

fn packet_mark(sheet: &LabSheet, packet: &Packet) -> Option<PacketMark> {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let label = text::lab::packet(
        language(),
        &packet.short_id,
        arrow_name(sheet, packet.arrow),
        outcome_word(packet.outcome),
    );
    Some(PacketMark {
        key: packet.id.clone(),
        arrow: packet.arrow.drawing_id(&sheet.name)?,
        progress: packet.progress,
        event: id(packet.event_id),
        short: packet.short_id.clone(),
        correlation: id(packet.correlation_id),
        outcome: packet.outcome.as_str(),
        flow: packet.flow.as_str(),
        label,
    })
}

fn stream_mark(sheet: &LabSheet, stream: &Stream) -> Option<StreamMark> {
    Some(StreamMark {
        arrow: stream.arrow.drawing_id(&sheet.name)?,
        count: text::lab::per_second(language(), stream.per_second),
    })
}

/// Milliseconds of a clock that only moves forward.
fn now_ms() -> f64 {
    window()
        .performance()
        .map_or_else(js_sys::Date::now, |performance| performance.now())
}

/// Waits before a request is repeated.
async fn pause() {
    let (done, waited) = futures::channel::oneshot::channel();
    let timeout = Timeout::new(PATIENCE_MS, move || {
        let _ = done.send(());
    });
    let _ = waited.await;
    drop(timeout);
}
