//! A lesson: what a learner answers, does and has shown is sent, and the page then shows the run as the
//! server has kept it.
//!
//! The lesson is no part of the island: the server renders its steps from the run, with texts that no browser
//! loads, and the island fetches the page again and takes from it what has changed. Steps are links to the
//! parts of the page, so that the browser itself goes back and on. Here are the requests, the arrow keys, and
//! where the focus goes.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    components::{ClassStep, Icon, Picture, ask_the_class, for_each, only_if, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    islands::Island,
    language::language,
    text,
};

/// The id of the element that contains the steps of a run.
pub(crate) const STEPS: &str = "lesson-steps";

/// A lesson, and the run of it that the page shows.
#[derive(Serialize, Deserialize)]
pub(crate) struct LabLesson {
    /// The lesson's name.
    pub(crate) lesson: String,
    /// The run; `None` before there is one.
    pub(crate) run: Option<Uuid>,
    /// Whether the person may put the questions of the run to the class.
    pub(crate) asks_the_class: bool,
    /// The questions that they may put when the page is rendered.
    pub(crate) questions: Vec<LessonQuestion>,
}

/// A step of a run that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LessonQuestion {
    /// The name of the step.
    pub(crate) step: String,
    /// The number of choices; `None` where a number answers.
    pub(crate) choices: Option<u8>,
    /// The right answer, once it is revealed: the choice, counted from 1, or the number.
    pub(crate) right: Option<i64>,
}

/// What is being done.
#[derive(Clone, Copy)]
struct LessonSession {
    /// Whether an answer of the server is awaited.
    is_busy: RwSignal<bool>,
    /// Why the last thing that was done was refused; empty if it was not.
    refusal: RwSignal<String>,
    /// The questions that may be put to the class.
    questions: RwSignal<Vec<LessonQuestion>>,
    /// The name of the step that the page shows.
    shown: RwSignal<String>,
    lesson: StoredValue<String>,
    #[cfg(not(feature = "ssr"))]
    run: Option<Uuid>,
    #[cfg(not(feature = "ssr"))]
    asks_the_class: bool,
}

impl Island for LabLesson {
    const NAME: &'static str = "lab-lesson";

    fn view(self) -> View {
        let language = language();
        let session = LessonSession::new(self);
        #[cfg(not(feature = "ssr"))]
        browser::follow(session);
        let refusal = move || {
            view! {
                <div class="notice notice--danger">
                    <Icon picture=Picture::Alert />
                    <p>{text(move || session.refusal.get())}</p>
                </div>
            }
            .erase()
        };
        let has_refusal = move || session.refusal.with(|words| !words.is_empty());
        let working = move || {
            if session.is_busy.get() {
                text::lab_lesson::working(language)
            } else {
                ""
            }
        };
        view! {
            <div class="lesson-status">
                {class_questions(session)}
                <div role="alert" data-testid="lesson-refusal">{only_if(has_refusal, refusal)}</div>
                <p role="status" data-testid="lesson-working">{text(working)}</p>
            </div>
        }
        .erase()
    }
}

impl LessonSession {
    fn new(page: LabLesson) -> Self {
        let LabLesson {
            lesson,
            run,
            asks_the_class,
            questions,
        } = page;
        #[cfg(feature = "ssr")]
        let _ = (run, asks_the_class);
        Self {
            is_busy: RwSignal::new(false),
            refusal: RwSignal::new(String::new()),
            questions: RwSignal::new(questions),
            shown: RwSignal::new(String::new()),
            lesson: StoredValue::new(lesson),
            #[cfg(not(feature = "ssr"))]
            run,
            #[cfg(not(feature = "ssr"))]
            asks_the_class,
        }
    }
}

/// The buttons that put a question to the class, at the step that asks it. Those of other steps are kept, so
/// that what was asked is known when the educator comes back to it.
fn class_questions(session: LessonSession) -> View {
    let questions = session.questions;
    let steps = move || -> Vec<String> {
        questions.with(|questions| questions.iter().map(|question| question.step.clone()).collect())
    };
    let row = move |step: String| {
        let choices = questions.with_untracked(|questions| of_step(questions, &step)?.choices);
        let class_step = ClassStep {
            lesson: session.lesson.get_value(),
            step: step.clone(),
            choices,
        };
        let of = step.clone();
        let right = move || questions.with(|questions| of_step(questions, &of)?.right);
        let is_elsewhere = move || session.shown.with(|shown| *shown != step);
        view! { <div hidden=is_elsewhere>{ask_the_class(class_step, Signal::derive(right))}</div> }.erase()
    };
    for_each(steps, row)
}

