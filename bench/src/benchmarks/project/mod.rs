//! Folding a log into a view: the orders of a shop, from placement to delivery, into the view `orders` with
//! its three listings. Ours catches up from an empty view, as after an added view, and rebuilds beside the
//! live view. The peer is disintegrate's listener on PostgreSQL; the floor is a projector that only folds and
//! upserts.
//!
//! The distance between the events of one order matters: if they are close, a batch folds several into one
//! document before it writes it. So there are two logs.

mod disintegrate;
mod floor;
mod history;
mod ours;

use std::time::Duration;

use anyhow::Result;

use self::{disintegrate::Disintegrate, floor::Floor, history::History, ours::Ours};
use crate::{
    case::{Case, CaseResult, Comparison, Contender, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample},
};

/// The thresholds of the design: against the floor, and a multiple of the peer on PostgreSQL.
const BARE_PROJECTOR: f64 = 0.9;
const TIMES_THE_PEER: f64 = 10.0;

/// The events for each second of a run: about as many as can be folded in it.
const OURS: u32 = 40_000;
const PEERS: u32 = 3_000;

/// The orders that are open at the same time.
const FEW_OPEN_ORDERS: usize = 100;
const MANY_OPEN_ORDERS: usize = 2_000;

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let mut found = Vec::new();
    for open_orders in [FEW_OPEN_ORDERS, MANY_OPEN_ORDERS] {
        let title = format!("{}, {open_orders} orders under way", database.name());
        if !settings.includes(&title) {
            continue;
        }
        let case = case(database, bench_databases, title, open_orders, settings.time).await?;
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    Ok(found)
}

async fn case<'a>(
    database: Database,
    bench_databases: &'a BenchDatabases,
    title: String,
    open_orders: usize,
    time: Duration,
) -> Result<Case<'a>> {
    let seconds = usize::try_from(time.as_secs())?.max(1);
    let ours = History::new(open_orders, seconds * OURS as usize);
    let catch_up = Ours::new(database, bench_databases, &ours, ours::Task::CatchUp).await?;
    let rebuild = Ours::new(database, bench_databases, &ours, ours::Task::Rebuild).await?;
    let floor = Floor::new(database, bench_databases, &ours).await?;
    let mut contenders: Vec<Box<dyn Contender + 'a>> =
        vec![Box::new(catch_up), Box::new(rebuild), Box::new(floor)];
    let catches_up = ours::Task::CatchUp.name();
    let mut comparisons = vec![
        Comparison::rate(catches_up, Floor::NAME, Threshold::AtLeast(BARE_PROJECTOR)),
        Comparison::rate(ours::Task::Rebuild.name(), Floor::NAME, Threshold::None),
    ];
    if database == Database::Postgres {
        let theirs = History::new(open_orders, seconds * PEERS as usize);
        contenders.push(Box::new(Disintegrate::new(bench_databases, &theirs).await?));
        let aim = Threshold::AtLeast(TIMES_THE_PEER);
        comparisons.push(Comparison::rate(catches_up, Disintegrate::NAME, aim));
    }
    Ok(Case {
        title,
        unit: "events",
        contenders,
        comparisons,
    })
}

/// A sample of a whole log folded in this time; single events are not timed.
fn sample(events: usize, time: Duration) -> Result<Sample> {
    Ok(Sample {
        done: u64::try_from(events)?,
        time,
        latencies: Latencies::new()?,
        cost: Cost::default(),
    })
}
