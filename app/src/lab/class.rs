//! The class of a workspace, as its pages read it: what it is asked, how it has answered, and which dials
//! were handed out. State and documents stay JSON here, because a phone reads a few of their members; the
//! server checks what it is sent.

use serde_json::{Map, Value, json};

/// The view of the questions and of the answers to them.
pub const PREDICTIONS: &str = "predictions";

/// The members of the class's state that an educator sets.
const SETTABLE: [&str; 5] = ["lesson", "step", "locked", "question", "order_call"];

/// The state with some members changed, as the API takes it; null takes a member away.
pub fn changed(state: &Value, changes: &Value) -> Value {
    let member = |name: &str| changes.get(name).or_else(|| state.get(name));
    let members = SETTABLE.iter().filter_map(|name| {
        let value = member(name).filter(|value| !value.is_null())?;
        Some(((*name).to_owned(), value.clone()))
    });
    Value::Object(members.collect())
}

/// The version of a state.
pub fn version(state: &Value) -> u64 {
    state.get("version").and_then(Value::as_u64).unwrap_or_default()
}

/// A text of a state or a document; empty if it has none.
pub fn text_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A flag of a state or a document.
pub fn is_set(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// A number of a state or a document; 0 if it has none.
pub fn number_of(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// The elements of a list of a state or a document.
pub fn list_of<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The question that the class has before it, by its id; empty without one.
pub fn question_of(state: &Value) -> &str {
    text_of(state, "question")
}

/// The page of the step that the class is kept on, with the address of its lesson alone; `None` while people
/// go through the lessons at their own pace.
pub fn kept_on(state: &Value) -> Option<(String, String)> {
    let (lesson, step) = (text_of(state, "lesson"), text_of(state, "step"));
    let is_kept = is_set(state, "locked") && !lesson.is_empty() && !step.is_empty();
    let page = ["/lab/lessons/", lesson].concat();
    is_kept.then(|| ([&page, "#", step].concat(), page))
}

/// How many people with an open page can answer: without the educators, where the state names the people.
pub fn present(state: &Value) -> i64 {
    if state.get("roster").is_none_or(Value::is_null) {
        return number_of(state, "present");
    }
    let roster = list_of(state, "roster").iter();
    let learners = roster.filter(|member| is_set(member, "present") && text_of(member, "role") != "educator");
    i64::try_from(learners.count()).unwrap_or(i64::MAX)
}

/// The dials that a person was handed, by their paths in the API.
pub fn dials_of(state: &Value, person: &str) -> Vec<String> {
    let handed = list_of(state, "handed").iter();
    let theirs = handed.filter(|handed| handed.get("to").is_some_and(|to| text_of(to, "id") == person));
    theirs.map(|handed| text_of(handed, "dial").to_owned()).collect()
}

/// The command's data for a step of a lesson, or for a question in own words with its labels. `choices` is
/// absent where a number answers.
pub fn question_data(of: &QuestionSource, choices: Option<u8>) -> Value {
    let mut data = Map::new();
    match of {
        QuestionSource::Step { lesson, step } => {
            data.insert("lesson".to_owned(), json!(lesson));
            data.insert("step".to_owned(), json!(step));
        }
        QuestionSource::Own { text, labels } => {
            data.insert("text".to_owned(), json!(text));
            if choices.is_some() && !labels.is_empty() {
                data.insert("labels".to_owned(), json!(labels));
            }
        }
    }
    if let Some(choices) = choices {
        data.insert("choices".to_owned(), json!(choices));
    }
    Value::Object(data)
}

/// Where the words of a question are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionSource {
    /// A step of a lesson.
    Step {
        /// The name of the lesson.
        lesson: String,
        /// The name of its step.
        step: String,
    },
    /// An educator's own words.
    Own {
        /// The question.
        text: String,
        /// A label for each choice.
        labels: Vec<String>,
    },
}

/// The most bars of a tally: of more numbers, the rest is one bar.
const MOST_BARS: usize = 8;

/// A bar of a tally: how many people gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The choice, counted from 1, or the number; `None` for all other numbers.
    pub answer: Option<i64>,
    /// How many gave it.
    pub count: i64,
    /// How many of a hundred.
    pub percent: i64,
    /// Whether it is right; `None` before it is revealed.
    pub is_right: Option<bool>,
}

