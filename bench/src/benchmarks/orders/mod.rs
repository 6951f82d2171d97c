//! Orders from outside, through the whole product: the release in a process of its own, with 56 customers who
//! have accounts and a connection each, and an educator's socket that shows them what is confirmed. An order
//! is counted when it is wholly done: fulfilled, in every view, mailed, in the warehouse and in the search
//! index, which is when `/api/v1/settled` says so for all of them.
//!
//! The floor stores the four rows of an order in four group commits, and does nothing else.

mod floor;
pub(super) mod load;
pub(super) mod ours;

use anyhow::Result;

use self::{floor::FourCommits, load::Load, ours::Ours};
use crate::{
    callers::ConcurrentCallers,
    case::{Case, CaseResult, Comparison, Measure, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
};

/// The customers who order at the same time.
const CALLERS: usize = 56;

/// The thresholds of the design: orders a second, milliseconds of CPU an order, and how much more an order
/// may cost in one burst, with one product, and with many orders open.
const fn orders_a_second(database: Database) -> f64 {
    match database {
        Database::Sqlite => 500.0,
        Database::Postgres => 250.0,
    }
}
const CPU_MS: f64 = 2.5;
const GROWTH: f64 = 1.2;

/// The orders that are confirmed and not shipped: by default, and with `--big`.
const OPEN_ORDERS: usize = 5_000;
const MANY_OPEN_ORDERS: usize = 100_000;

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let title = format!("{}, {}", database.name(), super::callers(CALLERS));
    if !settings.includes(&title) {
        return Ok(Vec::new());
    }
    let open_orders = if settings.big {
        MANY_OPEN_ORDERS
    } else {
        OPEN_ORDERS
    };
    let loads = [
        Load::STEADY,
        Load::BURST,
        Load::HOT_PRODUCT,
        Load::with_open_orders(open_orders),
    ];
    let steady = Load::STEADY.name();
    let mut comparisons = vec![
        Comparison::absolute(steady.clone(), Threshold::AtLeast(orders_a_second(database))),
        Comparison::alone(Measure::Cpu, steady.clone(), Threshold::AtMost(CPU_MS)),
        Comparison::rate(steady.clone(), FourCommits::NAME, Threshold::None),
    ];
    let mut case = Case {
        title,
        unit: "orders",
        contenders: Vec::new(),
        comparisons: Vec::new(),
    };
    for load in loads {
        // Preparing open orders takes long.
        if !load.name().contains(&settings.contender) {
            continue;
        }
        if load != Load::STEADY {
            let aim = Threshold::AtMost(GROWTH);
            comparisons.push(Comparison::ratio(Measure::Cpu, load.name(), steady.clone(), aim));
        }
        let ours = Ours::new(database, bench_databases, settings.foldline()?, load, &[]).await?;
        case.contenders.push(Box::new(ours));
    }
    let floor = FourCommits::new(database, bench_databases).await?;
    let floor = ConcurrentCallers::gather(floor, CALLERS, &bench_databases.disk).await?;
    case.contenders.push(floor);
    case.comparisons = comparisons;
    let found = case.run(settings).await?;
    bench_databases.clear().await?;
    Ok(found.into_iter().collect())
}
