//! One event handler: its state, where it is, how fast it handles events, what it could not handle, what the
//! dials bend there, and the buttons.

use domain::wire::{ERASURE, FailingLane, HandledBy, HandlerKind, HandlerStatus, Handling, RebuildProgress};
use leptos::prelude::*;

use super::session::{Deed, HandlerSession};
use crate::{
    components::{Icon, Picture, bent_words, only_if, text},
    erase::{Erase, View},
    erased_signals::{Memo, RwSignal},
    islands::lab::map::wording::{lag_words, trend},
    lab::{
        dials::BentValue,
        handlers::{HandlerState, bent_of},
    },
    language::language,
    text,
};

/// The name of a handler.
type Name = StoredValue<String>;

/// Its status, which changes with the figures.
type Status = Memo<Option<HandlerStatus>>;

/// The card of a handler.
pub(super) fn card(session: HandlerSession, kind: HandlerKind, name: String) -> View {
    let stored: Name = StoredValue::new(name.clone());
    let status: Status = Memo::new(move |_| stored.with_value(|name| session.status(name)));
    let state =
        move || status.with(|status| status.as_ref().map_or(HandlerState::UpToDate, HandlerState::of));
    let picture = Signal::derive(move || picture(state()));
    let controls = session
        .may_control
        .then(|| controls(session, kind, stored, status));
    let id = ["handler-", &name].concat();
    let title = name.clone();
    view! {
        <li
            class="panel handler"
            id=id
            data-handler=name
            data-state=text(move || state().as_str())
        >
            <h3 class="handler__name"><code>{title}</code></h3>
            <p class="handler__state">
                <Icon picture />
                <span>{text(move || state_words(state()))}</span>
            </p>
            {figures(session, stored, status)}
            {letters(stored, status)}
            {failing(status)}
            {dials(session, kind, stored)}
            {rebuild(status)}
            {handled(session, stored, status)}
            {controls}
        </li>
    }
    .erase()
}

/// The picture of a state.
pub(in crate::islands::lab) fn picture(state: HandlerState) -> Picture {
    match state {
        HandlerState::UpToDate => Picture::Check,
        HandlerState::Behind => Picture::Clock,
        HandlerState::Paused => Picture::Ban,
        HandlerState::Rebuilding => Picture::Reconnect,
        HandlerState::Retrying => Picture::Alert,
    }
}

/// The words for a state.
pub(in crate::islands::lab) fn state_words(state: HandlerState) -> &'static str {
    let language = language();
    match state {
        HandlerState::UpToDate => text::lab::up_to_date(language),
        HandlerState::Behind => text::lab_handlers::state_behind(language),
        HandlerState::Paused => text::freshness::paused(language),
        HandlerState::Rebuilding => text::lab_handlers::state_rebuilding(language),
        HandlerState::Retrying => text::lab_handlers::state_retrying(language),
    }
}

/// Position, lag, rate and trend.
fn figures(session: HandlerSession, name: Name, status: Status) -> View {
    let language = language();
    let position = move || {
        let Some(handler) = status.get() else {
            return String::new();
        };
        let at = handler.status.as_of;
        session.answer.with(|answer| {
            if at == answer.head {
                text::lab::at_position(language, &at)
            } else {
                text::lab::position_of_head(language, &at, &answer.head)
            }
        })
    };
    let behind = move || status.with(|status| status.as_ref().map_or(0, |handler| handler.status.behind));
    let lag = move || {
        let ms = status.with(|status| status.as_ref().and_then(|handler| handler.behind_ms));
        lag_words(behind(), ms)
    };
    let rate =
        Memo::new(move |_| name.with_value(|name| session.history.with(|history| history.rate_tenths(name))));
    let rate_words = move || match rate.get() {
        Some(tenths) => rate_words(tenths),
        None => text::lab_handlers::rate_unknown(language).to_owned(),
    };
    let samples =
        Memo::new(move |_| name.with_value(|name| session.history.with(|history| history.trend(name))));
    let line = move || samples.with(|samples| (!samples.is_empty()).then(|| trend(samples)));
    view! {
        <dl class="facts">
            <div>
                <dt>{text::lab::position(language)}</dt>
                <dd class="mono" data-fact="position">{text(position)}</dd>
            </div>
            <div>
                <dt>{text::lab_handlers::lag(language)}</dt>
                <dd class="mono" data-fact="lag" data-behind=text(move || behind().to_string())>
                    {text(lag)}
                </dd>
            </div>
            <div>
                <dt>{text::lab_handlers::rate(language)}</dt>
                <dd class="mono" data-fact="rate">{text(rate_words)}</dd>
            </div>
            <div>
                <dt>{text::lab::trend(language)}</dt>
                <dd data-fact="trend">{line}</dd>
            </div>
        </dl>
    }
    .erase()
}

/// Tenths of an event in a second: `1.4 events a second`.
fn rate_words(tenths: u64) -> String {
    let rate = format!("{}.{}", tenths / 10, tenths % 10);
    text::lab_handlers::rate_of(language(), rate)
}

