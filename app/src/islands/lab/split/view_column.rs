//! A column in the middle: a view at its own position, how far that is behind the log, and what it shows. An
//! educator can hold it there.

use leptos::prelude::*;
use serde_json::Value;

use super::SplitSession;
use crate::{
    components::{Icon, Id, Picture, for_each, highlight_class, only_if, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    lab::staleness::Lag,
    language::language,
    live::{progress::Progress, store::LiveListing},
    text,
};

/// How many documents of a view are shown.
const MOST_DOCUMENTS: usize = 6;

/// The members of a document that are shown, by view; names as the API has them.
const MEMBERS: [(&str, &[&str]); 6] = [
    ("activity", &["event", "stream"]),
    ("inventory", &["on_hand", "reserved", "available"]),
    ("orders", &["status"]),
    ("payments", &["status", "method"]),
    ("products", &["available"]),
    ("sales", &["orders", "units"]),
];

/// The column of the view at this place.
pub(super) fn column(
    session: SplitSession,
    (at, name): (usize, &'static str),
    listing: LiveListing<Value>,
    may_control: bool,
) -> View {
    let language = language();
    let progress = listing.progress();
    let is_hidden = move || session.chosen.with(|chosen| !chosen.contains(&at));
    let behind = Memo::new(move |_| {
        let known = session
            .head
            .with(|head| progress.with(|progress| progress.as_of().behind(head)));
        known.max(progress.with(Progress::behind))
    });
    let waited = waited(behind, progress);
    let gap = move || match (behind.get(), waited.get()) {
        (0, _) => text::lab::up_to_date(language).to_owned(),
        (events, None) => text::freshness::behind(language, events),
        (events, Some(ms)) => text::freshness::behind_ms(language, events, ms),
    };
    let state = move || if behind.get() == 0 { "live" } else { "behind" };
    let picture = Signal::derive(move || {
        if behind.get() == 0 {
            Picture::Live
        } else {
            Picture::Clock
        }
    });
    let keys = move || listing.keys().into_iter().take(MOST_DOCUMENTS).collect();
    let rows = for_each(keys, move |key| document(name, key, listing));
    view! {
        <section
            class="panel lab-split__column"
            data-testid="split-view"
            data-view=name
            data-state=text(state)
            hidden=is_hidden
        >
            <h2>{text::lab::split_view(language, name)}</h2>
            <p class="lab-split__position">
                <code>{text(move || progress.with(|progress| progress.as_of().to_string()))}</code>
            </p>
            <p class="lab-split__gap" data-behind=text(move || behind.get().to_string())>
                <Icon picture />
                <span>{text(gap)}</span>
            </p>
            {holding(session, name, progress, may_control)}
            <ul class="lab-split__documents">{rows}</ul>
            {measured(session, name)}
        </section>
    }
    .erase()
}

/// The milliseconds for which the view has been behind, counted here; `None` while it is not.
fn waited(behind: Memo<u64>, progress: Signal<Progress>) -> RwSignal<Option<u64>> {
    let waited = RwSignal::new(None::<u64>);
    #[cfg(not(feature = "ssr"))]
    {
        use std::time::Duration;

        use crate::{erased_effects::effect, live::socket::now};

        let since = StoredValue::new(None::<u64>);
        effect(move || {
            if behind.get() == 0 {
                since.set_value(None);
                waited.set(None);
                return;
            }
            // The server has known for longer, where it has told.
            let told = progress.with(Progress::behind_since);
            let begun = since.get_value().unwrap_or_else(now);
            let begun = told.map_or(begun, |told| told.min(begun));
            since.set_value(Some(begun));
            let count = move || {
                let _ = waited.try_set(Some(now().saturating_sub(begun)));
            };
            count();
            let interval = set_interval_with_handle(count, Duration::from_millis(100));
            on_cleanup(move || {
                if let Ok(interval) = interval {
                    interval.clear();
                }
            });
        });
    }
    #[cfg(feature = "ssr")]
    let _ = (behind, progress);
    waited
}

/// The button that holds the view or releases it, and what that means.
fn holding(session: SplitSession, name: &'static str, progress: Signal<Progress>, may_control: bool) -> View {
    let language = language();
    let is_paused = move || {
        session
            .paused
            .with(|paused| paused.iter().any(|view| view == name))
    };
    let is_held = Memo::new(move |_| is_paused() || progress.with(Progress::is_paused));
    let is_sending = RwSignal::new(false);
    let change = move |_| {
        #[cfg(not(feature = "ssr"))]
        if !is_sending.get_untracked() {
            is_sending.set(true);
            let wanted = !is_held.get_untracked();
            crate::erased_effects::spawn(async move {
                let changed = crate::api::lab::hold(name, wanted).await;
                is_sending.set(false);
                if let Ok(status) = &changed {
                    session.set_paused(name, status.paused);
                }
                session.problem.set(changed.err());
            });
        }
        #[cfg(feature = "ssr")]
        let _ = session;
    };
    let words = move || {
        if is_held.get() {
            text::lab::split_release(language)
        } else {
            text::lab::split_hold(language)
        }
    };
    let held = move || {
        view! { <p class="lab-split__held" role="status">{text::lab::split_held(language)}</p> }.erase()
    };
    let button = may_control.then(|| {
        view! {
            <button
                type="button"
                class="button needs-script"
                class:button--pending=move || is_sending.get()
                aria-pressed=text(move || is_held.get().to_string())
                on:click=change
            >
                {text(words)}
            </button>
        }
        .erase()
    });
    view! {
        <div class="lab-split__hold">
            {button}
            {only_if(move || is_held.get(), held)}
        </div>
    }
    .erase()
}

/// The last and the longest lag of the view since the page was opened.
fn measured(session: SplitSession, name: &'static str) -> View {
    let language = language();
    let lags = Memo::new(move |_| session.staleness.with(|staleness| staleness.of(name)));
    let words = move |of: fn(crate::lab::staleness::Lags) -> Lag| {
        text(move || match lags.get().map(of) {
            Some(lag) => text::freshness::behind_ms(language, lag.events, lag.ms),
            None => "–".to_owned(),
        })
    };
    view! {
        <dl class="facts" data-testid="split-measured">
            <div>
                <dt>{text::lab::split_last(language)}</dt>
                <dd class="mono">{words(|lags| lags.last)}</dd>
            </div>
            <div>
                <dt>{text::lab::split_longest(language)}</dt>
                <dd class="mono">{words(|lags| lags.longest)}</dd>
            </div>
        </dl>
    }
    .erase()
}

fn document(name: &'static str, key: String, listing: LiveListing<Value>) -> View {
    let row = listing.row(key.clone());
    let members = MEMBERS.iter().find(|(view, _)| *view == name);
    let members = members.map_or(&[][..], |(_, members)| *members);
    let words = move || {
        row.with(|row| {
            let Some((data, _)) = row else {
                return String::new();
            };
            let words: Vec<String> = members.iter().filter_map(|member| word(data, member)).collect();
            words.join(" · ")
        })
    };
    let id = key.clone();
    view! {
        <li class=text(move || highlight_class(row)) data-key=key>
            <Id id />
            <span class="mono" dir="ltr">{text(words)}</span>
        </li>
    }
    .erase()
}

/// A member as `name value`.
fn word(data: &Value, member: &str) -> Option<String> {
    let words = match data.get(member)? {
        Value::String(text) => format!("{member} {text}"),
        other => format!("{member} {other}"),
    };
    Some(words)
}
