//! The verifier of a running server: every hash is computed again, and every view is folded again. The time
//! of a whole log, and how much the server's memory grows by it.
//!
//! The floor reads as many rows of the same size in pages, and computes a SHA-256 of each.

mod floor;
mod ours;

use anyhow::Result;

use self::{floor::Floor, ours::Ours};
use super::{
    growth::FilledLog,
    orders::{load::Load, ours::Ours as Orders},
};
use crate::{
    case::{Case, CaseResult, Comparison, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    outside::{Foldline, Storefront},
};

/// The events of the log, and the orders that cause as many.
const EVENTS: u64 = 103_000;
const ORDERS: usize = 25_750;

/// No log of this size is verified within the default of a request.
const SETTINGS: [(&str, &str); 1] = [("--request-timeout-ms", "600000")];

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let mut found = Vec::new();
    let title = format!("{}, {EVENTS} events of stock", database.name());
    if settings.includes(&title) {
        let program = settings.foldline()?;
        let (log, shop) = FilledLog::new(database, bench_databases, EVENTS).await?;
        shop.store.close().await;
        drop(shop);
        let token = Foldline::token(program, &log.storage, log.workspace)?;
        let foldline = Foldline::start(program, &log.storage, &SETTINGS).await?;
        let shop = Storefront::existing(foldline.process.address, token);
        shop.settled().await?;
        let ours = Ours { foldline, shop };
        found.extend(verify(database, bench_databases, settings, title, ours).await?);
    }
    let title = format!("{}, the events of {ORDERS} orders", database.name());
    if settings.big && settings.includes(&title) {
        let load = Load::with_open_orders(ORDERS);
        let orders = Orders::new(database, bench_databases, settings.foldline()?, load, &SETTINGS).await?;
        let (foldline, shop) = orders.into_server();
        let ours = Ours { foldline, shop };
        found.extend(verify(database, bench_databases, settings, title, ours).await?);
    }
    Ok(found)
}

async fn verify(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
    title: String,
    ours: Ours,
) -> Result<Option<CaseResult>> {
    let floor = Floor::new(database, bench_databases, EVENTS).await?;
    let case = Case {
        title,
        unit: "events",
        contenders: vec![Box::new(ours), Box::new(floor)],
        comparisons: vec![Comparison::rate(Ours::NAME, Floor::NAME, Threshold::None)],
    };
    let found = case.run(settings).await?;
    bench_databases.clear().await?;
    Ok(found)
}
