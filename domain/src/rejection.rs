//! The rejection of a command by the rules: a sentence, and the fields that it concerns.

use serde::{Deserialize, Serialize};

use crate::{
    control_character::{self, ControlCharacter},
    id::{MAX_STREAM_NAME, StreamName, is_dot_segment},
    visible_text,
};

/// A field that violates a rule, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Violation {
    /// A path into `data`, as in `lines[2].quantity`.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// The answer of `decide` to a command that the rules forbid. It has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// A stable name of the rule, in kebab case: `order-already-shipped`.
    pub rule: String,
    /// One sentence for a person.
    pub detail: String,
    /// The fields that it concerns; empty if it is about the state and not the input.
    pub violations: Vec<Violation>,
}

impl Rejection {
    /// A rule about the state of the aggregate.
    pub fn new(rule: &str, detail: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            detail: detail.into(),
            violations: Vec::new(),
        }
    }

    /// A rule about the input, with the fields that broke it.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let detail = match violations.as_slice() {
            [only] => format!("{}: {}", only.field, only.message),
            several => format!("{} fields are not valid", several.len()),
        };
        Self {
            rule: "invalid-data".to_owned(),
            detail,
            violations,
        }
    }
}

/// Collects violations, so that one answer names all of them.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Records a violation of `field` unless `valid`.
    pub fn require(&mut self, valid: bool, field: impl Into<String>, message: impl Into<String>) {
        if !valid {
            self.0.push(Violation {
                field: field.into(),
                message: message.into(),
            });
        }
    }

    /// Records a violation unless `text` has 1 to `max` characters that are not white space alone.
    /// Surrounding white space counts, because it is stored.
    pub fn require_text(&mut self, text: &str, max: usize, field: &str) {
        self.require(
            !text.trim().is_empty() && text.chars().count() <= max,
            field,
            format!("has 1 to {max} characters"),
        );
    }

    /// Records a violation unless `id` is a valid id for a stream of `category`. Such an id is also a key of
    /// documents, and short enough for the index of every database.
    pub fn require_id(&mut self, id: &str, category: &str, field: &str) {
        let max = MAX_STREAM_NAME.saturating_sub(category.len() + 1);
        self.require(
            StreamName::new(category, id).is_ok() && !is_dot_segment(id),
            field,
            format!(
                "is the id of a stream {category}-<id>: 1 to {max} lower-case letters, digits, '-', '_' \
                 and '.', and neither '.' nor '..'"
            ),
        );
    }

    /// Records a violation if the id of the command's own stream is a [dot segment](is_dot_segment).
    pub fn require_name_in_urls(&mut self, stream: &StreamName) {
        self.require(
            !is_dot_segment(stream.id()),
            "stream",
            "has an id that is neither '.' nor '..': no URL can name those",
        );
    }

    /// Records a violation unless `text` is one line of 1 to `max` characters, all of them
    /// [visible](visible_text::in_line).
    pub fn require_name(&mut self, text: &str, max: usize, field: &str) {
        let before = self.0.len();
        self.require_text(text, max, field);
        if self.0.len() > before {
            return;
        }
        match visible_text::in_line(text) {
            Some(found) => self.require(false, field, found.to_string()),
            None => self.require(
                visible_text::is_visible(text),
                field,
                "has a letter, a digit or a sign",
            ),
        }
    }

    /// Records a violation unless `text` has 1 to `max` characters, in lines, and none that changes the
    /// [direction](visible_text::in_prose) of the text around it.
    pub fn require_prose(&mut self, text: &str, max: usize, field: &str) {
        let before = self.0.len();
        self.require_text(text, max, field);
        if self.0.len() > before {
            return;
        }
        if let Some(found) = visible_text::in_prose(text) {
            self.require(false, field, found.to_string());
        }
    }

    /// Records a violation if a letter of the text makes it look like [another one](visible_text::imitation).
    pub fn require_one_script(&mut self, text: &str, field: &str) {
        // A letter that cannot be seen is refused as such.
        if visible_text::in_line(text).is_none()
            && let Some(found) = visible_text::imitation(text)
        {
            self.require(false, field, found.to_string());
        }
    }

    /// Records a violation if the text has a control character.
    pub fn require_line(&mut self, text: &str, field: &str) {
        if let Some(character) = control_character::in_line(text) {
            self.require(false, field, ControlCharacter::message(character));
        }
    }

    /// `Ok` without violations.
    pub fn finish(self) -> Result<(), Rejection> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Rejection::invalid(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(note: impl FnOnce(&mut Violations)) -> Vec<String> {
        let mut violations = Violations::default();
        note(&mut violations);
        violations
            .0
            .into_iter()
            .map(|violation| violation.message)
            .collect()
    }

    #[test]
    fn a_text_has_a_maximum_length_and_white_space_counts() {
        let noted = |text: &str| !messages(|violations| violations.require_text(text, 5, "name")).is_empty();
        for fine in ["a", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", " a b "] {
            assert!(!noted(fine), "{fine:?}");
        }
        for wrong in ["", " ", "\u{3000}", "123456", "a     ", "     a"] {
            assert!(noted(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_is_one_line_of_visible_text() {
        let noted = |text: &str| messages(|violations| violations.require_name(text, 5, "name"));
        for fine in ["a", "\u{e9}\u{e9}", " a b "] {
            assert_eq!(noted(fine), [""; 0], "{fine:?}");
        }
        for (wrong, said) in [
            ("123456", "has 1 to 5 characters"),
            ("a\nb", "has U+000A, which breaks the line"),
            ("a\u{2028}b", "has U+2028, which breaks the line"),
            ("a\u{202e}b", "has U+202E, which changes the direction"),
            ("\u{3164}", "has U+3164, which is invisible"),
            ("\u{301}", "has a letter, a digit or a sign"),
        ] {
            let [message] = noted(wrong).try_into().unwrap();
            assert!(message.starts_with(said), "{message}");
        }
    }

    #[test]
    fn prose_has_lines_and_no_override_of_its_direction() {
        let noted = |text: &str| messages(|violations| violations.require_prose(text, 5, "reason"));
        assert_eq!(noted("a\nb\tc"), [""; 0]);
        for wrong in ["123456", "a\rb", "\u{202e}a"] {
            assert_eq!(noted(wrong).len(), 1, "{wrong:?}");
        }
    }

    #[test]
    fn an_id_is_one_that_a_stream_can_have() {
        let noted = |id: &str| messages(|violations| violations.require_id(id, "order", "data.order"));
        for fine in ["1", "0198c1a2-7b1c", "a_b.c", "-", "...", ".a", &"x".repeat(114)] {
            assert_eq!(noted(fine), [""; 0], "{fine}");
        }
        for wrong in [
            "",
            " ",
            "A",
            "a b",
            "a/b",
            "\u{e9}",
            ".",
            "..",
            &"x".repeat(115),
            &"x".repeat(200_000),
        ] {
            let [message] = noted(wrong).try_into().unwrap();
            assert!(message.contains("order-<id>: 1 to 114 "), "{message}");
        }
    }
}
