//! Statistics. A figure is the median of the runs, with its minimum and maximum; a ratio is computed run by
//! run, between contenders that were measured one after the other, and then its median is taken.

use std::time::Duration;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

/// The shortest and the longest recorded latency, in nanoseconds; values outside are clamped.
const SHORTEST: u64 = 1_000;
const LONGEST: u64 = 100_000_000_000;

/// Latencies: an HDR histogram, exact to a hundredth.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty histogram.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(SHORTEST, LONGEST, 2)?))
    }

    /// Records one latency.
    pub(crate) fn note(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.0.saturating_record(nanoseconds.clamp(SHORTEST, LONGEST));
    }

    /// Records a latency of several calls, which another program has measured.
    pub(crate) fn note_many(&mut self, time: Duration, count: u64) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(LONGEST);
        self.0
            .saturating_record_n(nanoseconds.clamp(SHORTEST, LONGEST), count);
    }

    /// Adds another histogram.
    pub(crate) fn join(&mut self, others: &Self) -> Result<()> {
        self.0.add(&others.0)?;
        Ok(())
    }

    /// The number of recorded latencies.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// A quantile in milliseconds; `None` if none was recorded.
    pub(crate) fn milliseconds(&self, quantile: f64) -> Option<f64> {
        let nanoseconds = self.0.value_at_quantile(quantile);
        (self.count() > 0).then(|| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3)
    }
}

/// The sample of one contender in one run.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// The number of commands or events.
    pub(crate) done: u64,
    /// The time that they took.
    pub(crate) time: Duration,
    /// The latency of each, if it was timed.
    pub(crate) latencies: Latencies,
    /// What they cost a server, if it was measured.
    pub(crate) cost: Cost,
}

/// What all calls of a sample cost the process of a server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Its CPU time, in user and in kernel mode.
    pub(crate) cpu: Option<Duration>,
    /// Bytes of its memory, or of its storage.
    pub(crate) bytes: Option<u64>,
}

impl Sample {
    /// How many in a second.
    pub(crate) fn per_second(&self) -> f64 {
        precise(self.done) / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The milliseconds of CPU for each.
    fn cpu_ms(&self) -> Option<f64> {
        Some(self.cost.cpu?.as_secs_f64() * 1e3 / precise(self.done.max(1)))
    }

    /// The KiB for each.
    fn kib(&self) -> Option<f64> {
        Some(precise(self.cost.bytes?) / 1024.0 / precise(self.done.max(1)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 are counted")]
fn precise(count: u64) -> f64 {
    count as f64
}

/// The median, minimum and maximum of several figures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The figures in the order of the runs.
    pub(crate) runs: Vec<f64>,
}

impl Spread {
    /// The spread of at least one figure, none of them NaN.
    pub(crate) fn of(runs: Vec<f64>) -> Result<Self> {
        ensure!(
            !runs.is_empty() && runs.iter().all(|figure| figure.is_finite()),
            "there is no median of {runs:?}"
        );
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let upper = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[upper]
        } else {
            f64::midpoint(sorted[upper - 1], sorted[upper])
        };
        Ok(Self {
            median,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            runs,
        })
    }

    /// The ratio to another spread, run by run.
    pub(crate) fn over(&self, other: &Self) -> Result<Self> {
        ensure!(
            self.runs.len() == other.runs.len(),
            "{} runs cannot be compared with {}",
            self.runs.len(),
            other.runs.len()
        );
        Self::of(self.runs.iter().zip(&other.runs).map(|(a, b)| a / b).collect())
    }
}

/// All runs of one contender.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// How many in a second.
    pub(crate) per_second: Spread,
    /// The median latency of each run, in milliseconds; absent if calls were not timed.
    pub(crate) p50_ms: Option<Spread>,
    /// The 99th percentile over all runs together: one run alone has too few samples.
    pub(crate) p99_ms: Option<f64>,
    /// The server's CPU time for each, in milliseconds; absent if it was not measured.
    pub(crate) cpu_ms: Option<Spread>,
    /// The server's memory or storage for each, in KiB; absent if it was not measured.
    pub(crate) kib: Option<Spread>,
}

impl Figures {
    /// The figures of at least one sample.
    pub(crate) fn of(samples: &[Sample]) -> Result<Self> {
        let mut all = Latencies::new()?;
        for sample in samples {
            all.join(&sample.latencies)?;
        }
        Ok(Self {
            per_second: Spread::of(samples.iter().map(Sample::per_second).collect())?,
            p50_ms: spread(samples, |sample| sample.latencies.milliseconds(0.5))?,
            p99_ms: all.milliseconds(0.99),
            cpu_ms: spread(samples, Sample::cpu_ms)?,
            kib: spread(samples, Sample::kib)?,
        })
    }
}

/// The spread of a figure that every sample has; `None` if one lacks it.
fn spread(samples: &[Sample], figure: impl Fn(&Sample) -> Option<f64>) -> Result<Option<Spread>> {
    let figures: Option<Vec<f64>> = samples.iter().map(figure).collect();
    figures.map(Spread::of).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(times: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        for time in times {
            latencies.note(Duration::from_millis(time));
        }
        latencies
    }

    fn is_about(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found / expected - 1.0).abs() < 0.02)
    }