/// How many events it could not handle, with a link to them.
fn letters(name: Name, status: Status) -> View {
    let counts = Memo::new(move |_| {
        status.with(|status| {
            let of = |handler: &HandlerStatus| (handler.status.dead_letters, handler.status.waiting);
            status.as_ref().map(of).unwrap_or_default()
        })
    });
    let words = move || {
        let language = language();
        let (dead, waiting) = counts.get();
        let dead = text::lab_handlers::letters(language, dead);
        match waiting {
            0 => dead,
            waiting => {
                let waiting = text::lab_handlers::letters_waiting(language, waiting);
                [dead.as_str(), ", ", &waiting].concat()
            }
        }
    };
    let link = move || {
        let href = name.with_value(|name| ["/lab/dead-letters?view=", name].concat());
        view! { <p class="handler__letters"><a href=href>{text(words)}</a></p> }.erase()
    };
    only_if(move || counts.with(|(dead, _)| *dead > 0), link)
}

/// The lanes that are tried again, and how often the lanes have panicked.
fn failing(status: Status) -> View {
    let language = language();
    let lanes = Memo::new(move |_| {
        let lanes = |handler: &HandlerStatus| handler.status.failing.clone();
        status.with(|status| status.as_ref().map(lanes).unwrap_or_default())
    });
    let panics = move || status.with(|status| status.as_ref().map_or(0, |handler| handler.status.panics));
    let items = move || lanes.with(|lanes| lanes.iter().map(lane).collect::<Vec<View>>());
    let list = move || view! { <ul class="handler__lanes">{items}</ul> }.erase();
    let crashes = move || {
        let words = move || text::lab_handlers::crashes(language, panics());
        view! { <p class="muted" data-fact="crashes">{text(words)}</p> }.erase()
    };
    view! {
        {only_if(move || lanes.with(|lanes| !lanes.is_empty()), list)}
        {only_if(move || panics() > 0, crashes)}
    }
    .erase()
}

/// A lane that is tried again. The reason is the server's own words, for developers.
fn lane(lane: &FailingLane) -> View {
    let words = text::lab_handlers::lane_failures(language(), lane.failures, lane.partition);
    view! { <li>{words}" "<span lang="en" dir="ltr">{lane.reason.clone()}</span></li> }.erase()
}

/// What the dials bend at a handler, each with a link to its dial.
fn dials(session: HandlerSession, kind: HandlerKind, name: Name) -> View {
    let language = language();
    let bent =
        Memo::new(move |_| name.with_value(|name| session.bent.with(|bent| bent_of(bent, kind, name))));
    let items = move || bent.with(|bent| bent.iter().map(dial).collect::<Vec<View>>());
    let list = move || {
        view! {
            <div class="handler__bent">
                <h4>{text::lab_handlers::bent(language)}</h4>
                <ul>{items}</ul>
            </div>
        }
        .erase()
    };
    only_if(move || bent.with(|bent| !bent.is_empty()), list)
}

fn dial(bent: &BentValue) -> View {
    let href = ["/lab/dials#", &bent.dial].concat();
    view! { <li><a href=href>{bent_words(bent)}</a></li> }.erase()
}

/// The progress of the rebuild of a handler.
fn rebuild(status: Status) -> View {
    rebuild_bar(Memo::new(move |_| {
        let rebuild = |handler: &HandlerStatus| handler.status.rebuild.clone();
        status.with(|status| status.as_ref().and_then(rebuild))
    }))
}

/// The progress of a rebuild, while there is one.
pub(in crate::islands::lab) fn rebuild_bar(progress: Memo<Option<RebuildProgress>>) -> View {
    let language = language();
    let of = move |read: fn(&RebuildProgress) -> u64| {
        progress.with(|progress| progress.as_ref().map(read).unwrap_or_default())
    };
    let done = move || of(|progress| progress.events_done);
    let total = move || of(|progress| progress.events_total);
    let words = move || progress.with(|progress| progress.as_ref().map(rebuild_words).unwrap_or_default());
    let bar = move || {
        view! {
            <div class="handler__rebuild" data-testid="rebuild">
                <progress
                    aria-label=text::lab_handlers::state_rebuilding(language)
                    max=text(move || total().max(1).to_string())
                    value=text(move || done().to_string())
                ></progress>
                <p>{text(words)}</p>
            </div>
        }
        .erase()
    };
    only_if(move || progress.with(Option::is_some), bar)
}

fn rebuild_words(progress: &RebuildProgress) -> String {
    let language = language();
    let RebuildProgress {
        events_done,
        events_total,
        events_per_second,
        remaining_ms,
        ..
    } = progress;
    let done = text::lab_handlers::rebuild_done(language, events_done, events_total);
    let rate = rate_words(events_per_second.saturating_mul(10));
    let left = match remaining_ms {
        // Rounded up, so that it says 0 only at the end.
        Some(ms) => text::lab_handlers::rebuild_left(language, ms.div_ceil(1_000)),
        None => text::lab_handlers::rebuild_left_unknown(language).to_owned(),
    };
    [done, rate, left].join(" · ")
}

