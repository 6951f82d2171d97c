//! What sets a dial, by its kind: a switch, a number, a frequency, a choice, or a guarantee with what
//! protects the rest. For a person who reads, the value.

use domain::wire::dials::{MAX_DIAL_COUNT, MAX_DIAL_MS};
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::{session::DialSession, wording};
use crate::{
    components::{Icon, Picture, dial_value, either, only_if, provider_mode, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    lab::dials::{DialKind, FREQUENCY},
    language::language,
    text,
};

/// What the payment provider can answer.
const MODES: [&str; 3] = ["normal", "declining", "silent"];

/// The path of a dial.
type Path = StoredValue<String>;

/// The control of a dial; `name` is the id of the element with its title. It is made anew when something was
/// refused, so that it shows what holds.
pub(super) fn control(session: DialSession, path: Path, kind: DialKind, name: String) -> View {
    if kind == DialKind::Guarantee {
        return guarantee(session, path);
    }
    let read =
        move || view! { <p class="dial__value">{text(move || words(session, path, kind))}</p> }.erase();
    let build = move || {
        session.refused.track();
        let name = name.clone();
        match kind {
            DialKind::Switch | DialKind::Guarantee => switch(session, path, name),
            DialKind::Milliseconds | DialKind::OptionalMilliseconds => milliseconds(session, path, name),
            DialKind::Frequency => frequency(session, path, name),
            DialKind::OneOf => one_of(session, path, name),
            DialKind::Mode => choice(session, path, name, MODES.map(str::to_owned).into()),
            DialKind::EventType => {
                let types = session.event_types.get_value();
                choice(session, path, name, types)
            }
        }
    };
    let set = move || {
        let build = build.clone();
        view! { <div class="dial__set needs-script">{build}</div> }.erase()
    };
    either(move || path.with_value(|path| session.may_set(path)), set, read)
}

/// The present value of a dial.
fn value(session: DialSession, path: Path) -> Value {
    let value = path.with_value(|path| session.value(path));
    value.unwrap_or_default()
}

/// The value for a person who reads.
fn words(session: DialSession, path: Path, kind: DialKind) -> String {
    let language = language();
    let value = value(session, path);
    if kind == DialKind::Switch {
        return on_or_off(&value).to_owned();
    }
    let words = path.with_value(|path| dial_value(path, &value));
    if words.is_empty() {
        text::lab_dials::none(language).to_owned()
    } else {
        words
    }
}

fn on_or_off(value: &Value) -> &'static str {
    let language = language();
    if value.as_bool().unwrap_or_default() {
        text::lab_dials::on(language)
    } else {
        text::lab_dials::off(language)
    }
}

fn switch(session: DialSession, path: Path, name: String) -> View {
    let is_on = move || value(session, path).as_bool().unwrap_or_default();
    view! {
        <button
            type="button"
            role="switch"
            class="button button--small dial__switch"
            aria-checked=text(move || is_on().to_string())
            aria-labelledby=name
            on:click=move |_| {
                let turned = !untrack(is_on);
                path.with_value(|path| session.set(path, Value::Bool(turned)));
            }
        >
            <span class="dial__knob" aria-hidden="true"></span>
            <span aria-hidden="true">{text(move || on_or_off(&value(session, path)))}</span>
        </button>
    }
    .erase()
}

/// A field for a number; an empty one stands for none.
fn number_field(
    most: u32,
    shown: impl Fn() -> String + Send + Sync + 'static,
    take: impl Fn(Option<u32>) + 'static,
    refuse: impl Fn() + 'static,
) -> View {
    let changed = move |event: leptos::ev::Event| {
        let typed = event_target_value(&event);
        let typed = typed.trim();
        match typed.parse::<u32>() {
            Ok(number) if number <= most => take(Some(number)),
            Err(_) if typed.is_empty() => take(None),
            Ok(_) | Err(_) => refuse(),
        }
    };
    view! {
        <input
            type="number"
            inputmode="numeric"
            min="0"
            max=most.to_string()
            step="1"
            prop:value=text(shown)
            on:change=changed
        />
    }
    .erase()
}

fn refuse_number(session: DialSession, most: u32) {
    session.refuse(text::lab_dials::not_a_number(language(), most));
}