    #[test]
    fn a_median_is_the_middle_and_of_two_the_mean() {
        assert!((Spread::of(vec![9.0, 1.0, 5.0]).unwrap().median - 5.0).abs() < f64::EPSILON);
        let even = Spread::of(vec![8.0, 1.0, 4.0, 2.0]).unwrap();
        assert!((even.median - 3.0).abs() < f64::EPSILON);
        assert!((even.min - 1.0).abs() < f64::EPSILON && (even.max - 8.0).abs() < f64::EPSILON);
        assert_eq!(even.runs, [8.0, 1.0, 4.0, 2.0], "the runs keep their order");
    }

    #[test]
    fn there_is_no_median_of_an_empty_list_or_of_nan() {
        assert!(Spread::of(Vec::new()).is_err());
        assert!(Spread::of(vec![1.0, f64::NAN]).is_err());
        assert!(Spread::of(vec![f64::INFINITY]).is_err());
    }

    #[test]
    fn a_ratio_is_taken_run_by_run() {
        // The machine was half as fast in the second run, for both.
        let ours = Spread::of(vec![100.0, 50.0, 102.0]).unwrap();
        let peer = Spread::of(vec![50.0, 25.0, 34.0]).unwrap();
        let ratio = ours.over(&peer).unwrap();
        assert_eq!(ratio.runs, [2.0, 2.0, 3.0]);
        assert!((ratio.median - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn runs_that_have_no_partner_are_not_compared() {
        let (two, one) = (
            Spread::of(vec![1.0, 2.0]).unwrap(),
            Spread::of(vec![1.0]).unwrap(),
        );
        assert!(two.over(&one).is_err());
        assert!(
            one.over(&Spread::of(vec![0.0]).unwrap()).is_err(),
            "nor with nothing"
        );
    }

    #[test]
    fn percentiles_are_exact_to_two_hundredths() {
        let latencies = milliseconds(1..=1_000);
        assert!(is_about(latencies.milliseconds(0.5), 500.0));
        assert!(is_about(latencies.milliseconds(0.99), 990.0));
        assert_eq!(latencies.count(), 1_000);
    }

    #[test]
    fn times_beyond_the_ends_still_count() {
        let mut latencies = Latencies::new().unwrap();
        latencies.note(Duration::ZERO);
        latencies.note(Duration::from_secs(100_000));
        assert_eq!(latencies.count(), 2);
        assert!(is_about(latencies.milliseconds(1.0), 100_000.0));
    }

    #[test]
    fn the_last_percent_is_that_of_all_runs_together() {
        let sample = |latencies: Latencies| Sample {
            done: latencies.count(),
            time: Duration::from_secs(2),
            latencies,
            cost: Cost::default(),
        };
        let quiet = sample(milliseconds(std::iter::repeat_n(1, 100)));
        let slow = sample(milliseconds(std::iter::repeat_n(10, 100)));
        let figures = Figures::of(&[quiet.clone(), quiet, slow]).unwrap();
        assert!((figures.per_second.median - 50.0).abs() < f64::EPSILON);
        assert!(is_about(figures.p50_ms.map(|spread| spread.median), 1.0));
        assert!(is_about(figures.p99_ms, 10.0));
    }

    #[test]
    fn samples_without_latencies_have_no_percentiles() {
        let sample = Sample {
            done: 10,
            time: Duration::from_millis(100),
            latencies: Latencies::new().unwrap(),
            cost: Cost::default(),
        };
        let figures = Figures::of(&[sample]).unwrap();
        assert!(figures.p50_ms.is_none() && figures.p99_ms.is_none());
        assert!(figures.cpu_ms.is_none() && figures.kib.is_none());
        assert!((figures.per_second.median - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_cost_is_that_of_each() {
        let sample = Sample {
            done: 10,
            time: Duration::from_secs(1),
            latencies: Latencies::new().unwrap(),
            cost: Cost {
                cpu: Some(Duration::from_millis(25)),
                bytes: Some(20 * 1024),
            },
        };
        let figures = Figures::of(&[sample]).unwrap();
        assert!(is_about(figures.cpu_ms.map(|spread| spread.median), 2.5));
        assert!(is_about(figures.kib.map(|spread| spread.median), 2.0));
    }
}
