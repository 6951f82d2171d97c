//! The class, for its educator: the question that it is asked with the answers as they come in, the step that
//! it stays on, who is there and who placed what, the dials that are handed out, simulated shoppers, copies
//! and the reset. Beside it, the presenter's view: the question in large type, with numbers and without
//! names.
//!
//! | module | content |
//! |---|---|
//! | `session` | the state of the class, and what the educator does |
//! | `question` | the question that is asked, its tally, and the reveal |
//! | `ask` | the forms by which a question is asked, and the step that the class stays on |
//! | `roster` | the people, as dots and as rows |
//! | `dials` | the dials that are handed out |
//! | `shop` | "everybody order now", bots, copies, results and reset |
//! | `present` | the presenter's view |

mod ask;
mod dials;
mod present;
mod question;
mod roster;
mod session;
mod shop;

pub(crate) use present::LabPresent;

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::session::ClassSession;
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    islands::{Island, class::InitialRound},
    text,
};

/// A lesson that an educator can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LessonChoice {
    /// Its name.
    pub(crate) name: String,
    /// Its title in the page's language.
    pub(crate) title: String,
    /// Its steps, in order.
    pub(crate) steps: Vec<StepChoice>,
}

/// A step of a lesson that an educator can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepChoice {
    /// Its name.
    pub(crate) name: String,
    /// Its title in the page's language.
    pub(crate) title: String,
    /// Whether it asks.
    pub(crate) asks: bool,
    /// The number of choices; `None` where a number answers, or nothing is asked.
    pub(crate) choices: Option<u8>,
}

/// The class.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabClass {
    /// Its state when the page was rendered.
    pub(crate) state: Value,
    /// The question of that moment, if there was one.
    pub(crate) round: Option<InitialRound>,
    /// The lessons, in their order.
    pub(crate) lessons: Vec<LessonChoice>,
}

impl Island for LabClass {
    const NAME: &'static str = "lab-class";

    fn view(self) -> View {
        let Self {
            state,
            round,
            lessons,
        } = self;
        let session = ClassSession::new(state, lessons);
        #[cfg(not(feature = "ssr"))]
        session.follow();
        view! {
            <div class="lab-class" data-testid="lab-class">
                {messages(session)}
                {question::asked(session, round)}
                {ask::ask(session)}
                {roster::roster(session)}
                {dials::dials(session)}
                {shop::shop(session)}
            </div>
        }
        .erase()
    }
}

/// What was done, or why it was refused.
fn messages(session: ClassSession) -> View {
    let has_refusal = move || session.refusal.with(|words| !words.is_empty());
    let refusal =
        move || view! { <p class="notice notice--danger">{text(move || session.refusal.get())}</p> }.erase();
    view! {
        <div role="alert" data-testid="class-refusal">{only_if(has_refusal, refusal)}</div>
        <p class="lab-class__outcome" role="status" data-testid="class-outcome">
            {text(move || session.outcome.get())}
        </p>
    }
    .erase()
}

/// A button that does something with the class. While something is being done, it says so and does nothing.
fn act_button(
    session: ClassSession,
    word: &'static str,
    deed: impl Fn() -> Option<session::Deed> + 'static,
) -> View {
    view! {
        <button
            type="button"
            class="button button--small"
            aria-disabled=text(move || session.is_busy.get().to_string())
            on:click=move |_| {
                if let Some(deed) = deed() {
                    session.act(deed);
                }
            }
        >
            {word}
        </button>
    }
    .erase()
}

/// A select with its label. `options` are the values with their words.
fn select(
    id: &'static str,
    label: &'static str,
    chosen: crate::erased_signals::RwSignal<String>,
    options: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static,
) -> View {
    let option = move |(value, words): (String, String)| {
        let own = value.clone();
        let is_chosen = move || chosen.with(|chosen| *chosen == own);
        view! { <option value=value prop:selected=is_chosen>{words}</option> }.erase()
    };
    let options = move || options().into_iter().map(option).collect::<Vec<View>>();
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <select id=id on:change=move |event| chosen.set(event_target_value(&event))>{options}</select>
        </div>
    }
    .erase()
}

/// A field for a whole number, with its label and limits. What is no such number is said beside it.
fn number_field(
    id: &'static str,
    label: &'static str,
    typed: crate::erased_signals::RwSignal<String>,
    limits: (u32, u32),
) -> View {
    let language = crate::language::language();
    let is_wrong = move || typed.with(|typed| number_within(typed, limits).is_none());
    let error = move || {
        if is_wrong() {
            text::lab_class::from_to(language, limits.0, limits.1)
        } else {
            String::new()
        }
    };
    let error_id = [id, "-error"].concat();
    view! {
        <div class="field">
            <label for=id>{label}</label>
            <input
                type="number"
                id=id
                min=limits.0.to_string()
                max=limits.1.to_string()
                value=typed.get_untracked()
                aria-invalid=text(move || is_wrong().to_string())
                aria-describedby=error_id.clone()
                on:input=move |event| typed.set(event_target_value(&event))
            />
            <p class="field__error" id=error_id>{text(error)}</p>
        </div>
    }
    .erase()
}

/// The number that was typed, if it is within its limits.
fn number_within(typed: &str, (least, most): (u32, u32)) -> Option<u32> {
    let number = typed.trim().parse().ok()?;
    (least..=most).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_number_counts_within_its_limits_only() {
        assert_eq!(number_within(" 20 ", (1, 100)), Some(20));
        for typed in ["", "0", "101", "-1", "2.5", "many"] {
            assert_eq!(number_within(typed, (1, 100)), None, "{typed}");
        }
    }
}