/// The question of a step.
fn of_step<'a>(questions: &'a [LessonQuestion], step: &str) -> Option<&'a LessonQuestion> {
    questions.iter().find(|question| question.step == step)
}

#[cfg(not(feature = "ssr"))]
mod browser {
    //! The requests, and the elements of the page.

    use domain::wire::{LessonAnswer, NoDetails, Problem, StepPhase};
    use leptos::{
        ev,
        prelude::*,
        web_sys::{Element, EventTarget, HtmlElement, HtmlInputElement},
    };
    use wasm_bindgen::JsCast;
    use web_sys::{DomParser, KeyboardEvent, NodeList, SupportedType};

    use super::{LessonQuestion, LessonSession, STEPS};
    use crate::{
        api::{lab, unreachable_server},
        components::explain,
        erased_effects::{effect, spawn},
        language::language,
        text,
    };

    /// A part of the page that changes with the run.
    const PART: &str = "[data-part]";

    /// The attribute of a step with its right answer, once that is revealed.
    const ANSWER: &str = "data-answer";

    /// The step that the page shows: that of its address, or else the newest one.
    const SHOWN: [&str; 2] = [".lesson__step:target", ".lesson__step[data-newest]"];

    pub(super) fn follow(session: LessonSession) {
        effect(move || {
            // The listeners live as long as the page.
            std::mem::forget(window_event_listener(ev::click, move |event| {
                if let Some(button) = closest(event.target(), "button[data-phase]") {
                    press(session, button);
                }
            }));
            std::mem::forget(window_event_listener(ev::submit, move |event| {
                if let Some(form) = closest(event.target(), "form[data-phase]") {
                    event.prevent_default();
                    answer(session, &form);
                }
            }));
            std::mem::forget(window_event_listener(ev::keydown, |event| walk(&event)));
            std::mem::forget(window_event_listener_untyped("hashchange", move |_| {
                session.refusal.set(String::new());
                read_steps(session);
                focus_in_step("h2");
            }));
            read_steps(session);
        });
    }

    /// Reads from the page which step it shows, and which questions may be put to the class.
    fn read_steps(session: LessonSession) {
        let shown = shown_step().map(|step| step.id());
        session.shown.set(shown.unwrap_or_default());
        if !session.asks_the_class {
            return;
        }
        let steps = document().query_selector_all("[data-asks]");
        let steps = steps.map(|steps| elements(&steps)).unwrap_or_default();
        let questions = steps.into_iter().map(|step| {
            let number = |name: &str| step.get_attribute(name)?.parse::<i64>().ok();
            LessonQuestion {
                step: step.id(),
                choices: number("data-asks").and_then(|choices| choices.try_into().ok()),
                right: number(ANSWER),
            }
        });
        session.questions.set(questions.collect());
    }

    /// A button of the lesson: it begins a run, or the next phase of a step.
    fn press(session: LessonSession, button: Element) {
        let phase = match button.get_attribute("data-phase").as_deref() {
            Some("start") => return start(session, button),
            Some("act") => StepPhase::Act(NoDetails {}),
            Some("reveal") => StepPhase::Reveal(NoDetails {}),
            _ => return,
        };
        if let Some(step) = step_of(&button) {
            carry_out(session, step, phase, button);
        }
    }

    /// The form of a question.
    fn answer(session: LessonSession, form: &Element) {
        let Some(step) = step_of(form) else {
            return;
        };
        let input = |selector: &str| {
            let input = form.query_selector(selector).ok().flatten()?;
            input.dyn_into::<HtmlInputElement>().ok()
        };
        let chosen = input("input[type=radio]:checked").and_then(|input| input.value().parse().ok());
        let typed = || input("input[type=number]").and_then(|input| input.value().trim().parse().ok());
        let answer = match chosen {
            Some(choice) => Some(LessonAnswer::Choice(choice)),
            None => typed().map(LessonAnswer::Number),
        };
        let button = form.query_selector("button").ok().flatten();
        match (answer, button) {
            (Some(answer), Some(button)) => {
                carry_out(session, step, StepPhase::Predict(answer), button);
            }
            _ => session
                .refusal
                .set(text::lab_lesson::no_answer(language()).to_owned()),
        }
    }

    /// The number of the step that a button or a form belongs to.
    fn step_of(element: &Element) -> Option<u8> {
        element.get_attribute("data-step")?.parse().ok()
    }

