//! The workspace's clock, beside the dial that freezes it: its time, and what moves it. It never goes back.

use domain::timestamp::Timestamp;
use leptos::prelude::*;
use serde_json::{Value, json};

use super::session::DialSession;
use crate::{
    components::text,
    erase::{Erase, View},
    erased_signals::RwSignal,
    format::fixed_time,
    language::language,
    text,
};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The clock.
pub(super) fn clock(session: DialSession) -> View {
    let language = language();
    let now = RwSignal::new(None::<Timestamp>);
    #[cfg(not(feature = "ssr"))]
    browser::start(session, now);
    let shown = move || match now.get() {
        Some(now) => text::lab_dials::clock_at(language, fixed_time(now)),
        None => text::lab_dials::clock_unknown(language).to_owned(),
    };
    let controls = session.may_control.then(|| controls(session, now));
    view! {
        <div class="dials__clock">
            <p class="mono" role="status" data-testid="dials-clock">{text(shown)}</p>
            {controls}
        </div>
    }
    .erase()
}

fn controls(session: DialSession, now: RwSignal<Option<Timestamp>>) -> View {
    let language = language();
    let target = RwSignal::new(String::new());
    let steps = [
        ("minute", MINUTE_MS, text::lab_dials::clock_minute(language)),
        ("hour", HOUR_MS, text::lab_dials::clock_hour(language)),
        ("day", DAY_MS, text::lab_dials::clock_day(language)),
    ];
    let steps = steps.map(|(name, ms, label)| {
        view! {
            <button
                type="button"
                class="button button--small"
                data-advance=name
                on:click=move |_| go(session, now, json!({ "advance_ms": ms }))
            >
                {label}
            </button>
        }
        .erase()
    });
    let steps: Vec<View> = steps.into();
    view! {
        <div class="dials__moves needs-script" role="group" aria-label=text::lab_dials::clock_move(language)>
            {steps}
            <label class="dial__number">
                <span>{text::lab_dials::clock_to(language)}</span>
                <input
                    type="datetime-local"
                    step="1"
                    on:change=move |event| target.set(event_target_value(&event))
                />
            </label>
            <button
                type="button"
                class="button button--small"
                on:click=move |_| {
                    let target = target.get_untracked();
                    if !target.is_empty() {
                        go(session, now, json!({ "set": instant(&target) }));
                    }
                }
            >
                {text::lab_dials::clock_set(language)}
            </button>
        </div>
        <p class="muted">{text::lab_dials::clock_lead(language)}</p>
    }
    .erase()
}

/// The instant of a time as the browser's field has it, in UTC. The field leaves seconds out where they are
/// zero.
fn instant(time: &str) -> String {
    let seconds = if time.len() == "2026-01-01T00:00".len() {
        ":00"
    } else {
        ""
    };
    [time, seconds, "Z"].concat()
}

fn go(session: DialSession, now: RwSignal<Option<Timestamp>>, forward: Value) {
    #[cfg(not(feature = "ssr"))]
    browser::go(session, now, forward);
    #[cfg(feature = "ssr")]
    let _ = (session, now, forward);
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! Asks for the time, and moves it.

    use std::time::Duration;

    use domain::timestamp::Timestamp;
    use leptos::prelude::*;
    use serde_json::Value;

    use super::DialSession;
    use crate::{
        api,
        components::explain,
        erased_effects::{effect, spawn},
        erased_signals::RwSignal,
        live::store::typed,
    };

    /// How often the time is asked for.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn start(session: DialSession, now: RwSignal<Option<Timestamp>>) {
        // What cannot be read now is read the next time.
        let ask = move || {
            spawn(async move {
                if let Ok(answer) = api::lab::clock().await {
                    show(now, &answer);
                }
            });
        };
        effect(move || {
            // Asked at once, and after each change of the dials: it may be frozen now.
            session.answer.track();
            ask();
        });
        effect(move || {
            // It runs as long as the page is open.
            let _ = set_interval_with_handle(ask, PATIENCE);
        });
    }

    pub(super) fn go(session: DialSession, now: RwSignal<Option<Timestamp>>, forward: Value) {
        session.refusal.set(String::new());
        spawn(async move {
            match api::lab::move_clock(&forward).await {
                Ok(answer) => show(now, &answer),
                Err(problem) => session.refuse(explain(&problem)),
            }
        });
    }

    fn show(now: RwSignal<Option<Timestamp>>, answer: &Value) {
        if let Some(time) = answer.get("now").and_then(typed::<Timestamp>) {
            now.set(Some(time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_field_is_an_instant_in_utc_with_or_without_seconds() {
        for (typed, expected) in [
            ("2026-11-29T15:04", "2026-11-29T15:04:00Z"),
            ("2026-11-29T15:04:05", "2026-11-29T15:04:05Z"),
        ] {
            assert_eq!(instant(typed), expected);
            assert!(instant(typed).parse::<Timestamp>().is_ok(), "{typed}");
        }
    }
}
