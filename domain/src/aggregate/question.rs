//! `question-<uuid>`: a question that an educator asks the class, of a lesson's step or in own words, and its
//! answer, revealed once. The answers of the class are streams of their own
//! ([`crate::aggregate::prediction`]): forty people who answer at once then never wait for each other.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    command_types,
    decider::{Context, Decider},
    event_types,
    rejection::{Rejection, Violations},
};

/// The maximum length of the name of a lesson or a step, in characters.
pub const MAX_STEP_NAME: usize = 60;
/// The maximum length of a question in own words, in characters.
pub const MAX_QUESTION: usize = 300;
/// The maximum length of the label of a choice, in characters.
pub const MAX_LABEL: usize = 80;
/// The fewest and the most choices.
pub const CHOICES: std::ops::RangeInclusive<u8> = 2..=4;
/// The largest number that answers a question, on both sides of zero: every JSON parser reads it exactly.
pub const MAX_NUMBER: i64 = 1_000_000_000_000;

/// Asks the class a question: of a step of a lesson, or in own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AskQuestion {
    /// The lesson, with `step`; 1 to [`MAX_STEP_NAME`] lower-case letters, digits, `_` and `-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// Its step, with `lesson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The question in own words, 1 to [`MAX_QUESTION`] characters; needed without a lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The number of choices, 2 to 4; absent: a number answers the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<u8>,
    /// A label for each choice, one line of 1 to [`MAX_LABEL`] characters; none for a lesson's choices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// Reveals the right answer. From then on the question is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevealAnswer {
    /// The right choice, counted from 1, or the right number.
    pub right: i64,
    /// How far a number may be from the right one; 0 for choices.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerance: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

command_types! {
    /// The commands of a question.
    pub enum QuestionCommand { AskQuestion, RevealAnswer }
}

/// An educator has asked the class a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuestionAsked {
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
}

/// The right answer of a question was revealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnswerRevealed {
    /// The right choice, counted from 1, or the right number.
    pub right: i64,
    /// How far a number may be from the right one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerance: u32,
}

event_types! {
    /// The events of a question.
    pub enum QuestionEvent { QuestionAsked: 1, AnswerRevealed: 1 }
}

/// The state for decisions about a question, or about an answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuestionState {
    /// The form of its answers; `None` before it is asked.
    pub asked: Option<AnswerForm>,
    /// The right answer and its tolerance, once revealed.
    pub revealed: Option<(i64, u32)>,
}

/// The form of the answers to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// One of so many choices.
    Choice(u8),
    /// A number.
    Number,
}

impl AnswerForm {
    /// The form of a question with this number of choices, if it has choices.
    pub fn of(choices: Option<u8>) -> Self {
        choices.map_or(Self::Number, Self::Choice)
    }

    /// Records a violation unless `answer`, a choice or a number, has this form.
    pub(super) fn require(self, answer: i64, violations: &mut Violations, field: &str) {
        match self {
            Self::Choice(choices) => violations.require(
                (1..=i64::from(choices)).contains(&answer),
                field,
                format!("is a choice from 1 to {choices}"),
            ),
            Self::Number => violations.require(
                (-MAX_NUMBER..=MAX_NUMBER).contains(&answer),
                field,
                format!("is a number from -{MAX_NUMBER} to {MAX_NUMBER}"),
            ),
        }
    }
}

/// The rule that a question is answered and revealed only once it is asked.
pub const NOT_ASKED: &str = "question-not-asked";

/// The rejection by [`NOT_ASKED`].
pub(super) fn not_asked() -> Rejection {
    Rejection::new(NOT_ASKED, "there is no such question")
}

/// The question aggregate.
#[derive(Debug)]
pub struct Question;

impl Decider for Question {
    const CATEGORY: &'static str = "question";
    const SNAPSHOT_VERSION: u32 = 1;
    type State = QuestionState;
    type Command = QuestionCommand;
    type Event = QuestionEvent;
    type Evidence = ();

    fn decide(
        state: &QuestionState,
        command: QuestionCommand,
        context: &Context,
    ) -> Result<Vec<QuestionEvent>, Rejection> {
        match command {
            QuestionCommand::AskQuestion(question) => ask(state, question, context),
            QuestionCommand::RevealAnswer(answer) => reveal(state, &answer),
        }
    }

