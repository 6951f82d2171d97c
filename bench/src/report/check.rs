//! `--check`: the ratios of this run beside those of a recorded report, as Markdown has them. Absolute
//! figures depend on the machine and the hour, and are not compared.
//!
//! A ratio is worse if all of its runs are worse than all of the recorded runs. Ratios of runs spread, so a
//! narrower rule would fail for no reason.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::{Report, ReportedCase, number, progress, text::subject};
use crate::{case::ComparisonResult, figures::Spread};

/// Recorded ratios are rounded, to two decimals where they are small.
const ROUNDING: f64 = 0.02;

/// The names of contenders that are ours begin so.
const OURS: &str = "ours";

/// Where a ratio is in a report: benchmark, case, subject, and what it is compared with.
type Place = (String, String, String, String);

/// A recorded ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Recorded {
    median: f64,
    min: f64,
    max: f64,
}

/// How a ratio compares with the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Better,
    Worse,
}

/// Compares the reports; the error says how many ratios are worse.
pub(super) fn check(report: &Report, recorded: &str) -> Result<()> {
    let recorded = parse(recorded);
    let (mut compared, mut worse) = (0, 0);
    progress("| benchmark | case | of | to | recorded | now | |\n|---|---|---|---|---:|---:|---|");
    for ReportedCase { benchmark, found } in &report.cases {
        for comparison in &found.comparisons {
            let (Some(to), Some(more_is_better)) = (&comparison.to, more_is_better(comparison)) else {
                continue;
            };
            let subject = subject(comparison.measure, &comparison.of);
            let place = (
                (*benchmark).to_owned(),
                found.title.clone(),
                subject.clone(),
                to.clone(),
            );
            let now = &comparison.figure;
            let (before, verdict) = match recorded.get(&place) {
                Some(before) => {
                    compared += 1;
                    let verdict = verdict(before, now, more_is_better);
                    worse += usize::from(verdict == Verdict::Worse);
                    (written(before.median, before.min, before.max), verdict.name())
                }
                None => ("–".to_owned(), "not recorded"),
            };
            let now = written(now.median, now.min, now.max);
            progress(&format!(
                "| {benchmark} | {} | {subject} | {to} | {before} | {now} | {verdict} |",
                found.title
            ));
        }
    }
    ensure!(compared > 0, "the recorded report has no ratio of this run");
    if worse > 0 {
        bail!("{worse} of {compared} ratios are worse than recorded, beyond both spreads");
    }
    progress(&format!("none of {compared} ratios is worse than recorded"));
    Ok(())
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Better => "better",
            Self::Worse => "**worse**",
        }
    }
}

/// Whether a larger ratio is better for ours; `None` if ours is not in it.
fn more_is_better(comparison: &ComparisonResult) -> Option<bool> {
    let more = comparison.measure.more_is_better();
    if comparison.of.starts_with(OURS) {
        return Some(more);
    }
    let to = comparison.to.as_ref()?;
    to.starts_with(OURS).then_some(!more)
}

fn verdict(before: &Recorded, now: &Spread, more_is_better: bool) -> Verdict {
    let (above, below) = (
        now.min > before.max * (1.0 + ROUNDING),
        now.max < before.min * (1.0 - ROUNDING),
    );
    match (above, below, more_is_better) {
        (true, _, true) | (_, true, false) => Verdict::Better,
        (true, _, false) | (_, true, true) => Verdict::Worse,
        _ => Verdict::Same,
    }
}

fn written(median: f64, min: f64, max: f64) -> String {
    format!("{} ({} – {})", number(median), number(min), number(max))
}

/// The ratios of a report in Markdown.
fn parse(markdown: &str) -> BTreeMap<Place, Recorded> {
    let mut ratios = BTreeMap::new();
    let (mut benchmark, mut case) = ("", "");
    for line in markdown.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            benchmark = name.trim();
        } else if let Some(title) = line.strip_prefix("**").and_then(|line| line.strip_suffix("**")) {
            case = title;
        } else if let Some((of, to, ratio)) = row(line) {
            let place = (
                benchmark.to_owned(),
                case.to_owned(),
                of.to_owned(),
                to.to_owned(),
            );
            ratios.insert(place, ratio);
        }
    }
    ratios
}

