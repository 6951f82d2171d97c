//! A soak of the whole product from outside: half of the orders that it can do, for the time of a run (an
//! hour with `--big`), and what becomes of its memory, its descriptors, its queues, its storage and its
//! latencies meanwhile. It is not compared with a floor but with itself: the memory of the last tenth of the
//! time with that of the third, because by then caches that are bounded by their number are full.

mod ours;

use std::time::Duration;

use anyhow::Result;

use self::ours::Soak;
use crate::{
    case::{Case, CaseResult, Comparison, Measure, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
};

/// How much more memory the last tenth may have than the third.
const GROWTH: f64 = 1.1;

/// The time with `--big`, and the least: each tenth has several samples.
const BIG: Duration = Duration::from_hours(1);
const LEAST: Duration = Duration::from_secs(20);

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let time = if settings.big {
        BIG
    } else {
        settings.time.max(LEAST)
    };
    let title = format!("{}, half of full load, {} s", database.name(), time.as_secs());
    if !settings.includes(&title) || !Soak::NAME.contains(&settings.contender) {
        return Ok(Vec::new());
    }
    let soak = Soak::new(database, bench_databases, settings.foldline()?, time).await?;
    let case = Case {
        title,
        unit: "orders",
        contenders: vec![Box::new(soak)],
        comparisons: vec![Comparison::alone(
            Measure::Named(Soak::GROWTH),
            Soak::NAME,
            Threshold::AtMost(GROWTH),
        )],
    };
    // Once: what is looked for is in one long run, not in the spread of several.
    let once = RunSettings {
        runs: 1,
        time,
        ..settings.clone()
    };
    let found = case.run(&once).await?;
    bench_databases.clear().await?;
    Ok(found.into_iter().collect())
}
