//! The page of the lessons: three paths, and how far the person is on each. It needs no script.

use domain::{
    lesson::{LESSONS, LessonOutline, LessonPath},
    wire::RunInfo,
};
use leptos::prelude::*;
use uuid::Uuid;

pub(super) use super::LESSONS as LIST;
use super::{head, lab, lesson::words};
use crate::{
    api::{self, use_session},
    components::{Icon, Picture},
    erase::{Erase, View},
    lab::lessons::{Progress, of_path, progress},
    language::language,
    pages::{problem_view, suspend},
    text,
};

/// The page of the terms.
pub(super) const GLOSSARY: &str = "/lab/glossary";

/// `/lab/lessons`.
#[component]
pub(crate) fn LabLessonsPage() -> impl IntoView {
    lab(|_| {
        let language = language();
        let title = text::lessons::title(language);
        let person = use_session().map(|session| session.actor_id).unwrap_or_default();
        let runs = api::lesson_runs();
        suspend(async move {
            let runs = match runs.await {
                Ok(runs) => runs,
                Err(problem) => return problem_view(title, &problem),
            };
            let paths = LessonPath::ALL.map(|path| path_section(path, &runs, person));
            view! {
                {head(title, text::lessons::lead(language))}
                <div class="lab lessons" data-testid="lessons">
                    {paths.into_iter().collect_view()}
                    <p><a href=GLOSSARY>{text::lessons::all_terms(language)}</a></p>
                </div>
            }
            .erase()
        })
    })
}

/// A path with its lessons.
fn path_section(path: LessonPath, runs: &[RunInfo], person: Uuid) -> View {
    let language = language();
    let (title, lead) = match path {
        LessonPath::FirstSteps => (
            text::lessons::first_steps(language),
            text::lessons::first_steps_lead(language),
        ),
        LessonPath::Consistency => (
            text::lessons::consistency(language),
            text::lessons::consistency_lead(language),
        ),
        LessonPath::Failure => (
            text::lessons::failure(language),
            text::lessons::failure_lead(language),
        ),
    };
    let lessons: Vec<_> = of_path(path)
        .map(|lesson| (lesson, progress(runs, lesson.name, person)))
        .collect();
    let done = lessons
        .iter()
        .filter(|(_, progress)| *progress == Progress::Done)
        .count();
    let all = lessons.len();
    let cards = lessons
        .into_iter()
        .map(|(lesson, progress)| card(lesson, progress));
    view! {
        <section class="lessons__path" data-path=path.as_str()>
            <h2>{title}</h2>
            <p class="muted">{lead}</p>
            <p data-testid="path-progress">
                <progress
                    max=all.to_string()
                    value=done.to_string()
                    aria-label=text::lessons::progress_of(language, title)
                ></progress>
                " "
                {text::lessons::path_done(language, done, all)}
            </p>
            <ol class="lessons__list">{cards.collect_view()}</ol>
        </section>
    }
    .erase()
}

/// A lesson with the person's progress, and the way into it.
fn card(lesson: &'static LessonOutline, progress: Progress) -> View {
    let language = language();
    let title = words(lesson, "title");
    let (picture, state, action) = match progress {
        Progress::New => (
            Picture::Lab,
            text::lessons::is_new(language).to_owned(),
            text::lessons::start(language),
        ),
        Progress::Begun { step, steps } => (
            Picture::Clock,
            text::lessons::begun(language, step, steps),
            text::lessons::resume(language),
        ),
        Progress::Done => (
            Picture::Check,
            text::lessons::done(language).to_owned(),
            text::lessons::look_again(language),
        ),
    };
    let href = [LIST, "/", lesson.name].concat();
    // Links of many lessons with the same words are told apart by their names.
    let name = text::layout::pair(language, action, title);
    view! {
        <li class="panel lessons__card" data-lesson=lesson.name data-state=progress.as_str()>
            <h3>{title}</h3>
            <p class="muted">
                {text::lessons::number_of(language, lesson.number, LESSONS.len())}
                " · "
                {text::lessons::minutes(language, lesson.minutes)}
            </p>
            <p>{words(lesson, "summary")}</p>
            <p class="lessons__state"><Icon picture />{state}</p>
            <a class="button" href=href aria-label=name>{action}</a>
        </li>
    }
    .erase()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::lesson::{Fact, terms};

    use super::*;

    /// The keys of a group of texts.
    fn keys_of(group: &str) -> BTreeSet<String> {
        let of_group = text::found_by_name().filter(|(of, _)| *of == group);
        of_group.map(|(_, key)| key.to_owned()).collect()
    }

    #[test]
    fn each_lesson_has_the_texts_of_its_steps_and_no_others() {
        for lesson in LESSONS {
            let expected: BTreeSet<_> = lesson.text_keys().into_iter().collect();
            let group = lesson.text_group();
            let found = keys_of(&group);
            let missing: Vec<_> = expected.difference(&found).collect();
            let unused: Vec<_> = found.difference(&expected).collect();
            assert!(
                missing.is_empty() && unused.is_empty(),
                "{group}: missing {missing:?}, used by no step {unused:?}"
            );
        }
    }

    #[test]
    fn each_group_of_texts_that_are_found_by_name_is_of_a_lesson_or_of_all() {
        let mut known: BTreeSet<_> = LESSONS.iter().map(LessonOutline::text_group).collect();
        known.extend(["lesson_facts".to_owned(), "glossary".to_owned()]);
        let groups: BTreeSet<_> = text::found_by_name().map(|(group, _)| group.to_owned()).collect();
        let unknown: Vec<_> = groups.difference(&known).collect();
        assert!(unknown.is_empty(), "the texts of no lesson: {unknown:?}");
    }

    #[test]
    fn each_fact_has_words() {
        let expected: BTreeSet<_> = Fact::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(keys_of("lesson_facts"), expected);
    }

    #[test]
    fn the_glossary_has_each_term_of_a_lesson_and_says_of_each_what_it_means() {
        let glossary = keys_of("glossary");
        for term in terms() {
            assert!(glossary.contains(term), "the glossary lacks the term {term}");
        }
        for key in &glossary {
            let pair = key
                .strip_suffix("_means")
                .map_or_else(|| format!("{key}_means"), str::to_owned);
            assert!(glossary.contains(&pair), "the glossary has {key} and no {pair}");
        }
    }

    #[test]
    fn no_step_has_the_name_of_the_recap() {
        let mut steps = LESSONS.iter().flat_map(|lesson| lesson.steps);
        assert!(steps.all(|step| step.name != super::super::lesson::RECAP));
    }
}
