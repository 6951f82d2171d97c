//! The results of a class as a file for spreadsheets: a row for each answer of a person to a question.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::{
        HeaderValue,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use domain::{
    view::predictions::{AnswerDocument, PredictionDocument, QuestionDocument},
    wire::{Order, Problem},
};
use query::ListingRequest;

use super::class::page;
use crate::{
    SharedGateway,
    auth::Caller,
    limits::{COST_OF_READING_ALL, charge_workspace},
    params::{NoParams, QueryParams},
    problem::ApiProblem,
};

/// The most rows of a page of a listing.
const PAGE: u32 = 200;

/// The most rows of the file; a class has fewer.
const MOST_ROWS: usize = 50_000;

/// By this spreadsheets know UTF-8 (a byte order mark).
const MARK: char = '\u{feff}';

/// The names of the columns.
const COLUMNS: [&str; 8] = [
    "lesson",
    "step",
    "question",
    "name",
    "answer",
    "right",
    "asked_at",
    "answered_at",
];

/// The results
///
/// A row for each answer of a person to a question of the class, the newest question first, as CSV (RFC 4180)
/// in UTF-8 for spreadsheets. A text that a spreadsheet would take for a formula begins with an apostrophe.
/// Up to 50,000 rows.
#[utoipa::path(get, path = "/lab/class/results.csv", tag = "class", responses(
    (status = 200, description = "The rows, after one with the names of the columns", body = String,
        content_type = "text/csv"),
    (status = 400, description = "There are no parameters", body = Problem),
    (status = 403, description = "Not an educator", body = Problem),
    (status = 429, description = "Too many requests", body = Problem),
))]
pub(super) async fn results(
    State(gateway): State<SharedGateway>,
    caller: Caller,
    _: QueryParams<NoParams>,
) -> Result<Response, ApiProblem> {
    caller.require_lab_control()?;
    charge_workspace(&gateway, &caller, COST_OF_READING_ALL)?;
    let mut file = String::from(MARK);
    add_line(&mut file, &COLUMNS.map(str::to_owned));
    let mut rows = 0;
    let mut questions = Pages::new("questions", None);
    while let Some(page) = questions.next(&gateway, &caller).await? {
        for document in page {
            let PredictionDocument::Question(question) = document else {
                continue;
            };
            let mut answers = Pages::new("by_question", Some(question.question.to_string()));
            while let Some(page) = answers.next(&gateway, &caller).await? {
                for document in page {
                    let PredictionDocument::Answer(answer) = document else {
                        continue;
                    };
                    if rows == MOST_ROWS {
                        return Ok(answered(file));
                    }
                    rows += 1;
                    add_line(&mut file, &cells(&question, &answer));
                }
            }
        }
    }
    Ok(answered(file))
}

/// The pages of a listing of the view `predictions`.
struct Pages {
    listing: &'static str,
    group: Option<String>,
    cursor: Option<String>,
    is_over: bool,
}

impl Pages {
    const fn new(listing: &'static str, group: Option<String>) -> Self {
        Self {
            listing,
            group,
            cursor: None,
            is_over: false,
        }
    }

    /// The next page; `None` after the last.
    async fn next(
        &mut self,
        gateway: &SharedGateway,
        caller: &Caller,
    ) -> Result<Option<Vec<PredictionDocument>>, ApiProblem> {
        if self.is_over {
            return Ok(None);
        }
        let request = ListingRequest {
            view: "predictions".to_owned(),
            listing: Some(self.listing.to_owned()),
            group: self.group.clone(),
            order: Order::Asc,
            limit: Some(PAGE),
            cursor: self.cursor.take(),
        };
        let (rows, next) = page(gateway, caller.workspace(), caller.actor(), request).await?;
        self.is_over = next.is_none();
        self.cursor = next;
        Ok(Some(rows))
    }
}

fn answered(file: String) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (
            CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"results.csv\""),
        ),
    ];
    (headers, file).into_response()
}

/// The cells of an answer, in the order of the columns.
fn cells(question: &QuestionDocument, answer: &AnswerDocument) -> [String; 8] {
    let text = |text: Option<&str>| text.map(as_text).unwrap_or_default();
    let label = answer.choice.and_then(|choice| {
        let index = usize::from(choice).checked_sub(1)?;
        question.labels.get(index)
    });
    let given = match label {
        Some(label) => as_text(label),
        None => answer.value().map(|value| value.to_string()).unwrap_or_default(),
    };
    let is_right = match question.is_right(answer) {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    [
        text(question.lesson.as_deref()),
        text(question.step.as_deref()),
        match &question.text {
            Some(own) => as_text(own),
            None => question.question.to_string(),
        },
        as_text(&answer.name),
        given,
        is_right.to_owned(),
        question.asked_at.map(|at| at.to_string()).unwrap_or_default(),
        answer.at.to_string(),
    ]
}

/// A text of a person that no spreadsheet takes for a formula: also after white space, and in the wide forms
/// of the signs that Japanese keyboards have.
fn as_text(text: &str) -> String {
    let begins_formula = |sign: char| {
        matches!(
            sign,
            '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    };
    let is_control = text.starts_with(['\t', '\r', '\n']);
    if is_control || text.trim_start().starts_with(begins_formula) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Adds a line, each cell in quotation marks, which are doubled in it.
fn add_line(file: &mut String, cells: &[String; 8]) {
    for (n, cell) in cells.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        // A text takes every character.
        let _ = write!(file, "{comma}\"{}\"", cell.replace('"', "\"\""));
    }
    file.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use domain::{timestamp::Timestamp, view::predictions::Revealed};
    use uuid::Uuid;

    use super::*;

    fn question() -> QuestionDocument {
        let json = serde_json::json!({
            "question": Uuid::from_u128(9), "text": "How many, \"really\"?", "choices": 2,
            "labels": ["One", "=Both"], "counts": [0, 1], "answers": 1, "asked_at": "2026-11-29T08:00:00Z",
        });
        serde_json::from_value(json).unwrap()
    }

    fn answer(name: &str) -> AnswerDocument {
        AnswerDocument {
            question: Uuid::from_u128(9),
            person: Uuid::from_u128(1),
            name: name.to_owned(),
            choice: Some(2),
            number: None,
            at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\u{ff1d}1", "\r=1"] {
            assert_eq!(as_text(formula), format!("'{formula}"), "{formula:?}");
        }
        for text in ["Ada", "O'Brien", "a=b", "1-2", ""] {
            assert_eq!(as_text(text), text);
        }
    }

    #[test]
    fn a_line_has_its_cells_in_quotation_marks_and_ends_with_both_characters() {
        let mut file = String::new();
        add_line(&mut file, &cells(&question(), &answer("Ada,\nCountess")));
        assert_eq!(
            file,
            "\"\",\"\",\"How many, \"\"really\"\"?\",\"Ada,\nCountess\",\"'=Both\",\"\",\
             \"2026-11-29T08:00:00.000000Z\",\"1970-01-01T00:00:00.000000Z\"\r\n"
        );
    }

    #[test]
    fn a_row_says_whether_the_answer_is_right_once_that_is_revealed() {
        let mut question = question();
        assert_eq!(cells(&question, &answer("Ada"))[5], "");
        let mut reveal = |right| {
            question.revealed = Some(Revealed {
                right,
                tolerance: 0,
                right_count: 0,
                at: Timestamp::from_micros(0),
            });
            cells(&question, &answer("Ada"))[5].clone()
        };
        assert_eq!((reveal(2).as_str(), reveal(1).as_str()), ("yes", "no"));
    }
}
