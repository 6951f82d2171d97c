//! The view `predictions`: a document per question of the class, with the tally of its answers, and one per
//! question and person, with that person's answer.
//!
//! Answers and their question are in different streams, so an answer may be folded first: the tally counts it
//! all the same, and the question is listed once it is folded. Whether an answer is right is not stored with
//! it, because a reveal would have to find every answer: [`QuestionDocument::is_right`] tells.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ListingEntry, View};
use crate::{
    aggregate::{
        prediction::{PredictionEvent, PredictionMade},
        question::{AnswerRevealed, QuestionAsked, QuestionEvent},
    },
    event::{DomainEvent, TypedEvent},
    timestamp::Timestamp,
};

/// The most different numbers that a tally has, the smallest ones; the others are counted together.
pub const MAX_NUMBERS: usize = 200;

/// How many people have answered with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberCount {
    /// The number.
    pub number: i64,
    /// The people.
    pub count: u32,
}

/// The revealed answer of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revealed {
    /// The right choice, counted from 1, or the right number.
    pub right: i64,
    /// How far a number may be from the right one.
    #[serde(default)]
    pub tolerance: u32,
    /// How many answers are right, of those that the tally has by themselves.
    pub right_count: u32,
    /// The time of the reveal.
    pub at: Timestamp,
}

impl Revealed {
    /// Whether a choice or a number is right.
    pub fn is_right(&self, answer: i64) -> bool {
        answer.abs_diff(self.right) <= u64::from(self.tolerance)
    }
}

/// A question, and how the class has answered it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionDocument {
    /// Its id: the id part of its stream.
    pub question: Uuid,
    /// The lesson, if it is a question of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// The step of the lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The question in own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The number of choices; absent if a number answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<u8>,
    /// The labels of the choices, if they have own ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How many people have chosen each choice, in the order of the choices.
    pub counts: Vec<u32>,
    /// How many people have answered with each number, the smallest first; up to [`MAX_NUMBERS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<NumberCount>,
    /// How many people have answered with a larger number than those.
    #[serde(default, skip_serializing_if = "is_default")]
    pub other_numbers: u32,
    /// The number of answers.
    pub answers: u32,
    /// The time of the question; absent until it is folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// The right answer, once revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revealed: Option<Revealed>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl QuestionDocument {
    fn new(question: Uuid) -> Self {
        Self {
            question,
            lesson: None,
            step: None,
            text: None,
            choices: None,
            labels: Vec::new(),
            counts: Vec::new(),
            numbers: Vec::new(),
            other_numbers: 0,
            answers: 0,
            asked_at: None,
            revealed: None,
        }
    }

    /// Whether an answer is right; `None` before the reveal.
    pub fn is_right(&self, answer: &AnswerDocument) -> Option<bool> {
        let revealed = self.revealed.as_ref()?;
        Some(revealed.is_right(answer.value()?))
    }

    /// Whether people can answer it.
    pub fn is_open(&self) -> bool {
        self.asked_at.is_some() && self.revealed.is_none()
    }

    fn ask(&mut self, asked: &QuestionAsked, at: Timestamp) {
        self.lesson.clone_from(&asked.lesson);
        self.step.clone_from(&asked.step);
        self.text.clone_from(&asked.text);
        self.choices = asked.choices;
        self.labels.clone_from(&asked.labels);
        self.asked_at = Some(at);
        let choices = usize::from(asked.choices.unwrap_or_default());
        if self.counts.len() < choices {
            self.counts.resize(choices, 0);
        }
    }

    fn count(&mut self, made: &PredictionMade) {
        self.answers = self.answers.saturating_add(1);
        if let Some(choice) = made
            .choice
            .map(usize::from)
            .filter(|choice| (1..=4).contains(choice))
        {
            if self.counts.len() < choice {
                self.counts.resize(choice, 0);
            }
            if let Some(count) = self.counts.get_mut(choice - 1) {
                *count = count.saturating_add(1);
            }
        }
        if let Some(number) = made.number {
            match self.numbers.binary_search_by_key(&number, |known| known.number) {
                Ok(at) => {
                    if let Some(known) = self.numbers.get_mut(at) {
                        known.count = known.count.saturating_add(1);
                    }
                }
                Err(at) => self.numbers.insert(at, NumberCount { number, count: 1 }),
            }
            // The smallest are kept in every order of folding: a number that is among them at the end always
            // was.
            if self.numbers.len() > MAX_NUMBERS
                && let Some(largest) = self.numbers.pop()
            {
                self.other_numbers = self.other_numbers.saturating_add(largest.count);
            }
        }
    }

    /// Counts the right answers anew: the reveal and the answers may be folded in any order.
    fn count_right(&mut self) {
        let Some(revealed) = &mut self.revealed else {
            return;
        };
        let right = *revealed;
        let chosen = self.counts.iter().zip(1_i64..);
        let chosen = chosen.map(|(count, choice)| (choice, *count));
        let numbers = self.numbers.iter().map(|known| (known.number, known.count));
        revealed.right_count = chosen
            .chain(numbers)
            .filter(|(answer, _)| right.is_right(*answer))
            .fold(0, |sum: u32, (_, count)| sum.saturating_add(count));
    }
}

