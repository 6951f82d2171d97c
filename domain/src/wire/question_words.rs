//! The words of a question of the class in a reader's language.

use serde::{Deserialize, Serialize};

/// The answer to `GET /api/v1/lab/class/words`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QuestionWords {
    /// The question; empty where a lesson has no such step any more.
    pub question: String,
    /// The words of each choice, in their order; none where a number answers the question.
    pub answers: Vec<String>,
}
