//! Load, decide, append: goods are received into inventories. Ours is the command service with everything that stands
//! behind the gateway; the peer is cqrs-es, whose aggregate here calls our own `decide` and `evolve`, so that both sides do
//! the same domain work and store the same events. The floors of `append` store a row for each command without asking
//! anybody.
//!
//! Two questions: how many commands in a second, by callers who each go through streams of ten events; and what a command
//! costs by the length of its stream.

mod cqrs_es;
mod ours;

use anyhow::Result;

use self::{
    cqrs_es::CqrsEs,
    ours::{Memory, OnLength, Ours},
};
use crate::{
    callers::Crowd,
    contest::{Aim, Case, Comparison, Contender, Found, Rules},
    floors::{GroupCommit, OneRow},
    grounds::{Database, Grounds},
};

/// The aims of the design: against the peer and against the bare writer with 64 callers, against a bare commit with one.
const BARE_WRITER: f64 = 0.7;
const BARE_COMMIT: f64 = 0.8;
/// How much longer a command on the longest stream may take than one on the shortest.
const LONG_STREAM: f64 = 1.5;

/// The lengths of streams.
const LENGTHS: [u64; 3] = [10, 1_000, 10_000];

const fn times_the_peer(database: Database) -> f64 {
    match database {
        Database::Sqlite => 10.0,
        Database::Postgres => 7.0,
    }
}

pub(super) async fn run(database: Database, grounds: &Grounds, rules: &Rules) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for callers in [1, 8, 64] {
        let title = format!("{}, {}", database.name(), super::callers(callers));
        if !rules.want(&title) {
            continue;
        }
        let disk = &grounds.disk;
        let case = Case {
            title,
            unit: "commands",
            contenders: vec![
                Crowd::gather(Ours::new(database, grounds).await?, callers, disk).await?,
                CqrsEs::crowd(database, grounds, callers).await?,
                Crowd::gather(GroupCommit::new(database, grounds).await?, callers, disk).await?,
                Crowd::gather(OneRow::new(database, grounds, callers).await?, callers, disk).await?,
            ],
            comparisons: comparisons(database, callers),
        };
        found.extend(case.run(rules).await?);
        grounds.clear().await?;
    }
    let title = format!("{}, by the length of the stream, 1 caller", database.name());
    if rules.want(&title) {
        found.extend(by_length(database, grounds, title).await?.run(rules).await?);
        grounds.clear().await?;
    }
    Ok(found)
}

fn comparisons(database: Database, callers: usize) -> Vec<Comparison> {
    let aim = |with: usize, least: f64| {
        if callers == with {
            Aim::AtLeast(least)
        } else {
            Aim::None
        }
    };
    vec![
        Comparison::rate("ours", CqrsEs::NAME, aim(64, times_the_peer(database))),
        Comparison::rate("ours", GroupCommit::NAME, aim(64, BARE_WRITER)),
        Comparison::rate("ours", OneRow::NAME, aim(1, BARE_COMMIT)),
    ]
}

async fn by_length(database: Database, grounds: &Grounds, title: String) -> Result<Case<'static>> {
    let (shortest, longest) = (LENGTHS[0], LENGTHS[LENGTHS.len() - 1]);
    let disk = &grounds.disk;
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    let mut comparisons = Vec::new();
    for memory in [Memory::Warm, Memory::Cold] {
        for length in LENGTHS {
            let ours = OnLength::new(database, grounds, length, memory).await?;
            contenders.push(Crowd::gather(ours, 1, disk).await?);
        }
        comparisons.push(Comparison::latency(
            OnLength::named(longest, memory),
            OnLength::named(shortest, memory),
            Aim::AtMost(LONG_STREAM),
        ));
    }
    for length in LENGTHS {
        contenders.push(CqrsEs::on_length(database, grounds, length, None).await?);
        comparisons.push(Comparison::latency(
            CqrsEs::named(length, None),
            OnLength::named(length, Memory::Warm),
            Aim::None,
        ));
    }
    // Its answer to long streams, which has to be asked for.
    let snapshots = Some(cqrs_es::SNAPSHOT_EVERY);
    contenders.push(CqrsEs::on_length(database, grounds, longest, snapshots).await?);
    comparisons.push(Comparison::latency(
        CqrsEs::named(longest, snapshots),
        OnLength::named(longest, Memory::Cold),
        Aim::None,
    ));
    Ok(Case {
        title,
        unit: "commands",
        contenders,
        comparisons,
    })
}