/// The answer of one person to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerDocument {
    /// The question.
    pub question: Uuid,
    /// The person.
    pub person: Uuid,
    /// The person's name at that moment.
    pub name: String,
    /// The choice, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<u8>,
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// The time of the answer.
    pub at: Timestamp,
}

impl AnswerDocument {
    /// The choice, or the number.
    pub fn value(&self) -> Option<i64> {
        self.choice.map(i64::from).or(self.number)
    }
}

/// A document of the view `predictions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PredictionDocument {
    /// The document of a person's answer: it has the member `person`.
    Answer(AnswerDocument),
    /// The document of a question.
    Question(QuestionDocument),
}

/// The view `predictions`.
#[derive(Debug)]
pub struct PredictionsView;

impl View for PredictionsView {
    const NAME: &'static str = "predictions";
    const LISTINGS: &'static [&'static str] = &["questions", "by_question"];
    type Document = PredictionDocument;

    fn keys(event: &TypedEvent) -> Vec<String> {
        match &event.payload {
            DomainEvent::Question(_) => question_of(event).map(|id| id.to_string()).into_iter().collect(),
            DomainEvent::Prediction(PredictionEvent::PredictionMade(made)) => {
                vec![made.question.to_string(), answer_key(made.question, made.person)]
            }
            _ => Vec::new(),
        }
    }

    /// Folds the document of the question.
    fn fold(document: Option<PredictionDocument>, event: &TypedEvent) -> Option<PredictionDocument> {
        let key = Self::keys(event).into_iter().next()?;
        Self::fold_at(&key, document, event)
    }

    fn fold_at(
        key: &str,
        document: Option<PredictionDocument>,
        event: &TypedEvent,
    ) -> Option<PredictionDocument> {
        match &event.payload {
            DomainEvent::Prediction(PredictionEvent::PredictionMade(made)) if key.contains('.') => {
                Some(PredictionDocument::Answer(answer(made, event.recorded_at)))
            }
            DomainEvent::Prediction(PredictionEvent::PredictionMade(made)) => {
                let mut question = question_in(document, made.question);
                question.count(made);
                question.count_right();
                Some(PredictionDocument::Question(question))
            }
            DomainEvent::Question(change) => {
                let mut question = question_in(document, question_of(event)?);
                match change {
                    QuestionEvent::QuestionAsked(asked) => question.ask(asked, event.recorded_at),
                    QuestionEvent::AnswerRevealed(AnswerRevealed { right, tolerance }) => {
                        question.revealed = Some(Revealed {
                            right: *right,
                            tolerance: *tolerance,
                            right_count: 0,
                            at: event.recorded_at,
                        });
                    }
                }
                question.count_right();
                Some(PredictionDocument::Question(question))
            }
            _ => document,
        }
    }

    /// Questions with the newest first, the answers to one with the oldest first.
    fn listings(document: &PredictionDocument) -> Vec<ListingEntry> {
        match document {
            PredictionDocument::Question(QuestionDocument {
                asked_at: Some(at), ..
            }) => {
                let sort = format!("{:019}", i64::MAX - at.as_micros().max(0));
                vec![ListingEntry::new("questions", sort)]
            }
            PredictionDocument::Question(_) => Vec::new(),
            PredictionDocument::Answer(answer) => vec![ListingEntry::grouped(
                "by_question",
                answer.question.to_string(),
                answer.at.to_string(),
            )],
        }
    }

    fn owner(document: &PredictionDocument) -> Option<Uuid> {
        match document {
            PredictionDocument::Question(_) => None,
            PredictionDocument::Answer(answer) => Some(answer.person),
        }
    }
}

/// The key of a person's answer to a question.
pub fn answer_key(question: Uuid, person: Uuid) -> String {
    format!("{question}.{person}")
}

/// The question of an event of its own stream.
fn question_of(event: &TypedEvent) -> Option<Uuid> {
    event.stream.id().parse().ok()
}

fn question_in(document: Option<PredictionDocument>, id: Uuid) -> QuestionDocument {
    match document {
        Some(PredictionDocument::Question(question)) => question,
        Some(PredictionDocument::Answer(_)) | None => QuestionDocument::new(id),
    }
}

fn answer(made: &PredictionMade, at: Timestamp) -> AnswerDocument {
    AnswerDocument {
        question: made.question,
        person: made.person,
        name: made.name.clone(),
        choice: made.choice,
        number: made.number,
        at,
    }
}
