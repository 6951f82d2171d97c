//! Plays a recording: its events one after the other and back, the arrows that they took, and the documents
//! of every view at that moment, folded here by the domain's own code.

use domain::{timestamp::Timestamp, wire::hops::PATTERN_SHEET};
use leptos::prelude::*;
use uuid::Uuid;

use super::{again, documents, events};
use crate::{
    components::{When, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::{copy::Copy, lab::folds::Folds},
    lab::{
        playback::{Mode, Playback, SPEED_NAMES, SPEEDS},
        recording::{self, Playable, RecordingError, RecordingFile},
        timeline::Unit,
    },
    language::language,
    text,
};

/// What the page shows of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loading {
    /// None is, and nothing has failed.
    Nothing,
    /// It is being read.
    Reading,
    /// It cannot be played; the sentence is beside.
    Refused,
}

/// The recording that is played, as the parts of the page share it.
#[derive(Clone, Copy)]
pub(super) struct Player {
    /// Its id, where the workspace keeps it; a file has none.
    id: Option<Uuid>,
    loading: RwSignal<Loading>,
    /// The number of recordings that were loaded: one after the other where files are opened.
    loaded: RwSignal<u32>,
    refusal: RwSignal<String>,
    /// The recording, for what is done again.
    pub(super) file: StoredValue<Option<RecordingFile>>,
    /// Its hops and events.
    pub(super) playable: StoredValue<Playable>,
    /// The documents of its events.
    pub(super) folds: Folds,
    playback: RwSignal<Playback>,
    /// The number of events at the shown moment.
    pub(super) count: Memo<usize>,
}

impl Player {
    /// A player without a recording yet.
    pub(super) fn new(id: Option<Uuid>) -> Self {
        let playable = StoredValue::new(Playable::default());
        let playback = RwSignal::new(Playback::paused_at(Timestamp::default()));
        let loading = RwSignal::new(if id.is_some() {
            Loading::Reading
        } else {
            Loading::Nothing
        });
        let loaded = RwSignal::new(0);
        let count = Memo::new(move |_| {
            // With another recording the same moment has another number of events.
            loaded.track();
            let moment = playback.with(Playback::moment);
            playable.with_value(|playable| playable.timeline.count_at(moment))
        });
        let player = Self {
            id,
            loading,
            loaded,
            refusal: RwSignal::new(String::new()),
            file: StoredValue::new(None),
            playable,
            folds: Folds::new(),
            playback,
            count,
        };
        player.follow_the_clock();
        player
    }

    /// Whether there is a recording to play. Tracked, also from one recording to the next.
    pub(super) fn is_loaded(self) -> bool {
        self.loaded.get() > 0
    }

    /// The newest event of the shown moment, on the drawing. Tracked.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn crossing(self) -> recording::Crossing {
        self.loaded.track();
        let moment = self.playback.with(Playback::moment);
        self.playable
            .with_value(|playable| playable.crossing(PATTERN_SHEET, moment))
    }

    /// Says why a recording cannot be played.
    pub(super) fn refuse(self, why: String) {
        self.refusal.set(why);
        self.loading.set(Loading::Refused);
    }

    /// Takes the text of a recording.
    #[cfg_attr(
        feature = "ssr",
        expect(dead_code, reason = "recordings are played in the browser")
    )]
    pub(super) fn take(self, text: &str) {
        match recording::parse(text) {
            Ok(file) => {
                let playable = recording::playable(&file, PATTERN_SHEET);
                let start = Playback::paused_at(playable.timeline.start());
                self.playable.set_value(playable);
                self.folds.restart();
                self.file.set_value(Some(file));
                self.playback.set(start);
                self.loading.set(Loading::Nothing);
                self.loaded.update(|loaded| *loaded += 1);
            }
            Err(error) => self.refuse(words_of(error)),
        }
    }

    /// Reads the recording of this id from the server.
    #[cfg(not(feature = "ssr"))]
    pub(super) fn load(self, id: Uuid) {
        crate::erased_effects::spawn(async move {
            match crate::api::lab::recording(id).await {
                Ok(text) => self.take(&text),
                Err(problem) => self.refuse(crate::components::explain(&problem)),
            }
        });
    }

    /// Shows the moment of so many events.
    pub(super) fn seek(self, count: usize) {
        self.change(|playback, playable| playback.seek_count(&playable.timeline, count));
    }

    fn change(self, change: impl FnOnce(&mut Playback, &Playable)) {
        self.playable.with_value(|playable| {
            self.playback.update(|playback| change(playback, playable));
        });
    }

    fn is_playing(self) -> bool {
        self.playback.with(Playback::mode) == Mode::Playing
    }

    /// The number of events.
    fn len(self) -> usize {
        self.playable.with_value(|playable| playable.timeline.len())
    }

    #[cfg(feature = "ssr")]
    #[expect(clippy::unused_self, reason = "nothing moves while a page is rendered")]
    fn follow_the_clock(self) {}

    /// Moves on while it plays.
    #[cfg(not(feature = "ssr"))]
    fn follow_the_clock(self) {
        use std::time::Duration;

        use crate::{erased_effects::effect, lab::playback::End};

        let is_playing = Memo::new(move |_| self.is_playing());
        let tick = move || {
            self.change(|playback, playable| {
                playback.tick(js_sys::Date::now(), End::Recording(playable.timeline.end()));
            });
        };
        effect(move || {
            if is_playing.get() {
                let interval = set_interval_with_handle(tick, Duration::from_millis(50));
                on_cleanup(move || {
                    if let Ok(interval) = interval {
                        interval.clear();
                    }
                });
            }
        });
    }
}