/// The number of choices of a question; `None` where a number answers it.
pub fn choices_of(question: &Value) -> Option<i64> {
    question.get("choices").and_then(Value::as_i64)
}

/// Whether a document of a question has the question: an answer to it may be folded before it.
pub fn is_asked(question: &Value) -> bool {
    question.get("asked_at").is_some_and(|at| !at.is_null())
}

/// Whether the right answer was revealed, which closes the question.
pub fn is_revealed(question: &Value) -> bool {
    question
        .get("revealed")
        .is_some_and(|revealed| !revealed.is_null())
}

/// Whether an answer is right; `None` before that is revealed.
pub fn is_right(question: &Value, answer: i64) -> Option<bool> {
    let revealed = question.get("revealed").filter(|revealed| !revealed.is_null())?;
    let distance = number_of(revealed, "right").abs_diff(answer);
    Some(i64::try_from(distance).is_ok_and(|distance| distance <= number_of(revealed, "tolerance")))
}

/// The answer of a person's own document.
pub fn answer_of(prediction: &Value) -> Option<i64> {
    let answer = |name: &str| prediction.get(name).and_then(Value::as_i64);
    answer("choice").or_else(|| answer("number"))
}

/// How the class has answered: a bar for each choice, or for the numbers that most people gave.
pub fn tally(question: &Value) -> Vec<Share> {
    let given: Vec<(Option<i64>, i64)> = match choices_of(question) {
        Some(choices) => {
            let counts = list_of(question, "counts").iter();
            let mut counts = counts.map(|count| count.as_i64().unwrap_or_default());
            let of = |choice| (Some(choice), counts.next().unwrap_or_default());
            (1..=choices).map(of).collect()
        }
        None => numbers(question),
    };
    let all: i64 = given.iter().map(|(_, count)| count).sum();
    let share = |(answer, count): (Option<i64>, i64)| Share {
        answer,
        count,
        percent: if all == 0 {
            0
        } else {
            (count * 100 + all / 2) / all
        },
        is_right: answer.and_then(|answer| is_right(question, answer)),
    };
    given.into_iter().map(share).collect()
}