fn milliseconds(session: DialSession, path: Path, name: String) -> View {
    let language = language();
    let shown = move || match value(session, path) {
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let take = move |number: Option<u32>| {
        let value = number.map_or(Value::Null, Value::from);
        path.with_value(|path| session.set(path, value));
    };
    let field = number_field(MAX_DIAL_MS, shown, take, move || {
        refuse_number(session, MAX_DIAL_MS);
    });
    view! {
        <div class="dial__numbers" role="group" aria-labelledby=name>
            <label class="dial__number">{field}<span>{text::lab_dials::unit_ms(language)}</span></label>
        </div>
    }
    .erase()
}

/// The number of events of which one is struck.
fn one_of(session: DialSession, path: Path, name: String) -> View {
    let language = language();
    let shown = move || value(session, path).as_u64().unwrap_or_default().to_string();
    let take = move |number: Option<u32>| {
        path.with_value(|path| session.set(path, Value::from(number.unwrap_or_default())));
    };
    let refuse = move || refuse_number(session, MAX_DIAL_COUNT);
    let field = number_field(MAX_DIAL_COUNT, shown, take, refuse);
    view! {
        <div class="dial__numbers" role="group" aria-labelledby=name>
            <label class="dial__number">{field}<span>{text::lab_dials::unit_every(language)}</span></label>
        </div>
    }
    .erase()
}

fn frequency(session: DialSession, path: Path, name: String) -> View {
    let fields = FREQUENCY.map(|member| frequency_field(session, path, member));
    let fields: Vec<View> = fields.into();
    view! {
        <div class="dial__numbers dial__numbers--fault" role="group" aria-labelledby=name>{fields}</div>
    }
    .erase()
}

fn frequency_field(session: DialSession, path: Path, member: &'static str) -> View {
    let language = language();
    let most = if member == "percent" { 100 } else { MAX_DIAL_COUNT };
    let label = match member {
        "next" => text::lab_dials::unit_next(language),
        "every" => text::lab_dials::unit_every(language),
        _ => text::lab_dials::unit_percent(language),
    };
    let of_member = move || {
        let value = value(session, path);
        value.get(member).and_then(Value::as_u64).unwrap_or_default()
    };
    let take = move |number: Option<u32>| {
        let present = untrack(move || value(session, path));
        let present = present.as_object().cloned().unwrap_or_default();
        let value = with_member(present, member, number.unwrap_or_default());
        path.with_value(|path| session.set(path, value));
    };
    let shown = move || of_member().to_string();
    let field = number_field(most, shown, take, move || refuse_number(session, most));
    view! { <label class="dial__number">{field}<span>{label}</span></label> }.erase()
}

/// A frequency with another number; null if it then never happens.
fn with_member(mut frequency: Map<String, Value>, member: &str, number: u32) -> Value {
    frequency.insert(member.to_owned(), Value::from(number));
    if frequency.values().all(|value| value.as_u64() == Some(0)) {
        Value::Null
    } else {
        Value::Object(frequency)
    }
}

/// A choice among words, of which the first stands for rest: the usual answers, or no type of event.
fn choice(session: DialSession, path: Path, name: String, words: Vec<String>) -> View {
    let language = language();
    let is_mode = words.first().is_some_and(|first| first == MODES[0]);
    let chosen = move || match value(session, path) {
        Value::String(word) => word,
        _ => String::new(),
    };
    let none = (!is_mode).then(|| {
        let is_none = move || chosen().is_empty();
        view! { <option value="" prop:selected=is_none>{text::lab_dials::none(language)}</option> }.erase()
    });
    let options = words.into_iter().map(|word| {
        let shown = if is_mode {
            provider_mode(&word).to_owned()
        } else {
            word.clone()
        };
        let own = word.clone();
        let is_chosen = move || chosen() == own;
        view! { <option value=word prop:selected=is_chosen>{shown}</option> }.erase()
    });
    let options: Vec<View> = options.collect();
    view! {
        <select
            aria-labelledby=name
            on:change=move |event| {
                let word = event_target_value(&event);
                let value = if word.is_empty() { Value::Null } else { Value::String(word) };
                path.with_value(|path| session.set(path, value));
            }
        >
            {none}
            {options}
        </select>
    }
    .erase()
}

/// A guarantee: whether it is held. It is taken away only after the page has said what protects the rest.
fn guarantee(session: DialSession, path: Path) -> View {
    let language = language();
    let is_held = move || value(session, path).as_bool().unwrap_or(true);
    let is_asking = RwSignal::new(false);
    let picture = Signal::derive(move || {
        if is_held() {
            Picture::Shield
        } else {
            Picture::Alert
        }
    });
    let state = move || {
        if is_held() {
            text::lab_dials::held(language)
        } else {
            text::lab_dials::taken(language)
        }
    };
    let button = move || {
        view! {
            <button
                type="button"
                class="button button--small needs-script"
                aria-expanded=text(move || is_asking.get().to_string())
                on:click=move |_| is_asking.update(|is_asking| *is_asking = !*is_asking)
            >
                {text::lab_dials::take_away(language)}
                <span class="hidden">" "{path.with_value(|path| wording::title(path))}</span>
            </button>
        }
        .erase()
    };
    let question = move || {
        let protects = path.with_value(|path| wording::protection(path));
        view! {
            <div class="notice notice--danger guarantee__question" role="group">
                <Icon picture=Picture::Shield />
                <div>
                    <p>{protects}</p>
                    <p>{text::lab_dials::protects_all(language)}</p>
                    <button
                        type="button"
                        class="button button--small"
                        on:click=move |_| {
                            is_asking.set(false);
                            path.with_value(|path| session.set(path, Value::Bool(false)));
                        }
                    >
                        {text::lab_dials::take_away_yes(language)}
                    </button>
                    " "
                    <button
                        type="button"
                        class="button button--small"
                        on:click=move |_| is_asking.set(false)
                    >
                        {text::lab_dials::take_away_no(language)}
                    </button>
                </div>
            </div>
        }
        .erase()
    };
    let may_set = move || path.with_value(|path| session.may_set(path));
    view! {
        <div class="guarantee" data-held=text(move || is_held().to_string())>
            <p class="guarantee__state"><Icon picture /><span>{text(state)}</span></p>
            {only_if(move || may_set() && is_held(), button)}
            {only_if(move || is_held() && is_asking.get(), question)}
        </div>
    }
    .erase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_frequency_whose_numbers_are_all_zero_is_at_rest() {
        let frequency = |next: u32, every: u32| {
            let value = json!({"next": next, "every": every, "percent": 0});
            value.as_object().cloned().unwrap_or_default()
        };
        assert_eq!(
            with_member(frequency(0, 5), "next", 3),
            json!({"next": 3, "every": 5, "percent": 0})
        );
        assert_eq!(with_member(frequency(3, 0), "next", 0), Value::Null);
        assert_eq!(with_member(Map::new(), "percent", 10), json!({"percent": 10}));
    }
}