/// Why a file is no recording, in the reader's language.
fn words_of(error: RecordingError) -> String {
    let language = language();
    match error {
        RecordingError::TooLarge => text::lab::run_too_large(language).to_owned(),
        RecordingError::Malformed(reason) => text::lab::run_malformed(language, reason),
        RecordingError::Format(format) => text::lab::run_format(language, format),
        RecordingError::TooMany(member, most) => text::lab::run_too_many(language, most, member),
        RecordingError::Gap(index) => text::lab::run_gap(language, index + 1),
    }
}

/// That the recording is being read, or why it cannot be played.
pub(super) fn status(player: Player) -> View {
    let language = language();
    let words = move || match player.loading.get() {
        Loading::Nothing => String::new(),
        Loading::Reading => text::lab::run_loading(language).to_owned(),
        Loading::Refused => player.refusal.get(),
    };
    view! { <p class="lab-recording__status" role="status">{text(words)}</p> }.erase()
}

/// The loaded recording.
pub(super) fn view(player: Player) -> View {
    view! {
        <section class="panel" data-testid="run-player">
            {head(player)}
            {controls(player)}
        </section>
        <div class="lab-recording__columns">
            {events::table(player)}
            {documents::panel(player)}
        </div>
        {again::panel(player)}
    }
    .erase()
}

/// The title, and what can be done with the recording as a whole.
fn head(player: Player) -> View {
    let language = language();
    let known = player.file.with_value(|file| {
        let file = file.as_ref()?;
        Some((
            file.title.clone(),
            file.made_at,
            file.events.len(),
            file.hops.len(),
        ))
    });
    let Some((title, made_at, events, hops)) = known else {
        return ().erase();
    };
    let title = if title.is_empty() {
        text::lab::run_untitled(language).to_owned()
    } else {
        title
    };
    let acts = player.id.map(|id| {
        let file = format!("/api/v1/lab/recordings/{id}");
        let name = format!("foldline-recording-{id}.json");
        view! {
            <p class="lab-recording__acts">
                <Copy content=address_of(id) label=text::lab::run_link(language).to_owned() />
                <a class="button" href=file download=name>{text::lab::run_download(language)}</a>
            </p>
        }
        .erase()
    });
    view! {
        <h2>{title}</h2>
        <p class="muted">
            <When at=made_at />
            " · "
            {text::lab::events(language, events)}
            " · "
            {text::lab::run_hops(language, hops)}
        </p>
        {acts}
    }
    .erase()
}

#[cfg(feature = "ssr")]
fn address_of(id: Uuid) -> String {
    format!("/lab/recording/{id}")
}

/// The whole address of the page that plays a recording.
#[cfg(not(feature = "ssr"))]
fn address_of(id: Uuid) -> String {
    let origin = window().location().origin().unwrap_or_default();
    format!("{origin}/lab/recording/{id}")
}

/// Play and pause, one step on and back, the speed, and the slider over the events.
fn controls(player: Player) -> View {
    let language = language();
    let step_back = move |_| {
        player.change(|playback, playable| {
            playback.step_back(&playable.timeline, Unit::Event);
        });
    };
    let step = move |_| {
        player.change(|playback, playable| {
            playback.step(&playable.timeline, Unit::Event);
        });
    };
    let toggle = move |_| {
        let is_playing = untrack(|| player.is_playing());
        let is_at_end = player.count.get_untracked() >= player.len();
        player.change(|playback, playable| match (is_playing, is_at_end) {
            (true, _) => playback.pause(),
            (false, false) => playback.play(),
            (false, true) => {
                playback.seek(playable.timeline.start());
                playback.play();
            }
        });
    };
    let words = move || {
        if player.is_playing() {
            text::lab::pause(language)
        } else {
            text::lab::play(language)
        }
    };
    let speeds = SPEED_NAMES
        .iter()
        .enumerate()
        .map(|(at, name)| view! { <option value=at.to_string()>{*name}</option> }.erase());
    let speeds: Vec<View> = speeds.collect();
    let speed = move || {
        let speed = player.playback.with(Playback::speed);
        let at = SPEEDS.iter().position(|known| known.total_cmp(&speed).is_eq());
        at.unwrap_or_default().to_string()
    };
    let choose = move |event: leptos::ev::Event| {
        let at: Option<usize> = event_target_value(&event).parse().ok();
        if let Some(speed) = at.and_then(|at| SPEEDS.get(at)) {
            player.change(|playback, _| playback.set_speed(*speed));
        }
    };
    let seek = move |event: leptos::ev::Event| {
        if let Ok(count) = event_target_value(&event).parse() {
            player.seek(count);
        }
    };
    let place = move || text::lab::run_place(language, player.count.get(), player.len());
    view! {
        <div class="lab-recording__controls" role="group" aria-label=text::lab::controls(language)
            data-testid="lab-controls">
            <button type="button" class="button" data-control="back" on:click=step_back>
                {text::lab::step_back(language)}
            </button>
            <button type="button" class="button button--primary" data-control="play" on:click=toggle>
                {text(words)}
            </button>
            <button type="button" class="button" data-control="step" on:click=step>
                {text::lab::step(language)}
            </button>
            <label>
                {text::lab::speed(language)}
                <select data-control="speed" prop:value=text(speed) on:change=choose>{speeds}</select>
            </label>
            <label class="lab-recording__slider">
                {text::lab::position(language)}
                <input
                    type="range"
                    min="0"
                    step="1"
                    data-control="position"
                    max=player.len().to_string()
                    prop:value=text(move || player.count.get().to_string())
                    aria-valuetext=text(place)
                    on:input=seek
                />
            </label>
            <p class="mono" data-testid="run-place">{text(place)}</p>
        </div>
    }
    .erase()
}
