//! Which lanes are not well: those that still catch up since the start, those that try again after an error or a panic, and
//! those that have stopped, which go on trying slowly. Logs, figures and the interface say so; readiness waits for those
//! that catch up, and no lane decides it that has stopped.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain::{id::WorkspaceId, wire::FailingLane};

use super::retry::STOPPED_AFTER;
use broker::PartitionId;

#[derive(Debug)]
struct Failing {
    failures: u32,
    error: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Health {
    starting: AtomicUsize,
    failing: Mutex<BTreeMap<(&'static str, PartitionId), Failing>>,
}

/// A lane that catches up at start; readiness waits until this is dropped.
#[derive(Debug)]
pub struct Starting<'a>(&'a Health);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.0.starting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Health {
    /// Notes that lanes are about to catch up, so that readiness does not come before they have begun.
    pub(crate) fn awaits(&self, lanes: usize) {
        self.starting.fetch_add(lanes, Ordering::AcqRel);
    }

    /// One of the lanes that were expected.
    pub(crate) fn starting(&self) -> Starting<'_> {
        Starting(self)
    }

    /// A lane has failed so often in a row, and will be tried again.
    pub(crate) fn failed(&self, view: &'static str, partition: PartitionId, failures: u32, error: String) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.insert((view, partition), Failing { failures, error });
        report(&failing);
    }

    /// A lane goes on.
    pub(crate) fn running(&self, view: &'static str, partition: PartitionId) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.remove(&(view, partition)).is_some() {
            tracing::info!(projection.view = view, %partition, "the lane goes on");
            report(&failing);
        }
    }

    /// A workspace is there no more.
    pub(crate) fn end(&self, workspace: WorkspaceId) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|(_, partition), _| partition.workspace != workspace);
        report(&failing);
    }

    /// The lanes of a view that are tried again.
    pub fn failing(&self, view: &str, workspace: WorkspaceId) -> Vec<FailingLane> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing
            .iter()
            .filter(|((of, partition), _)| *of == view && partition.workspace == workspace)
            .map(|((_, partition), lane)| FailingLane {
                partition: partition.partition,
                failures: lane.failures,
                stopped: lane.failures >= STOPPED_AFTER,
                reason: lane.error.clone(),
            })
            .collect()
    }

    /// What the server waits for before it is ready, one sentence each; empty where there is nothing. A lane that has stopped
    /// is not among it: the views of other workspaces are as good as ever, and figures, the log and the lab name the lane.
    pub fn complaints(&self) -> Vec<String> {
        let starting = self.starting.load(Ordering::Acquire);
        (starting > 0)
            .then(|| format!("{starting} lanes are catching up"))
            .into_iter()
            .collect()
    }
}

fn report(failing: &BTreeMap<(&'static str, PartitionId), Failing>) {
    let stopped = failing
        .values()
        .filter(|lane| lane.failures >= STOPPED_AFTER)
        .count();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; there are far fewer than 2^53 lanes"
    )]
    {
        metrics::gauge!("foldline_projection_lanes_failing").set(failing.len() as f64);
        metrics::gauge!("foldline_projection_lanes_stopped").set(stopped as f64);
    }
}