/// The numbers that were given, in their order: those that most people gave, and all others as one.
fn numbers(question: &Value) -> Vec<(Option<i64>, i64)> {
    let entry = |entry: &Value| (number_of(entry, "number"), number_of(entry, "count"));
    let mut given: Vec<(i64, i64)> = list_of(question, "numbers").iter().map(entry).collect();
    given.sort_by_key(|(number, count)| (-count, *number));
    given.truncate(MOST_BARS);
    // The document counts some numbers together, and a bar those that few people gave.
    let shown: i64 = given.iter().map(|(_, count)| count).sum();
    let others = number_of(question, "answers") - shown;
    given.sort_unstable();
    let mut bars: Vec<_> = given
        .into_iter()
        .map(|(number, count)| (Some(number), count))
        .collect();
    if others > 0 {
        bars.push((None, others));
    }
    bars
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn bars(question: &Value) -> Vec<(Option<i64>, i64, i64, Option<bool>)> {
        let shares = tally(question).into_iter();
        shares
            .map(|share| (share.answer, share.count, share.percent, share.is_right))
            .collect()
    }

    #[test]
    fn each_choice_has_a_bar_and_after_the_reveal_it_says_which_is_right() {
        let mut question = json!({"choices": 3, "counts": [1, 0, 2], "answers": 3});
        assert_eq!(
            bars(&question),
            [
                (Some(1), 1, 33, None),
                (Some(2), 0, 0, None),
                (Some(3), 2, 67, None),
            ]
        );
        assert!(!is_revealed(&question));
        question["revealed"] = json!({"right": 3, "right_count": 2});
        assert!(is_revealed(&question));
        let right: Vec<_> = tally(&question).into_iter().map(|share| share.is_right).collect();
        assert_eq!(right, [Some(false), Some(false), Some(true)]);
        // A question that was just asked has no counts.
        assert_eq!(bars(&json!({"choices": 2})).len(), 2);
    }

    #[test]
    fn the_numbers_that_most_people_gave_have_bars_and_the_rest_has_one() {
        let numbers: Vec<Value> = (1..=10).map(|n| json!({"number": n, "count": n})).collect();
        let question = json!({"numbers": numbers, "answers": 55, "revealed": {"right": 9, "tolerance": 1}});
        let bars = bars(&question);
        assert_eq!(bars.len(), MOST_BARS + 1);
        assert_eq!(bars[0], (Some(3), 3, 5, Some(false)));
        assert_eq!(bars[5].3, Some(true), "8 is near enough to 9");
        assert_eq!(bars.last(), Some(&(None, 3, 5, None)));
    }

    #[test]
    fn a_change_keeps_what_else_is_set_and_sends_nothing_that_is_not_set() {
        let state = json!({"version": 7, "lesson": "last_item", "step": "race", "locked": true,
            "question": "q-1", "roster": [], "handed": []});
        assert_eq!(version(&state), 7);
        assert_eq!(
            changed(&state, &json!({"question": null, "locked": false})),
            json!({"lesson": "last_item", "step": "race", "locked": false})
        );
        assert_eq!(
            changed(&json!({}), &json!({"order_call": 2})),
            json!({"order_call": 2})
        );
    }

    #[test]
    fn a_class_is_kept_on_a_step_while_it_is_locked() {
        let mut state = json!({"lesson": "last_item", "step": "race", "locked": true});
        let page = "/lab/lessons/last_item".to_owned();
        assert_eq!(kept_on(&state), Some((format!("{page}#race"), page)));
        state["locked"] = json!(false);
        assert_eq!(kept_on(&state), None);
        assert_eq!(kept_on(&json!({"locked": true})), None);
    }

    #[test]
    fn those_who_are_there_and_can_answer_are_counted() {
        let member = |role: &str, is_present: bool| json!({"role": role, "present": is_present});
        let roster = [
            member("educator", true),
            member("student", true),
            member("student", false),
        ];
        assert_eq!(present(&json!({"present": 2, "roster": roster})), 1);
        assert_eq!(present(&json!({"present": 2})), 2);
        assert_eq!(present(&json!({})), 0);
    }

    #[test]
    fn a_person_has_the_dials_that_were_handed_to_them() {
        let handed = |dial: &str, id: &str| json!({"dial": dial, "to": {"id": id, "name": "Eve"}});
        let state = json!({"handed": [handed("broker.paused", "1"), handed("cache.off", "2")]});
        assert_eq!(dials_of(&state, "1"), ["broker.paused"]);
        assert!(dials_of(&json!({}), "1").is_empty());
    }

    #[test]
    fn a_question_has_the_data_of_its_command() {
        let step = QuestionSource::Step {
            lesson: "last_item".to_owned(),
            step: "race".to_owned(),
        };
        assert_eq!(
            question_data(&step, Some(3)),
            json!({"lesson": "last_item", "step": "race", "choices": 3})
        );
        let own = QuestionSource::Own {
            text: "How many?".to_owned(),
            labels: vec!["One".to_owned(), "Two".to_owned()],
        };
        assert_eq!(
            question_data(&own, Some(2)),
            json!({"text": "How many?", "labels": ["One", "Two"], "choices": 2})
        );
        assert_eq!(question_data(&own, None), json!({"text": "How many?"}));
    }

    #[test]
    fn a_person_has_answered_with_a_choice_or_a_number() {
        assert_eq!(answer_of(&json!({"choice": 2})), Some(2));
        assert_eq!(answer_of(&json!({"number": -4})), Some(-4));
        assert_eq!(answer_of(&json!({})), None);
    }
}
