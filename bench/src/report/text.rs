//! Tables, plain and in Markdown: for each case the contenders, then the comparisons.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Report, ReportedCase, number};
use crate::{
    case::{ComparisonResult, ContenderResult, Measure, Series, Threshold},
    figures::Spread,
};

/// The columns of a table by tenths of the time.
const TENTHS: usize = 10;

/// The report for a terminal.
pub(super) fn plain(report: &Report) -> String {
    let mut out = String::new();
    for line in preface(report) {
        let _ = writeln!(out, "{line}");
    }
    for ReportedCase { benchmark, found } in &report.cases {
        let title = format!("{benchmark} · {}", found.title);
        let per_second = format!("{}/s", found.unit);
        let _ = write!(
            out,
            "\n{title:<48} {per_second:>12} {:>20} {:>9} {:>9} {:>8}",
            "min – max", "p50 ms", "p99 ms", "flushes"
        );
        let costs = costs(&found.contenders);
        for cost in &costs {
            let _ = write!(out, " {:>9}", cost.heading());
        }
        out.push('\n');
        for placed in &found.contenders {
            let [rate, ends, p50, p99, flushes] = cells(placed);
            let _ = write!(
                out,
                "  {:<46} {rate:>12} {ends:>20} {p50:>9} {p99:>9} {flushes:>8}",
                placed.name
            );
            for cost in &costs {
                let _ = write!(out, " {:>9}", cost.cell(placed));
            }
            out.push('\n');
            if !placed.named.is_empty() {
                let _ = writeln!(out, "    {}", named_line(placed));
            }
            for series in &placed.series {
                let _ = writeln!(
                    out,
                    "    {}, by tenths: {}",
                    series.name,
                    tenths(series).join(", ")
                );
            }
        }
        for compared in &found.comparisons {
            let _ = writeln!(out, "  → {}", sentence(compared));
        }
    }
    let _ = writeln!(out, "\n{}", tally(report));
    out
}

/// The report as Markdown.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    for line in preface(report) {
        let _ = writeln!(out, "- {line}");
    }
    let mut section = "";
    for ReportedCase { benchmark, found } in &report.cases {
        if section != *benchmark {
            section = benchmark;
            let _ = writeln!(out, "\n### {benchmark}");
        }
        let _ = write!(
            out,
            "\n**{}**\n\n| | {}/s | min – max | p50 ms | p99 ms |",
            found.title, found.unit
        );
        let costs = costs(&found.contenders);
        for cost in &costs {
            let _ = write!(out, " {} |", cost.heading());
        }
        let _ = writeln!(out, "\n|---|---:|---:|---:|---:|{}", "---:|".repeat(costs.len()));
        for placed in &found.contenders {
            let [rate, ends, p50, p99, _] = cells(placed);
            let _ = write!(out, "| {} | {rate} | {ends} | {p50} | {p99} |", placed.name);
            for cost in &costs {
                let _ = write!(out, " {} |", cost.cell(placed));
            }
            out.push('\n');
        }
        further_tables(&mut out, &found.contenders);
        if !found.comparisons.is_empty() {
            let _ = writeln!(
                out,
                "\n| of | to | ratio | min – max | aim | |\n|---|---|---:|---:|---|---|"
            );
        }
        for compared in &found.comparisons {
            let to = compared.to.as_deref().unwrap_or("–");
            let met = match compared.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            };
            let _ = writeln!(
                out,
                "| {} | {to} | {} | {} | {} | {met} |",
                subject(compared.measure, &compared.of),
                number(compared.figure.median),
                ends(&compared.figure),
                threshold_text(compared.aim)
            );
        }
    }
    let _ = writeln!(out, "\n{}", tally(report));
    out
}

/// The figures that only some benchmarks have: a column for each, and a table of those by tenths of the time.
fn further_tables(out: &mut String, placed: &[ContenderResult]) {
    let names: BTreeSet<_> = placed.iter().flat_map(|result| result.named.keys()).collect();
    if !names.is_empty() {
        out.push_str("\n| |");
        for name in &names {
            let _ = write!(out, " {name} |");
        }
        let _ = writeln!(out, "\n|---|{}", "---:|".repeat(names.len()));
        for result in placed {
            let _ = write!(out, "| {} |", result.name);
            for name in &names {
                let spread = result.named.get(*name);
                let cell = spread.map_or_else(|| "–".to_owned(), |spread| number(spread.median));
                let _ = write!(out, " {cell} |");
            }
            out.push('\n');
        }
    }
    for result in placed.iter().filter(|result| !result.series.is_empty()) {
        let _ = writeln!(
            out,
            "\n| {}, by tenths of the time |{}",
            result.name,
            " |".repeat(TENTHS)
        );
        let _ = writeln!(out, "|---|{}", "---:|".repeat(TENTHS));
        for series in &result.series {
            let _ = writeln!(out, "| {} | {} |", series.name, tenths(series).join(" | "));
        }
    }
}

