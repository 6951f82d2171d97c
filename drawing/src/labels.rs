//! The tables of labels: what is written on a sheet, by language, and the check of a table that a client
//! sends.
//!
//! A table is flat: an id, and the text that stands in its place. The ids are those of the English table; a
//! test holds the other languages to it. A client may send a table in any language, with all ids of its sheet
//! and no other.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::language::Language;

use crate::sheet::Sheet;
use crate::svg::is_forbidden;

/// How many characters a label may have. What is that long can seldom be drawn, and is then refused by
/// [`crate::draw`].
pub const LABEL_LIMIT: usize = 200;

/// How many characters the description may have: it is read aloud, and not drawn.
pub const DESCRIPTION_LIMIT: usize = 600;

/// How many characters a title may have that replaces the one of the table.
pub const TITLE_LIMIT: usize = 120;

/// The labels of the key to the flows, which both sheets show.
const SHARED: [&str; 3] = ["flow.command", "flow.event", "flow.query"];

/// The texts of the tables, in the order of [`Language::ALL`].
const TABLES: [&str; Language::ALL.len()] = [
    include_str!("../labels/en.json"),
    include_str!("../labels/es.json"),
    include_str!("../labels/pt.json"),
    include_str!("../labels/fr.json"),
    include_str!("../labels/de.json"),
    include_str!("../labels/it.json"),
    include_str!("../labels/pl.json"),
    include_str!("../labels/tr.json"),
    include_str!("../labels/uk.json"),
    include_str!("../labels/ar.json"),
    include_str!("../labels/hi.json"),
    include_str!("../labels/zh.json"),
    include_str!("../labels/ja.json"),
    include_str!("../labels/ko.json"),
    include_str!("../labels/id.json"),
];

#[expect(
    clippy::expect_used,
    reason = "the tables are part of the program, and a test parses each of them"
)]
static PARSED: LazyLock<Vec<Labels>> = LazyLock::new(|| {
    let parse = |table| serde_json::from_str(table).expect("a table of labels is an object of texts");
    TABLES.iter().map(|table| Labels(parse(table))).collect()
});

/// The labels of a sheet, or of all sheets, in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The labels of both sheets in one of the languages that come with the program.
    pub fn of(language: Language) -> &'static Self {
        &PARSED[language as usize]
    }

    /// Checks a table that a client sent for a sheet. Every violation is named, not only the first.
    pub fn check(sheet: Sheet, table: BTreeMap<String, String>) -> Result<Self, Vec<LabelError>> {
        let mut errors = Vec::new();
        for id in label_ids(sheet) {
            match table.get(id) {
                None => errors.push(LabelError::Missing { label: id.to_owned() }),
                Some(text) => errors.extend(violation(id, text)),
            }
        }
        let unknown = table
            .keys()
            .filter(|id| !label_ids(sheet).any(|it| it == id.as_str()));
        errors.extend(unknown.map(|id| LabelError::Unknown { label: id.clone() }));
        if errors.is_empty() {
            Ok(Self(table))
        } else {
            Err(errors)
        }
    }

    /// All texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// The text of a label.
    pub fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

/// The ids of the labels of a sheet, sorted.
pub fn label_ids(sheet: Sheet) -> impl Iterator<Item = &'static str> {
    let english = &Labels::of(Language::En).0;
    english.keys().map(String::as_str).filter(move |id| match sheet {
        Sheet::Pattern => !id.starts_with("business."),
        Sheet::Business => id.starts_with("business.") || SHARED.contains(id),
    })
}

/// How many characters the label may have.
pub fn label_limit(id: &str) -> usize {
    if id.ends_with(".description") {
        DESCRIPTION_LIMIT
    } else {
        LABEL_LIMIT
    }
}

/// What is wrong with the text of a label, if anything is.
fn violation(id: &str, text: &str) -> Option<LabelError> {
    let label = id.to_owned();
    let limit = label_limit(id);
    if text.chars().any(is_forbidden) {
        Some(LabelError::ControlCharacter { label })
    } else if stacks_marks(text) {
        Some(LabelError::StackedMarks { label })
    } else if is_blank(text) {
        Some(LabelError::Empty { label })
    } else if text.chars().count() > limit {
        Some(LabelError::TooLong { label, limit })
    } else {
        None
    }
}

