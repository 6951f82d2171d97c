//! The order of phases, and what a learner is shown of a run before and after the reveal.

use domain::{
    access::{Actor, Role},
    id::WorkspaceId,
    lesson::LessonPath,
};
use futures::FutureExt as _;

use super::*;
use crate::stage::Stage;

fn nothing(_: &mut Stage) -> futures::future::BoxFuture<'_, Result<(), Failure>> {
    async { Ok(()) }.boxed()
}

/// A step that tells, one that asks and acts, one that acts, and one that asks for a number.
const LESSON: Lesson = Lesson {
    name: "made_up",
    steps: &[
        Step::new("tells"),
        Step::new("asks")
            .asks(Question::Choice { right: 2 })
            .acts(nothing),
        Step::new("acts").acts(nothing),
        Step::new("counts")
            .asks(Question::Number { tolerance: 3 })
            .acts(nothing),
    ],
};

const fn outlined(name: &'static str, question: Option<QuestionOutline>, acts: bool) -> StepOutline {
    StepOutline {
        name,
        question,
        acts,
        term: None,
        source: None,
    }
}

const OUTLINE: LessonOutline = LessonOutline {
    name: "made_up",
    number: 1,
    path: LessonPath::FirstSteps,
    minutes: 5,
    steps: &[
        outlined("tells", None, false),
        outlined("asks", Some(QuestionOutline::Choices(3)), true),
        outlined("acts", None, true),
        outlined("counts", Some(QuestionOutline::Number), true),
    ],
};

fn run() -> StoredRun {
    assert_eq!(LESSON.difference(&OUTLINE), None);
    let sandbox = Sandbox {
        workspace: WorkspaceId(Uuid::from_u128(1)),
        join_code: "ABCDEF".to_owned(),
        educator: Actor {
            id: Uuid::from_u128(2),
            role: Role::Educator,
            name: "Educator".to_owned(),
        },
    };
    let ids = (Uuid::from_u128(3), Uuid::from_u128(4));
    StoredRun::new(&OUTLINE, ids, sandbox, Timestamp::from_micros(5))
}

/// What the act of a step has told: one expectation, one number, and this answer.
fn outcome(shown: Option<LessonAnswer>) -> Outcome {
    Outcome {
        shown,
        expectations: vec![Expectation {
            name: Fact::EventsRecorded,
            holds: true,
            expected: "1".to_owned(),
            seen: "1".to_owned(),
        }],
        evidence: vec![LessonEvidence::Number {
            name: Fact::EventsRecorded,
            value: 1,
            unit: String::new(),
        }],
    }
}

/// Carries out a phase that is due.
fn go(run: &mut StoredRun, index: usize, phase: StepPhase, shown: Option<LessonAnswer>) {
    let turn = run.turn(&LESSON, index, PhaseKind::of(&phase)).unwrap();
    assert_eq!(turn, Turn::Due, "{phase:?} of {index}");
    let step = &LESSON.steps[index];
    match phase {
        StepPhase::Predict(answer) => run.steps[index].predicted = Some(answer),
        StepPhase::Act(_) => run.steps[index].act(step, outcome(shown)).unwrap(),
        StepPhase::Reveal(_) => run.steps[index].reveal(step),
    }
}

const ACT: StepPhase = StepPhase::Act(domain::wire::NoDetails {});
const REVEAL: StepPhase = StepPhase::Reveal(domain::wire::NoDetails {});

fn predict(choice: u8) -> StepPhase {
    StepPhase::Predict(LessonAnswer::Choice(choice))
}

