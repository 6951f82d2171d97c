//! A step of a run: its text, its question or the prediction that was made, the button that does it, and the
//! ways back and on. Everything about it is as the run has it, so a step that was done is never done anew.

use domain::{
    lesson::{LessonOutline, QuestionOutline, StepOutline},
    wire::{LessonAnswer, RunStep},
};
use leptos::prelude::*;

use super::{RECAP, ShownRun, paragraphs, result, words};
use crate::{
    components::{Icon, Picture},
    erase::{Erase, View},
    lab::lessons::{Due, StepPair, due},
    language::language,
    text,
};

/// The part of the page for the step at this place among those that the learner has come to.
pub(super) fn section(of: &ShownRun, steps: &[StepPair<'_>], at: usize, is_done: bool) -> View {
    let language = language();
    let Some(&(outline, step)) = steps.get(at) else {
        return ().erase();
    };
    let title = [outline.name, "-title"].concat();
    let is_newest = at + 1 == steps.len() && !is_done;
    let due = due(outline, step);
    let question = outline
        .question
        .map(|question| question_part(of, outline, question, step));
    let act = (of.may_act && due == Due::Act)
        .then(|| button("act", step, text::lessons::act(language), Picture::Live));
    let reveal = (of.may_act && due == Due::Reveal).then(|| {
        let words = if outline.question.is_none() && !outline.acts {
            text::lessons::go_on(language)
        } else {
            text::lessons::reveal(language)
        };
        button("reveal", step, words, Picture::Check)
    });
    let (asks, answer) = asked(outline, step);
    view! {
        <section
            class="panel lesson__step"
            id=outline.name
            data-part="true"
            data-newest=is_newest.then_some("true")
            data-asks=asks
            data-answer=answer
            aria-labelledby=title.clone()
        >
            <p class="muted">{text::lessons::step_of(language, step.n, of.lesson.steps.len())}</p>
            <h2 id=title.clone() tabindex="-1">{words(of.lesson, &[outline.name, "_title"].concat())}</h2>
            {paragraphs(words(of.lesson, &[outline.name, "_text"].concat()))}
            {question}
            {failure(step)}
            {act}
            {reveal}
            {result::part(of.lesson, outline, step)}
            {ways(steps, at, is_done)}
        </section>
    }
    .erase()
}

/// What the island reads of a step that asks: the number of choices or `number`, and the right answer once it
/// is revealed.
fn asked(outline: &StepOutline, step: &RunStep) -> (Option<String>, Option<String>) {
    let asks = outline.question.map(|question| match question {
        QuestionOutline::Choices(choices) => choices.to_string(),
        QuestionOutline::Number => "number".to_owned(),
    });
    let answer = step.answer.map(|answer| match answer {
        LessonAnswer::Choice(choice) => choice.to_string(),
        LessonAnswer::Number(number) => number.to_string(),
    });
    (asks, answer)
}

/// A button that carries out the phase that is due.
fn button(phase: &'static str, step: &RunStep, words: &'static str, picture: Picture) -> View {
    view! {
        <button
            type="button"
            class="button button--primary needs-script"
            data-phase=phase
            data-step=step.n.to_string()
            data-due="true"
        >
            <Icon picture />
            {words}
        </button>
    }
    .erase()
}

/// The question: as a form while a prediction is due, and with the prediction afterwards.
fn question_part(of: &ShownRun, outline: &StepOutline, question: QuestionOutline, step: &RunStep) -> View {
    let words = words(of.lesson, &[outline.name, "_question"].concat());
    match step.predicted {
        None if of.may_act => form(of.lesson, outline, question, step, words),
        predicted => {
            let answers = match question {
                QuestionOutline::Choices(choices) => answers(of.lesson, outline, choices, step),
                QuestionOutline::Number => number(predicted, step),
            };
            view! {
                <div class="lesson__question">
                    <h3>{words}</h3>
                    {answers}
                </div>
            }
            .erase()
        }
    }
}

/// The form of a question.
fn form(
    lesson: &LessonOutline,
    outline: &StepOutline,
    question: QuestionOutline,
    step: &RunStep,
    words: &'static str,
) -> View {
    let language = language();
    let fields = match question {
        QuestionOutline::Choices(choices) => choice_fields(lesson, outline, choices, words),
        QuestionOutline::Number => {
            let id = [outline.name, "-number"].concat();
            view! {
                <div class="field">
                    <label for=id.clone()>{words}</label>
                    <input
                        type="number"
                        id=id
                        name="number"
                        required
                        min="-1000000"
                        max="1000000"
                        step="1"
                        data-due="true"
                        autocomplete="off"
                    />
                </div>
            }
            .erase()
        }
    };
    view! {
        <form class="form lesson__form" data-phase="predict" data-step=step.n.to_string()>
            {fields}
            <button class="button button--primary needs-script">{text::lessons::predict(language)}</button>
        </form>
    }
    .erase()
}

/// The answers of which one is chosen.
fn choice_fields(lesson: &LessonOutline, outline: &StepOutline, choices: u8, words: &'static str) -> View {
    let choice = |choice: u8| {
        let value = choice.to_string();
        view! {
            <label class="choice">
                <input type="radio" name="choice" value=value required data-due="true" />
                <span>{answer_words(lesson, outline, choice)}</span>
            </label>
        }
        .erase()
    };
    let fields: Vec<View> = (1..=choices).map(choice).collect();
    view! {
        <fieldset class="choices">
            <legend>{words}</legend>
            {fields}
        </fieldset>
    }
    .erase()
}

/// The answers of a question, with what was predicted and what was right.
fn answers(lesson: &LessonOutline, outline: &StepOutline, choices: u8, step: &RunStep) -> View {
    let language = language();
    let entry = |choice: u8| {
        let is_chosen = step.predicted == Some(LessonAnswer::Choice(choice));
        let is_right = step.answer == Some(LessonAnswer::Choice(choice));
        let chosen = is_chosen.then(|| {
            view! {
                <span class="badge">
                    <Icon picture=Picture::Person />
                    {text::lessons::yours(language)}
                </span>
            }
        });
        let right = is_right.then(|| {
            view! {
                <span class="badge lesson__right">
                    <Icon picture=Picture::Check />
                    {text::lessons::so_it_was(language)}
                </span>
            }
        });
        view! {
            <li
                data-chosen=is_chosen.then_some("true")
                data-right=is_right.then_some("true")
            >
                <span>{answer_words(lesson, outline, choice)}</span>
                {chosen}
                {right}
            </li>
        }
        .erase()
    };
    let entries: Vec<View> = (1..=choices).map(entry).collect();
    view! { <ul class="lesson__answers">{entries}</ul> }.erase()
}

/// The number that was predicted, and the right one.
fn number(predicted: Option<LessonAnswer>, step: &RunStep) -> View {
    let language = language();
    let number = |answer| match answer {
        Some(LessonAnswer::Number(number)) => Some(number),
        _ => None,
    };
    let predicted = number(predicted)
        .map(|number| view! { <p data-chosen="true">{text::lessons::predicted(language, number)}</p> });
    let right = number(step.answer)
        .map(|number| view! { <p data-right="true">{text::lessons::right_answer(language, number)}</p> });
    view! {
        {predicted}
        {right}
    }
    .erase()
}

/// An answer in words.
pub(super) fn answer_words(lesson: &LessonOutline, outline: &StepOutline, choice: u8) -> &'static str {
    words(lesson, &format!("{}_answer_{choice}", outline.name))
}

