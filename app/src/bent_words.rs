//! What is bent in a workspace, in words: a sentence for each person who has bent something.

use domain::{language::Language, wire::DialsAnswer};
use leptos::prelude::{Owner, provide_context};
use serde_json::Value;

use crate::{
    components::bent_words,
    lab::dials::{BentValue, bent},
    language::language,
    text,
};

/// What is bent, in this language; empty at rest.
pub fn dials_in_words(answer: &DialsAnswer, language: Language) -> Vec<String> {
    let owner = Owner::new();
    owner.with(|| {
        provide_context(language);
        serde_json::to_value(answer).map_or_else(|_| Vec::new(), |answer| sentences(&answer))
    })
}

/// The same in the language of the page that is being rendered.
pub(crate) fn sentences(answer: &Value) -> Vec<String> {
    of_people(&bent(answer))
}

fn of_people(bent: &[BentValue]) -> Vec<String> {
    let language = language();
    let mut people: Vec<&str> = Vec::new();
    for value in bent {
        if !people.contains(&value.name.as_str()) {
            people.push(&value.name);
        }
    }
    let mut lines = Vec::new();
    for person in people {
        let theirs = bent.iter().filter(|value| value.name == person);
        let words = theirs.map(bent_words).collect::<Vec<_>>().join(", ");
        lines.push(if person.is_empty() {
            text::dials::bent(language, words)
        } else {
            text::dials::bent_by(language, person, words)
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_person_has_a_sentence_with_what_they_have_bent() {
        let bent = |dial: &str, name: &str| BentValue {
            dial: dial.to_owned(),
            name: name.to_owned(),
            value: json!(2_000),
        };
        let bent = [
            bent("broker.delay_ms", "Ada"),
            bent("payment.delay_ms", "Grace"),
            bent("live.delay_ms", "Ada"),
            bent("broker.jitter_ms", ""),
        ];
        assert_eq!(
            of_people(&bent),
            [
                "Bent by Ada: broker delay 2 s, live connections slower by 2 s",
                "Bent by Grace: payment provider slower by 2 s",
                "Bent: broker jitter up to 2 s",
            ]
        );
    }
}
