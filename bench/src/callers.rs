//! Concurrent callers that repeat one call: each waits for its answer before the next call, so the rate
//! follows from the latency and the number of callers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    case::Contender,
    durability::Disk,
    figures::{Cost, Latencies, Sample},
};

/// Consecutive calls by one caller, to count the disk's flushes.
const PROBES: u32 = 25;

/// The called program.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// Its name in results.
    fn name(&self) -> String;

    /// A new caller.
    async fn caller(&self, number: usize) -> Result<Box<dyn Caller>>;

    /// The CPU time that its process has used so far; `None` if it has no process of its own.
    fn cpu(&self) -> Result<Option<Duration>> {
        Ok(None)
    }

    /// Stops its background tasks.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// A caller.
#[async_trait]
pub(crate) trait Caller: Send {
    /// Makes one call. When this returns, its data is on disk.
    async fn call(&mut self) -> Result<()>;

    /// Prepares the next call, untimed. `false`: there was nothing to prepare.
    async fn prepare(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// A target with its callers.
pub(crate) struct ConcurrentCallers {
    target: Box<dyn Target>,
    callers: Vec<Box<dyn Caller>>,
    flushes: Option<f64>,
}

impl ConcurrentCallers {
    /// Creates the callers of a target that stores nothing.
    pub(crate) async fn gather_readers(
        target: impl Target + 'static,
        size: usize,
    ) -> Result<Box<dyn Contender>> {
        Ok(Box::new(Self::new(target, size).await?))
    }

    async fn new(target: impl Target + 'static, size: usize) -> Result<Self> {
        let mut callers = Vec::with_capacity(size);
        for number in 0..size {
            callers.push(target.caller(number).await?);
        }
        Ok(Self {
            target: Box::new(target),
            callers,
            flushes: None,
        })
    }

    /// Creates the callers, and checks that their calls reach the disk.
    pub(crate) async fn gather(
        target: impl Target + 'static,
        size: usize,
        disk: &Disk,
    ) -> Result<Box<dyn Contender>> {
        let mut crowd = Self::new(target, size).await?;
        if let Some(caller) = crowd.callers.first_mut() {
            caller.prepare().await?;
            let before = disk.flushes();
            for _ in 0..PROBES {
                caller.call().await?;
            }
            crowd.flushes = disk
                .flushes_since(before, PROBES)
                .with_context(|| crowd.target.name())?;
        }
        Ok(Box::new(crowd))
    }
}

#[async_trait(?Send)]
impl Contender for ConcurrentCallers {
    fn name(&self) -> String {
        self.target.name()
    }

    async fn run(&mut self, time: Duration) -> Result<Sample> {
        let cpu_before = self.target.cpu()?;
        let start = Arc::new(Barrier::new(self.callers.len()));
        let mut at_work = JoinSet::new();
        for mut caller in self.callers.drain(..) {
            let start = start.clone();
            at_work.spawn(async move {
                start.wait().await;
                let outcome = call_for(&mut *caller, time).await;
                (caller, outcome)
            });
        }
        let mut whole = Sample {
            done: 0,
            time: Duration::ZERO,
            latencies: Latencies::new()?,
            cost: Cost::default(),
        };
        while let Some(joined) = at_work.join_next().await {
            let (caller, outcome) = joined?;
            self.callers.push(caller);
            let part = outcome?;
            whole.done += part.done;
            whole.time = whole.time.max(part.time);
            whole.latencies.join(&part.latencies)?;
        }
        let cpu = self.target.cpu()?.zip(cpu_before);
        whole.cost.cpu = cpu.map(|(after, before)| after.saturating_sub(before));
        Ok(whole)
    }

    fn flushes(&self) -> Option<f64> {
        self.flushes
    }

    async fn close(self: Box<Self>) -> Result<()> {
        drop(self.callers);
        self.target.close().await
    }
}

/// One caller's sample: the time of its calls, without preparations.
async fn call_for(caller: &mut dyn Caller, time: Duration) -> Result<Sample> {
    let mut latencies = Latencies::new()?;
    let (mut done, mut spent) = (0, Duration::ZERO);
    let mut before = Instant::now();
    while spent < time {
        if caller.prepare().await? {
            before = Instant::now();
        }
        caller.call().await?;
        let now = Instant::now();
        let took = now - before;
        latencies.note(took);
        spent += took;
        done += 1;
        before = now;
    }
    Ok(Sample {
        done,
        time: spent,
        latencies,
        cost: Cost::default(),
    })
}
