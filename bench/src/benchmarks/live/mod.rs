//! The live interface of the product from outside: how long a change takes from the command to another
//! client's socket while nothing else happens, how long until the last of many subscribers of one document
//! has it, and how much memory a subscriber takes.
//!
//! The floor is bare axum with `tokio::sync::broadcast`, in a process of its own: it sends a frame of the
//! same length to every socket, and stores nothing.

mod fan_out;
mod feed;
mod idle;
mod memory;

use anyhow::Result;

use self::{
    fan_out::FanOut,
    feed::{Feed, Kind},
    idle::Idle,
    memory::Memory,
};
use crate::{
    case::{Case, CaseResult, Comparison, Measure, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
};

/// The thresholds of the design: milliseconds when idle; to the last subscriber, relative to the floor; KiB a
/// subscriber.
const IDLE_P50_MS: f64 = 2.0;
const IDLE_P99_MS: f64 = 8.0;
const FAN_OUT: f64 = 1.5;
const SUBSCRIBER_KIB: f64 = 32.0;

/// The subscribers of a fan-out, of which the last only with `--big`, and those whose memory is measured.
const SUBSCRIBERS: [usize; 3] = [500, 1_000, 5_000];
const IN_MEMORY: usize = 1_000;

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let (ours, floor) = (Kind::Ours.name(), Kind::Floor.name());
    let mut found = Vec::new();
    let title = format!("{}, a change while idle", database.name());
    if settings.includes(&title) {
        let (our_feed, bare_feed) = feeds(database, bench_databases, settings).await?;
        let case = Case {
            title,
            unit: "changes",
            contenders: vec![Box::new(Idle(our_feed)), Box::new(Idle(bare_feed))],
            comparisons: vec![
                Comparison::alone(Measure::P50, ours, Threshold::AtMost(IDLE_P50_MS)),
                Comparison::alone(Measure::P99, ours, Threshold::AtMost(IDLE_P99_MS)),
                Comparison::latency(ours, floor, Threshold::None),
            ],
        };
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    let most = if settings.big { 3 } else { 2 };
    for subscribers in SUBSCRIBERS.into_iter().take(most) {
        let title = format!("{}, to the last of {subscribers} subscribers", database.name());
        if !settings.includes(&title) {
            continue;
        }
        let (our_feed, bare_feed) = feeds(database, bench_databases, settings).await?;
        let case = Case {
            title,
            unit: "changes",
            contenders: vec![
                Box::new(FanOut::new(our_feed, subscribers)),
                Box::new(FanOut::new(bare_feed, subscribers)),
            ],
            comparisons: vec![Comparison::latency(ours, floor, Threshold::AtMost(FAN_OUT))],
        };
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    let title = format!("{}, memory of {IN_MEMORY} subscribers", database.name());
    if settings.includes(&title) {
        let memory = |kind| Memory {
            kind,
            database,
            bench_databases,
            settings,
            subscribers: IN_MEMORY,
        };
        let case = Case {
            title,
            unit: "subscribers",
            contenders: vec![Box::new(memory(Kind::Ours)), Box::new(memory(Kind::Floor))],
            comparisons: vec![
                Comparison::alone(Measure::Size, ours, Threshold::AtMost(SUBSCRIBER_KIB)),
                Comparison::ratio(Measure::Size, ours, floor, Threshold::None),
            ],
        };
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    Ok(found)
}

/// Ours and the floor, with frames of the same length.
async fn feeds(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<(Feed, Feed)> {
    let ours = Feed::start(Kind::Ours, database, bench_databases, settings).await?;
    let floor = Feed::start(Kind::Floor, database, bench_databases, settings).await?;
    Ok((ours, floor))
}
