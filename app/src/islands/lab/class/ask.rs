//! The forms by which an educator asks the class: a step of a lesson, or a question in own words. A step is
//! also where the class can be kept.

use domain::aggregate::question::{MAX_LABEL, MAX_QUESTION};
use leptos::prelude::*;

use super::{
    LessonChoice, StepChoice, act_button, select,
    session::{ClassSession, Deed},
};
use crate::{
    components::{only_if, text},
    erase::{Erase, View},
    erased_signals::RwSignal,
    lab::class::{QuestionSource, is_set, text_of},
    language::language,
    text,
};

/// The numbers of choices of a question in own words; the last form is a number.
const FORMS: [&str; 4] = ["2", "3", "4", "number"];

/// Both forms.
pub(super) fn ask(session: ClassSession) -> View {
    let language = language();
    view! {
        <div class="lab-class__ask needs-script">
            <section class="panel" aria-labelledby="ask-step">
                <h2 id="ask-step">{text::lab_class::of_lesson(language)}</h2>
                {of_lesson(session)}
            </section>
            <section class="panel" aria-labelledby="ask-own">
                <h2 id="ask-own">{text::lab_class::own(language)}</h2>
                {own(session)}
            </section>
        </div>
    }
    .erase()
}

/// The step of a lesson: to ask its question, and to keep the class on it.
fn of_lesson(session: ClassSession) -> View {
    let language = language();
    let (first_lesson, first_step) = session.lessons.with_value(|lessons| beginning(session, lessons));
    let lesson = RwSignal::new(first_lesson);
    let step = RwSignal::new(first_step);
    let lessons = move || {
        session.lessons.with_value(|lessons| {
            let lessons = lessons.iter();
            lessons
                .map(|lesson| (lesson.name.clone(), lesson.title.clone()))
                .collect::<Vec<_>>()
        })
    };
    let steps_of = move || {
        let name = lesson.get();
        session.lessons.with_value(|lessons| {
            let lesson = lessons.iter().find(|lesson| lesson.name == name);
            lesson.map(|lesson| lesson.steps.clone()).unwrap_or_default()
        })
    };
    // The step that is chosen, or the first one of a lesson that was chosen since.
    let chosen = move || {
        let steps = steps_of();
        let name = step.get();
        let found = steps
            .iter()
            .find(|step| step.name == name)
            .or_else(|| steps.first());
        found.cloned()
    };
    let steps = move || {
        let steps = steps_of().into_iter();
        steps
            .map(|step| {
                let mark = if step.asks { " ?" } else { "" };
                (step.name, [&step.title, mark].concat())
            })
            .collect::<Vec<_>>()
    };
    let asks = move || chosen().is_some_and(|step| step.asks);
    let question = move || {
        let deed = move || {
            let StepChoice {
                name, choices, asks, ..
            } = untrack(chosen)?;
            let source = QuestionSource::Step {
                lesson: lesson.get_untracked(),
                step: name,
            };
            asks.then_some(Deed::Ask(source, choices))
        };
        act_button(session, text::lab_class::ask_step(language), deed)
    };
    let silent = move || view! { <p class="muted">{text::lab_class::asks_nothing(language)}</p> }.erase();
    let stay = move || {
        let step = untrack(chosen)?.name;
        let lesson = lesson.get_untracked();
        Some(Deed::Stay { lesson, step })
    };
    let is_locked = move || session.state.with(|state| is_set(state, "locked"));
    let go_on = move || act_button(session, text::lab_class::go_on(language), || Some(Deed::GoOn));
    let place = move || {
        session.state.with(|state| {
            if is_set(state, "locked") {
                text::lab_class::stays(language, text_of(state, "lesson"), text_of(state, "step"))
            } else {
                text::lab_class::goes(language).to_owned()
            }
        })
    };
    view! {
        {select("class-lesson", text::lab_class::lesson(language), lesson, lessons)}
        {select("class-step", text::lab_class::step(language), step, steps)}
        {only_if(move || !asks(), silent)}
        <div class="buttons">
            {only_if(asks, question)}
            {act_button(session, text::lab_class::stay(language), stay)}
            {only_if(is_locked, go_on)}
        </div>
        <p class="muted" role="status" data-testid="class-place">{text(place)}</p>
    }
    .erase()
}

