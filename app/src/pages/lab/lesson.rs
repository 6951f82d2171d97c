//! The page of a lesson: before a run what it is about, and of a run every step that the learner has come to,
//! as the run was recorded, and at the end the recap.
//!
//! A step is a part of the page with the step's name as its anchor. The style sheet shows the part that the
//! address names, or else the newest, so that going back and on are links, also without a script. What a
//! learner answers and does is sent by the island.
//!
//! | module | content |
//! |---|---|
//! | `step` | a step: its text, its question, its act |
//! | `result` | what a step has shown: prediction, expectations, evidence |
//! | `recap` | the end of a run |

mod recap;
mod result;
mod step;

use domain::{
    lesson::{LESSONS, LessonOutline, QuestionOutline, find},
    wire::{LessonAnswer, LessonRun},
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use uuid::Uuid;

use super::{lab, lessons::LIST};
use crate::{
    api::{self, use_session},
    components::WindowTitle,
    erase::{Erase, View},
    islands::{CopyButton, Island, LESSON_STEPS, LabLesson, LessonQuestion},
    lab::lessons::{StepPair, is_done, reached},
    language::language,
    pages::{BackLink, missing, problem_view, suspend},
    text,
};

/// The anchor of the recap.
pub(super) const RECAP: &str = "recap";

/// `/lab/lessons/{lesson}?run=`: the person's newest run, or the one with this id.
#[component]
pub(crate) fn LabLessonPage() -> impl IntoView {
    lab(|is_educator| {
        let list = text::lessons::title(language());
        let name = use_params_map().with_untracked(|params| params.get("lesson").unwrap_or_default());
        let Some(lesson) = find(&name) else {
            return missing(LIST, list);
        };
        let asked = use_query_map().with_untracked(|query| query.get("run"));
        let asked = match asked.as_deref().map(Uuid::parse_str).transpose() {
            Ok(asked) => asked,
            Err(_not_an_id) => return missing(LIST, list),
        };
        let person = use_session().map(|session| session.actor_id).unwrap_or_default();
        let run = api::lesson_run(lesson.name, asked, person);
        suspend(async move {
            match run.await {
                Ok(Some(run)) if run.lesson != lesson.name => missing(LIST, list),
                Ok(Some(run)) => {
                    let is_own = run.person == person;
                    let shown = ShownRun {
                        lesson,
                        may_act: is_own && !run.ended,
                        is_own,
                        run,
                    };
                    let island = LabLesson {
                        lesson: lesson.name.to_owned(),
                        run: Some(shown.run.id),
                        asks_the_class: is_educator,
                        questions: if is_educator {
                            shown.questions()
                        } else {
                            Vec::new()
                        },
                    };
                    page(lesson, shown.view(), island)
                }
                Ok(None) => {
                    let island = LabLesson {
                        lesson: lesson.name.to_owned(),
                        run: None,
                        asks_the_class: false,
                        questions: Vec::new(),
                    };
                    page(lesson, invitation(lesson), island)
                }
                // A run that is gone with its workspace or was deleted.
                Err(problem) if asked.is_some() && matches!(problem.status, 404 | 410) => missing(LIST, list),
                Err(problem) => problem_view(list, &problem),
            }
        })
    })
}

/// A text of a lesson.
pub(super) fn words(lesson: &LessonOutline, key: &str) -> &'static str {
    text::by_name(language(), &lesson.text_group(), key).unwrap_or("…")
}

/// The paragraphs of a text.
fn paragraphs(words: &'static str) -> View {
    let paragraphs = words.split("\n\n").map(|words| view! { <p>{words}</p> });
    paragraphs.collect_view().erase()
}

/// The page around what is shown of a lesson.
fn page(lesson: &'static LessonOutline, shown: View, island: LabLesson) -> View {
    let language = language();
    let title = words(lesson, "title");
    view! {
        <WindowTitle text=title />
        <BackLink href=LIST text=text::lessons::title(language) />
        <header class="lab-head">
            <h1>{title}</h1>
            <p class="muted">
                {text::lessons::number_of(language, lesson.number, LESSONS.len())}
                " · "
                {text::lessons::minutes(language, lesson.minutes)}
            </p>
        </header>
        <noscript>
            <p class="notice">{text::lessons::needs_script(language)}</p>
        </noscript>
        <div class="lab lesson" data-testid="lesson" data-lesson=lesson.name>
            {shown}
            {island.island()}
        </div>
    }
    .erase()
}

/// What a lesson is about, and the button that begins it.
fn invitation(lesson: &'static LessonOutline) -> View {
    let language = language();
    view! {
        <section class="panel">
            {paragraphs(words(lesson, "summary"))}
            <p class="muted">{text::lessons::start_lead(language)}</p>
            <button type="button" class="button button--primary needs-script" data-phase="start">
                {text::lessons::begin(language)}
            </button>
        </section>
    }
    .erase()
}

