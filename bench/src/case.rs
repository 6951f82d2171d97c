//! A case: contenders that do the same work in turns. In each run every contender is measured once, one after
//! the other, so that other load on the machine affects all of them; then the next run begins.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use serde::Serialize;

use crate::{
    figures::{Figures, Sample, Spread},
    report,
};

/// The settings of all cases.
#[derive(Debug, Clone)]
pub(crate) struct RunSettings {
    /// How often each contender is measured.
    pub(crate) runs: u32,
    /// How long a measurement takes.
    pub(crate) time: Duration,
    /// Only cases whose titles contain this are run.
    pub(crate) case: String,
    /// Only contenders whose names contain this are run.
    pub(crate) contender: String,
    /// Whether to run the sizes that take hours.
    pub(crate) big: bool,
    /// The release of the product, for benchmarks that measure it from outside.
    pub(crate) foldline: Option<PathBuf>,
    /// The folder of the peer Emmett, with its packages; absent if they could not be installed.
    pub(crate) emmett: Option<PathBuf>,
    /// The folder of the program that measures the product in a browser; absent if its packages could not be
    /// installed.
    pub(crate) client: Option<PathBuf>,
}

/// Figures that only some benchmarks have, by their names with units.
pub(crate) type NamedFigures = BTreeMap<&'static str, f64>;

/// A figure over the time of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// The figure of each tenth of the time.
    pub(crate) tenths: Vec<f64>,
    /// Seconds since the beginning, and the figure.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A measured program. It is dropped after the case, with all its data.
#[async_trait(?Send)]
pub(crate) trait Contender {
    /// Its name in results.
    fn name(&self) -> String;

    /// Does its work for about this long.
    async fn run(&mut self, time: Duration) -> Result<Sample>;

    /// The flushes of the disk for one call, if they were counted.
    fn flushes(&self) -> Option<f64> {
        None
    }

    /// Further figures of the last run; those of all runs have the same names.
    fn named(&self) -> NamedFigures {
        NamedFigures::new()
    }

    /// The course of the last run.
    fn series(&self) -> Vec<Series> {
        Vec::new()
    }

    /// Stops its background tasks.
    async fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// A compared figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// The rate: how many in a second.
    PerSecond,
    /// The median latency.
    P50,
    /// The 99th percentile of the latency.
    P99,
    /// The server's CPU time for each.
    Cpu,
    /// The server's memory or storage for each.
    Size,
    /// A figure that only some benchmarks have. Less of it is better.
    Named(&'static str),
}

impl Measure {
    /// Whether more of it is better.
    pub(crate) fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }
}

/// The threshold of a comparison.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Threshold {
    /// A minimum.
    AtLeast(f64),
    /// A maximum.
    AtMost(f64),
    /// There is no threshold.
    None,
}

impl Threshold {
    /// Whether a figure meets it; `None`: there is no threshold.
    pub(crate) fn is_met_by(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtMost(most) => Some(figure <= most),
            Self::None => None,
        }
    }
}

/// A comparison of a contender with another, or of its figure alone.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) of: String,
    /// Absent: the figure itself is compared with the threshold.
    pub(crate) to: Option<String>,
    pub(crate) measure: Measure,
    pub(crate) aim: Threshold,
}

impl Comparison {
    /// The ratio of two rates.
    pub(crate) fn rate(of: impl Into<String>, to: impl Into<String>, aim: Threshold) -> Self {
        Self {
            of: of.into(),
            to: Some(to.into()),
            measure: Measure::PerSecond,
            aim,
        }
    }

    /// The ratio of two median latencies.
    pub(crate) fn latency(of: impl Into<String>, to: impl Into<String>, aim: Threshold) -> Self {
        Self {
            of: of.into(),
            to: Some(to.into()),
            measure: Measure::P50,
            aim,
        }
    }

    /// The ratio of two figures.
    pub(crate) fn ratio(
        measure: Measure,
        of: impl Into<String>,
        to: impl Into<String>,
        aim: Threshold,
    ) -> Self {
        Self {
            of: of.into(),
            to: Some(to.into()),
            measure,
            aim,
        }
    }

    /// A figure alone.
    pub(crate) fn alone(measure: Measure, of: impl Into<String>, aim: Threshold) -> Self {
        Self {
            of: of.into(),
            to: None,
            measure,
            aim,
        }
    }

    /// The rate alone.
    pub(crate) fn absolute(of: impl Into<String>, aim: Threshold) -> Self {
        Self {
            of: of.into(),
            to: None,
            measure: Measure::PerSecond,
            aim,
        }
    }
}

/// A case: its contenders, and their comparisons.
pub(crate) struct Case<'a> {
    /// As in `PostgreSQL, 64 callers`.
    pub(crate) title: String,
    /// What is counted: `events`, `commands`.
    pub(crate) unit: &'static str,
    pub(crate) contenders: Vec<Box<dyn Contender + 'a>>,
    pub(crate) comparisons: Vec<Comparison>,
}

