//! `prediction-<id>`: the answer of one person to one question of the class. The id follows from the two, so
//! that a person has one answer to a question, whichever device sends it and however often.
//!
//! The question is loaded before the decision: it is asked, and its answer is not revealed. A reveal at the
//! same moment does not take an answer back that was decided before it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::question::{AnswerForm, MAX_NUMBER, QuestionState, not_asked};
use crate::{
    command_types,
    decider::{Context, Decider},
    event_types,
    id::{StreamName, StreamNameError},
    rejection::{Rejection, Violations},
};

/// The namespace of the ids of predictions. Part of the stored form.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b1f_7a52_6d0c_4e39_9d3a_20c4_8e61_f7b8);

/// The id of a person's prediction about a question.
pub fn prediction_id(question: Uuid, person: Uuid) -> Uuid {
    let name = [*question.as_bytes(), *person.as_bytes()].concat();
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The stream of a person's prediction about a question.
pub fn prediction_stream(question: Uuid, person: Uuid) -> Result<StreamName, StreamNameError> {
    StreamName::new(Prediction::CATEGORY, prediction_id(question, person))
}

/// Answers a question of the class, for the sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MakePrediction {
    /// The question: the id part of its stream.
    pub question: Uuid,
    /// The choice, counted from 1; for a question with choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<u8>,
    /// The number; for a question that a number answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
}

command_types! {
    /// The commands of a prediction.
    pub enum PredictionCommand { MakePrediction }
}

/// A person has answered a question of the class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PredictionMade {
    /// The question: the id part of its stream.
    pub question: Uuid,
    /// The person.
    pub person: Uuid,
    /// The person's name at that moment; sealed in storage. Empty if the person has none.
    pub name: String,
    /// The choice, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<u8>,
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
}

event_types! {
    /// The events of a prediction.
    pub enum PredictionEvent { PredictionMade: 1 }
}

/// The state for decisions about a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PredictionState {
    /// The choice and the number; `None` before it is made.
    pub made: Option<(Option<u8>, Option<i64>)>,
}

/// The prediction aggregate.
#[derive(Debug)]
pub struct Prediction;

impl Decider for Prediction {
    const CATEGORY: &'static str = "prediction";
    const SNAPSHOT_VERSION: u32 = 1;
    type State = PredictionState;
    type Command = PredictionCommand;
    type Event = PredictionEvent;
    /// The question; its default is one that is not asked.
    type Evidence = QuestionState;

    fn decide(
        state: &PredictionState,
        command: PredictionCommand,
        context: &Context<QuestionState>,
    ) -> Result<Vec<PredictionEvent>, Rejection> {
        let PredictionCommand::MakePrediction(MakePrediction {
            question,
            choice,
            number,
        }) = command;
        let person = context.actor.id;
        let mut violations = Violations::default();
        violations.require(
            context.stream.id() == prediction_id(question, person).to_string(),
            "stream",
            "is the one of your answer to this question: its id follows from the question and the person",
        );
        violations.finish()?;
        if let Some(made) = state.made {
            return if made == (choice, number) {
                Ok(Vec::new())
            } else {
                Err(Rejection::new(
                    "prediction-already-made",
                    "you have answered this question, and an answer stays as it is",
                ))
            };
        }
        let Some(form) = context.evidence.asked else {
            return Err(not_asked());
        };
        if context.evidence.revealed.is_some() {
            return Err(Rejection::new(
                "question-closed",
                "the answer of this question is revealed, so it can no longer be answered",
            ));
        }
        let mut violations = Violations::default();
        require_form(form, choice, number, &mut violations);
        violations.finish()?;
        Ok(vec![
            PredictionMade {
                question,
                person,
                name: context.actor.name.clone(),
                choice,
                number,
            }
            .into(),
        ])
    }

    fn evolve(_: PredictionState, event: &PredictionEvent) -> PredictionState {
        let PredictionEvent::PredictionMade(PredictionMade { choice, number, .. }) = event;
        PredictionState {
            made: Some((*choice, *number)),
        }
    }
}

fn require_form(form: AnswerForm, choice: Option<u8>, number: Option<i64>, violations: &mut Violations) {
    let (answer, field, other, unused) = match form {
        AnswerForm::Choice(_) => (
            choice.map(i64::from),
            "data.choice",
            number.is_some(),
            "data.number",
        ),
        AnswerForm::Number => (number, "data.number", choice.is_some(), "data.choice"),
    };
    match answer {
        Some(answer) => form.require(answer, violations, field),
        None => violations.require(false, field, "is what this question asks for"),
    }
    violations.require(!other, unused, "is not what this question asks for");
}