/// A run as the page shows it.
struct ShownRun {
    lesson: &'static LessonOutline,
    run: LessonRun,
    /// Whether the person may go on with it.
    may_act: bool,
    /// Whether it is the person's own.
    is_own: bool,
}

impl ShownRun {
    fn view(&self) -> View {
        let language = language();
        let steps = reached(self.lesson, &self.run);
        let is_done = is_done(&self.run);
        let sections = (0..steps.len()).map(|at| step::section(self, &steps, at, is_done));
        let recap = is_done.then(|| recap::section(self, &steps));
        let notice = match (self.is_own, self.run.ended) {
            (false, _) => Some(text::lessons::foreign(language)),
            (true, true) if !is_done => Some(text::lessons::ended(language)),
            (true, _) => None,
        };
        let notice = notice.map(|words| view! { <p class="notice">{words}</p> });
        view! {
            {notice}
            {self.progress(&steps, is_done)}
            <div class="lesson__steps" id=LESSON_STEPS>
                {sections.collect_view()}
                {recap}
            </div>
            {self.sandbox()}
        }
        .erase()
    }

    /// The questions that the learner has come to.
    fn questions(&self) -> Vec<LessonQuestion> {
        let steps = reached(self.lesson, &self.run).into_iter();
        let questions = steps.filter_map(|(outline, step)| {
            let choices = match outline.question? {
                QuestionOutline::Choices(choices) => Some(choices),
                QuestionOutline::Number => None,
            };
            let right = step.answer.map(|answer| match answer {
                LessonAnswer::Choice(choice) => i64::from(choice),
                LessonAnswer::Number(number) => number,
            });
            Some(LessonQuestion {
                step: outline.name.to_owned(),
                choices,
                right,
            })
        });
        questions.collect()
    }

    /// The steps as links, as far as the learner has come.
    fn progress(&self, steps: &[StepPair<'_>], is_done: bool) -> View {
        let language = language();
        let all = self.lesson.steps.len();
        let entry = |at: usize| {
            let number = (at + 1).to_string();
            let step_of = text::lessons::step_of(language, &number, all);
            match steps.get(at) {
                Some((outline, step)) => {
                    let href = ["#", outline.name].concat();
                    let title = words(self.lesson, &[outline.name, "_title"].concat());
                    let name = text::layout::pair(language, step_of, title);
                    let state = if step.revealed { "done" } else { "due" };
                    view! {
                        <li>
                            <a class="tag" href=href aria-label=name data-state=state>{number}</a>
                        </li>
                    }
                    .erase()
                }
                None => view! {
                    <li class="muted">
                        <span class="hidden">{step_of}</span>
                        <span aria-hidden="true">{number}</span>
                    </li>
                }
                .erase(),
            }
        };
        let entries: Vec<View> = (0..all).map(entry).collect();
        let recap = is_done.then(|| {
            let href = ["#", RECAP].concat();
            view! { <li><a class="tag" href=href data-state="done">{text::lessons::recap(language)}</a></li> }
        });
        view! {
            <nav
                class="lesson__progress"
                id="lesson-progress"
                data-part="true"
                aria-label=text::lessons::steps(language)
            >
                <ol>
                    {entries}
                    {recap}
                </ol>
                <p class="muted needs-script">{text::lessons::keys(language)}</p>
            </nav>
        }
        .erase()
    }

    /// The sandbox of the run, and the button that begins again.
    fn sandbox(&self) -> View {
        let language = language();
        let code = self.run.join_code.clone();
        let href = ["/join/", &code].concat();
        let copy = CopyButton {
            text: code.clone(),
            label: text::layout::copy_code(language).to_owned(),
        };
        let open = (!self.run.ended).then(|| {
            view! {
                <p>{text::lessons::sandbox_lead(language)}</p>
                <p>
                    {text::layout::code(language)}
                    " "
                    <code data-testid="lesson-code">{code}</code>
                    {copy.island()}
                    " "
                    <a href=href target="_blank" rel="noopener">{text::lessons::sandbox_join(language)}</a>
                </p>
            }
        });
        let again = self.is_own.then(|| {
            view! {
                <p class="muted">{text::lessons::again_lead(language)}</p>
                <button type="button" class="button needs-script" data-phase="start">
                    {text::lessons::again(language)}
                </button>
            }
        });
        view! {
            <section class="panel lesson__sandbox">
                <h2>{text::lessons::sandbox(language)}</h2>
                {open}
                {again}
            </section>
        }
        .erase()
    }
}