/// The result of a contender.
#[derive(Debug, Serialize)]
pub(crate) struct ContenderResult {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// Flushes of the disk for one call of one caller; absent if the disk does not count them.
    pub(crate) flushes: Option<f64>,
    /// Figures that only some benchmarks have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) named: BTreeMap<&'static str, Spread>,
    /// The course of the last run, of a benchmark that shows one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<Series>,
}

/// The result of a comparison.
#[derive(Debug, Serialize)]
pub(crate) struct ComparisonResult {
    pub(crate) of: String,
    pub(crate) to: Option<String>,
    pub(crate) measure: Measure,
    /// The ratio, or the figure itself without another contender.
    pub(crate) figure: Spread,
    pub(crate) aim: Threshold,
    pub(crate) met: Option<bool>,
}

/// The result of a case.
#[derive(Debug, Serialize)]
pub(crate) struct CaseResult {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) contenders: Vec<ContenderResult>,
    pub(crate) comparisons: Vec<ComparisonResult>,
}

impl RunSettings {
    /// Whether to run a case with this title. Checked before it is prepared, which may take longer than the
    /// case.
    pub(crate) fn includes(&self, title: &str) -> bool {
        title.contains(&self.case)
    }

    /// The release of the product.
    pub(crate) fn foldline(&self) -> Result<&Path> {
        let program = self.foldline.as_deref();
        program.context("the product is measured from outside: name its program with --foldline")
    }
}

impl Case<'_> {
    /// Runs the contenders in turns.
    pub(crate) async fn run(mut self, settings: &RunSettings) -> Result<Option<CaseResult>> {
        self.contenders
            .retain(|contender| contender.name().contains(&settings.contender));
        if self.contenders.is_empty() {
            return Ok(None);
        }
        let mut samples: Vec<Vec<Sample>> = self.contenders.iter().map(|_| Vec::new()).collect();
        let mut named: Vec<Vec<NamedFigures>> = self.contenders.iter().map(|_| Vec::new()).collect();
        // A tenth of the time to warm up plans, pages and pools; it does not count.
        for run in 0..=settings.runs {
            for (contender, (samples, named)) in
                self.contenders.iter_mut().zip(samples.iter_mut().zip(&mut named))
            {
                let name = contender.name();
                let (time, what) = if run == 0 {
                    (settings.time / 10, "warms up".to_owned())
                } else {
                    (settings.time, format!("run {run} of {}", settings.runs))
                };
                report::step(&format!("{}: {name}, {what}", self.title));
                let sample = contender
                    .run(time)
                    .await
                    .with_context(|| format!("{}: {name}", self.title))?;
                if run > 0 {
                    samples.push(sample);
                    named.push(contender.named());
                }
            }
        }
        let mut results = Vec::with_capacity(samples.len());
        for (contender, (samples, named)) in self.contenders.iter().zip(samples.iter().zip(&named)) {
            results.push(ContenderResult {
                name: contender.name(),
                figures: Figures::of(samples)?,
                flushes: contender.flushes(),
                named: spreads(named)?,
                series: contender.series(),
            });
        }
        for contender in self.contenders {
            contender.close().await?;
        }
        let comparisons = compare(&results, self.comparisons)?;
        report::progress(&summary(&self.title, self.unit, &results));
        Ok(Some(CaseResult {
            title: self.title,
            unit: self.unit,
            contenders: results,
            comparisons,
        }))
    }
}

/// The spreads of the figures that every run has.
fn spreads(runs: &[NamedFigures]) -> Result<BTreeMap<&'static str, Spread>> {
    let Some(first) = runs.first() else {
        return Ok(BTreeMap::new());
    };
    let mut spreads = BTreeMap::new();
    for name in first.keys().copied() {
        let figures: Option<Vec<f64>> = runs.iter().map(|run| run.get(name).copied()).collect();
        if let Some(figures) = figures {
            spreads.insert(name, Spread::of(figures)?);
        }
    }
    Ok(spreads)
}

/// Computes the comparisons whose contenders were measured.
fn compare(results: &[ContenderResult], comparisons: Vec<Comparison>) -> Result<Vec<ComparisonResult>> {
    let figure = |name: &str, measure| -> Option<Spread> {
        let ContenderResult { figures, named, .. } = results.iter().find(|result| result.name == name)?;
        match measure {
            Measure::PerSecond => Some(figures.per_second.clone()),
            Measure::P50 => figures.p50_ms.clone(),
            Measure::P99 => Spread::of(vec![figures.p99_ms?]).ok(),
            Measure::Cpu => figures.cpu_ms.clone(),
            Measure::Size => figures.kib.clone(),
            Measure::Named(figure) => named.get(figure).cloned(),
        }
    };
    let mut comparison_results = Vec::with_capacity(comparisons.len());
    for Comparison { of, to, measure, aim } in comparisons {
        let Some(ours) = figure(&of, measure) else {
            continue;
        };
        let ratio = match &to {
            None => ours,
            Some(other) => match figure(other, measure) {
                Some(theirs) => ours.over(&theirs)?,
                None => continue,
            },
        };
        comparison_results.push(ComparisonResult {
            of,
            to,
            measure,
            met: aim.is_met_by(ratio.median),
            figure: ratio,
            aim,
        });
    }
    Ok(comparison_results)
}

