//! Ours: the customers of `orders`, at half of their speed, and samples of the server meanwhile.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use domain::wire::ProjectionStatus;

use crate::{
    benchmarks::orders::{
        load::Load,
        ours::{Ours, tenth},
    },
    case::{Contender, NamedFigures, Series},
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample, Spread},
    outside::Connection,
    report,
};

/// The samples of a run, if that is not more often than the shortest interval.
const SAMPLES: u32 = 100;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// How long full load is measured, which comes first.
const FULL_LOAD: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(1)];

/// The part of full load.
const HALF: f64 = 0.5;

/// How the metric of unfolded events begins, one line for each view.
const LAG: &str = "foldline_projection_lag_events{";

const MIB: f64 = 1024.0 * 1024.0;

pub(super) struct Soak {
    ours: Ours,
    time: Duration,
    /// The orders a second that are wholly done at full load, once that is measured.
    full: Option<f64>,
    named: NamedFigures,
    series: Vec<Series>,
}

/// The state of the server at a moment.
struct State {
    at: Duration,
    memory_mib: f64,
    descriptors: f64,
    behind: f64,
    bytes_an_event: f64,
}

impl Soak {
    pub(super) const NAME: &'static str = "ours, at half of full load";
    /// The name of the figure that decides.
    pub(super) const GROWTH: &'static str = "memory of the last tenth over the third";

    pub(super) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        program: &Path,
        time: Duration,
    ) -> Result<Self> {
        Ok(Self {
            ours: Ours::new(database, bench_databases, program, Load::STEADY, &[]).await?,
            time,
            full: None,
            named: NamedFigures::new(),
            series: Vec::new(),
        })
    }

    /// The state now.
    async fn state(&self, educator: &mut Connection, at: Duration) -> Result<State> {
        let (foldline, storage, _) = self.ours.server();
        let metrics = educator.get("/metrics").await?;
        let behind = lag(&String::from_utf8_lossy(&metrics))?;
        let views: Vec<ProjectionStatus> = educator.get_json("/api/v1/lab/projections").await?;
        let events = views.iter().map(|view| {
            let folded: u64 = view.as_of.iter().map(|(_, position)| position).sum();
            folded + view.behind
        });
        let events = events.max().context("the product has views")?;
        Ok(State {
            at,
            memory_mib: precise(foldline.process.memory()?) / MIB,
            descriptors: precise(u64::try_from(foldline.process.descriptors()?)?),
            behind,
            bytes_an_event: precise(storage.stored().await?) / precise(events.max(1)),
        })
    }

    /// Places orders at this rate and samples the server; returns its states, and the latencies by tenths.
    async fn soak(&mut self, rate: f64) -> Result<(Vec<State>, Vec<Latencies>)> {
        let time = self.time;
        let interval = (time / SAMPLES).max(SHORTEST_INTERVAL);
        let mut educator = self.ours.server().2.connect().await?;
        let begun = Instant::now();
        let mut paced = self.ours.begin_paced(rate, time);
        let mut states = Vec::new();
        let mut next = interval;
        while next <= time {
            tokio::time::sleep_until((begun + next).into()).await;
            paced.check()?;
            states.push(self.state(&mut educator, begun.elapsed()).await?);
            report::step(&format!(
                "{}: {} of {} s",
                Self::NAME,
                next.as_secs(),
                time.as_secs()
            ));
            // A sample that takes longer than the interval delays the next, and is followed by no burst.
            next = (next + interval).max(begun.elapsed());
        }
        let latencies = self.ours.end_paced(paced).await?;
        Ok((states, latencies))
    }

    fn note(&mut self, full: f64, states: &[State], latencies: &[Latencies]) -> Result<()> {
        let time = self.time;
        let memory = course("memory, MiB", states, time, |state| state.memory_mib)?;
        let descriptors = course("open descriptors", states, time, |state| state.descriptors)?;
        let behind = course("events behind, all views", states, time, |state| state.behind)?;
        let stored = course("stored bytes an event", states, time, |state| {
            state.bytes_an_event
        })?;
        let (third, last) = (memory.tenths[2], memory.tenths[9]);
        let most = |series: &Series| {
            series
                .points
                .iter()
                .map(|(_, figure)| *figure)
                .fold(0.0, f64::max)
        };
        self.named = NamedFigures::from([
            ("full load, orders/s", full),
            ("memory of the third tenth, MiB", third),
            ("memory of the last tenth, MiB", last),
            (Self::GROWTH, last / third),
            ("open descriptors, at most", most(&descriptors)),
            ("events behind, at most", most(&behind)),
            ("stored bytes an event, at the end", stored.tenths[9]),
        ]);
        self.series = vec![memory, descriptors, behind, stored];
        for (name, quantile) in [
            ("acknowledged after, ms, p50", 0.5),
            ("acknowledged after, ms, p99", 0.99),
        ] {
            let tenths: Option<Vec<f64>> = latencies
                .iter()
                .map(|tenth| tenth.milliseconds(quantile))
                .collect();
            let tenths = tenths.context("a tenth of the time has no orders")?;
            let seconds = time.as_secs_f64() / 10.0;
            let points = (0_u32..).zip(&tenths);
            let points = points.map(|(number, figure)| ((f64::from(number) + 0.5) * seconds, *figure));
            self.series.push(Series {
                name,
                points: points.collect(),
                tenths,
            });
        }
        Ok(())
    }
}

