//! The words of a question of the class in a reader's language: the educator's own words as they are, and
//! those of a lesson's step from the texts of the lesson. The bundle of the shop has no texts of lessons, so
//! the server words the questions, also for pages that are open.

use domain::{language::Language, view::predictions::QuestionDocument, wire::QuestionWords};

use crate::text::by_name;

/// The words of a question.
pub fn question_in_words(question: &QuestionDocument, language: Language) -> QuestionWords {
    let step = question.step.as_deref().unwrap_or_default();
    let of_lesson = |key: &str| {
        let group = ["lesson_", question.lesson.as_deref()?].concat();
        by_name(language, &group, &[step, key].concat()).map(str::to_owned)
    };
    let own = question.text.clone();
    let labels = question.labels.iter().map(|label| Some(label.clone()));
    let labels = labels.chain(std::iter::repeat(None));
    let answers = (1..=question.choices.unwrap_or_default()).zip(labels);
    let answers = answers.map(|(choice, label)| {
        let words = label.or_else(|| of_lesson(&format!("_answer_{choice}")));
        words.unwrap_or_default()
    });
    QuestionWords {
        answers: answers.collect(),
        question: own.or_else(|| of_lesson("_question")).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use domain::lesson::{LESSONS, QuestionOutline};
    use serde_json::{Value, json};

    use super::*;

    fn words(question: Value, language: Language) -> QuestionWords {
        let mut document = json!({"question": uuid::Uuid::from_u128(1), "counts": [], "answers": 0});
        if let (Some(document), Value::Object(members)) = (document.as_object_mut(), question) {
            document.extend(members);
        }
        question_in_words(&serde_json::from_value(document).unwrap(), language)
    }

    #[test]
    fn a_question_in_own_words_is_as_the_educator_wrote_it_in_every_language() {
        let own = json!({"text": "How many?", "choices": 2, "labels": ["One", "Both"]});
        for language in [Language::En, Language::Ar] {
            let words = words(own.clone(), language);
            assert_eq!(words.question, "How many?");
            assert_eq!(words.answers, ["One", "Both"]);
        }
        let number = words(json!({"text": "How many?"}), Language::En);
        assert!(number.answers.is_empty());
    }

    #[test]
    fn a_step_of_a_lesson_is_worded_in_the_readers_language() {
        let asking = LESSONS.iter();
        let asking = asking.flat_map(|lesson| lesson.steps.iter().map(move |step| (lesson.name, step)));
        for (lesson, step) in asking.filter(|(_, step)| step.question.is_some()) {
            let choices = match step.question {
                Some(QuestionOutline::Choices(choices)) => Some(choices),
                Some(QuestionOutline::Number) | None => None,
            };
            let question = json!({"lesson": lesson, "step": step.name, "choices": choices});
            let [english, german] =
                [Language::En, Language::De].map(|language| words(question.clone(), language));
            assert!(!english.question.is_empty(), "{lesson} {}", step.name);
            assert_ne!(english.question, german.question, "{lesson} {}", step.name);
            assert_eq!(english.answers.len(), choices.map_or(0, usize::from));
            assert!(english.answers.iter().all(|answer| !answer.is_empty()));
        }
    }

    #[test]
    fn a_step_that_no_lesson_has_any_more_has_no_words_and_keeps_its_choices() {
        let words = words(
            json!({"lesson": "gone", "step": "one", "choices": 3}),
            Language::En,
        );
        assert_eq!(words.question, "");
        assert_eq!(words.answers, ["", "", ""]);
    }
}
