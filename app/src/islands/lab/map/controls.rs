//! The controls of time: pause, steps in both directions, speed, and the sliders over the log's positions and
//! over the time of the hops.

use domain::timestamp::Timestamp;
use leptos::prelude::*;

use super::session::MapSession;
use crate::{
    components::text,
    erase::{Erase, View},
    format::{fixed_time, local_time, use_hydrated},
    lab::{
        playback::{Mode, SPEED_NAMES, SPEEDS},
        timeline::Unit,
    },
    language::language,
    text,
};

/// The controls.
pub(super) fn controls(session: MapSession) -> View {
    let language = language();
    let hydrated = use_hydrated();
    let button = |name: &'static str, label: &'static str, act: fn(MapSession)| {
        view! {
            <button
                type="button"
                class="button button--small"
                data-control=name
                on:click=move |_| act(session)
            >
                {label}
            </button>
        }
        .erase()
    };
    let pause = move || {
        if session.mode.get() == Mode::Paused {
            text::lab::play(language)
        } else {
            text::lab::pause(language)
        }
    };
    view! {
        <div
            class="lab-controls needs-script"
            role="group"
            aria-label=text::lab::controls(language)
            data-testid="lab-controls"
        >
            <div class="lab-controls__buttons">
                {button("back", text::lab::step_back(language), MapSession::step_back)}
                <button
                    type="button"
                    class="button button--small"
                    data-control="pause"
                    on:click=move |_| session.pause_or_play()
                >
                    {text(pause)}
                </button>
                {button("step", text::lab::step(language), MapSession::step)}
                <button
                    type="button"
                    class="button button--small"
                    data-control="live"
                    aria-pressed=text(move || session.is_live().to_string())
                    on:click=move |_| session.go_live()
                >
                    {text::lab::live(language)}
                </button>
                {speed(session)}
                {unit(session)}
            </div>
            {position_slider(session)}
            {time_slider(session, hydrated)}
            <p class="lab-controls__shown mono" role="status" data-testid="lab-moment">
                {text(move || shown(session, hydrated))}
            </p>
        </div>
    }
    .erase()
}

fn speed(session: MapSession) -> View {
    let language = language();
    let options: Vec<_> = SPEED_NAMES
        .iter()
        .enumerate()
        .map(|(at, name)| view! { <option value=at.to_string()>{*name}</option> }.erase())
        .collect();
    let chosen = move || {
        let speed = session.speed.get();
        let place = SPEEDS.iter().position(|known| known.total_cmp(&speed).is_eq());
        place.unwrap_or_default().to_string()
    };
    view! {
        <label class="lab-controls__choice">
            {text::lab::speed(language)}
            <select
                data-control="speed"
                prop:value=text(chosen)
                on:change=move |event| {
                    let place: Option<usize> = event_target_value(&event).parse().ok();
                    if let Some(speed) = place.and_then(|place| SPEEDS.get(place)) {
                        session.set_speed(*speed);
                    }
                }
            >
                {options}
            </select>
        </label>
    }
    .erase()
}

fn unit(session: MapSession) -> View {
    let language = language();
    let chosen = move || match session.unit.get() {
        Unit::Hop => "hop",
        Unit::Event => "event",
    };
    view! {
        <label class="lab-controls__choice">
            {text::lab::unit(language)}
            <select
                data-control="unit"
                prop:value=text(chosen)
                on:change=move |event| {
                    session.unit.set(match event_target_value(&event).as_str() {
                        "event" => Unit::Event,
                        _ => Unit::Hop,
                    });
                }
            >
                <option value="hop">{text::lab::unit_hop(language)}</option>
                <option value="event">{text::lab::unit_event(language)}</option>
            </select>
        </label>
    }
    .erase()
}

fn position_slider(session: MapSession) -> View {
    let language = language();
    view! {
        <label class="lab-controls__slider">
            {text::lab::position(language)}
            <input
                type="range"
                min="0"
                step="1"
                data-control="position"
                max=text(move || session.recorded.get().to_string())
                prop:value=text(move || session.count().to_string())
                aria-valuetext=text(move || position(session))
                on:input=move |event| {
                    if let Ok(count) = event_target_value(&event).parse() {
                        session.seek_count(count);
                    }
                }
            />
        </label>
    }
    .erase()
}

fn time_slider(session: MapSession, hydrated: Signal<bool>) -> View {
    let language = language();
    let length = move || {
        let (start, end) = session.span();
        end.millis_since(start)
    };
    let place = move || {
        let (start, end) = session.span();
        let shown = session.moment.get();
        let at = if session.is_live() { end } else { shown.min(end) };
        at.millis_since(start)
    };
    view! {
        <label class="lab-controls__slider">
            {text::lab::moment(language)}
            <input
                type="range"
                min="0"
                step="20"
                data-control="time"
                max=text(move || length().to_string())
                prop:value=text(move || place().to_string())
                aria-valuetext=text(move || shown(session, hydrated))
                on:input=move |event| {
                    if let Ok(offset) = event_target_value(&event).parse() {
                        session.seek(after(untrack(|| session.span()).0, offset));
                    }
                }
            />
        </label>
    }
    .erase()
}

/// The moment this many milliseconds after another one.
fn after(start: Timestamp, milliseconds: u32) -> Timestamp {
    let micros = i64::from(milliseconds).saturating_mul(1_000);
    Timestamp::from_micros(start.as_micros().saturating_add(micros))
}

/// The position of the log at the shown moment.
fn position(session: MapSession) -> String {
    let count = session.count();
    session
        .history
        .with_value(|history| history.token_at(count))
        .to_string()
}

/// What is shown: live, or a time with the position of the log.
fn shown(session: MapSession, hydrated: Signal<bool>) -> String {
    let language = language();
    let at = session.moment.get();
    let time = if hydrated.get() {
        local_time(at)
    } else {
        fixed_time(at)
    };
    match session.mode.get() {
        Mode::Live => text::lab::shows_live(language).to_owned(),
        Mode::Paused => text::lab::shows_paused(language, time, position(session)),
        Mode::Playing => text::lab::shows_playing(language, time, position(session)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_speed_has_a_name() {
        for (name, speed) in SPEED_NAMES.iter().zip(SPEEDS) {
            let number: f64 = name.trim_end_matches('×').parse().unwrap();
            assert!(number.total_cmp(&speed).is_eq(), "{name}");
        }
    }

    #[test]
    fn a_place_on_the_slider_is_a_moment() {
        let start: Timestamp = "2026-11-21T20:22:36Z".parse().unwrap();
        assert_eq!(after(start, 1_500).millis_since(start), 1_500);
        assert_eq!(
            after(Timestamp::from_micros(i64::MAX), 1),
            Timestamp::from_micros(i64::MAX)
        );
    }
}
