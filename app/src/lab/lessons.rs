//! Lessons and their runs: how far a learner is, which run a page shows, and what is due in a step.

use domain::{
    lesson::{LESSONS, LessonOutline, LessonPath, StepOutline},
    wire::{LessonRun, RunInfo, RunStep},
};
use uuid::Uuid;

/// How far a learner is with a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No run of it can go on, and none is done.
    New,
    /// A run can go on with this step, of so many.
    Begun {
        /// The step that is due, counted from 1.
        step: u8,
        /// The number of steps.
        steps: u8,
    },
    /// A run of it is done.
    Done,
}

impl Progress {
    /// Its name, for styles and tests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Begun { .. } => "begun",
            Self::Done => "done",
        }
    }
}

/// How far a person is with a lesson, by the runs that are kept.
pub fn progress(runs: &[RunInfo], lesson: &str, person: Uuid) -> Progress {
    if of(runs, lesson, person).any(|run| run.done) {
        return Progress::Done;
    }
    match of(runs, lesson, person)
        .filter(|run| !run.ended)
        .max_by_key(|run| run.started_at)
    {
        Some(&RunInfo { step, steps, .. }) => Progress::Begun { step, steps },
        None => Progress::New,
    }
}

/// The newest run of a lesson by a person.
pub fn newest(runs: &[RunInfo], lesson: &str, person: Uuid) -> Option<Uuid> {
    let newest = of(runs, lesson, person).max_by_key(|run| run.started_at);
    newest.map(|run| run.id)
}

fn of<'a>(runs: &'a [RunInfo], lesson: &'a str, person: Uuid) -> impl Iterator<Item = &'a RunInfo> {
    runs.iter()
        .filter(move |run| run.lesson == lesson && run.person == person)
}

/// The lessons of a path, in order.
pub fn of_path(path: LessonPath) -> impl Iterator<Item = &'static LessonOutline> {
    LESSONS.iter().filter(move |lesson| lesson.path == path)
}

/// The lesson that follows another on its path, or begins the next path.
pub fn next(lesson: &LessonOutline) -> Option<&'static LessonOutline> {
    let mut in_order = LessonPath::ALL.into_iter().flat_map(of_path);
    in_order.find(|other| other.name == lesson.name)?;
    in_order.next()
}

/// A step of a lesson, and as it is in a run.
pub type StepPair<'a> = (&'static StepOutline, &'a RunStep);

/// The steps of a run that the learner has come to, in order. A run of an earlier version of its lesson has
/// those that the lesson still has.
pub fn reached<'a>(lesson: &LessonOutline, run: &'a LessonRun) -> Vec<StepPair<'a>> {
    let steps = run.steps.iter().filter(|step| step.n <= run.step);
    let pairs = steps.filter_map(|step| {
        let (_, outline) = lesson.step(&step.name)?;
        Some((outline, step))
    });
    pairs.collect()
}

/// Whether every step of a run is done.
pub fn is_done(run: &LessonRun) -> bool {
    run.steps.iter().all(|step| step.revealed)
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A prediction.
    Prediction,
    /// That it does what it shows.
    Act,
    /// That it is revealed.
    Reveal,
    /// Nothing: the next step is due.
    Nothing,
}

/// What is due in a step: each phase comes after the one before.
pub fn due(outline: &StepOutline, step: &RunStep) -> Due {
    if step.revealed {
        Due::Nothing
    } else if outline.question.is_some() && step.predicted.is_none() {
        Due::Prediction
    } else if outline.acts && !step.acted {
        Due::Act
    } else {
        Due::Reveal
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use domain::{lesson::QuestionOutline, wire::LessonAnswer};

    use super::*;

    const ADA: Uuid = Uuid::from_u128(1);

    fn run(id: u128, minute: u8, step: u8, ended: bool) -> RunInfo {
        RunInfo {
            id: Uuid::from_u128(id),
            lesson: "happy_path".to_owned(),
            person: ADA,
            step,
            steps: 4,
            answered: 0,
            right: 0,
            done: step > 4,
            started_at: format!("2026-11-29T10:{minute:02}:00Z").parse().unwrap(),
            ended,
        }
    }

    #[test]
    fn a_lesson_is_new_begun_or_done_by_the_runs_of_its_learner() {
        let progress = |runs: &[RunInfo]| super::progress(runs, "happy_path", ADA);
        assert_eq!(progress(&[]), Progress::New);
        let begun = Progress::Begun { step: 3, steps: 4 };
        assert_eq!(progress(&[run(1, 5, 2, false), run(2, 6, 3, false)]), begun);
        // A run whose sandbox has ended does not go on.
        assert_eq!(progress(&[run(1, 5, 2, true)]), Progress::New);
        assert_eq!(
            progress(&[run(1, 5, 5, true), run(2, 6, 1, false)]),
            Progress::Done
        );
        let other = RunInfo {
            person: Uuid::from_u128(2),
            ..run(3, 7, 5, false)
        };
        assert_eq!(progress(&[other]), Progress::New);
    }

    #[test]
    fn a_page_shows_the_newest_run_of_its_lesson() {
        let mut elsewhere = run(3, 9, 1, false);
        elsewhere.lesson = "rebuild".to_owned();
        let runs = [run(1, 5, 5, true), run(2, 6, 1, false), elsewhere];
        assert_eq!(newest(&runs, "happy_path", ADA), Some(Uuid::from_u128(2)));
        assert_eq!(newest(&runs, "deadline", ADA), None);
    }

    #[test]
    fn a_prediction_comes_before_the_act_and_the_act_before_the_reveal() {
        let outline = StepOutline {
            name: "place",
            question: Some(QuestionOutline::Choices(3)),
            acts: true,
            term: None,
            source: None,
        };
        let mut step = RunStep {
            n: 1,
            name: "place".to_owned(),
            predicted: None,
            right: None,
            answer: None,
            acted: false,
            revealed: false,
            failure: None,
            expectations: Vec::new(),
            evidence: Vec::new(),
        };
        assert_eq!(due(&outline, &step), Due::Prediction);
        step.predicted = Some(LessonAnswer::Choice(2));
        assert_eq!(due(&outline, &step), Due::Act);
        step.acted = true;
        assert_eq!(due(&outline, &step), Due::Reveal);
        step.revealed = true;
        assert_eq!(due(&outline, &step), Due::Nothing);
    }

    #[test]
    fn the_paths_lead_through_every_lesson_once() {
        let mut met = Vec::new();
        let mut lesson = LessonPath::ALL.into_iter().flat_map(of_path).next();
        while let Some(here) = lesson {
            met.push(here.name);
            lesson = next(here);
        }
        assert_eq!(met.len(), LESSONS.len());
        met.sort_unstable();
        met.dedup();
        assert_eq!(met.len(), LESSONS.len());
    }
}
