//! What a lesson is: steps that ask, then do something through the API, then show what came of it.
//!
//! What a learner may know beforehand, such as names and the number of answers, is the lesson's outline
//! ([`domain::lesson`]). Here is the rest: the right answers and the acts. The file of a lesson has one
//! [`Lesson`], whose steps are those of its outline, in the same order; a test compares them.

use std::fmt;

use domain::{
    lesson::{LessonOutline, QuestionOutline},
    wire::Problem,
};
use futures::future::BoxFuture;

use crate::stage::Stage;

/// What a step does: calls the API through its stage, and tells the stage what it expects and has seen.
pub type Act = for<'a> fn(&'a mut Stage) -> BoxFuture<'a, Result<(), Failure>>;

/// A lesson.
#[derive(Debug, Clone, Copy)]
pub struct Lesson {
    /// Its name, that of its outline.
    pub name: &'static str,
    /// Its steps, in order.
    pub steps: &'static [Step],
}

/// A step of a lesson.
#[derive(Clone, Copy)]
pub struct Step {
    /// Its name, that of its outline.
    pub name: &'static str,
    /// What it asks.
    pub question: Option<Question>,
    /// What it does.
    pub act: Option<Act>,
}

/// How the right answer to a question is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// This choice, counted from 1. An act [shows](Stage::show_choice) the choice that came true, and it is
    /// an expectation that both are the same.
    Choice {
        /// The right choice.
        right: u8,
    },
    /// The choice that the act [shows](Stage::show_choice): it differs from run to run.
    ChoiceOfRun,
    /// The number that the act [shows](Stage::show_number).
    Number {
        /// How far from it an answer is right as well.
        tolerance: u64,
    },
}

impl Step {
    /// A step that tells.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            question: None,
            act: None,
        }
    }

    /// The step with a question.
    #[must_use]
    pub const fn asks(self, question: Question) -> Self {
        Self {
            question: Some(question),
            ..self
        }
    }

    /// The step with an act, as in `.acts(|stage| Box::pin(place(stage)))`.
    #[must_use]
    pub const fn acts(self, act: Act) -> Self {
        Self {
            act: Some(act),
            ..self
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("name", &self.name)
            .field("question", &self.question)
            .field("acts", &self.act.is_some())
            .finish()
    }
}

impl Lesson {
    /// How the lesson differs from its outline; `None`: it fits.
    pub fn difference(&self, outline: &LessonOutline) -> Option<String> {
        let own: Vec<_> = self.steps.iter().map(|step| step.name).collect();
        let outlined: Vec<_> = outline.steps.iter().map(|step| step.name).collect();
        if self.name != outline.name || own != outlined {
            return Some(format!(
                "the steps of {} are {own:?}, not {outlined:?}",
                self.name
            ));
        }
        let mut pairs = self.steps.iter().zip(outline.steps);
        let (step, _) = pairs.find(|(step, outline)| {
            let asks_alike = match (step.question, outline.question) {
                (None, None) | (Some(Question::Number { .. }), Some(QuestionOutline::Number)) => true,
                (Some(Question::ChoiceOfRun), Some(QuestionOutline::Choices(choices))) => {
                    (2..=4).contains(&choices)
                }
                (Some(Question::Choice { right }), Some(QuestionOutline::Choices(choices))) => {
                    (2..=4).contains(&choices) && (1..=choices).contains(&right)
                }
                _ => false,
            };
            let needs_act = matches!(
                step.question,
                Some(Question::ChoiceOfRun | Question::Number { .. })
            );
            !asks_alike || step.act.is_some() != outline.acts || (needs_act && step.act.is_none())
        })?;
        Some(format!(
            "the step {} of {} is not as outlined",
            step.name, self.name
        ))
    }
}

/// Why an act did not come to its end; it may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The API refused what the lesson needs.
    #[error("{what} was refused with {}: {}", .problem.status, .problem.detail)]
    Refused {
        /// The request, in a few words.
        what: String,
        /// The problem.
        problem: Box<Problem>,
    },
    /// The system did something that the lesson cannot go on from.
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// Whether the sandbox of the run does not exist any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.status == 410)
    }
}
