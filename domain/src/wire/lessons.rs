//! Lessons and their runs: the JSON of `/lab/lessons` and `/lab/runs`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    id::WorkspaceId,
    lesson::{Fact, LessonOutline, LessonPath, QuestionOutline, StepOutline},
    timestamp::Timestamp,
    token::ConsistencyToken,
};

/// A lesson, as `GET /api/v1/lab/lessons` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LessonInfo {
    /// Its name.
    pub name: String,
    /// Its number in the course.
    pub number: u8,
    /// The path that it belongs to.
    pub path: LessonPath,
    /// About how many minutes it takes.
    pub minutes: u8,
    /// Its steps, in order.
    pub steps: Vec<StepInfo>,
}

/// A step of a lesson, as everyone may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepInfo {
    /// Its name.
    pub name: String,
    /// What it asks before it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<QuestionInfo>,
    /// Whether it does something with the running system.
    pub acts: bool,
    /// The standard term that it explains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// The file of the source that does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The kind of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum QuestionInfo {
    /// One of some answers.
    Choices {
        /// How many there are, 2 to 4; they are counted from 1.
        choices: u8,
    },
    /// A whole number.
    Number {
        /// Always true.
        number: bool,
    },
}

impl From<&LessonOutline> for LessonInfo {
    fn from(lesson: &LessonOutline) -> Self {
        Self {
            name: lesson.name.to_owned(),
            number: lesson.number,
            path: lesson.path,
            minutes: lesson.minutes,
            steps: lesson.steps.iter().map(StepInfo::from).collect(),
        }
    }
}

impl From<&StepOutline> for StepInfo {
    fn from(step: &StepOutline) -> Self {
        Self {
            name: step.name.to_owned(),
            question: step.question.map(QuestionInfo::from),
            acts: step.acts,
            term: step.term.map(str::to_owned),
            source: step.source.map(str::to_owned),
        }
    }
}

impl From<QuestionOutline> for QuestionInfo {
    fn from(question: QuestionOutline) -> Self {
        match question {
            QuestionOutline::Choices(choices) => Self::Choices { choices },
            QuestionOutline::Number => Self::Number { number: true },
        }
    }
}

/// The answer to `GET /api/v1/lab/lessons`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LessonsAnswer {
    /// The lessons, by number.
    pub data: Vec<LessonInfo>,
}

/// An answer to a question: `{"choice": 1}` or `{"number": 3}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LessonAnswer {
    /// One of the answers, counted from 1.
    Choice(u8),
    /// A whole number.
    Number(i64),
}

/// A request that says all by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoDetails {}

/// `POST /api/v1/lab/runs/{id}/steps/{n}`: one phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(example = json!({"predict": {"choice": 1}})))]
pub enum StepPhase {
    /// Answers the question, once.
    Predict(LessonAnswer),
    /// Does what the step shows, with the running system.
    Act(NoDetails),
    /// Shows the right answer and the evidence.
    Reveal(NoDetails),
}

/// An expectation that was checked against the running system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Expectation {
    /// What it is about.
    pub name: Fact,
    /// Whether it holds.
    pub holds: bool,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// Evidence of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LessonEvidence {
    /// A recorded event.
    Event {
        /// What it is about.
        name: Fact,
        /// The id of the event.
        event_id: Uuid,
        /// Its type.
        #[serde(rename = "type")]
        event_type: String,
        /// Its stream.
        stream: String,
        /// Its position in the partition.
        position: u64,
        /// When it was recorded.
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
        recorded_at: Timestamp,
    },
    /// A document, as a view showed it.
    Document {
        /// What it is about.
        name: Fact,
        /// The view.
        view: String,
        /// The key.
        key: String,
        /// The document; null where there was none.
        data: Value,
        /// The folded position of the view.
        #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0:127"))]
        as_of: ConsistencyToken,
    },
    /// The answer of the API to a request.
    Answer {
        /// What it is about.
        name: Fact,
        /// The HTTP status.
        status: u16,
        /// What it says; empty where it says no more than its status.
        detail: String,
    },
    /// A number.
    Number {
        /// What it is about.
        name: Fact,
        /// The value.
        value: i64,
        /// Its unit, as in `ms` and `events`; empty where it is a count.
        unit: String,
    },
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStep {
    /// Its number, counted from 1.
    pub n: u8,
    /// Its name.
    pub name: String,
    /// What the learner has predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<LessonAnswer>,
    /// Whether the prediction is right; absent before it is revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<bool>,
    /// The right answer; absent before it is revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<LessonAnswer>,
    /// Whether the step has done what it shows.
    pub acted: bool,
    /// Whether it was revealed.
    pub revealed: bool,
    /// Why the last try to act has failed; it may be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was checked; empty before it is revealed.
    pub expectations: Vec<Expectation>,
    /// What the run has to show; empty before it is revealed.
    pub evidence: Vec<LessonEvidence>,
}

/// A run of a lesson.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LessonRun {
    /// Its id.
    pub id: Uuid,
    /// The lesson.
    pub lesson: String,
    /// The sandbox in which it happens.
    #[cfg_attr(feature = "openapi", schema(value_type = Uuid))]
    pub workspace: WorkspaceId,
    /// The code for joining that sandbox.
    pub join_code: String,
    /// The person who does the lesson.
    pub person: Uuid,
    /// The number of the step that is due; one more than there are once the run is done.
    pub step: u8,
    /// The steps, each as it is in this run.
    pub steps: Vec<RunStep>,
    /// When it was started, by the machine's clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub started_at: Timestamp,
    /// Whether its sandbox has ended: it can be looked at, and does not go on.
    pub ended: bool,
}

/// A run, as `GET /api/v1/lab/runs` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunInfo {
    /// Its id.
    pub id: Uuid,
    /// The lesson.
    pub lesson: String,
    /// The person who does the lesson.
    pub person: Uuid,
    /// The number of the step that is due; one more than there are once the run is done.
    pub step: u8,
    /// How many steps the lesson has.
    pub steps: u8,
    /// How many questions were answered and revealed.
    pub answered: u8,
    /// How many of these answers were right.
    pub right: u8,
    /// Whether every step was revealed.
    pub done: bool,
    /// When it was started, by the machine's clock.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub started_at: Timestamp,
    /// Whether its sandbox has ended.
    pub ended: bool,
}