fn summary(title: &str, unit: &str, results: &[ContenderResult]) -> String {
    let mut line = format!("{title}, {unit} a second:");
    for (n, result) in results.iter().enumerate() {
        let separator = if n == 0 { "" } else { "," };
        let figure = report::number(result.figures.per_second.median);
        let _ = write!(line, "{separator} {} {figure}", result.name);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::figures::{Cost, Latencies};

    /// Reports a fixed rate, and records its turns.
    struct FakeContender {
        name: &'static str,
        done: u64,
        turns: Arc<Mutex<Vec<&'static str>>>,
    }

    #[async_trait(?Send)]
    impl Contender for FakeContender {
        fn name(&self) -> String {
            self.name.to_owned()
        }

        async fn run(&mut self, time: Duration) -> Result<Sample> {
            self.turns.lock().unwrap().push(self.name);
            let mut latencies = Latencies::new()?;
            latencies.note(Duration::from_millis(10));
            Ok(Sample {
                done: self.done,
                time,
                latencies,
                cost: Cost::default(),
            })
        }

        fn named(&self) -> NamedFigures {
            NamedFigures::from([("requests", 7.0)])
        }
    }

    fn case(turns: &Arc<Mutex<Vec<&'static str>>>, comparisons: Vec<Comparison>) -> Case<'static> {
        let contender = |name, done| -> Box<dyn Contender> {
            Box::new(FakeContender {
                name,
                done,
                turns: turns.clone(),
            })
        };
        Case {
            title: "a case".to_owned(),
            unit: "events",
            contenders: vec![contender("ours", 700), contender("the peer", 100)],
            comparisons,
        }
    }

    fn settings(contender: &str) -> RunSettings {
        RunSettings {
            runs: 2,
            time: Duration::from_secs(1),
            case: String::new(),
            contender: contender.to_owned(),
            big: false,
            foldline: None,
            emmett: None,
            client: None,
        }
    }

    #[tokio::test]
    async fn contenders_take_turns_and_the_first_turn_does_not_count() {
        let turns = Arc::default();
        let found = case(&turns, Vec::new())
            .run(&settings(""))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(*turns.lock().unwrap(), ["ours", "the peer"].repeat(3));
        assert_eq!(found.contenders[0].figures.per_second.runs, [700.0, 700.0]);
    }

    #[tokio::test]
    async fn a_threshold_applies_to_the_ratio_or_to_the_figure() {
        let comparisons = vec![
            Comparison::rate("ours", "the peer", Threshold::AtLeast(7.0)),
            Comparison::rate("ours", "the peer", Threshold::AtLeast(7.1)),
            Comparison::latency("ours", "the peer", Threshold::AtMost(1.5)),
            Comparison::absolute("ours", Threshold::AtLeast(1_000.0)),
            Comparison::rate("ours", "the peer", Threshold::None),
        ];
        let found = case(&Arc::default(), comparisons)
            .run(&settings(""))
            .await
            .unwrap()
            .unwrap();
        let met: Vec<_> = found.comparisons.iter().map(|result| result.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(true), Some(false), None]);
    }

    #[tokio::test]
    async fn a_figure_that_only_some_benchmarks_have_is_compared_by_its_name() {
        let at_most = |name, most| Comparison::alone(Measure::Named(name), "ours", Threshold::AtMost(most));
        let comparisons = vec![
            at_most("requests", 7.0),
            at_most("requests", 6.0),
            at_most("unknown", 1.0),
        ];
        let found = case(&Arc::default(), comparisons)
            .run(&settings(""))
            .await
            .unwrap()
            .unwrap();
        let met: Vec<_> = found.comparisons.iter().map(|result| result.met).collect();
        assert_eq!(
            met,
            [Some(true), Some(false)],
            "an unknown figure is not compared"
        );
        assert_eq!(found.contenders[0].named["requests"].runs, [7.0, 7.0]);
    }

    #[tokio::test]
    async fn a_contender_that_is_left_out_is_not_compared() {
        let comparisons = vec![Comparison::rate("ours", "the peer", Threshold::None)];
        let found = case(&Arc::default(), comparisons)
            .run(&settings("ours"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.contenders.len(), 1);
        assert!(found.comparisons.is_empty());
    }
}
