//! The results: as a table, as JSON, and as Markdown for `docs/performance.md`. Standard output has only the
//! results; progress goes to standard error.

mod check;
mod plots;
mod text;

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    case::{CaseResult, RunSettings},
    databases::{BenchDatabases, Database},
    environment::Environment,
};

/// The format of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Markdown,
}

/// All results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(rename = "surroundings")]
    environment: Environment,
    seconds: f64,
    runs: u32,
    cases: Vec<ReportedCase>,
}

#[derive(Debug, Serialize)]
struct ReportedCase {
    benchmark: &'static str,
    #[serde(flatten)]
    found: CaseResult,
}

impl Report {
    /// An empty report with the environment of the run.
    pub(crate) async fn new(
        settings: &RunSettings,
        bench_databases: &BenchDatabases,
        databases: &[Database],
    ) -> Result<Self> {
        Ok(Self {
            environment: Environment::detect(bench_databases, databases).await?,
            seconds: settings.time.as_secs_f64(),
            runs: settings.runs,
            cases: Vec::new(),
        })
    }

    /// Adds a case.
    pub(crate) fn add(&mut self, benchmark: &'static str, found: CaseResult) {
        self.cases.push(ReportedCase { benchmark, found });
    }

    /// Compares its ratios with those of a recorded report in Markdown; writes a table to standard error.
    /// An error if one is worse beyond both spreads.
    pub(crate) fn check(&self, recorded: &str) -> Result<()> {
        check::check(self, recorded)
    }

    /// Writes its plots into a folder.
    pub(crate) fn plot(&self, folder: &Path) -> Result<()> {
        plots::write(self, folder)
    }

    /// Renders the report.
    pub(crate) fn show(&self, format: Format) -> Result<String> {
        Ok(match format {
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            Format::Text => text::plain(self),
            Format::Markdown => text::markdown(self),
        })
    }
}

/// Writes a line of progress.
pub(crate) fn progress(line: &str) {
    clear();
    eprintln!("{line}");
}

/// Writes a line that the next one replaces, if standard error is a terminal.
pub(crate) fn step(line: &str) {
    if std::io::stderr().is_terminal() {
        clear();
        eprint!("{line} …");
        // A failed write of progress is ignored.
        let _ = std::io::stderr().flush();
    }
}

fn clear() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

/// Formats a figure with three significant digits and thousands separators.
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