/// A row of a table of comparisons: of, to, ratio, min – max, aim, and whether it is met.
fn row(line: &str) -> Option<(&str, &str, Recorded)> {
    let cells: Vec<_> = line
        .strip_prefix('|')?
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let &[of, to, median, ends, _aim, _met] = cells.as_slice() else {
        return None;
    };
    let (min, max) = ends.split_once(" – ")?;
    let ratio = Recorded {
        median: parsed(median)?,
        min: parsed(min)?,
        max: parsed(max)?,
    };
    Some((of, to, ratio))
}

/// A figure as [`number`] writes it.
fn parsed(figure: &str) -> Option<f64> {
    figure.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Measure, Threshold};

    const REPORT: &str = "\
### append

**SQLite, 1 caller**

| | events/s | min – max | p50 ms | p99 ms | CPU ms |
|---|---:|---:|---:|---:|---:|
| ours | 5,800 | 5,695 – 5,881 | 0.16 | 0.29 | 0.10 |

| of | to | ratio | min – max | aim | |
|---|---|---:|---:|---|---|
| ours | one-row commits | 0.51 | 0.50 – 0.52 | at least 0.60 | **missed** |
| p50 of cqrs-es | ours | 1,447 | 1,402 – 1,596 |  |  |
| ours | – | 5,800 | 5,695 – 5,881 |  |  |
";

    fn spread(figures: &[f64]) -> Spread {
        Spread::of(figures.to_vec()).unwrap()
    }

    fn comparison(of: &str, to: &str, measure: Measure) -> ComparisonResult {
        ComparisonResult {
            of: of.to_owned(),
            to: Some(to.to_owned()),
            measure,
            figure: spread(&[1.0]),
            aim: Threshold::None,
            met: None,
        }
    }

    #[test]
    fn a_report_is_read_back() {
        let ratios = parse(REPORT);
        let place = |of: &str, to: &str| {
            let [benchmark, case] = ["append", "SQLite, 1 caller"].map(str::to_owned);
            (benchmark, case, of.to_owned(), to.to_owned())
        };
        assert_eq!(ratios.len(), 3, "rows of contenders are no ratios: {ratios:?}");
        let ours = ratios[&place("ours", "one-row commits")];
        assert_eq!((ours.median, ours.min, ours.max), (0.51, 0.50, 0.52));
        let peer = ratios[&place(&subject(Measure::P50, "cqrs-es"), "ours")];
        assert_eq!((peer.median, peer.min, peer.max), (1447.0, 1402.0, 1596.0));
    }

    #[test]
    fn a_ratio_is_worse_only_beyond_both_spreads() {
        let before = Recorded {
            median: 0.5,
            min: 0.48,
            max: 0.52,
        };
        for (now, more_is_better, expected) in [
            ([0.40, 0.45, 0.49], true, Verdict::Same),
            ([0.40, 0.45, 0.46], true, Verdict::Worse),
            ([0.40, 0.45, 0.46], false, Verdict::Better),
            ([0.60, 0.65, 0.66], true, Verdict::Better),
            ([0.60, 0.65, 0.66], false, Verdict::Worse),
            ([0.475, 0.475, 0.475], true, Verdict::Same),
        ] {
            assert_eq!(
                verdict(&before, &spread(&now), more_is_better),
                expected,
                "{now:?}"
            );
        }
    }

    #[test]
    fn a_slower_peer_is_better_for_ours() {
        let judged = |of, to, measure| more_is_better(&comparison(of, to, measure));
        assert_eq!(judged("ours", "cqrs-es", Measure::PerSecond), Some(true));
        assert_eq!(
            judged("ours, 10 events", "ours, 1 event", Measure::P50),
            Some(false)
        );
        assert_eq!(judged("cqrs-es", "ours, in memory", Measure::P50), Some(true));
        assert_eq!(judged("bare", "cqrs-es", Measure::PerSecond), None);
    }
}
