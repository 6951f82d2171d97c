//! The health of lanes: those that are still catching up since the start, those that retry after an error or
//! a panic, and those that have stopped, which go on retrying slowly. Logs, metrics and the interface report
//! them. Readiness waits only for lanes that are catching up.

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
struct LaneFailure {
    failures: u32,
    /// Whether no retry helps, however few there were.
    is_lasting: bool,
    error: String,
}

impl LaneFailure {
    fn has_stopped(&self) -> bool {
        self.is_lasting || self.failures >= STOPPED_AFTER
    }
}

/// Counts the lanes that are catching up and records those that fail.
#[derive(Debug, Default)]
pub struct Health {
    starting: AtomicUsize,
    failing: Mutex<BTreeMap<(&'static str, PartitionId), LaneFailure>>,
}

/// A lane that is catching up at start; the server is not ready until this is dropped.
#[derive(Debug)]
pub struct StartupGuard<'a>(&'a Health);

impl Drop for StartupGuard<'_> {
    fn drop(&mut self) {
        self.0.starting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Health {
    /// Announces lanes that are about to catch up, so that the server is not ready before they have begun.
    pub(crate) fn awaits(&self, lanes: usize) {
        self.starting.fetch_add(lanes, Ordering::AcqRel);
    }

    /// The guard of one announced lane.
    pub(crate) fn starting(&self) -> StartupGuard<'_> {
        StartupGuard(self)
    }

    /// Records that a lane has failed this often in a row and will be retried. `is_lasting`: no retry helps.
    pub(crate) fn failed(
        &self,
        view: &'static str,
        partition: PartitionId,
        (failures, is_lasting): (u32, bool),
        error: String,
    ) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = LaneFailure {
            failures,
            is_lasting,
            error,
        };
        failing.insert((view, partition), failure);
        report(&failing);
    }

    /// Records that a lane works again.
    pub(crate) fn running(&self, view: &'static str, partition: PartitionId) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.remove(&(view, partition)).is_some() {
            tracing::info!(projection.view = view, %partition, "the lane works again");
            report(&failing);
        }
    }

    /// Forgets a purged workspace.
    pub(crate) fn end(&self, workspace: WorkspaceId) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|(_, partition), _| partition.workspace != workspace);
        report(&failing);
    }

    /// Forgets a view of a workspace that is not there any more.
    pub(crate) fn end_view(&self, workspace: WorkspaceId, view: &str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|(of, partition), _| partition.workspace != workspace || *of != view);
        report(&failing);
    }

    /// The lanes of a view that are failing.
    pub fn failing(&self, view: &str, workspace: WorkspaceId) -> Vec<FailingLane> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing
            .iter()
            .filter(|((of, partition), _)| *of == view && partition.workspace == workspace)
            .map(|((_, partition), lane)| FailingLane {
                partition: partition.partition,
                failures: lane.failures,
                stopped: lane.has_stopped(),
                reason: lane.error.clone(),
            })
            .collect()
    }

    /// What the server waits for before it is ready, one sentence each. A stopped lane is not included: the
    /// views of other workspaces are unaffected, and metrics, the log and the lab name the lane.
    pub fn unready_reasons(&self) -> Vec<String> {
        let starting = self.starting.load(Ordering::Acquire);
        (starting > 0)
            .then(|| format!("{starting} lanes are catching up"))
            .into_iter()
            .collect()
    }
}

fn report(failing: &BTreeMap<(&'static str, PartitionId), LaneFailure>) {
    let stopped = failing.values().filter(|lane| lane.has_stopped()).count();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; there are far fewer than 2^53 lanes"
    )]
    {
        metrics::gauge!("foldline_projection_lanes_failing").set(failing.len() as f64);
        metrics::gauge!("foldline_projection_lanes_stopped").set(stopped as f64);
    }
}