    fn evolve(mut state: QuestionState, event: &QuestionEvent) -> QuestionState {
        match event {
            QuestionEvent::QuestionAsked(asked) => state.asked = Some(AnswerForm::of(asked.choices)),
            QuestionEvent::AnswerRevealed(AnswerRevealed { right, tolerance }) => {
                state.revealed = Some((*right, *tolerance));
            }
        }
        state
    }
}

fn ask(
    state: &QuestionState,
    question: AskQuestion,
    context: &Context,
) -> Result<Vec<QuestionEvent>, Rejection> {
    if state.asked.is_some() {
        return Err(Rejection::new(
            "question-already-asked",
            "this question is already asked; another one has an id of its own",
        ));
    }
    let AskQuestion {
        lesson,
        step,
        text,
        choices,
        labels,
    } = question;
    let asked = QuestionAsked {
        lesson,
        step,
        text,
        choices,
        labels,
    };
    let mut violations = Violations::default();
    violations.require(
        is_question_id(context.stream.id()),
        "stream",
        "is question-<id> with a UUID in lower case",
    );
    require_question(&asked, &mut violations);
    violations.finish()?;
    Ok(vec![asked.into()])
}

/// Whether the id of a stream is one of a question: a UUID as it is written.
pub(crate) fn is_question_id(id: &str) -> bool {
    let is_written_so = |uuid: Uuid| !uuid.is_nil() && uuid.to_string() == id;
    id.parse().is_ok_and(is_written_so)
}

/// Records the violations of a question's own fields.
pub(crate) fn require_question(asked: &QuestionAsked, violations: &mut Violations) {
    let QuestionAsked {
        lesson,
        step,
        text,
        choices,
        labels,
    } = asked;
    for (field, name) in [("data.lesson", lesson), ("data.step", step)] {
        if let Some(name) = name {
            require_step_name(name, violations, field);
        }
    }
    violations.require(
        lesson.is_some() == step.is_some(),
        if lesson.is_some() {
            "data.step"
        } else {
            "data.lesson"
        },
        "a lesson and its step are named together",
    );
    match text {
        Some(text) => violations.require_prose(text, MAX_QUESTION, "data.text"),
        None => violations.require(
            lesson.is_some() || step.is_some(),
            "data.text",
            "is needed without a lesson",
        ),
    }
    violations.require(
        choices.is_none_or(|choices| CHOICES.contains(&choices)),
        "data.choices",
        format!(
            "is {} to {}, or absent where a number answers",
            CHOICES.start(),
            CHOICES.end()
        ),
    );
    let expected = usize::from(choices.unwrap_or_default());
    violations.require(
        labels.is_empty() || labels.len() == expected,
        "data.labels",
        "has a label for each choice, or none",
    );
    for (n, label) in labels.iter().take(usize::from(*CHOICES.end())).enumerate() {
        violations.require_name(label, MAX_LABEL, &format!("data.labels[{n}]"));
    }
}

/// Records a violation unless `name` can be that of a lesson or a step.
fn require_step_name(name: &str, violations: &mut Violations, field: &str) {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    violations.require(
        (1..=MAX_STEP_NAME).contains(&name.len()) && name.bytes().all(is_allowed),
        field,
        format!("has 1 to {MAX_STEP_NAME} lower-case letters, digits, '_' and '-'"),
    );
}