/// Records the violations of a prediction's own fields, without its question.
pub(crate) fn require_prediction(made: &PredictionMade, violations: &mut Violations) {
    violations.require(
        made.choice.is_some() != made.number.is_some(),
        "data",
        "has a choice or a number",
    );
    violations.require(
        made.choice.is_none_or(|choice| (1..=4).contains(&choice)),
        "data.choice",
        "is a choice from 1 to 4",
    );
    violations.require(
        made.number
            .is_none_or(|number| (-MAX_NUMBER..=MAX_NUMBER).contains(&number)),
        "data.number",
        format!("is a number from -{MAX_NUMBER} to {MAX_NUMBER}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Role,
        decider::testing::{actor, context, decide},
    };

    const QUESTION: Uuid = Uuid::from_u128(9);

    fn open(choices: Option<u8>) -> QuestionState {
        QuestionState {
            asked: Some(AnswerForm::of(choices)),
            revealed: None,
        }
    }

    fn choose(choice: u8) -> MakePrediction {
        MakePrediction {
            question: QUESTION,
            choice: Some(choice),
            number: None,
        }
    }

    fn guess(number: i64) -> MakePrediction {
        MakePrediction {
            question: QUESTION,
            choice: None,
            number: Some(number),
        }
    }

    fn when(
        given: &[PredictionEvent],
        command: MakePrediction,
        question: QuestionState,
    ) -> Result<Vec<PredictionEvent>, Rejection> {
        let ada = actor(Role::Student, 1);
        let stream = prediction_stream(QUESTION, ada.id).unwrap();
        let context = context(stream.as_str(), ada).with_evidence(question);
        decide::<Prediction>(given, command.into(), &context)
    }

    #[test]
    fn a_person_answers_a_question_once() {
        let made = when(&[], choose(2), open(Some(3))).unwrap();
        let [PredictionEvent::PredictionMade(event)] = made.as_slice() else {
            panic!("{made:?}");
        };
        assert_eq!((event.person, event.choice), (Uuid::from_u128(1), Some(2)));
        assert_eq!(when(&made, choose(2), open(Some(3))), Ok(vec![]));
        let changed = when(&made, choose(1), open(Some(3))).unwrap_err();
        assert_eq!(changed.rule, "prediction-already-made");
    }

    #[test]
    fn the_same_answer_after_the_reveal_is_the_recorded_one_and_a_first_one_is_too_late() {
        let closed = QuestionState {
            revealed: Some((2, 0)),
            ..open(Some(3))
        };
        let made = when(&[], choose(2), open(Some(3))).unwrap();
        assert_eq!(when(&made, choose(2), closed.clone()), Ok(vec![]));
        assert_eq!(when(&[], choose(2), closed).unwrap_err().rule, "question-closed");
    }

    #[test]
    fn a_question_that_is_not_asked_has_no_answers() {
        let none = when(&[], choose(1), QuestionState::default()).unwrap_err();
        assert_eq!(none.rule, super::super::question::NOT_ASKED);
    }

    #[test]
    fn an_answer_has_the_form_that_the_question_asks_for() {
        let fields = |command, question| {
            let violations = when(&[], command, question).unwrap_err().violations;
            violations
                .into_iter()
                .map(|found| found.field)
                .collect::<Vec<_>>()
        };
        assert_eq!(fields(choose(4), open(Some(3))), ["data.choice"]);
        assert_eq!(fields(choose(0), open(Some(3))), ["data.choice"]);
        assert_eq!(fields(guess(1), open(Some(3))), ["data.choice", "data.number"]);
        assert_eq!(fields(choose(1), open(None)), ["data.number", "data.choice"]);
        assert_eq!(fields(guess(MAX_NUMBER + 1), open(None)), ["data.number"]);
        assert!(when(&[], guess(-3), open(None)).is_ok());
    }

    #[test]
    fn an_answer_belongs_to_the_stream_of_its_question_and_its_person() {
        let (ada, bob) = (actor(Role::Student, 1), actor(Role::Student, 2));
        let of_bob = prediction_stream(QUESTION, bob.id).unwrap();
        let context = context(of_bob.as_str(), ada).with_evidence(open(Some(2)));
        let refused = decide::<Prediction>(&[], choose(1).into(), &context).unwrap_err();
        assert_eq!(refused.violations[0].field, "stream");
    }

    /// The stored form: these must never change.
    #[test]
    fn the_id_of_a_prediction_follows_from_question_and_person() {
        let id = prediction_id(QUESTION, Uuid::from_u128(1));
        assert_eq!(id, prediction_id(QUESTION, Uuid::from_u128(1)));
        assert_ne!(id, prediction_id(Uuid::from_u128(1), QUESTION));
        assert_ne!(id, prediction_id(QUESTION, Uuid::from_u128(2)));
        assert_eq!(id.get_version_num(), 5);
    }
}