fn named_line(placed: &ContenderResult) -> String {
    let figures = placed.named.iter();
    let figures: Vec<_> = figures
        .map(|(name, spread)| format!("{name}: {}", number(spread.median)))
        .collect();
    figures.join("; ")
}

fn tenths(series: &Series) -> Vec<String> {
    series.tenths.iter().map(|figure| number(*figure)).collect()
}

fn preface(report: &Report) -> Vec<String> {
    let around = &report.environment;
    let pairs = |pairs: &std::collections::BTreeMap<&str, String>, between: &str| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        pairs.join(between)
    };
    vec![
        format!(
            "machine: {}, {} cores, {} GiB, Linux {}, {}; clients, database and load on the same cores",
            around.processor, around.cores, around.memory_gib, around.kernel, around.file_system
        ),
        format!("versions: {}", pairs(&around.versions, ", ")),
        format!("durability: {}", pairs(&around.durability, "; ")),
        format!(
            "{} runs of {} s each, in turns; a figure is the median of the runs, a ratio the median of \
             the ratios of each run",
            report.runs, report.seconds
        ),
    ]
}

/// A column that only some cases have.
#[derive(Debug, Clone, Copy)]
enum CostColumn {
    Cpu,
    Size,
}

/// The columns of costs of a case: those that a contender has.
fn costs(placed: &[ContenderResult]) -> Vec<CostColumn> {
    [CostColumn::Cpu, CostColumn::Size]
        .into_iter()
        .filter(|column| placed.iter().any(|result| column.of(result).is_some()))
        .collect()
}

impl CostColumn {
    fn heading(self) -> &'static str {
        match self {
            Self::Cpu => "CPU ms",
            Self::Size => "KiB",
        }
    }

    fn of(self, placed: &ContenderResult) -> Option<&Spread> {
        match self {
            Self::Cpu => placed.figures.cpu_ms.as_ref(),
            Self::Size => placed.figures.kib.as_ref(),
        }
    }

    fn cell(self, placed: &ContenderResult) -> String {
        self.of(placed)
            .map_or_else(|| "–".to_owned(), |spread| number(spread.median))
    }
}

/// Rate, its minimum and maximum, p50, p99, flushes.
fn cells(placed: &ContenderResult) -> [String; 5] {
    let dash = || "–".to_owned();
    let figures = &placed.figures;
    [
        number(figures.per_second.median),
        ends(&figures.per_second),
        figures
            .p50_ms
            .as_ref()
            .map_or_else(dash, |spread| number(spread.median)),
        figures.p99_ms.map_or_else(dash, number),
        placed.flushes.map_or_else(dash, number),
    ]
}

fn ends(spread: &Spread) -> String {
    format!("{} – {}", number(spread.min), number(spread.max))
}

/// What is compared, as reports write it and `check` finds it again.
pub(super) fn subject(measure: Measure, of: &str) -> String {
    let prefix = match measure {
        Measure::PerSecond => "",
        Measure::P50 => "p50 of ",
        Measure::P99 => "p99 of ",
        Measure::Cpu => "CPU ms of ",
        Measure::Size => "KiB of ",
        Measure::Named(name) => return format!("{name} of {of}"),
    };
    format!("{prefix}{of}")
}

fn threshold_text(aim: Threshold) -> String {
    match aim {
        Threshold::AtLeast(least) => format!("at least {}", number(least)),
        Threshold::AtMost(most) => format!("at most {}", number(most)),
        Threshold::None => String::new(),
    }
}

fn sentence(compared: &ComparisonResult) -> String {
    let figure = number(compared.figure.median);
    let subject = subject(compared.measure, &compared.of);
    let mut sentence = match &compared.to {
        Some(to) => format!("{subject} is {figure} × {to}"),
        None => format!("{subject} is {figure}"),
    };
    let _ = write!(sentence, " ({})", ends(&compared.figure));
    if let Some(met) = compared.met {
        let met = if met { "met" } else { "MISSED" };
        let _ = write!(sentence, "; aim: {}: {met}", threshold_text(compared.aim));
    }
    sentence
}

fn tally(report: &Report) -> String {
    let all = report.cases.iter().flat_map(|case| &case.found.comparisons);
    let (met, missed) = all.fold((0, 0), |(met, missed), compared| match compared.met {
        Some(true) => (met + 1, missed),
        Some(false) => (met, missed + 1),
        None => (met, missed),
    });
    format!("aims met: {met}, missed: {missed}")
}
