//! The memory of subscribers: how much a new server grows by them, once all have had a change. A server that
//! has had subscribers before keeps their memory, so each run starts another one.

use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;

use super::{Feed, Kind, fan_out::subscribe};
use crate::{
    case::{Contender, RunSettings},
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample},
    outside::Socket,
};

/// Subscribers who do not count: the first ones make a server load what it then keeps.
const FIRST: usize = 20;

pub(super) struct Memory<'a> {
    pub(super) kind: Kind,
    pub(super) database: Database,
    pub(super) bench_databases: &'a BenchDatabases,
    pub(super) settings: &'a RunSettings,
    pub(super) subscribers: usize,
}

/// Makes a change, and waits until all have it.
async fn change(feed: &mut Feed, sockets: &mut [Socket]) -> Result<()> {
    feed.publish().await?;
    for socket in sockets {
        socket.change().await?;
    }
    Ok(())
}

#[async_trait(?Send)]
impl Contender for Memory<'_> {
    fn name(&self) -> String {
        self.kind.name().to_owned()
    }

    async fn run(&mut self, _time: Duration) -> Result<Sample> {
        let mut feed = Feed::start(self.kind, self.database, self.bench_databases, self.settings).await?;
        let mut sockets = subscribe(&feed, FIRST).await?;
        change(&mut feed, &mut sockets).await?;
        let before = feed.server.memory()?;
        let begun = Instant::now();
        sockets.extend(subscribe(&feed, self.subscribers).await?);
        let time = begun.elapsed();
        change(&mut feed, &mut sockets).await?;
        let bytes = feed.server.memory()?.saturating_sub(before);
        Ok(Sample {
            done: u64::try_from(self.subscribers)?,
            time,
            latencies: Latencies::new()?,
            cost: Cost {
                cpu: None,
                bytes: Some(bytes),
            },
        })
    }
}
