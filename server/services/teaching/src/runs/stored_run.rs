//! A run as it is stored, and the order of its phases: a step is predicted, then acts, then is revealed, each
//! once. A step without a question is revealed by its act, and one that only tells by its reveal. The next
//! step is due when the one before is revealed; what was done is answered again as it was.

use std::collections::BTreeMap;

use domain::{
    lesson::{Fact, LessonOutline, QuestionOutline, StepOutline},
    timestamp::Timestamp,
    wire::{Expectation, LessonAnswer, LessonEvidence, LessonRun, RunInfo, RunStep, StepPhase},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::LessonError;
use crate::{
    lesson::{Failure, Lesson, Question, Step},
    stage::{Outcome, Sandbox},
};

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredRun {
    pub(super) id: Uuid,
    /// Counts the changes.
    pub(super) version: u64,
    pub(super) lesson: String,
    pub(super) person: Uuid,
    pub(super) sandbox: Sandbox,
    pub(super) started_at: Timestamp,
    /// Whether the sandbox has ended.
    pub(super) ended: bool,
    /// What the acts remember.
    pub(super) memory: BTreeMap<String, Value>,
    pub(super) steps: Vec<StoredStep>,
}

/// A step of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct StoredStep {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) predicted: Option<LessonAnswer>,
    /// What the act has shown to be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shown: Option<LessonAnswer>,
    pub(super) acted: bool,
    pub(super) revealed: bool,
    /// The right answer, once it is revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<LessonAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) right: Option<bool>,
    /// Why the last try to act has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    #[serde(default)]
    pub(super) expectations: Vec<Expectation>,
    #[serde(default)]
    pub(super) evidence: Vec<LessonEvidence>,
}

/// What a request to a step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The step has done it: it is answered as it was recorded.
    Recorded,
    /// It is due now.
    Due,
}

/// A phase, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PhaseKind {
    Predict,
    Act,
    Reveal,
}

impl PhaseKind {
    pub(super) fn of(phase: &StepPhase) -> Self {
        match phase {
            StepPhase::Predict(_) => Self::Predict,
            StepPhase::Act(_) => Self::Act,
            StepPhase::Reveal(_) => Self::Reveal,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Act => "act",
            Self::Reveal => "reveal",
        }
    }
}

impl StoredStep {
    fn new(outline: &StepOutline) -> Self {
        Self {
            name: outline.name.to_owned(),
            ..Self::default()
        }
    }

    /// The phase that is due; `None`: all are done.
    fn due(&self, step: &Step) -> Option<PhaseKind> {
        if self.revealed {
            None
        } else if step.question.is_some() && self.predicted.is_none() {
            Some(PhaseKind::Predict)
        } else if step.act.is_some() && !self.acted {
            Some(PhaseKind::Act)
        } else {
            Some(PhaseKind::Reveal)
        }
    }

    fn has_done(&self, phase: PhaseKind) -> bool {
        match phase {
            PhaseKind::Predict => self.predicted.is_some(),
            PhaseKind::Act => self.acted,
            PhaseKind::Reveal => self.revealed,
        }
    }

    /// Takes over what an act has told.
    pub(super) fn act(&mut self, step: &Step, outcome: Outcome) -> Result<(), Failure> {
        let Outcome {
            shown,
            mut expectations,
            evidence,
        } = outcome;
        match (step.question, shown) {
            (Some(Question::Choice { right }), _) => {
                let right = LessonAnswer::Choice(right);
                expectations.push(Expectation {
                    name: Fact::Answer,
                    holds: shown == Some(right),
                    expected: worded(Some(right)),
                    seen: worded(shown),
                });
            }
            (Some(Question::ChoiceOfRun), Some(LessonAnswer::Choice(_)))
            | (Some(Question::Number { .. }), Some(LessonAnswer::Number(_)))
            | (None, _) => {}
            (Some(Question::ChoiceOfRun | Question::Number { .. }), _) => {
                return Err(Failure::Unexpected(
                    "the run has not shown which answer is right".to_owned(),
                ));
            }
        }
        self.shown = shown;
        self.expectations = expectations;
        self.evidence = evidence;
        self.acted = true;
        self.failure = None;
        if step.question.is_none() {
            self.revealed = true;
        }
        Ok(())
    }

    /// Reveals the right answer: what the run has shown, or else what the lesson says.
    pub(super) fn reveal(&mut self, step: &Step) {
        self.revealed = true;
        self.answer = match step.question {
            None => None,
            Some(Question::Choice { right }) => self.shown.or(Some(LessonAnswer::Choice(right))),
            Some(Question::ChoiceOfRun | Question::Number { .. }) => self.shown,
        };
        let tolerance = match step.question {
            Some(Question::Number { tolerance }) => tolerance,
            _ => 0,
        };
        self.right = match (self.predicted, self.answer) {
            (Some(predicted), Some(answer)) => Some(is_right(predicted, answer, tolerance)),
            _ => None,
        };
    }

    /// The step as its learner may see it: what shows the right answer only once it is revealed.
    pub(super) fn shown_as(&self, n: u8) -> RunStep {
        let (expectations, evidence) = if self.revealed {
            (self.expectations.clone(), self.evidence.clone())
        } else {
            (Vec::new(), Vec::new())
        };
        RunStep {
            n,
            name: self.name.clone(),
            predicted: self.predicted,
            right: self.right.filter(|_| self.revealed),
            answer: self.answer.filter(|_| self.revealed),
            acted: self.acted,
            revealed: self.revealed,
            failure: self.failure.clone(),
            expectations,
            evidence,
        }
    }
}

