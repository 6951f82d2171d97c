//! The time line of a stream: a slider over its versions. At each of them, the aggregate's state, and every
//! document that its events touch, with the difference to the version before, folded by the domain's own
//! code. The page comes with the state at the version of its address; the rest is folded in the browser.

use domain::{event::StoredEvent, wire::Problem};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::words::{event_name, payload_of, summary};
use crate::{
    components::{Exact, either, explain, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    islands::{
        Island,
        lab::{
            document_step::{document_step, sealed_json},
            folds::Folds,
        },
    },
    lab::{event_log::EventLog, folding::DocumentStep},
    language::language,
    text,
};

/// How many documents of views are shown: those that were touched last.
const MOST_DOCUMENTS: usize = 12;

/// The time line of a stream.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabTimeLine {
    /// The stream.
    pub(crate) stream: String,
    /// Its events from the first one on, as far as the page has them.
    pub(crate) events: Vec<StoredEvent>,
    /// The version that the page opens at.
    pub(crate) version: u64,
    /// A later version that the address asks for, shown once it is loaded.
    pub(crate) wanted: Option<u64>,
    /// The aggregate's state at that version; `None` if the server could not fold it.
    pub(crate) state: Option<DocumentStep>,
}

/// How far the log is loaded, which views are folded from.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "ssr", expect(dead_code, reason = "only browsers load the log"))]
enum Loading {
    /// It is not wanted yet.
    Idle,
    /// It is being loaded.
    Running,
    /// It has this version, or ends before it.
    Complete,
    /// It is longer than a browser folds.
    TooMany,
    /// It could not be loaded.
    Failed(Problem),
}

/// The time line, as its parts share it.
#[derive(Clone, Copy)]
struct TimeLine {
    stream: StoredValue<String>,
    /// Its events, from the first one on.
    events: StoredValue<Vec<StoredEvent>>,
    /// The number of these.
    length: RwSignal<u64>,
    version: RwSignal<u64>,
    /// The version that the page came with, and the state at it.
    first: StoredValue<(u64, Option<DocumentStep>)>,
    folds: Folds,
    log: StoredValue<EventLog>,
    /// The number of events in the log.
    recorded: RwSignal<usize>,
    loading: RwSignal<Loading>,
}

impl Island for LabTimeLine {
    const NAME: &'static str = "lab-time-line";

    fn view(self) -> View {
        let language = language();
        let Self {
            stream,
            events,
            version,
            wanted,
            state,
        } = self;
        let length = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let line = TimeLine {
            stream: StoredValue::new(stream),
            events: StoredValue::new(events),
            length: RwSignal::new(length),
            version: RwSignal::new(version),
            first: StoredValue::new((version, state)),
            folds: Folds::new(),
            log: StoredValue::new(EventLog::default()),
            recorded: RwSignal::new(0),
            loading: RwSignal::new(Loading::Idle),
        };
        #[cfg(not(feature = "ssr"))]
        browser::start(line, wanted);
        #[cfg(feature = "ssr")]
        let _ = wanted;
        let state = move || match line.state() {
            Some(step) => document_step(&step),
            None => view! { <p class="muted">{text::lab_log::state_unknown(language)}</p> }.erase(),
        };
        view! {
            <section
                class="panel lab-log"
                data-testid="time-line"
                data-version=text(move || line.version.get().to_string())
                aria-label=text::lab_log::time_line(language)
            >
                <h2>{text::lab_log::time_line(language)}</h2>
                {controls(line)}
                <div>{move || event(line)}</div>
                <div class="lab-recording__columns">
                    <section class="panel" data-testid="stream-state">
                        <h3>{text::lab_log::state(language)}</h3>
                        <div>{state}</div>
                    </section>
                    <section class="panel" data-testid="stream-views">
                        <h3>{text::lab::views(language)}</h3>
                        {views(line)}
                    </section>
                </div>
            </section>
        }
        .erase()
    }
}

