//! The end of a run: what was predicted and what happened, the terms with the files of the source, and an
//! exercise to try by oneself.

use domain::{
    lesson::{LessonOutline, StepOutline},
    wire::LessonAnswer,
};
use leptos::prelude::*;

use super::{RECAP, ShownRun, paragraphs, result, step::answer_words, words};
use crate::{
    components::{Icon, Picture},
    erase::{Erase, View},
    lab::lessons::{StepPair, next},
    language::language,
    pages::lab::lessons::LIST,
    text,
};

/// The part of the page that ends a run.
pub(super) fn section(of: &ShownRun, steps: &[StepPair<'_>]) -> View {
    let language = language();
    let lesson = of.lesson;
    let last = steps.last().map(|(outline, _)| {
        let href = ["#", outline.name].concat();
        view! { <a class="button" href=href data-go="back">{text::lessons::back(language)}</a> }
    });
    let next = next(lesson).map(|next| {
        let href = [LIST, "/", next.name].concat();
        let words = text::lessons::next_lesson(language, words(next, "title"));
        view! { <a class="button button--primary" href=href>{words}</a> }
    });
    let terms = steps
        .iter()
        .filter_map(|(outline, _)| result::explanation(outline));
    let terms: Vec<View> = terms.collect();
    view! {
        <section
            class="panel lesson__step"
            id=RECAP
            data-part="true"
            data-newest="true"
            aria-labelledby="recap-title"
        >
            <h2 id="recap-title" tabindex="-1">{text::lessons::recap(language)}</h2>
            {predictions(lesson, steps)}
            <h3>{text::lessons::terms(language)}</h3>
            {terms}
            <h3>{text::lessons::exercise(language)}</h3>
            {paragraphs(words(lesson, "exercise"))}
            <p class="buttons lesson__ways">
                {last}
                {next}
                <a class="button" href=LIST>{text::lessons::all_lessons(language)}</a>
            </p>
        </section>
    }
    .erase()
}

/// What was predicted, and what happened.
fn predictions(lesson: &LessonOutline, steps: &[StepPair<'_>]) -> Option<View> {
    let language = language();
    let asked: Vec<_> = steps
        .iter()
        .filter(|(outline, _)| outline.question.is_some())
        .collect();
    if asked.is_empty() {
        return None;
    }
    let all = asked.len();
    let right = asked.iter().filter(|(_, step)| step.right == Some(true)).count();
    let (yours, happened) = (
        text::lessons::recap_yours(language),
        text::lessons::recap_happened(language),
    );
    let rows = asked.into_iter().map(|(outline, step)| {
        let is_right = step.right == Some(true);
        let (picture, mark) = if is_right {
            (Picture::Check, text::lessons::right(language))
        } else {
            (Picture::Undo, text::lessons::wrong(language))
        };
        view! {
            <tr data-right=is_right.to_string()>
                <th scope="row">{words(lesson, &[outline.name, "_question"].concat())}</th>
                <td data-label=yours>{answer(lesson, outline, step.predicted)}</td>
                <td data-label=happened>
                    <span>{answer(lesson, outline, step.answer)}</span>
                    " "
                    <span class="lesson__mark"><Icon picture />{mark}</span>
                </td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    let view = view! {
        <p class="lead" data-testid="lesson-score">{text::lessons::score(language, right, all)}</p>
        <table class="table">
            <thead>
                <tr>
                    <th scope="col">{text::lessons::recap_question(language)}</th>
                    <th scope="col">{yours}</th>
                    <th scope="col">{happened}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    };
    Some(view.erase())
}

/// An answer in words.
fn answer(lesson: &LessonOutline, outline: &StepOutline, answer: Option<LessonAnswer>) -> String {
    match answer {
        Some(LessonAnswer::Choice(choice)) => answer_words(lesson, outline, choice).to_owned(),
        Some(LessonAnswer::Number(number)) => number.to_string(),
        None => "–".to_owned(),
    }
}