impl StoredRun {
    /// A run that begins.
    pub(super) fn new(
        outline: &LessonOutline,
        (id, person): (Uuid, Uuid),
        sandbox: Sandbox,
        started_at: Timestamp,
    ) -> Self {
        Self {
            id,
            version: 0,
            lesson: outline.name.to_owned(),
            person,
            sandbox,
            started_at,
            ended: false,
            memory: BTreeMap::new(),
            steps: outline.steps.iter().map(StoredStep::new).collect(),
        }
    }

    /// Whether its steps are those of the lesson: another version of this program may have other ones.
    pub(super) fn is_of(&self, lesson: &Lesson) -> bool {
        let names = self.steps.iter().map(|step| step.name.as_str());
        names.eq(lesson.steps.iter().map(|step| step.name))
    }

    /// The number of the step that is due; one more than there are once all are revealed.
    fn due_step(&self) -> u8 {
        let due = self.steps.iter().position(|step| !step.revealed);
        number(due.unwrap_or(self.steps.len()))
    }

    /// Whether a phase of a step, counted from 0, is due, or was done before.
    pub(super) fn turn(&self, lesson: &Lesson, index: usize, phase: PhaseKind) -> Result<Turn, LessonError> {
        let step = self.steps.get(index).ok_or(LessonError::UnknownStep)?;
        if step.has_done(phase) {
            return Ok(Turn::Recorded);
        }
        let mut pairs = self.steps.iter().zip(lesson.steps).enumerate();
        let due = pairs.find_map(|(at, (stored, step))| stored.due(step).map(|phase| (at, phase)));
        match due {
            Some(due) if due == (index, phase) => Ok(Turn::Due),
            Some((at, phase)) => Err(LessonError::NotDue {
                step: number(at),
                phase: phase.as_str(),
            }),
            None => Err(LessonError::Done),
        }
    }

    /// The run as its learner may see it.
    pub(super) fn shown(&self) -> LessonRun {
        LessonRun {
            id: self.id,
            lesson: self.lesson.clone(),
            workspace: self.sandbox.workspace,
            join_code: self.sandbox.join_code.clone(),
            person: self.person,
            step: self.due_step(),
            steps: (1..).zip(&self.steps).map(|(n, step)| step.shown_as(n)).collect(),
            started_at: self.started_at,
            ended: self.ended,
        }
    }

    /// What a list shows of it.
    pub(super) fn info(&self) -> RunInfo {
        let count = |is_counted: fn(&StoredStep) -> bool| {
            let counted = self.steps.iter().filter(|step| is_counted(step)).count();
            u8::try_from(counted).unwrap_or(u8::MAX)
        };
        RunInfo {
            id: self.id,
            lesson: self.lesson.clone(),
            person: self.person,
            step: self.due_step(),
            steps: u8::try_from(self.steps.len()).unwrap_or(u8::MAX),
            answered: count(|step| step.right.is_some()),
            right: count(|step| step.right == Some(true)),
            done: self.steps.iter().all(|step| step.revealed),
            started_at: self.started_at,
            ended: self.ended,
        }
    }
}

/// Refuses an answer that is none to this question.
pub(super) fn check_answer(outline: &StepOutline, answer: LessonAnswer) -> Result<(), LessonError> {
    let invalid = |message: String| LessonError::Invalid {
        field: "predict",
        message,
    };
    match (outline.question, answer) {
        (Some(QuestionOutline::Choices(choices)), LessonAnswer::Choice(choice)) => {
            if (1..=choices).contains(&choice) {
                Ok(())
            } else {
                Err(invalid(format!("`choice` is 1 to {choices}")))
            }
        }
        (Some(QuestionOutline::Number), LessonAnswer::Number(_)) => Ok(()),
        (Some(QuestionOutline::Choices(_)), LessonAnswer::Number(_)) => Err(invalid(
            "has a `choice`, because the step asks for one".to_owned(),
        )),
        (Some(QuestionOutline::Number), LessonAnswer::Choice(_)) => Err(invalid(
            "has a `number`, because the step asks for one".to_owned(),
        )),
        (None, _) => Err(invalid("is for a step with a question".to_owned())),
    }
}

/// The number of a step that is counted from 0.
fn number(index: usize) -> u8 {
    u8::try_from(index + 1).unwrap_or(u8::MAX)
}

fn is_right(predicted: LessonAnswer, answer: LessonAnswer, tolerance: u64) -> bool {
    match (predicted, answer) {
        (LessonAnswer::Choice(predicted), LessonAnswer::Choice(answer)) => predicted == answer,
        (LessonAnswer::Number(predicted), LessonAnswer::Number(answer)) => {
            predicted.abs_diff(answer) <= tolerance
        }
        _ => false,
    }
}

fn worded(answer: Option<LessonAnswer>) -> String {
    match answer {
        Some(LessonAnswer::Choice(choice)) => choice.to_string(),
        Some(LessonAnswer::Number(number)) => number.to_string(),
        None => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests;