impl TimeLine {
    /// The aggregate's state at the shown version. Tracked.
    fn state(self) -> Option<DocumentStep> {
        let version = self.version.get();
        let folded = self.events.with_value(|events| self.folds.state(events, version));
        let of_page = || {
            self.first
                .with_value(|(of, state)| state.clone().filter(|_| *of == version))
        };
        folded.or_else(of_page)
    }

    /// The event of the shown version. Tracked.
    fn event(self) -> Option<(StoredEvent, Option<StoredEvent>)> {
        let index = usize::try_from(self.version.get().checked_sub(1)?).ok()?;
        self.events.with_value(|events| {
            let before = index.checked_sub(1).and_then(|before| events.get(before));
            Some((events.get(index)?.clone(), before.cloned()))
        })
    }

    /// Shows a version, if the stream has it.
    fn go_to(self, version: u64) {
        let length = self.length.get_untracked();
        self.version.set(version.clamp(1, length.max(1)));
        self.want();
    }

    /// From now on states and documents are folded here.
    fn want(self) {
        self.folds.want();
        #[cfg(not(feature = "ssr"))]
        browser::load_log(self);
    }
}

/// One step back and on, the slider over the versions, and the link to the shown one.
fn controls(line: TimeLine) -> View {
    let language = language();
    let back = move |_| line.go_to(line.version.get_untracked().saturating_sub(1));
    let step = move |_| line.go_to(line.version.get_untracked().saturating_add(1));
    let seek = move |event: leptos::ev::Event| {
        if let Ok(version) = event_target_value(&event).parse() {
            line.go_to(version);
        }
    };
    let place = move || text::lab_log::version_of(language, line.version.get(), line.length.get());
    let address = move || {
        let stream = line.stream.with_value(String::clone);
        [
            "/lab/streams/",
            &stream,
            "?version=",
            &line.version.get().to_string(),
        ]
        .concat()
    };
    view! {
        <div class="lab-recording__controls" role="group" aria-label=text::lab::controls(language)>
            <button type="button" class="button needs-script" data-control="back" on:click=back>
                {text::lab::step_back(language)}
            </button>
            <button type="button" class="button needs-script" data-control="step" on:click=step>
                {text::lab::step(language)}
            </button>
            <label class="lab-recording__slider needs-script">
                {text::lab_log::version(language)}
                <input
                    type="range"
                    min="1"
                    step="1"
                    data-control="version"
                    max=text(move || line.length.get().to_string())
                    prop:value=text(move || line.version.get().to_string())
                    aria-valuetext=text(place)
                    on:input=seek
                />
            </label>
            <p class="mono" data-testid="version-place">{text(place)}</p>
            <a href=text(address) data-testid="version-link">{text::lab_log::version_link(language)}</a>
        </div>
    }
    .erase()
}

/// The event that made the shown version.
fn event(line: TimeLine) -> View {
    let language = language();
    let Some((event, before)) = line.event() else {
        return ().erase();
    };
    let since = before.map(|before| {
        let millis = event.recorded_at.millis_since(before.recorded_at);
        let since = text::lab_log::after_version(language, text::lab::milliseconds(language, millis));
        view! { " · "<span>{since}</span> }.erase()
    });
    let payload = payload_of(&event);
    view! {
        <p data-event=event.event_id.to_string()>
            {event_name(&event)}
            " "
            <span class="muted">{summary(&payload)}</span>
            " · "
            <Exact at=event.recorded_at />
            {since}
        </p>
        {sealed_json(text::lab::payload(language).to_owned(), &payload)}
    }
    .erase()
}

