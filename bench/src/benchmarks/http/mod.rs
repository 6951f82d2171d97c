//! The HTTP interface of the product from outside, with 64 connections: a hot document, a hot listing of the
//! 24 products of a shop, commands, and sandboxes that are opened from the template.
//!
//! The floor of queries is axum with trivial JSON, in a process of its own; a body of the same length from
//! memory shows how much of the difference is the length. The floor of commands is the bare group commit, in
//! this process and without HTTP.

pub(super) mod commands;
pub(super) mod get;
mod sandboxes;

use std::sync::Arc;

use anyhow::Result;
use domain::wire::Template;

use self::{commands::Commands, get::Get, sandboxes::Sandboxes};
use crate::{
    callers::ConcurrentCallers,
    case::{Case, CaseResult, Comparison, Measure, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    floors::GroupCommit,
    outside::{FloorServer, Foldline, Storage, Storefront},
};

/// The connections.
const CONNECTIONS: usize = 64;
/// The connections that open sandboxes.
const VISITORS: usize = 8;

/// The thresholds of the design: a document and a listing, of trivial JSON; commands a second with consumers
/// at rest; the CPU and the storage of a sandbox.
const DOCUMENT: f64 = 0.7;
const LISTING: f64 = 0.5;
const fn commands_a_second(database: Database) -> f64 {
    match database {
        Database::Sqlite => 12_000.0,
        Database::Postgres => 8_000.0,
    }
}
const SANDBOX_CPU_MS: f64 = 10.0;
const SANDBOX_KIB: f64 = 40.0;

/// The paths of the hot answers, and their aims.
const QUERIES: [(&str, &str, f64); 2] = [
    ("hot document", "/api/v1/views/products/mug-0", DOCUMENT),
    ("hot listing of 24", "/api/v1/views/products?limit=24", LISTING),
];
/// The contenders that answer them.
const OURS: &str = "ours";
const TRIVIAL: &str = "axum, trivial JSON";
const SAME_LENGTH: &str = "axum, a body of the same length";

/// The products of the listing.
const PRODUCTS: usize = 24;

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let mut found = Vec::new();
    for (what, path, aim) in QUERIES {
        let title = format!("{}, {what}, {CONNECTIONS} connections", database.name());
        if settings.includes(&title) {
            let case = queries(database, bench_databases, settings, title, path, aim).await?;
            found.extend(case.run(settings).await?);
            bench_databases.clear().await?;
        }
    }
    let title = format!("{}, commands, {CONNECTIONS} connections", database.name());
    if settings.includes(&title) {
        let case = commands(database, bench_databases, settings, title).await?;
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    let title = format!("{}, sandboxes from the template", database.name());
    if settings.includes(&title) {
        let sandboxes = Sandboxes::new(database, bench_databases, settings.foldline()?, VISITORS).await?;
        let case = Case {
            title,
            unit: "sandboxes",
            contenders: vec![Box::new(sandboxes)],
            comparisons: vec![
                Comparison::alone(Measure::Cpu, Sandboxes::NAME, Threshold::AtMost(SANDBOX_CPU_MS)),
                Comparison::alone(Measure::Size, Sandboxes::NAME, Threshold::AtMost(SANDBOX_KIB)),
            ],
        };
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    Ok(found)
}

async fn queries(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
    title: String,
    path: &str,
    aim: f64,
) -> Result<Case<'static>> {
    let storage = Storage::new(database, bench_databases, "ours").await?;
    let foldline = Foldline::start(settings.foldline()?, &storage, &[]).await?;
    let shop = Storefront::open(foldline.process.address, Template::Empty).await?;
    shop.list_products(PRODUCTS).await?;
    shop.settled().await?;
    let length = shop.connect().await?.get(path).await?.len();
    let floor = Arc::new(FloorServer::start().await?.0);
    let same_length = format!("/bytes/{length}");
    let ours = Get::new(OURS, Arc::new(foldline.process), path, Some(shop.token));
    let trivial = Get::new(TRIVIAL, floor.clone(), "/json", None);
    let same_length = Get::new(SAME_LENGTH, floor, &same_length, None);
    Ok(Case {
        title,
        unit: "requests",
        contenders: vec![
            ConcurrentCallers::gather_readers(ours, CONNECTIONS).await?,
            ConcurrentCallers::gather_readers(trivial, CONNECTIONS).await?,
            ConcurrentCallers::gather_readers(same_length, CONNECTIONS).await?,
        ],
        comparisons: vec![
            Comparison::rate(OURS, TRIVIAL, Threshold::AtLeast(aim)),
            Comparison::rate(OURS, SAME_LENGTH, Threshold::None),
        ],
    })
}

async fn commands(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
    title: String,
) -> Result<Case<'static>> {
    let disk = &bench_databases.disk;
    let program = settings.foldline()?;
    let at_rest = Commands::new(database, bench_databases, program, true).await?;
    let at_work = Commands::new(database, bench_databases, program, false).await?;
    let floor = GroupCommit::new(database, bench_databases).await?;
    Ok(Case {
        title,
        unit: "commands",
        contenders: vec![
            ConcurrentCallers::gather(at_rest, CONNECTIONS, disk).await?,
            ConcurrentCallers::gather(at_work, CONNECTIONS, disk).await?,
            ConcurrentCallers::gather(floor, CONNECTIONS, disk).await?,
        ],
        comparisons: vec![
            Comparison::absolute(Commands::AT_REST, Threshold::AtLeast(commands_a_second(database))),
            Comparison::rate(Commands::AT_REST, GroupCommit::NAME, Threshold::None),
            Comparison::rate(Commands::AT_WORK, GroupCommit::NAME, Threshold::None),
        ],
    })
}
