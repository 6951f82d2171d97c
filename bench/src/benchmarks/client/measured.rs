//! A task of the browser as a contender. One browser does the tasks of all of them, in turns.

use std::time::Duration;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use super::browser::{Answer, Browser};
use crate::{
    case::{Contender, NamedFigures},
    figures::{Cost, Latencies, Sample, Spread},
};

/// The bytes on the wire, in thousands, headers included.
pub(super) const WIRE: &str = "wire KB";

/// How much the memory of scripts has grown.
pub(super) const GROWN: &str = "memory KiB grown";

/// What a bare Leptos counter weighs, in bytes.
const COUNTER: f64 = 34_000.0;

const KIB: f64 = 1024.0;

/// A figure of the report: its name, that of the browser's program, and how many of the latter are one.
type Figure = (&'static str, &'static str, f64);

/// A score of 1 is a shift of the whole window by its height.
const OF_PAGES: &[Figure] = &[
    (WIRE, "wire", 1_000.0),
    ("wire, in bare Leptos counters", "wire", COUNTER),
    ("requests", "requests", 1.0),
    ("hydrated ms", "hydrated", 1.0),
    ("layout shift %", "shift", 0.01),
    ("JS heap KiB", "heap", KIB),
    ("Wasm KiB", "wasm", KIB),
];

const OF_GROWTH: &[Figure] = &[
    (GROWN, "grown", KIB),
    ("JS heap KiB grown", "heap", KIB),
    ("Wasm KiB grown", "wasm", KIB),
    ("rows", "rows", 1.0),
    ("memory KiB of the rows", "filled", KIB),
];

/// The longest time between two frames of the live map.
pub(super) const LONGEST: &str = "longest frame ms";

const OF_THE_MAP: &[Figure] = &[
    ("frames/s", "frames", 1.0),
    (LONGEST, "longest", 1.0),
    ("socket KB/s", "bytes", 1_000.0),
    (GROWN, "grown", KIB),
    ("JS heap KiB grown", "heap", KIB),
    ("Wasm KiB grown", "wasm", KIB),
];

pub(super) struct Measured<'a> {
    name: &'static str,
    browser: &'a Mutex<Browser>,
    /// Without its time.
    task: Value,
    /// What the browser's program calls the latency.
    latency: Option<&'static str>,
    /// What it calls the count, if once is not one.
    count: Option<&'static str>,
    figures: &'static [Figure],
    named: NamedFigures,
    /// Whether the first run, which only warms up, is left out.
    is_cold: bool,
}

impl<'a> Measured<'a> {
    /// A page, whose latency is the first contentful paint.
    pub(super) fn page(name: &'static str, browser: &'a Mutex<Browser>, task: Value) -> Self {
        Self {
            name,
            browser,
            task,
            latency: Some("paint"),
            count: None,
            figures: OF_PAGES,
            named: NamedFigures::new(),
            is_cold: false,
        }
    }

    /// An order, whose latency is that of its row.
    pub(super) fn order(name: &'static str, browser: &'a Mutex<Browser>, task: Value) -> Self {
        Self {
            latency: Some("latency"),
            figures: &[],
            ..Self::page(name, browser, task)
        }
    }

    /// The memory of a list. It takes minutes and begins in a new tab, so there is nothing to warm up.
    pub(super) fn growth(name: &'static str, browser: &'a Mutex<Browser>, task: Value) -> Self {
        Self {
            latency: None,
            count: Some("changes"),
            figures: OF_GROWTH,
            is_cold: true,
            ..Self::page(name, browser, task)
        }
    }

    /// The live map, whose latency is the time between two frames.
    pub(super) fn map(name: &'static str, browser: &'a Mutex<Browser>, task: Value) -> Self {
        Self {
            latency: Some("frame"),
            count: Some("events"),
            figures: OF_THE_MAP,
            ..Self::page(name, browser, task)
        }
    }
}

/// A count, which the browser's program has as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a page and changes are far fewer than 2^53"
)]
pub(super) fn whole(count: f64) -> u64 {
    count as u64
}

/// The figures of one name, of each time that has it.
fn each(answer: &Answer, name: &str) -> Vec<f64> {
    let figures = answer.found.iter();
    figures
        .filter_map(|found| found.get(name).copied().flatten())
        .collect()
}

/// The medians of the figures that an answer has.
fn medians(answer: &Answer, figures: &[Figure]) -> Result<NamedFigures> {
    let mut named = NamedFigures::new();
    for (name, source, unit) in figures.iter().copied() {
        let figures = each(answer, source);
        if !figures.is_empty() {
            named.insert(name, Spread::of(figures)?.median / unit);
        }
    }
    Ok(named)
}

#[async_trait(?Send)]
impl Contender for Measured<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        if std::mem::take(&mut self.is_cold) {
            return Ok(Sample {
                done: 0,
                time,
                latencies: Latencies::new()?,
                cost: Cost::default(),
            });
        }
        self.task["milliseconds"] = u64::try_from(time.as_millis())?.into();
        let answer = self.browser.lock().await.ask(&self.task).await?;
        ensure!(!answer.found.is_empty(), "nothing was done: {}", self.task);
        let mut latencies = Latencies::new()?;
        for milliseconds in self.latency.map(|name| each(&answer, name)).unwrap_or_default() {
            latencies.note(Duration::from_secs_f64(milliseconds.max(0.0) / 1e3));
        }
        let done = match self.count {
            None => answer.found.len() as u64,
            Some(count) => {
                let counted: f64 = each(&answer, count).iter().sum();
                whole(counted)
            }
        };
        self.named = medians(&answer, self.figures)?;
        Ok(Sample {
            done,
            time: Duration::from_secs_f64(answer.milliseconds / 1e3),
            latencies,
            cost: Cost::default(),
        })
    }

    fn named(&self) -> NamedFigures {
        self.named.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_those_that_have_it() {
        let answer: Answer = serde_json::from_str(
            r#"{"milliseconds":12.5,"found":[
                {"wire":22000,"hydrated":null,"shift":0.004},
                {"wire":24000,"hydrated":null,"shift":0.002},
                {"wire":68000,"hydrated":null,"shift":0.003}]}"#,
        )
        .unwrap();
        let named = medians(&answer, OF_PAGES).unwrap();
        assert!((named[WIRE] - 24.0).abs() < 1e-9, "{named:?}");
        assert!((named["layout shift %"] - 0.3).abs() < 1e-9, "{named:?}");
        assert!(!named.contains_key("hydrated ms"), "a page without islands");
    }
}
