//! Sandboxes: visitors open workspaces from the template `shop`. What a sandbox costs includes everything
//! that its events cause, so the measurement ends when all of them are settled.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use async_trait::async_trait;
use domain::wire::Template;
use tokio::task::JoinSet;

use crate::{
    case::Contender,
    databases::{BenchDatabases, Database},
    figures::{Cost, Latencies, Sample},
    outside::{Foldline, Storage, Storefront},
};

pub(super) struct Sandboxes {
    foldline: Foldline,
    storage: Storage,
    visitors: usize,
}

impl Sandboxes {
    pub(super) const NAME: &'static str = "ours";

    pub(super) async fn new(
        database: Database,
        bench_databases: &BenchDatabases,
        program: &Path,
        visitors: usize,
    ) -> Result<Self> {
        let storage = Storage::new(database, bench_databases, "ours").await?;
        Ok(Self {
            foldline: Foldline::start(program, &storage, &[]).await?,
            storage,
            visitors,
        })
    }
}

#[async_trait(?Send)]
impl Contender for Sandboxes {
    fn name(&self) -> String {
        Self::NAME.to_owned()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let address = self.foldline.process.address;
        let (cpu_before, stored_before) = (self.foldline.process.cpu()?, self.storage.stored().await?);
        let begun = Instant::now();
        let mut at_work = JoinSet::new();
        for _ in 0..self.visitors {
            at_work.spawn(async move {
                let (mut opened, mut latencies) = (Vec::new(), Latencies::new()?);
                while begun.elapsed() < time || opened.is_empty() {
                    let before = Instant::now();
                    opened.push(Storefront::open(address, Template::Shop).await?);
                    latencies.note(before.elapsed());
                }
                anyhow::Ok((opened, latencies))
            });
        }
        let (mut opened, mut latencies) = (Vec::new(), Latencies::new()?);
        while let Some(joined) = at_work.join_next().await {
            let (theirs, part) = joined??;
            opened.extend(theirs);
            latencies.join(&part)?;
        }
        for sandbox in &opened {
            sandbox.settled().await?;
        }
        let time = begun.elapsed();
        Ok(Sample {
            done: latencies.count(),
            time,
            latencies,
            cost: Cost {
                cpu: Some(self.foldline.process.cpu()?.saturating_sub(cpu_before)),
                bytes: Some(self.storage.stored().await?.saturating_sub(stored_before)),
            },
        })
    }

    async fn close(self: Box<Self>) -> Result<()> {
        self.foldline.process.stop().await
    }
}