/// Why the last try has failed. The reason is the server's own words, for developers.
fn failure(step: &RunStep) -> Option<View> {
    let language = language();
    let reason = step.failure.clone().filter(|_| !step.acted)?;
    let notice = view! {
        <div class="notice notice--danger" role="alert" data-testid="lesson-failure">
            <Icon picture=Picture::Alert />
            <div>
                <p>{text::lessons::failed(language)}</p>
                <p><code class="break" lang="en">{reason}</code></p>
            </div>
        </div>
    };
    Some(notice.erase())
}

/// The links to the steps before and after.
fn ways(steps: &[StepPair<'_>], at: usize, is_done: bool) -> View {
    let language = language();
    let before = at.checked_sub(1).and_then(|before| steps.get(before));
    let back = before.map(|(outline, _)| {
        let href = ["#", outline.name].concat();
        view! { <a class="button" href=href data-go="back">{text::lessons::back(language)}</a> }
    });
    let after = steps.get(at + 1).map(|(outline, _)| outline.name);
    let after = after.or(is_done.then_some(RECAP));
    let shows_nothing = steps
        .get(at)
        .is_some_and(|(outline, step)| step.revealed && !result::shows(outline));
    let next = after.map(|name| {
        let href = ["#", name].concat();
        let due = shows_nothing.then_some("true");
        view! {
            <a class="button button--primary" href=href data-go="next" data-due=due>
                {text::lessons::next(language)}
            </a>
        }
    });
    view! {
        <p class="buttons lesson__ways">
            {back}
            {next}
        </p>
    }
    .erase()
}