fn reveal(state: &QuestionState, answer: &RevealAnswer) -> Result<Vec<QuestionEvent>, Rejection> {
    let Some(form) = state.asked else {
        return Err(not_asked());
    };
    let RevealAnswer { right, tolerance } = *answer;
    let mut violations = Violations::default();
    form.require(right, &mut violations, "data.right");
    violations.require(
        tolerance == 0 || form == AnswerForm::Number,
        "data.tolerance",
        "is 0 for a question with choices",
    );
    violations.finish()?;
    match state.revealed {
        None => Ok(vec![AnswerRevealed { right, tolerance }.into()]),
        Some(revealed) if revealed == (right, tolerance) => Ok(Vec::new()),
        Some(_) => Err(Rejection::new(
            "answer-already-revealed",
            "the answer of this question is already revealed",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Role,
        decider::testing::{actor, context, decide},
    };

    const STREAM: &str = "question-00000000-0000-0000-0000-000000000009";

    fn of_a_lesson(choices: Option<u8>) -> AskQuestion {
        AskQuestion {
            lesson: Some("last_item".into()),
            step: Some("race".into()),
            choices,
            ..AskQuestion::default()
        }
    }

    fn in_own_words() -> AskQuestion {
        AskQuestion {
            text: Some("How many of the two orders are confirmed?".into()),
            choices: Some(2),
            labels: vec!["One".into(), "Both".into()],
            ..AskQuestion::default()
        }
    }

    fn asked(question: AskQuestion) -> QuestionEvent {
        when(&[], question).unwrap().remove(0)
    }

    fn when(
        given: &[QuestionEvent],
        command: impl Into<QuestionCommand>,
    ) -> Result<Vec<QuestionEvent>, Rejection> {
        decide::<Question>(given, command.into(), &context(STREAM, actor(Role::Educator, 1)))
    }

    fn fields(result: Result<Vec<QuestionEvent>, Rejection>) -> Vec<String> {
        let violations = result.unwrap_err().violations;
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_question_of_a_lesson_or_in_own_words_is_asked_once() {
        for question in [of_a_lesson(Some(3)), of_a_lesson(None), in_own_words()] {
            let events = when(&[], question.clone()).unwrap();
            assert_eq!(events.len(), 1);
            let again = when(&events, question).unwrap_err();
            assert_eq!(again.rule, "question-already-asked");
        }
    }

    #[test]
    fn each_field_of_a_question_that_is_wrong_is_named() {
        let own = in_own_words;
        for (question, field) in [
            (AskQuestion { text: None, ..own() }, "data.text"),
            (
                AskQuestion {
                    text: Some(" ".into()),
                    ..own()
                },
                "data.text",
            ),
            (
                AskQuestion {
                    text: Some("x".repeat(301)),
                    ..own()
                },
                "data.text",
            ),
            (
                AskQuestion {
                    lesson: Some("last_item".into()),
                    ..own()
                },
                "data.step",
            ),
            (
                AskQuestion {
                    step: Some("one".into()),
                    ..own()
                },
                "data.lesson",
            ),
            (
                AskQuestion {
                    lesson: Some("Last item".into()),
                    ..of_a_lesson(None)
                },
                "data.lesson",
            ),
            (
                AskQuestion {
                    step: Some(String::new()),
                    ..of_a_lesson(None)
                },
                "data.step",
            ),
            (of_a_lesson(Some(1)), "data.choices"),
            (of_a_lesson(Some(5)), "data.choices"),
            (
                AskQuestion {
                    labels: vec!["One".into()],
                    ..own()
                },
                "data.labels",
            ),
            (
                AskQuestion {
                    choices: None,
                    ..own()
                },
                "data.labels",
            ),
            (
                AskQuestion {
                    labels: vec!["One".into(), "a\nb".into()],
                    ..own()
                },
                "data.labels[1]",
            ),
        ] {
            assert_eq!(fields(when(&[], question.clone())), [field], "{question:?}");
        }
    }

    #[test]
    fn the_stream_of_a_question_has_a_uuid() {
        for stream in ["question-1", "question-00000000-0000-0000-0000-000000000000"] {
            let context = context(stream, actor(Role::Educator, 1));
            let refused = decide::<Question>(&[], in_own_words().into(), &context).unwrap_err();
            assert_eq!(refused.violations[0].field, "stream", "{stream}");
        }
    }

    #[test]
    fn an_answer_is_revealed_once_and_the_same_again_changes_nothing() {
        let given = [asked(in_own_words())];
        let right = RevealAnswer {
            right: 1,
            tolerance: 0,
        };
        let revealed = when(&given, right.clone()).unwrap();
        assert_eq!(revealed.len(), 1);
        let given = [&given[..], &revealed[..]].concat();
        assert_eq!(when(&given, right), Ok(vec![]));
        let another = RevealAnswer {
            right: 2,
            tolerance: 0,
        };
        assert_eq!(when(&given, another).unwrap_err().rule, "answer-already-revealed");
    }

    #[test]
    fn an_answer_has_the_form_of_its_question() {
        let reveal = |right, tolerance| RevealAnswer { right, tolerance };
        let choices = [asked(of_a_lesson(Some(3)))];
        assert_eq!(fields(when(&choices, reveal(0, 0))), ["data.right"]);
        assert_eq!(fields(when(&choices, reveal(4, 0))), ["data.right"]);
        assert_eq!(fields(when(&choices, reveal(3, 1))), ["data.tolerance"]);
        let number = [asked(of_a_lesson(None))];
        assert!(when(&number, reveal(-7, 2)).is_ok());
        assert_eq!(fields(when(&number, reveal(MAX_NUMBER + 1, 0))), ["data.right"]);
        assert_eq!(when(&[], reveal(1, 0)).unwrap_err().rule, NOT_ASKED);
    }
}
