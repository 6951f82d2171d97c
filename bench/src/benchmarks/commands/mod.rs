//! Load, decide, append: stock is received. Ours is the command service with everything behind the gateway.
//! The peer is cqrs-es, whose aggregate here calls our own `decide` and `evolve`, so both sides do the same
//! domain work and store the same events. The floors of `append` store a row for each command without a
//! decision.
//!
//! Two questions: how many commands per second, by callers that write streams of ten events; and how the
//! latency of a command depends on the length of its stream.

mod cqrs_es;
mod ours;

use anyhow::Result;

use self::{
    cqrs_es::CqrsEs,
    ours::{FixedLengthStreams, Memory, Ours},
};
use crate::{
    callers::ConcurrentCallers,
    case::{Case, CaseResult, Comparison, Contender, RunSettings, Threshold},
    databases::{BenchDatabases, Database},
    floors::{GroupCommit, OneRow},
};

/// The thresholds of the design: against the bare writer with 64 callers, against a bare commit and the peer
/// with one. The multiple of the peer with 64 callers is reported.
const BARE_WRITER: f64 = 0.7;
const BARE_COMMIT: f64 = 0.6;
const TIMES_THE_PEER: f64 = 1.5;
/// The most that a command on the longest stream may take, relative to one on the shortest.
const LONG_STREAM: f64 = 1.5;

/// The measured lengths of streams.
const LENGTHS: [u64; 3] = [10, 1_000, 10_000];

pub(super) async fn run(
    database: Database,
    bench_databases: &BenchDatabases,
    settings: &RunSettings,
) -> Result<Vec<CaseResult>> {
    let mut found = Vec::new();
    for callers in [1, 8, 64] {
        let title = format!("{}, {}", database.name(), super::callers(callers));
        if !settings.includes(&title) {
            continue;
        }
        let disk = &bench_databases.disk;
        let case = Case {
            title,
            unit: "commands",
            contenders: vec![
                ConcurrentCallers::gather(Ours::new(database, bench_databases).await?, callers, disk).await?,
                CqrsEs::short_streams(database, bench_databases, callers).await?,
                ConcurrentCallers::gather(GroupCommit::new(database, bench_databases).await?, callers, disk)
                    .await?,
                ConcurrentCallers::gather(
                    OneRow::new(database, bench_databases, callers).await?,
                    callers,
                    disk,
                )
                .await?,
            ],
            comparisons: comparisons(callers),
        };
        found.extend(case.run(settings).await?);
        bench_databases.clear().await?;
    }
    let title = format!("{}, by the length of the stream, 1 caller", database.name());
    if settings.includes(&title) {
        found.extend(
            by_length(database, bench_databases, title)
                .await?
                .run(settings)
                .await?,
        );
        bench_databases.clear().await?;
    }
    Ok(found)
}

fn comparisons(callers: usize) -> Vec<Comparison> {
    let aim = |with: usize, least: f64| {
        if callers == with {
            Threshold::AtLeast(least)
        } else {
            Threshold::None
        }
    };
    vec![
        Comparison::rate("ours", CqrsEs::NAME, aim(1, TIMES_THE_PEER)),
        Comparison::rate("ours", GroupCommit::NAME, aim(64, BARE_WRITER)),
        Comparison::rate("ours", OneRow::NAME, aim(1, BARE_COMMIT)),
    ]
}

async fn by_length(
    database: Database,
    bench_databases: &BenchDatabases,
    title: String,
) -> Result<Case<'static>> {
    let (shortest, longest) = (LENGTHS[0], LENGTHS[LENGTHS.len() - 1]);
    let disk = &bench_databases.disk;
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    let mut comparisons = Vec::new();
    for memory in [Memory::Warm, Memory::Cold] {
        for length in LENGTHS {
            let ours = FixedLengthStreams::new(database, bench_databases, length, memory).await?;
            contenders.push(ConcurrentCallers::gather(ours, 1, disk).await?);
        }
        comparisons.push(Comparison::latency(
            FixedLengthStreams::named(longest, memory),
            FixedLengthStreams::named(shortest, memory),
            Threshold::AtMost(LONG_STREAM),
        ));
    }
    for length in LENGTHS {
        contenders.push(CqrsEs::fixed_length_streams(database, bench_databases, length, None).await?);
        comparisons.push(Comparison::latency(
            CqrsEs::named(length, None),
            FixedLengthStreams::named(length, Memory::Warm),
            Threshold::None,
        ));
    }
    // Its optional snapshots, for long streams.
    let snapshots = Some(cqrs_es::SNAPSHOT_EVERY);
    contenders.push(CqrsEs::fixed_length_streams(database, bench_databases, longest, snapshots).await?);
    comparisons.push(Comparison::latency(
        CqrsEs::named(longest, snapshots),
        FixedLengthStreams::named(longest, Memory::Cold),
        Threshold::None,
    ));
    Ok(Case {
        title,
        unit: "commands",
        contenders,
        comparisons,
    })
}