    /// Begins a run, in a sandbox of its own, and shows it.
    fn start(session: LessonSession, button: Element) {
        if session.is_busy.get_untracked() {
            return;
        }
        begin(session, &button);
        let lesson = session.lesson.get_value();
        spawn(async move {
            match lab::start_lesson(&lesson).await {
                // It stays busy until the page of the run is there.
                Ok(()) => {
                    let _ = window().location().set_href(&["/lab/lessons/", &lesson].concat());
                }
                Err(problem) => {
                    session.refusal.set(explain(&problem));
                    end(session, &button);
                }
            }
        });
    }

    /// Sends a phase of a step, and shows the run as it is then, also after a refusal.
    fn carry_out(session: LessonSession, step: u8, phase: StepPhase, button: Element) {
        let Some(run) = session.run.filter(|_| !session.is_busy.get_untracked()) else {
            return;
        };
        begin(session, &button);
        spawn(async move {
            let done = lab::carry_out_step(run, step, &phase).await;
            let shown = show_again().await;
            read_steps(session);
            end(session, &button);
            match done.and(shown) {
                Ok(()) => focus_in_step("[data-due]"),
                Err(problem) => session.refusal.set(explain(&problem)),
            }
        });
    }

    fn begin(session: LessonSession, button: &Element) {
        session.refusal.set(String::new());
        session.is_busy.set(true);
        let _ = button.set_attribute("aria-busy", "true");
    }

    fn end(session: LessonSession, button: &Element) {
        session.is_busy.set(false);
        let _ = button.remove_attribute("aria-busy");
    }

    /// Fetches this page, and takes from it the parts that change with the run. The elements around them
    /// stay, and with them the step that the address names; what is new comes at the end.
    async fn show_again() -> Result<(), Problem> {
        let location = window().location();
        let address = [location.pathname(), location.search()].map(Result::unwrap_or_default);
        let html = lab::page(&address.concat()).await?;
        let read = |parser: DomParser| parser.parse_from_string(&html, SupportedType::TextHtml);
        let parsed = DomParser::new().and_then(read);
        let parts = parsed.and_then(|page| page.query_selector_all(PART));
        let parts = parts.map_err(|_refused| unreachable_server("the page cannot be read".to_owned()))?;
        for part in elements(&parts) {
            take(&part);
        }
        Ok(())
    }

    /// Shows a part of the fetched page in place of its present content.
    fn take(part: &Element) {
        if let Some(shown) = document().get_element_by_id(&part.id()) {
            shown.set_inner_html(&part.inner_html());
            if let Some(answer) = part.get_attribute(ANSWER) {
                let _ = shown.set_attribute(ANSWER, &answer);
            }
        } else {
            // The step that is shown stays the one that a person looks at.
            let _ = part.remove_attribute("data-newest");
            if let Some(steps) = document().get_element_by_id(STEPS) {
                let _ = steps.append_child(part);
            }
        }
    }

    fn elements(list: &NodeList) -> Vec<Element> {
        let elements = (0..list.length()).filter_map(|index| list.item(index)?.dyn_into::<Element>().ok());
        elements.collect()
    }

    /// The step that the page shows.
    fn shown_step() -> Option<Element> {
        let find = |selector: &&str| document().query_selector(selector).ok().flatten();
        SHOWN.iter().find_map(find)
    }

    /// Moves the focus to the first element of this selector in the step that is shown.
    fn focus_in_step(selector: &str) {
        let element = shown_step().and_then(|step| step.query_selector(selector).ok().flatten());
        if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
            let _ = element.focus();
        }
    }

    /// The arrow keys go back and on, as the page is read, unless the focus is where they do something else.
    fn walk(event: &KeyboardEvent) {
        let has_modifier = event.alt_key() || event.ctrl_key() || event.meta_key() || event.shift_key();
        let is_taken = closest(event.target(), "input, select, textarea, pre, [role=region]").is_some();
        if has_modifier || is_taken || event.default_prevented() {
            return;
        }
        let is_back = match event.key().as_str() {
            "ArrowLeft" => !language().is_rtl(),
            "ArrowRight" => language().is_rtl(),
            _ => return,
        };
        let link = if is_back {
            "[data-go=back]"
        } else {
            "[data-go=next]"
        };
        let link = shown_step().and_then(|step| step.query_selector(link).ok().flatten());
        if let Some(link) = link.and_then(|link| link.dyn_into::<HtmlElement>().ok()) {
            event.prevent_default();
            link.click();
        }
    }

    /// The element of this selector at or around the target of an event.
    fn closest(target: Option<EventTarget>, selector: &str) -> Option<Element> {
        let element = target?.dyn_into::<Element>().ok()?;
        element.closest(selector).ok().flatten()
    }
}
