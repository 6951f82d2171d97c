//! The freshness mark of a view: its position and its lag in events and milliseconds; opened, also its lane,
//! the reason and the time. All pages share it.

use domain::token::ConsistencyToken;
use leptos::prelude::*;

use super::{Icon, Picture, only_if, text};
use crate::{
    api::LastWrite,
    erase::Erase,
    language::language,
    live::{progress::Progress, protocol::Link, store::use_link},
    text::{self, SLOT, around},
};

/// The freshness in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As the server has rendered it, before the connection is open.
    Rendered,
    /// Everything stored is shown.
    Live,
    /// Some stored events are not shown.
    Behind,
    /// The connection is lost, so later events are unknown.
    Unknown,
}

/// The freshness mark of the view with this name.
#[component]
pub(crate) fn Freshness(
    #[prop(into)] view: String,
    #[prop(into)] progress: Signal<Progress>,
) -> impl IntoView {
    let language = language();
    let link = use_link();
    let written = use_context::<LastWrite>();
    // This tab's last write is stored, even if the view's own lag does not include it yet.
    let own = move || written.and_then(|written| written.token.get());
    let behind = Signal::derive(move || {
        progress.with(|progress| {
            let own = own().map_or(0, |own| progress.as_of().behind(&own));
            progress.behind().max(own)
        })
    });
    let followed = move || progress.with(Progress::is_followed);
    let state = Signal::derive(move || match (link.get(), behind.get()) {
        (Link::Live, 0) if followed() => State::Live,
        (Link::Reconnecting(_) | Link::Offline | Link::SessionEnded, _) => State::Unknown,
        (_, 1..) => State::Behind,
        _ => State::Rendered,
    });
    let as_of = move || progress.with(|progress| progress.as_of().to_string());
    let milliseconds = use_milliseconds_behind(progress, link);
    let picture = Signal::derive(move || match state.get() {
        State::Live => Picture::Live,
        State::Unknown => Picture::Offline,
        State::Behind | State::Rendered => Picture::Clock,
    });
    // The words before the position, and those after it.
    let words = Memo::new(move |_| {
        let words = match (state.get(), milliseconds.get()) {
            (State::Live, _) => text::freshness::live(language).to_owned(),
            (State::Rendered, _) => text::freshness::as_of(language, SLOT),
            (State::Unknown, Some(ms)) => text::freshness::unknown_for(language, ms / 1_000, SLOT),
            (State::Unknown, None) => text::freshness::unknown(language, SLOT),
            (State::Behind, Some(ms)) => text::freshness::behind_ms(language, behind.get(), ms),
            (State::Behind, None) => text::freshness::behind(language, behind.get()),
        };
        around(&words)
    });
    let before = move || words.with(|(before, _)| before.trim().to_owned());
    let after = move || words.with(|(_, after)| after.trim().to_owned());
    let end = move || view! { <span>{text(after)}</span> }.erase();
    let is_paused = move || state.get() == State::Behind && progress.with(Progress::is_paused);
    let paused =
        move || view! { <span class="freshness__paused">{text::freshness::paused(language)}</span> }.erase();
    let why = move || match state.get() {
        State::Live => text::freshness::why_live(language),
        State::Rendered => text::freshness::why_still(language),
        State::Behind if progress.with(Progress::is_paused) => text::freshness::why_paused(language),
        State::Behind => text::freshness::why_behind(language),
        State::Unknown => text::freshness::why_unknown(language),
    };
    let lane = move || {
        let token: ConsistencyToken = as_of().parse().unwrap_or_default();
        let partitions: Vec<_> = token.iter().map(|(partition, _)| partition.to_string()).collect();
        text::freshness::lane_is(language, &view, partitions.join(", "))
    };
    let since = move || match milliseconds.get() {
        Some(ms) => text::freshness::since_ms(language, ms),
        None => "–".to_owned(),
    };
    let name = move || match state.get() {
        State::Live => "live",
        State::Rendered => "still",
        State::Behind => "behind",
        State::Unknown => "unknown",
    };
    view! {
        <details class="freshness" data-state=text(name)>
            <summary>
                <Icon picture />
                <span class="freshness__word">{text(before)}</span>
                <code class="freshness__token">{text(as_of)}</code>
                {only_if(move || !after().is_empty(), end)}
                {only_if(is_paused, paused)}
            </summary>
            <dl class="facts">
                <div><dt>{text::freshness::lane(language)}</dt><dd>{text(lane)}</dd></div>
                <div>
                    <dt>{text::freshness::position(language)}</dt>
                    <dd class="mono">{text(as_of)}</dd>
                </div>
                <div>
                    <dt>{text::freshness::not_folded(language)}</dt>
                    <dd class="mono">{text(move || behind.get().to_string())}</dd>
                </div>
                <div><dt>{text::freshness::why(language)}</dt><dd>{text(why)}</dd></div>
                <div><dt>{text::freshness::since(language)}</dt><dd>{text(since)}</dd></div>
            </dl>
        </details>
    }
    .erase()
}

/// The time for which the view has been behind, or the connection lost, counted on between the server's
/// reports.
fn use_milliseconds_behind(progress: Signal<Progress>, link: RwSignal<Link>) -> Signal<Option<u64>> {
    let lost = RwSignal::new(None);
    #[cfg(not(feature = "ssr"))]
    crate::erased_effects::effect(move || match link.get() {
        Link::Live => lost.set(None),
        Link::Idle | Link::Connecting => {}
        Link::Reconnecting(_) | Link::Offline | Link::SessionEnded => {
            if lost.get_untracked().is_none() {
                lost.set(Some(crate::live::socket::now()));
            }
        }
    });
    let since = Memo::new(move |_| lost.get().or_else(|| progress.with(Progress::behind_since)));
    let milliseconds = RwSignal::new(None);
    #[cfg(not(feature = "ssr"))]
    crate::erased_effects::effect(move || {
        let elapsed = move || {
            since
                .get_untracked()
                .map(|since| crate::live::socket::now().saturating_sub(since))
        };
        let counting = since.get().is_some();
        milliseconds.set(elapsed());
        if counting {
            let count = move || {
                let _ = milliseconds.try_set(elapsed());
            };
            let interval = set_interval_with_handle(count, std::time::Duration::from_millis(250));
            on_cleanup(move || {
                if let Ok(interval) = interval {
                    interval.clear();
                }
            });
        }
    });
    #[cfg(feature = "ssr")]
    let _ = (since, link);
    milliseconds.into()
}
