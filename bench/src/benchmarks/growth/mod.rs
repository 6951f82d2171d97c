//! What the size of the log costs: an append to the event store, a command over HTTP and a hot document, with
//! logs of different lengths. The smallest log is the floor of the others.
//!
//! The logs are filled before the servers start, with stock that is received: ten events a stream, and so a
//! tenth as many documents in two views.

mod append;
mod command;
mod filled_log;

use std::sync::Arc;

use anyhow::Result;

pub(super) use self::filled_log::{FilledLog, PAYLOAD};
use self::{append::Append, command::Command};
use super::http::get::Get;
use crate::{
    callers::ConcurrentCallers,
    case::{Case, CaseResult, Comparison, Contender, Measure, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    outside::{Foldline, ServerProcess, Storefront},
    report,
};

/// The events of the logs: by default, and with `--big`.
const LENGTHS: [u64; 2] = [10_000, 100_000];
const BIG_LENGTHS: [u64; 3] = [10_000, 1_000_000, 10_000_000];

/// The threshold of the design: the longest log relative to the shortest.
const GROWTH: f64 = 1.2;

/// The connections of commands and queries.
const CONNECTIONS: usize = 8;

/// A server on a filled log.
struct Filled {
    name: String,
    server: Arc<ServerProcess>,
    shop: Storefront,
}

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let titles = [
        "append, 1 caller",
        "commands, 8 connections",
        "hot document, 8 connections",
    ]
    .map(|what| format!("{}, {what}, by the length of the log", database.name()));
    if !titles.iter().any(|title| settings.includes(title)) {
        return Ok(Vec::new());
    }
    let [append, commands, document] = titles;
    let lengths: &[u64] = if settings.big { &BIG_LENGTHS } else { &LENGTHS };
    let mut found = Vec::new();
    let (mut logs, mut appends) = (Vec::new(), Vec::new());
    for length in lengths {
        let (log, shop) = FilledLog::new(database, bench_databases, *length).await?;
        appends.push(Append::new(name(*length), shop));
        logs.push(log);
    }
    if settings.includes(&append) {
        let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
        for target in appends {
            contenders.push(ConcurrentCallers::gather(target, 1, &bench_databases.disk).await?);
        }
        let case = case(append, "events", contenders, Measure::P50, lengths);
        found.extend(case.run(settings).await?);
    } else {
        for target in appends {
            target.end().await;
        }
    }
    if settings.includes(&commands) || settings.includes(&document) {
        let mut servers = Vec::new();
        for (log, length) in logs.iter().zip(lengths) {
            servers.push(Filled::start(log, name(*length), settings).await?);
        }
        if settings.includes(&commands) {
            let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
            for Filled { name, server, shop } in &servers {
                let target = Command::new(name, server, shop);
                contenders.push(ConcurrentCallers::gather(target, CONNECTIONS, &bench_databases.disk).await?);
            }
            let case = case(commands, "commands", contenders, Measure::Cpu, lengths);
            found.extend(case.run(settings).await?);
        }
        if settings.includes(&document) {
            let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
            for Filled { name, server, shop } in &servers {
                // Commands of the case before are folded.
                shop.settled().await?;
                let token = Some(shop.token.clone());
                let target = Get::new(name, server.clone(), FilledLog::DOCUMENT, token);
                contenders.push(ConcurrentCallers::gather_readers(target, CONNECTIONS).await?);
            }
            let case = case(document, "requests", contenders, Measure::Cpu, lengths);
            found.extend(case.run(settings).await?);
        }
    }
    bench_databases.clear().await?;
    Ok(found)
}

/// The name of a contender in results.
fn name(length: u64) -> String {
    format!("ours, {length} events")
}

/// A case that compares every length with the shortest.
fn case(
    title: String,
    unit: &'static str,
    contenders: Vec<Box<dyn Contender>>,
    measure: Measure,
    lengths: &[u64],
) -> Case<'static> {
    let shortest = name(lengths[0]);
    let aim = Threshold::AtMost(GROWTH);
    let longer = lengths[1..].iter();
    Case {
        title,
        unit,
        contenders,
        comparisons: longer
            .map(|length| Comparison::ratio(measure, name(*length), shortest.clone(), aim))
            .collect(),
    }
}

impl Filled {
    async fn start(log: &FilledLog, name: String, settings: &RunSettings) -> Result<Self> {
        report::step(&format!("{name}: the views catch up"));
        let program = settings.foldline()?;
        let token = Foldline::token(program, &log.storage, log.workspace)?;
        let server = Foldline::start(program, &log.storage, &[]).await?.process;
        let shop = Storefront::existing(server.address, token);
        shop.settled().await?;
        Ok(Self {
            name,
            server: Arc::new(server),
            shop,
        })
    }
}
