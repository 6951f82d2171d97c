//! Which lanes are not well: those that still catch up since the start, and those that stopped at an event that they
//! cannot apply. Readiness, logs and figures say so; a stopped lane goes on trying, slowly.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::broker::PartitionId;

/// See the module.
#[derive(Debug, Default)]
pub struct Health {
    starting: AtomicUsize,
    stopped: Mutex<BTreeMap<(&'static str, PartitionId), String>>,
}

/// A lane that catches up at start; well when this is dropped.
#[derive(Debug)]
pub struct Starting<'a>(&'a Health);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.starting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Health {
    /// Notes that lanes are about to catch up, so that readiness does not come before they have begun.
    pub(crate) fn expect(&self, lanes: usize) {
        self.starting.fetch_add(lanes, Ordering::AcqRel);
    }

    /// One of the lanes that were expected.
    pub(crate) fn starting(&self) -> Starting<'_> {
        Starting(self)
    }

    /// A lane cannot go on.
    pub(crate) fn stopped(&self, view: &'static str, partition: PartitionId, error: String) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.insert((view, partition), error);
        report(stopped.len());
    }

    /// A lane goes on.
    pub(crate) fn running(&self, view: &'static str, partition: PartitionId) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if stopped.remove(&(view, partition)).is_some() {
            tracing::info!(projection.view = view, %partition, "the lane goes on");
            report(stopped.len());
        }
    }

    /// What is not well, one sentence each; empty where all is.
    pub fn complaints(&self) -> Vec<String> {
        let starting = self.starting.load(Ordering::Acquire);
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let catching_up = (starting > 0).then(|| format!("{starting} lanes are catching up"));
        let stopped = stopped.iter().map(|((view, partition), error)| {
            format!("view {view} has stopped at partition {partition}: {error}")
        });
        catching_up.into_iter().chain(stopped).collect()
    }
}

fn report(stopped: usize) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; there are far fewer than 2^53 lanes"
    )]
    metrics::gauge!("foldline_projection_lanes_stopped").set(stopped as f64);
}
