//! The live tail of the log: the newest events of a selection, which appear as they are recorded. A reader
//! can freeze the list: what is recorded meanwhile is kept and counted, and is shown when the list goes on.

use domain::{event::StoredEvent, token::ConsistencyToken};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::words::{event_name, payload_of, stream_link, summary};
use crate::{
    components::{Exact, Id, either, for_each, only_if, role_word, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    islands::Island,
    lab::log_filter::{LogFilter, is_of_person},
    language::language,
    text,
};

/// How many events are shown, and how many wait while the list is frozen. The log has the others.
const MOST_EVENTS: usize = 1_000;

/// The newest events of a selection.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabTail {
    /// The selection.
    pub(crate) filter: LogFilter,
    /// The events, newest first.
    pub(crate) events: Vec<StoredEvent>,
    /// The head of the log before they were read.
    pub(crate) head: ConsistencyToken,
    /// Whether the list begins with the newest events, so that those to come belong to it.
    pub(crate) is_live: bool,
}

/// The list, as its parts share it.
#[derive(Clone, Copy)]
struct Tail {
    #[cfg_attr(feature = "ssr", expect(dead_code, reason = "only browsers follow the log"))]
    filter: StoredValue<LogFilter>,
    /// What is shown, newest first.
    shown: RwSignal<Vec<StoredEvent>>,
    /// What has come since the list was frozen, newest first.
    waiting: RwSignal<Vec<StoredEvent>>,
    is_frozen: RwSignal<bool>,
    /// Whether there were more than [`MOST_EVENTS`].
    is_cut: RwSignal<bool>,
}

impl Island for LabTail {
    const NAME: &'static str = "lab-tail";

    fn view(self) -> View {
        let language = language();
        let Self {
            filter,
            events,
            head,
            is_live,
        } = self;
        let newest = filter.address();
        let tail = Tail {
            filter: StoredValue::new(filter),
            shown: RwSignal::new(events),
            waiting: RwSignal::new(Vec::new()),
            is_frozen: RwSignal::new(false),
            is_cut: RwSignal::new(false),
        };
        #[cfg(not(feature = "ssr"))]
        if is_live {
            browser::follow(tail, head);
        }
        #[cfg(feature = "ssr")]
        drop(head);
        let bar = is_live.then(|| bar(tail));
        let cut = move || {
            view! {
                <p class="muted">
                    {text::lab_log::cut(language, MOST_EVENTS)}
                    " "
                    <a href=newest.clone()>{text::lab_log::newest(language)}</a>
                </p>
            }
            .erase()
        };
        let nothing = move || view! { <p class="muted">{text::lab_log::nothing(language)}</p> }.erase();
        view! {
            <div class="lab-log" data-testid="lab-tail">
                {bar}
                {either(move || tail.shown.with(Vec::is_empty), nothing, move || table(tail))}
                {only_if(move || tail.is_cut.get(), cut)}
            </div>
        }
        .erase()
    }
}

/// The button that freezes the list, and how many events wait.
fn bar(tail: Tail) -> View {
    let language = language();
    let state = move || {
        if tail.is_frozen.get() {
            text::lab_log::frozen(language, tail.waiting.with(Vec::len))
        } else {
            text::lab_log::is_live(language).to_owned()
        }
    };
    let action = move || {
        if tail.is_frozen.get() {
            text::lab_log::go_on(language)
        } else {
            text::lab_log::freeze(language)
        }
    };
    view! {
        <div class="lab-log__bar needs-script">
            <button
                type="button"
                class="button"
                data-testid="tail-freeze"
                on:click=move |_| tail.toggle()
            >
                {text(action)}
            </button>
            <p class="muted" role="status" data-testid="tail-state">{text(state)}</p>
        </div>
    }
    .erase()
}