/// What the handler has done with the event that the person asked about.
fn handled(session: HandlerSession, name: Name, status: Status) -> View {
    let by = Memo::new(move |_| name.with_value(|name| session.handled_by(name)));
    let is_paused =
        move || status.with(|status| status.as_ref().is_some_and(|handler| handler.status.paused));
    let handling = move || by.with(|by| by.as_ref().map(|by| by.handling.as_str()).unwrap_or_default());
    let words = move || {
        let is_paused = is_paused();
        by.with(|by| {
            by.as_ref()
                .map(|by| handling_words(by, is_paused))
                .unwrap_or_default()
        })
    };
    let reason = move || by.with(|by| by.as_ref().and_then(|by| by.reason.clone()).unwrap_or_default());
    let answer = move || {
        view! {
            <p class="handler__handled" data-handling=text(handling)>
                <span>{text(words)}</span>
                " "
                <span lang="en" dir="ltr">{text(reason)}</span>
            </p>
        }
        .erase()
    };
    only_if(move || by.with(Option::is_some), answer)
}

fn handling_words(by: &HandledBy, is_paused: bool) -> &'static str {
    let language = language();
    match by.handling {
        Handling::Handled => text::lab_handlers::handled(language),
        Handling::Behind if is_paused => text::lab_handlers::handled_paused(language),
        Handling::Behind => text::lab_handlers::handled_behind(language),
        Handling::DeadLetter => text::lab_handlers::handled_dead(language),
        Handling::Waiting => text::lab_handlers::handled_waiting(language),
        Handling::Discarded => text::lab_handlers::handled_discarded(language),
    }
}

/// The buttons of a handler. A view is rebuilt; the erasure of people has no dials, so it is not paused.
fn controls(session: HandlerSession, kind: HandlerKind, name: Name, status: Status) -> View {
    let language = language();
    let has_dials = name.with_value(|name| name != ERASURE);
    let outcome = RwSignal::new(String::new());
    let is_paused = Memo::new(move |_| {
        status.with(|status| status.as_ref().is_some_and(|handler| handler.status.paused))
    });
    let is_rebuilding = Memo::new(move |_| {
        status.with(|status| {
            status
                .as_ref()
                .is_some_and(|handler| handler.status.rebuild.is_some())
        })
    });
    let act = move |deed| name.with_value(|name| session.act(name, deed, outcome));
    let pause_word = move || {
        if is_paused.get() {
            text::lab_handlers::resume(language)
        } else {
            text::lab_handlers::pause(language)
        }
    };
    let pause = move || {
        act(if is_paused.get_untracked() {
            Deed::Resume
        } else {
            Deed::Pause
        });
    };
    let rebuild_word = move || {
        if is_rebuilding.get() {
            text::lab_handlers::rebuild_cancel(language)
        } else {
            text::lab_handlers::rebuild(language)
        }
    };
    let rebuild = move || {
        act(if is_rebuilding.get_untracked() {
            Deed::CancelRebuild
        } else {
            Deed::Rebuild
        });
    };
    let crash_word = move || text::lab_dials::crash(language);
    let pause = has_dials.then(|| button(name, "pause", pause_word, pause));
    let rebuild = (kind == HandlerKind::View).then(|| button(name, "rebuild", rebuild_word, rebuild));
    let unbent =
        (!has_dials).then(|| view! { <p class="muted">{text::lab_handlers::unbent(language)}</p> }.erase());
    view! {
        <div class="handler__controls needs-script">
            {pause}
            {button(name, "crash", crash_word, move || act(Deed::Crash))}
            {rebuild}
        </div>
        {unbent}
        <p role="status">{text(move || outcome.get())}</p>
    }
    .erase()
}

/// A button with the name of the handler for screen readers.
fn button(
    name: Name,
    action: &'static str,
    word: impl Fn() -> &'static str + Send + Sync + 'static,
    act: impl Fn() + Send + Sync + 'static,
) -> View {
    view! {
        <button
            type="button"
            class="button button--small"
            data-action=action
            on:click=move |_| act()
        >
            {text(word)}
            <span class="hidden">" "{name.get_value()}</span>
        </button>
    }
    .erase()
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_says_how_far_it_is_how_fast_and_how_long_it_takes() {
        let mut progress = RebuildProgress {
            generation: 2,
            events_done: 1_200,
            events_total: 5_000,
            events_per_second: 950,
            remaining_ms: Some(3_001),
            failing: None,
        };
        let words = rebuild_words(&progress);
        assert_eq!(words, "1200 of 5000 events · 950.0 events a second · 4 s left");
        progress.remaining_ms = None;
        assert!(rebuild_words(&progress).ends_with("the remaining time is not known yet"));
    }

    #[test]
    fn a_rate_has_a_digit_after_the_point() {
        assert_eq!(rate_words(0), "0.0 events a second");
        assert_eq!(rate_words(14), "1.4 events a second");
    }
}
