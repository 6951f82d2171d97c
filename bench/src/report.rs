//! What was found: as a table for a person, as JSON for a program, and as Markdown for `docs/performance.md`. Standard
//! output has the findings and nothing else; how far the run is goes to standard error.

mod text;

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use serde::Serialize;

use crate::{
    contest::{Found, Rules},
    grounds::{Database, Grounds},
    surroundings::Surroundings,
};

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Markdown,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    surroundings: Surroundings,
    seconds: f64,
    runs: u32,
    cases: Vec<CaseOf>,
}

#[derive(Debug, Serialize)]
struct CaseOf {
    benchmark: &'static str,
    #[serde(flatten)]
    found: Found,
}

impl Report {
    /// Nothing yet; where and how it will be found.
    pub(crate) async fn new(rules: &Rules, grounds: &Grounds, databases: &[Database]) -> Result<Self> {
        Ok(Self {
            surroundings: Surroundings::look(grounds, databases).await?,
            seconds: rules.time.as_secs_f64(),
            runs: rules.runs,
            cases: Vec::new(),
        })
    }

    /// One case more.
    pub(crate) fn add(&mut self, benchmark: &'static str, found: Found) {
        self.cases.push(CaseOf { benchmark, found });
    }

    /// All of it.
    pub(crate) fn show(&self, format: Format) -> Result<String> {
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            Format::Text => text::plain(self),
            Format::Markdown => text::markdown(self),
        })
    }
}

/// A line that stays.
pub(crate) fn progress(line: &str) {
    clear();
    eprintln!("{line}");
}

/// A line that the next one replaces, where somebody is watching.
pub(crate) fn step(line: &str) {
    if std::io::stderr().is_terminal() {
        clear();
        eprint!("{line} …");
        // a line that is not shown is no loss
        let _ = std::io::stderr().flush();
    }
}

fn clear() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

/// A figure as people write it: three digits that mean something, and thousands apart.
pub(crate) fn number(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut apart = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        for (figure, written) in [
            (0.847, "0.85"),
            (9.5, "9.50"),
            (12.34, "12.3"),
            (99.94, "99.9"),
            (640.2, "640"),
            (1_234.0, "1,234"),
            (395_000.4, "395,000"),
            (1_470_000.0, "1,470,000"),
        ] {
            assert_eq!(number(figure), written);
        }
    }
}
