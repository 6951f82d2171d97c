//! Why a command was not accepted by the rules: a sentence, and the fields it concerns.

use serde::{Deserialize, Serialize};

use crate::control_character::{self, ControlCharacter};

/// One field that broke a rule, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Violation {
    /// A path into `data`, as in `lines[2].quantity`.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// The answer of `decide` to a command that the rules do not allow. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Rejection {
    /// A stable name of the rule, in kebab case: `order-already-shipped`.
    pub rule: String,
    /// One sentence for a person.
    pub detail: String,
    /// The fields it concerns; empty where it is about the state and not the input.
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
    /// Notes a violation of `field` unless `valid`.
    pub fn require(&mut self, valid: bool, field: impl Into<String>, message: impl Into<String>) {
        if !valid {
            self.0.push(Violation {
                field: field.into(),
                message: message.into(),
            });
        }
    }

    /// Notes a violation unless `text`, trimmed, has 1 to `max` characters.
    pub fn require_text(&mut self, text: &str, max: usize, field: &str) {
        let length = text.trim().chars().count();
        self.require(
            (1..=max).contains(&length),
            field,
            format!("has 1 to {max} characters"),
        );
    }

    /// Notes a field whose text has a control character.
    pub fn require_line(&mut self, text: &str, field: &str) {
        if let Some(character) = control_character::in_line(text) {
            self.require(false, field, ControlCharacter::message(character));
        }
    }

    /// `Ok` where nothing was noted.
    pub fn finish(self) -> Result<(), Rejection> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Rejection::invalid(self.0))
        }
    }
}