/// A figure of the states: its medians by tenths, and all of it.
fn course(name: &'static str, states: &[State], time: Duration, figure: fn(&State) -> f64) -> Result<Series> {
    let mut by_tenth: Vec<Vec<f64>> = vec![Vec::new(); 10];
    for state in states {
        by_tenth[tenth(state.at, time)].push(figure(state));
    }
    let mut tenths = Vec::with_capacity(by_tenth.len());
    for figures in by_tenth {
        let spread = Spread::of(figures).context("a tenth of the time has no samples")?;
        tenths.push(spread.median);
    }
    Ok(Series {
        name,
        tenths,
        points: states
            .iter()
            .map(|state| (state.at.as_secs_f64(), figure(state)))
            .collect(),
    })
}

/// The unfolded events of all views together.
fn lag(metrics: &str) -> Result<f64> {
    let lines: Vec<_> = metrics.lines().filter(|line| line.starts_with(LAG)).collect();
    lines.first().context("the metrics have no lag")?;
    let figures = lines.iter().filter_map(|line| line.rsplit_once(' '));
    let figures = figures.map(|(_, figure)| figure.parse::<f64>());
    Ok(figures.sum::<Result<f64, _>>()?)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 bytes and events")]
fn precise(count: u64) -> f64 {
    count as f64
}

#[async_trait(?Send)]
impl Contender for Soak {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    /// First the full load, instead of warming up; then the soak.
    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let Some(full) = self.full else {
            let [least, most] = FULL_LOAD;
            let sample = self.ours.run(time.clamp(least, most)).await?;
            self.full = Some(sample.per_second());
            return Ok(sample);
        };
        let process = &self.ours.server().0.process;
        let cpu_before = process.cpu()?;
        let begun = Instant::now();
        let (states, by_tenth) = self.soak(full * HALF).await?;
        let time = begun.elapsed();
        self.note(full, &states, &by_tenth)?;
        let mut latencies = Latencies::new()?;
        for tenth in &by_tenth {
            latencies.join(tenth)?;
        }
        let cpu = self.ours.server().0.process.cpu()?;
        Ok(Sample {
            done: latencies.count(),
            time,
            latencies,
            cost: Cost {
                cpu: Some(cpu.saturating_sub(cpu_before)),
                bytes: None,
            },
        })
    }

    fn named(&self) -> NamedFigures {
        self.named.clone()
    }

    fn series(&self) -> Vec<Series> {
        self.series.clone()
    }

    async fn close(self: Box<Self>) -> Result<()> {
        Box::new(self.ours).close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_that_of_all_views() {
        let metrics = "# TYPE foldline_projection_lag_events gauge\n\
                       foldline_projection_lag_events{view=\"orders\"} 12\n\
                       foldline_projection_lag_ms{view=\"orders\"} 900\n\
                       foldline_projection_lag_events{view=\"sales\"} 3\n";
        assert!((lag(metrics).unwrap() - 15.0).abs() < f64::EPSILON);
        assert!(lag("foldline_views 3\n").is_err(), "no lag is not a lag of zero");
    }

    #[test]
    fn a_course_has_a_median_for_each_tenth() {
        let state = |seconds: u32| State {
            at: Duration::from_secs(seconds.into()),
            memory_mib: f64::from(seconds),
            descriptors: 0.0,
            behind: 0.0,
            bytes_an_event: 0.0,
        };
        let states: Vec<_> = (1..=100).map(state).collect();
        let hundred = Duration::from_secs(100);
        let found = course("memory", &states, hundred, |state| state.memory_mib).unwrap();
        assert_eq!(found.points.len(), 100);
        assert!(
            (found.tenths[2] - 24.5).abs() < f64::EPSILON,
            "{:?}",
            found.tenths
        );
        let early = course("memory", &states[..50], hundred, |state| state.memory_mib);
        assert!(early.is_err(), "the last tenths have no samples");
    }
}
