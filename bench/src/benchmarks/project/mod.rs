//! Folding a log into a view: the orders of a shop, from being placed to being delivered, into the view `orders` with its
//! three listings. Ours catches up from nothing, as a view does that was added, and rebuilds beside the live view. The peer
//! is disintegrate's listener on PostgreSQL; the floor is a projector that does nothing but fold and upsert.
//!
//! How far apart the events of one order lie makes a difference: where they are close, a batch folds several into one
//! document before it writes it. So there are two logs.

mod disintegrate;
mod floor;
mod history;
mod ours;

use std::time::Duration;

use anyhow::Result;

use self::{disintegrate::Disintegrate, floor::Floor, history::History, ours::Ours};
use crate::{
    contest::{Aim, Case, Comparison, Contender, Found, Rules},
    figures::{Latencies, Sample},
    grounds::{Database, Grounds},
};

/// The aims of the design: of SQLite a figure, of PostgreSQL a multiple of the peer.
const SQLITE: f64 = 150_000.0;
const TIMES_THE_PEER: f64 = 10.0;

/// Events for each second of a run: about as many as are folded in it.
const OURS: u32 = 40_000;
const PEERS: u32 = 3_000;

/// Orders that are under way at the same time.
const CLOSE: usize = 100;
const FAR: usize = 2_000;

pub(super) async fn run(database: Database, grounds: &Grounds, rules: &Rules) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for under_way in [CLOSE, FAR] {
        let title = format!("{}, {under_way} orders under way", database.name());
        if !rules.want(&title) {
            continue;
        }
        let case = case(database, grounds, title, under_way, rules.time).await?;
        found.extend(case.run(rules).await?);
        grounds.clear().await?;
    }
    Ok(found)
}

async fn case<'a>(
    database: Database,
    grounds: &'a Grounds,
    title: String,
    under_way: usize,
    time: Duration,
) -> Result<Case<'a>> {
    let seconds = usize::try_from(time.as_secs())?.max(1);
    let ours = History::new(under_way, seconds * OURS as usize);
    let catch_up = Ours::new(database, grounds, &ours, ours::Task::CatchUp).await?;
    let rebuild = Ours::new(database, grounds, &ours, ours::Task::Rebuild).await?;
    let floor = Floor::new(database, grounds, &ours).await?;
    let mut contenders: Vec<Box<dyn Contender + 'a>> =
        vec![Box::new(catch_up), Box::new(rebuild), Box::new(floor)];
    let catches_up = ours::Task::CatchUp.name();
    let aim = match database {
        Database::Sqlite => Comparison::absolute(catches_up, Aim::AtLeast(SQLITE)),
        Database::Postgres => {
            let theirs = History::new(under_way, seconds * PEERS as usize);
            contenders.push(Box::new(Disintegrate::new(grounds, &theirs).await?));
            Comparison::rate(catches_up, Disintegrate::NAME, Aim::AtLeast(TIMES_THE_PEER))
        }
    };
    Ok(Case {
        title,
        unit: "events",
        contenders,
        comparisons: vec![
            aim,
            Comparison::rate(catches_up, Floor::NAME, Aim::None),
            Comparison::rate(ours::Task::Rebuild.name(), Floor::NAME, Aim::None),
        ],
    })
}

/// All events of a log, folded in this time; nobody waits for one of them alone.
fn sample(events: usize, time: Duration) -> Result<Sample> {
    Ok(Sample {
        done: u64::try_from(events)?,
        time,
        latencies: Latencies::new()?,
    })
}