/// Whether nothing of a text can be seen.
pub(crate) fn is_blank(text: &str) -> bool {
    let is_invisible = |it: char| {
        it.is_whitespace() || matches!(it, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    text.chars().all(is_invisible)
}

/// How many marks may stand on one letter. Pointed Hebrew has three.
const MARKS_LIMIT: usize = 4;

/// Whether marks are stacked so high on a letter that they would reach into other texts.
pub(crate) fn stacks_marks(text: &str) -> bool {
    let is_mark = |it: char| {
        matches!(it, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}'
            | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{6d6}'..='\u{6ed}' | '\u{e31}'..='\u{e4e}'
            | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
            | '\u{fe20}'..='\u{fe2f}')
    };
    let mut marks = 0;
    text.chars().any(|it| {
        marks = if is_mark(it) { marks + 1 } else { 0 };
        marks > MARKS_LIMIT
    })
}

/// What is wrong with a table of labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The sheet needs it.
    #[error("the label {label:?} is missing")]
    Missing {
        /// The id of the label.
        label: String,
    },
    /// The sheet has no such label.
    #[error("the sheet has no label {label:?}")]
    Unknown {
        /// The id that was sent.
        label: String,
    },
    /// There is nothing to draw.
    #[error("the label {label:?} is empty")]
    Empty {
        /// The id of the label.
        label: String,
    },
    /// It has more characters than a label may have.
    #[error("the label {label:?} has more than {limit} characters")]
    TooLong {
        /// The id of the label.
        label: String,
        /// How many it may have.
        limit: usize,
    },
    /// It has more marks on a letter than a line has room for.
    #[error("the label {label:?} has more than {MARKS_LIMIT} marks on a letter")]
    StackedMarks {
        /// The id of the label.
        label: String,
    },
    /// It has a character that cannot be drawn, or one that reorders the text around it.
    #[error("the label {label:?} contains a control character")]
    ControlCharacter {
        /// The id of the label.
        label: String,
    },
}

impl LabelError {
    /// The id of the label that it is about.
    pub fn label(&self) -> &str {
        match self {
            Self::Missing { label }
            | Self::Unknown { label }
            | Self::Empty { label }
            | Self::TooLong { label, .. }
            | Self::ControlCharacter { label }
            | Self::StackedMarks { label } => label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english(sheet: Sheet) -> BTreeMap<String, String> {
        let labels = Labels::of(Language::En);
        label_ids(sheet)
            .map(|id| (id.to_owned(), labels.get(id).unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn every_language_has_the_labels_of_english_and_each_passes_the_check() {
        for language in Language::ALL {
            let labels = Labels::of(language);
            assert!(
                labels.0.keys().eq(Labels::of(Language::En).0.keys()),
                "{language}"
            );
            for (id, text) in &labels.0 {
                assert_eq!(violation(id, text), None, "{language}");
            }
        }
    }

    #[test]
    fn a_table_with_the_labels_of_its_sheet_is_accepted() {
        for sheet in Sheet::ALL {
            assert!(Labels::check(sheet, english(sheet)).is_ok());
        }
    }

    #[test]
    fn each_violation_is_refused_by_the_name_of_its_label() {
        let mut table = english(Sheet::Business);
        table.remove("business.title");
        table.insert("business.box.read_db".to_owned(), " \u{ad}".to_owned());
        table.insert("business.box.write_model".to_owned(), "x".repeat(201));
        table.insert("business.box.read_model".to_owned(), "abc\u{202e}def".to_owned());
        table.insert(
            "business.legend.1".to_owned(),
            format!("e{}", "\u{301}".repeat(5)),
        );
        table.insert("pattern.title".to_owned(), "of the other sheet".to_owned());
        let label = |id: &str| id.to_owned();
        assert_eq!(
            Labels::check(Sheet::Business, table).unwrap_err(),
            [
                LabelError::Empty {
                    label: label("business.box.read_db")
                },
                LabelError::ControlCharacter {
                    label: label("business.box.read_model")
                },
                LabelError::TooLong {
                    label: label("business.box.write_model"),
                    limit: 200
                },
                LabelError::StackedMarks {
                    label: label("business.legend.1")
                },
                LabelError::Missing {
                    label: label("business.title")
                },
                LabelError::Unknown {
                    label: label("pattern.title")
                },
            ]
        );
    }

    #[test]
    fn the_sheets_share_the_key_to_the_flows_alone() {
        let shared: Vec<_> = label_ids(Sheet::Pattern)
            .filter(|id| label_ids(Sheet::Business).any(|it| it == *id))
            .collect();
        assert_eq!(shared, SHARED);
    }
}