/// The documents of the views, and how far the log is loaded that they are folded from.
fn views(line: TimeLine) -> View {
    let language = language();
    let steps = move || {
        let version = line.version.get();
        // More of the log may have this version.
        line.recorded.track();
        let steps = line.log.with_value(|log| {
            line.stream.with_value(|stream| {
                let query = (stream.as_str(), version, MOST_DOCUMENTS);
                line.folds.stream_documents(log, query)
            })
        });
        let steps = steps.unwrap_or_default();
        steps.iter().map(document_step).collect::<Vec<View>>()
    };
    let words = move || match line.loading.get() {
        Loading::Idle => text::lab_log::views_idle(language).to_owned(),
        Loading::Running => text::lab::history_running(language, line.recorded.get()),
        Loading::Complete => text::lab_log::views_complete(language).to_owned(),
        Loading::TooMany => text::lab::history_too_many(language, line.recorded.get()),
        Loading::Failed(problem) => explain(&problem),
    };
    let is_wanted = move || line.loading.get() != Loading::Idle;
    let button = move || {
        view! {
            <button
                type="button"
                class="button needs-script"
                data-testid="fold-views"
                on:click=move |_| line.want()
            >
                {text::lab_log::fold(language)}
            </button>
        }
        .erase()
    };
    view! {
        <p class="muted" data-testid="views-state">{text(words)}</p>
        {either(is_wanted, || ().erase(), button)}
        {line.folds.status()}
        <div>{steps}</div>
    }
    .erase()
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Loads the rest of the stream, and the log that views are folded from.

    use domain::token::ConsistencyToken;
    use leptos::prelude::*;

    use super::{super::growth::on_growth, EventLog, Loading, Problem, TimeLine};
    use crate::{api, erased_effects::spawn};

    /// How many events of a stream are loaded.
    const MOST_VERSIONS: usize = 2_000;

    /// Loads the rest of the stream, and what is added to it while the page is open.
    pub(super) fn start(line: TimeLine, wanted: Option<u64>) {
        let is_reading = StoredValue::new(false);
        let wanted = StoredValue::new(wanted);
        on_growth(move || {
            if is_reading.get_value() {
                return;
            }
            is_reading.set_value(true);
            spawn(async move {
                load_stream(line).await;
                let length = line.length.get_untracked();
                if let Some(version) = wanted.get_value().filter(|version| *version <= length) {
                    wanted.set_value(None);
                    line.go_to(version);
                }
                is_reading.set_value(false);
            });
        });
    }

    async fn load_stream(line: TimeLine) {
        loop {
            let length = line.events.with_value(Vec::len);
            if length >= MOST_VERSIONS {
                return;
            }
            let next = u64::try_from(length).unwrap_or(u64::MAX).saturating_add(1);
            let stream = line.stream.with_value(String::clone);
            // What cannot be read now is read with the next attempt.
            let Ok(page) = api::lab::stream_events(&stream, next).await else {
                return;
            };
            let has_more = page.next.is_some();
            let mut added = 0;
            line.events.update_value(|events| {
                for event in page.data {
                    if u64::try_from(events.len()).is_ok_and(|length| event.version == length + 1) {
                        events.push(event);
                        added += 1;
                    }
                }
            });
            if added > 0 {
                line.length.update(|length| *length += added);
                if line.loading.get_untracked() != Loading::Idle {
                    load_log(line);
                }
            }
            if !has_more || added == 0 {
                return;
            }
        }
    }

    /// Loads the log, from where it ends here to the newest event of the stream.
    pub(super) fn load_log(line: TimeLine) {
        if matches!(line.loading.get_untracked(), Loading::Running | Loading::TooMany) {
            return;
        }
        line.loading.set(Loading::Running);
        spawn(async move {
            let loaded = load_pages(line).await;
            line.loading.set(loaded.unwrap_or_else(Loading::Failed));
        });
    }

    async fn load_pages(line: TimeLine) -> Result<Loading, Problem> {
        loop {
            let newest = line.events.with_value(|events| {
                let newest = events.last()?;
                Some((newest.partition, newest.position))
            });
            let token: ConsistencyToken = line.log.with_value(|log| log.token().clone());
            let has = |(partition, position): (u32, u64)| token.position(partition) >= position;
            if newest.is_none_or(has) {
                return Ok(Loading::Complete);
            }
            let page = api::lab::stored_events(&token).await?;
            let is_last = page.next.is_none();
            let extension = line
                .log
                .try_update_value(|log| log.extend(page.data))
                .unwrap_or_default();
            line.recorded.set(line.log.with_value(EventLog::len));
            if extension.left_out > 0 {
                return Ok(Loading::TooMany);
            }
            if is_last || extension.added == 0 {
                return Ok(Loading::Complete);
            }
        }
    }
}
