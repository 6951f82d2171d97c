//! The lab's controls of a view's lanes in one workspace: pause, resume and crash. They are in memory only:
//! after a restart no lane is paused.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

/// Pauses, resumes and crashes the lanes of one view in one workspace.
#[derive(Debug, Default)]
pub struct LaneControls {
    paused: watch::Sender<bool>,
    crashes: watch::Sender<Crashes>,
    panics: AtomicU64,
}

/// The partitions whose lanes are to crash, and those whose panic the supervisor has not caught yet.
#[derive(Debug, Default)]
struct Crashes {
    requested: BTreeSet<u32>,
    in_progress: BTreeSet<u32>,
}

impl LaneControls {
    /// Pauses the lanes: they begin no transaction from now on.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Resumes the lanes at their checkpoints.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Whether the lanes are paused.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Waits until the lanes are not paused.
    pub async fn resumed(&self) {
        // The sender lives as long as this: it cannot be closed while it is borrowed.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
    }

    /// Requests a crash of the lanes of these partitions: each panics once, at its next step.
    pub fn request_crash(&self, partitions: impl IntoIterator<Item = u32>) {
        self.crashes
            .send_modify(|crashes| crashes.requested.extend(partitions));
    }

    /// Panics if a crash of this lane was requested.
    pub(super) fn crash_if_requested(&self, partition: u32) {
        let requested = self.crashes.send_if_modified(|crashes| {
            crashes.requested.remove(&partition) && crashes.in_progress.insert(partition)
        });
        // The educator wants to see this panic; the supervisor catches it like any other.
        assert!(!requested, "an educator had this lane crash");
    }

    /// Waits until every requested crash has happened and the supervisor has caught it.
    pub async fn crashed(&self) {
        let is_over = |crashes: &Crashes| crashes.requested.is_empty() && crashes.in_progress.is_empty();
        let _ = self.crashes.subscribe().wait_for(is_over).await;
    }

    /// Notes that a lane has panicked and will continue at its checkpoint.
    pub(super) fn note_panic(&self, partition: u32) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.crashes
            .send_if_modified(|crashes| crashes.in_progress.remove(&partition));
    }

    /// How often a lane has panicked.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}