fn due(run: &StoredRun, index: usize, phase: PhaseKind) -> (u8, &'static str) {
    match run.turn(&LESSON, index, phase) {
        Err(LessonError::NotDue { step, phase }) => (step, phase),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_is_predicted_then_acts_then_is_revealed_and_the_next_waits_for_it() {
    let mut run = run();
    assert_eq!(run.shown().step, 1);
    for phase in [PhaseKind::Predict, PhaseKind::Act, PhaseKind::Reveal] {
        assert_eq!(due(&run, 1, phase), (1, "reveal"));
    }
    assert_eq!(due(&run, 0, PhaseKind::Act), (1, "reveal"), "it does not act");
    go(&mut run, 0, REVEAL, None);
    assert_eq!(run.shown().step, 2);
    assert_eq!(due(&run, 1, PhaseKind::Act), (2, "predict"));
    assert_eq!(due(&run, 1, PhaseKind::Reveal), (2, "predict"));
    go(&mut run, 1, predict(2), None);
    assert_eq!(due(&run, 1, PhaseKind::Reveal), (2, "act"));
    assert_eq!(due(&run, 2, PhaseKind::Act), (2, "act"));
    go(&mut run, 1, ACT, Some(LessonAnswer::Choice(2)));
    assert_eq!(due(&run, 2, PhaseKind::Act), (2, "reveal"));
    go(&mut run, 1, REVEAL, None);
    for phase in [PhaseKind::Predict, PhaseKind::Act, PhaseKind::Reveal] {
        let turn = run.turn(&LESSON, 1, phase).unwrap();
        assert_eq!(turn, Turn::Recorded, "{phase:?} was done");
    }
    assert!(matches!(
        run.turn(&LESSON, 4, PhaseKind::Act),
        Err(LessonError::UnknownStep)
    ));
}

#[test]
fn a_step_without_a_question_is_revealed_by_its_act() {
    let mut run = run();
    go(&mut run, 0, REVEAL, None);
    go(&mut run, 1, predict(1), None);
    go(&mut run, 1, ACT, Some(LessonAnswer::Choice(2)));
    go(&mut run, 1, REVEAL, None);
    go(&mut run, 2, ACT, None);
    let shown = run.shown();
    let step = &shown.steps[2];
    assert!(step.acted && step.revealed && step.answer.is_none() && step.right.is_none());
    assert_eq!(
        (step.expectations.len(), step.evidence.len(), shown.step),
        (1, 1, 4)
    );
}

#[test]
fn nothing_tells_the_right_answer_before_the_reveal() {
    let mut run = run();
    go(&mut run, 0, REVEAL, None);
    go(&mut run, 1, predict(1), None);
    go(&mut run, 1, ACT, Some(LessonAnswer::Choice(2)));
    let before = serde_json::to_value(run.shown()).unwrap();
    let step = &before["steps"][1];
    assert_eq!(step["predicted"], serde_json::json!({"choice": 1}));
    assert_eq!(step["acted"], true);
    for absent in ["right", "answer"] {
        assert!(step[absent].is_null(), "{absent}");
    }
    for empty in ["expectations", "evidence"] {
        assert_eq!(step[empty], serde_json::json!([]), "{empty}");
    }
    go(&mut run, 1, REVEAL, None);
    let step = &run.shown().steps[1];
    assert_eq!(step.answer, Some(LessonAnswer::Choice(2)));
    assert_eq!(step.right, Some(false));
    // its own, and that the run has shown the right answer
    assert_eq!((step.expectations.len(), step.evidence.len()), (2, 1));
    assert!(step.expectations.iter().all(|expectation| expectation.holds));
}

#[test]
fn a_choice_that_does_not_come_true_fails_its_expectation_and_is_not_called_right() {
    for shown in [None, Some(LessonAnswer::Choice(3))] {
        let step = &LESSON.steps[1];
        let mut stored = StoredStep {
            predicted: Some(LessonAnswer::Choice(2)),
            ..StoredStep::default()
        };
        stored.act(step, outcome(shown)).unwrap();
        let answer = stored.expectations.last().unwrap();
        assert_eq!((answer.name, answer.holds), (Fact::Answer, false), "{shown:?}");
        stored.reveal(step);
        // What the run shows is the truth; where it shows nothing, the lesson's word is left.
        assert_eq!(stored.right, Some(shown.is_none()), "{shown:?}");
    }
}

#[test]
fn a_number_is_right_within_its_tolerance_and_has_to_be_shown() {
    let step = &LESSON.steps[3];
    for (predicted, right) in [
        (7, true),
        (13, true),
        (10, true),
        (6, false),
        (14, false),
        (i64::MIN, false),
    ] {
        let mut stored = StoredStep {
            predicted: Some(LessonAnswer::Number(predicted)),
            ..StoredStep::default()
        };
        stored.act(step, outcome(Some(LessonAnswer::Number(10)))).unwrap();
        stored.reveal(step);
        assert_eq!(stored.right, Some(right), "{predicted}");
    }
    let mut stored = StoredStep::default();
    assert!(stored.act(step, outcome(None)).is_err());
    assert!(!stored.acted, "it may be tried again");
}

#[test]
fn an_answer_has_to_be_one_to_the_question() {
    let [choice, number] = [LessonAnswer::Choice(3), LessonAnswer::Number(-4)];
    let [tells, asks, _, counts] = OUTLINE.steps else {
        panic!()
    };
    assert!(check_answer(asks, choice).is_ok() && check_answer(counts, number).is_ok());
    for (step, answer) in [
        (asks, LessonAnswer::Choice(0)),
        (asks, LessonAnswer::Choice(4)),
        (asks, number),
        (counts, choice),
        (tells, choice),
    ] {
        let refused = check_answer(step, answer);
        assert!(
            matches!(refused, Err(LessonError::Invalid { .. })),
            "{} {answer:?}",
            step.name
        );
    }
}

#[test]
fn a_list_counts_the_answers_and_the_right_ones() {
    let mut run = run();
    go(&mut run, 0, REVEAL, None);
    go(&mut run, 1, predict(2), None);
    go(&mut run, 1, ACT, Some(LessonAnswer::Choice(2)));
    let info = run.info();
    assert_eq!((info.step, info.steps, info.answered, info.right), (2, 4, 0, 0));
    go(&mut run, 1, REVEAL, None);
    go(&mut run, 2, ACT, None);
    go(&mut run, 3, StepPhase::Predict(LessonAnswer::Number(99)), None);
    go(&mut run, 3, ACT, Some(LessonAnswer::Number(1)));
    assert!(!run.info().done);
    go(&mut run, 3, REVEAL, None);
    let info = run.info();
    assert_eq!((info.step, info.answered, info.right, info.done), (5, 2, 1, true));
    assert!(matches!(
        run.turn(&LESSON, 2, PhaseKind::Predict),
        Err(LessonError::Done)
    ));
}

#[test]
fn a_run_is_of_the_lesson_whose_steps_it_has_and_is_read_as_it_was_stored() {
    let mut run = run();
    assert!(run.is_of(&LESSON));
    let stored = serde_json::to_string(&run).unwrap();
    assert!(!stored.contains("token"), "{stored}");
    let read: StoredRun = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.shown(), run.shown());
    run.steps.pop();
    assert!(!run.is_of(&LESSON));
}