/// The lesson and the step that are chosen at first: those of the class, or the first ones.
fn beginning(session: ClassSession, lessons: &[LessonChoice]) -> (String, String) {
    let (lesson, step) = session.state.with_untracked(|state| {
        let of = |name: &str| text_of(state, name).to_owned();
        (of("lesson"), of("step"))
    });
    let of_class = lessons.iter().find(|choice| choice.name == lesson);
    let Some(first) = of_class.or_else(|| lessons.first()) else {
        return (String::new(), String::new());
    };
    let asks = first
        .steps
        .iter()
        .find(|step| step.asks)
        .or_else(|| first.steps.first());
    let first_step = asks.map(|step| step.name.clone()).unwrap_or_default();
    let step = if of_class.is_some() && !step.is_empty() {
        step
    } else {
        first_step
    };
    (first.name.clone(), step)
}

/// What is typed for a question in own words.
#[derive(Clone, Copy)]
struct OwnQuestion {
    words: RwSignal<String>,
    form: RwSignal<String>,
    labels: [RwSignal<String>; 4],
    error: RwSignal<&'static str>,
}

impl OwnQuestion {
    /// The number of choices; `None` where a number answers. Tracked.
    fn choices(self) -> Option<u8> {
        self.form.with(|form| form.parse().ok())
    }

    /// What is asked; says what is missing otherwise.
    fn deed(self) -> Option<Deed> {
        let language = language();
        let choices = untrack(move || self.choices());
        let text = self.words.with_untracked(|words| words.trim().to_owned());
        let labels = self.labels.iter().take(choices.map_or(0, usize::from));
        let labels: Vec<String> = labels
            .map(|label| label.with_untracked(|label| label.trim().to_owned()))
            .collect();
        let is_labelled = labels.iter().all(|label| !label.is_empty());
        let error = if text.is_empty() {
            text::lab_class::own_missing(language)
        } else if !is_labelled {
            text::lab_class::labels_missing(language)
        } else {
            ""
        };
        self.error.set(error);
        error
            .is_empty()
            .then_some(Deed::Ask(QuestionSource::Own { text, labels }, choices))
    }
}

/// The form for a question in own words.
fn own(session: ClassSession) -> View {
    let language = language();
    let question = OwnQuestion {
        words: RwSignal::new(String::new()),
        form: RwSignal::new(FORMS[0].to_owned()),
        labels: [(); 4].map(|()| RwSignal::new(String::new())),
        error: RwSignal::new(""),
    };
    let forms = move || {
        let word = |form: &str| match form.parse::<u32>() {
            Ok(choices) => text::lab_class::so_many_answers(language, choices),
            Err(_) => text::lab_class::a_number(language).to_owned(),
        };
        Vec::from(FORMS.map(|form| (form.to_owned(), word(form))))
    };
    let label = move |place: usize| {
        let typed = question.labels[place];
        let number = place + 1;
        let field = move || {
            let id = ["class-label-", &number.to_string()].concat();
            view! {
                <div class="field">
                    <label for=id.clone()>{text::lab_class::label(language, number)}</label>
                    <input
                        type="text"
                        id=id
                        maxlength=MAX_LABEL.to_string()
                        autocomplete="off"
                        aria-describedby="class-own-error"
                        value=typed.get_untracked()
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                </div>
            }
            .erase()
        };
        only_if(
            move || {
                question
                    .choices()
                    .is_some_and(|choices| usize::from(choices) > place)
            },
            field,
        )
    };
    let labels: Vec<View> = (0..question.labels.len()).map(label).collect();
    let has_error = move || !question.error.get().is_empty();
    view! {
        <div class="field">
            <label for="class-own">{text::lab_class::own_words(language)}</label>
            <textarea
                id="class-own"
                rows="2"
                maxlength=MAX_QUESTION.to_string()
                aria-invalid=text(move || has_error().to_string())
                aria-describedby="class-own-error"
                on:input=move |event| question.words.set(event_target_value(&event))
            ></textarea>
        </div>
        {select("class-form", text::lab_class::form(language), question.form, forms)}
        {labels}
        <p class="field__error" id="class-own-error" role="alert">{text(move || question.error.get())}</p>
        <div class="buttons">
            {act_button(session, text::lab_class::ask(language), move || question.deed())}
        </div>
    }
    .erase()
}
