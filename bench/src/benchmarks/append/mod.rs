//! Storing events, one an append, by 1 to 512 callers who each write to a stream of their own and wait for the commit.
//!
//! What ours does beyond the floor, for the same commit: expected versions, a repeatable answer for every command, a hash
//! chain, positions without gaps, and a mark of every stream and partition.

mod ours;

use anyhow::Result;

use self::ours::Ours;
use crate::{
    callers::Crowd,
    contest::{Aim, Case, Comparison, Found, Rules},
    floors::{GroupCommit, OneRow},
    grounds::{Database, Grounds},
};

/// What a caller who waits for nobody else reaches, and what many reach together: the aims of the design.
const ALONE: f64 = 0.8;
const TOGETHER: f64 = 0.7;

pub(super) async fn run(database: Database, grounds: &Grounds, rules: &Rules) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for callers in [1, 8, 64, 512] {
        let title = format!("{}, {}", database.name(), super::callers(callers));
        if !rules.want(&title) {
            continue;
        }
        let disk = &grounds.disk;
        let case = Case {
            title,
            unit: "events",
            contenders: vec![
                Crowd::gather(Ours::new(database, grounds).await?, callers, disk).await?,
                Crowd::gather(GroupCommit::new(database, grounds).await?, callers, disk).await?,
                Crowd::gather(OneRow::new(database, grounds, callers).await?, callers, disk).await?,
            ],
            comparisons: comparisons(callers),
        };
        found.extend(case.run(rules).await?);
        grounds.clear().await?;
    }
    Ok(found)
}

fn comparisons(callers: usize) -> Vec<Comparison> {
    let (alone, together) = match callers {
        1 => (Aim::AtLeast(ALONE), Aim::None),
        64 => (Aim::None, Aim::AtLeast(TOGETHER)),
        _ => (Aim::None, Aim::None),
    };
    vec![
        Comparison::rate("ours", GroupCommit::NAME, together),
        Comparison::rate("ours", OneRow::NAME, alone),
    ]
}