fn table(tail: Tail) -> View {
    let language = language();
    let keys = move || {
        let shown = tail.shown;
        shown.with(|events| events.iter().map(|event| event.event_id.to_string()).collect())
    };
    view! {
        <table class="table">
            <thead>
                <tr>
                    <th scope="col">{text::lab::time(language)}</th>
                    <th scope="col">{text::lab::event(language)}</th>
                    <th scope="col">{text::lab::stream(language)}</th>
                    <th scope="col" class="figure">{text::lab_log::version(language)}</th>
                    <th scope="col">{text::lab_log::actor(language)}</th>
                    <th scope="col" class="figure">{text::lab::position(language)}</th>
                </tr>
            </thead>
            <tbody>{for_each(keys, move |key| row(tail, &key))}</tbody>
        </table>
    }
    .erase()
}

/// The row of the event with this id.
fn row(tail: Tail, key: &str) -> View {
    let language = language();
    let id: Uuid = key.parse().unwrap_or_default();
    let found = tail.shown.with_untracked(|events| {
        let mut events = events.iter();
        events.find(|event| event.event_id == id).cloned()
    });
    // A row without an event is about to be removed.
    let Some(event) = found else {
        return ().erase();
    };
    let by = if is_of_person(&event) { "person" } else { "effect" };
    let place = format!("{}:{}", event.partition, event.position);
    let (actor, role) = (event.metadata.actor.id, event.metadata.actor.role);
    view! {
        <tr data-event=key.to_owned() data-by=by>
            <td data-label=text::lab::time(language)><Exact at=event.recorded_at /></td>
            <td data-label=text::lab::event(language)>
                {event_name(&event)}
                " "
                <span class="muted">{summary(&payload_of(&event))}</span>
            </td>
            <td data-label=text::lab::stream(language)>{stream_link(&event)}</td>
            <td class="figure mono" data-label=text::lab_log::version(language)>{event.version}</td>
            <td data-label=text::lab_log::actor(language)>
                {role_word(role)}" "<Id id=actor.to_string() />
            </td>
            <td class="figure mono" data-label=text::lab::position(language)>{place}</td>
        </tr>
    }
    .erase()
}

impl Tail {
    /// Freezes the list, or shows what has come since and goes on.
    fn toggle(self) {
        if !self.is_frozen.get_untracked() {
            self.is_frozen.set(true);
            return;
        }
        let mut waiting = Vec::new();
        self.waiting.update(|kept| waiting = std::mem::take(kept));
        self.is_frozen.set(false);
        self.add(self.shown, waiting);
    }

    /// Puts events, newest first, before those of a list.
    fn add(self, list: RwSignal<Vec<StoredEvent>>, mut new: Vec<StoredEvent>) {
        if new.is_empty() {
            return;
        }
        let mut is_cut = false;
        list.update(|events| {
            new.append(events);
            is_cut = new.len() > MOST_EVENTS;
            new.truncate(MOST_EVENTS);
            *events = new;
        });
        if is_cut {
            self.is_cut.set(true);
        }
    }
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Takes what has been added to the log.

    use leptos::prelude::*;

    use super::{super::growth::on_growth, ConsistencyToken, StoredEvent, Tail};
    use crate::{api, islands::lab::log_reader::LogReader, sorted::sort_by_key};

    /// Adds the events after the head while the page is open.
    pub(super) fn follow(tail: Tail, head: ConsistencyToken) {
        let reader = LogReader::after(head);
        let fetch = |after: ConsistencyToken| async move { api::lab::stored_events(&after).await };
        on_growth(move || reader.read(fetch, move |events| tail.take(events)));
    }

    impl Tail {
        /// Shows the events of the selection, or has them wait while the list is frozen.
        fn take(self, mut read: Vec<StoredEvent>) {
            self.filter
                .with_value(|filter| read.retain(|event| filter.matches(event)));
            // The page may have come with some of them.
            self.shown.with_untracked(|shown| {
                read.retain(|event| shown.iter().all(|known| known.event_id != event.event_id));
            });
            sort_by_key(&mut read, |event| {
                (
                    event.recorded_at.as_micros(),
                    i64::from(event.partition),
                    event.position,
                )
            });
            read.reverse();
            if self.is_frozen.get_untracked() {
                self.add(self.waiting, read);
            } else {
                self.add(self.shown, read);
            }
        }
    }
}
