//! What an act tells: expectations, evidence, and the answer that came true. Each is bounded, because it is
//! stored with the run.

use std::fmt::Display;

use domain::{
    event::StoredEvent,
    lesson::Fact,
    parse_error::shorten,
    timestamp::Timestamp,
    wire::{DocumentAnswer, Expectation, LessonAnswer, LessonEvidence},
};
use serde_json::Value;

use super::Stage;
use crate::api::Answer;

/// The most expectations, and the most pieces of evidence, of a step.
const MOST_FACTS: usize = 24;
/// The longest text of an expectation or an answer, in characters.
const MAX_TEXT: usize = 200;
/// The largest document that is evidence, in bytes of JSON; of a larger one the place alone is kept.
const MAX_DOCUMENT_BYTES: usize = 4_000;

impl Stage {
    /// Tells whether an expectation holds.
    pub fn expect(&mut self, name: Fact, holds: bool, expected: impl Display, seen: impl Display) {
        let expectation = Expectation {
            name,
            holds,
            expected: text(expected),
            seen: text(seen),
        };
        if self.outcome.expectations.len() < MOST_FACTS {
            self.outcome.expectations.push(expectation);
        }
    }

    /// Expects that two values are the same.
    pub fn expect_same<T: PartialEq + Display>(&mut self, name: Fact, expected: &T, seen: &T) {
        self.expect(name, expected == seen, expected, seen);
    }

    /// Shows which choice came true, counted from 1.
    pub fn show_choice(&mut self, choice: u8) {
        self.outcome.shown = Some(LessonAnswer::Choice(choice));
    }

    /// Shows the number that came true.
    pub fn show_number(&mut self, number: i64) {
        self.outcome.shown = Some(LessonAnswer::Number(number));
    }

    fn add(&mut self, evidence: LessonEvidence) {
        if self.outcome.evidence.len() < MOST_FACTS {
            self.outcome.evidence.push(evidence);
        }
    }

    /// A recorded event as evidence.
    pub fn event_seen(&mut self, name: Fact, event: &StoredEvent) {
        self.add(LessonEvidence::Event {
            name,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            stream: event.stream.as_str().to_owned(),
            position: event.position,
            recorded_at: event.recorded_at,
        });
    }

    /// A document of a view as evidence.
    pub fn document_seen(&mut self, name: Fact, view: &str, key: &str, document: &DocumentAnswer) {
        let is_small = document.data.to_string().len() <= MAX_DOCUMENT_BYTES;
        self.add(LessonEvidence::Document {
            name,
            view: view.to_owned(),
            key: key.to_owned(),
            data: if is_small {
                document.data.clone()
            } else {
                Value::Null
            },
            as_of: document.as_of.clone(),
        });
    }

    /// The answer to a request as evidence, with what a refusal says.
    pub fn answer_seen(&mut self, name: Fact, answer: &Answer) {
        let detail = if answer.is_success() {
            String::new()
        } else {
            text(answer.problem().detail)
        };
        self.add(LessonEvidence::Answer {
            name,
            status: answer.status,
            detail,
        });
    }

    /// A number as evidence. Its unit is as in `ms`, `events` and `units`, or empty for a count.
    pub fn number_seen(&mut self, name: Fact, value: impl TryInto<i64>, unit: &str) {
        self.add(LessonEvidence::Number {
            name,
            value: value.try_into().unwrap_or(i64::MAX),
            unit: unit.to_owned(),
        });
    }

    /// The milliseconds since `began`, by the machine's clock, as evidence.
    pub fn time_seen(&mut self, name: Fact, began: Timestamp) {
        let took = self.now().millis_since(began);
        self.number_seen(name, took, "ms");
    }
}

fn text(value: impl Display) -> String {
    let mut text = value.to_string();
    shorten(&mut text, MAX_TEXT);
    text
}
