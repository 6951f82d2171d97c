//! What the lab does to the lanes of a view in one workspace: it holds them, or has them crash. In memory: a server that
//! starts again holds nothing.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

/// See the module.
#[derive(Debug, Default)]
pub struct LaneControls {
    paused: watch::Sender<bool>,
    crashes: watch::Sender<Crashes>,
    panics: AtomicU64,
}

/// The partitions whose lanes are to crash, and of those that have begun to and were not caught yet.
#[derive(Debug, Default)]
struct Crashes {
    asked: BTreeSet<u32>,
    under_way: BTreeSet<u32>,
}

impl LaneControls {
    /// Lanes begin no transaction from now on.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Lanes go on where they were held.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Whether lanes are held.
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Waits while lanes are held.
    pub async fn resumed(&self) {
        // The sender lives as long as this: it cannot be closed while it is borrowed.
        let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
    }

    /// The lanes of these partitions are to crash, once, at the next thing that they do.
    pub fn ask_to_crash(&self, partitions: impl IntoIterator<Item = u32>) {
        self.crashes
            .send_modify(|crashes| crashes.asked.extend(partitions));
    }

    /// Panics where this lane was asked to.
    pub(super) fn crash_if_asked(&self, partition: u32) {
        let asked = self.crashes.send_if_modified(|crashes| {
            crashes.asked.remove(&partition) && crashes.under_way.insert(partition)
        });
        // That is what the educator wants to see; the supervisor catches it, as it would any other.
        assert!(!asked, "an educator had this lane crash");
    }

    /// Waits until every lane that was asked to crash has done so, and the supervisor has caught it.
    pub async fn crashed(&self) {
        let is_over = |crashes: &Crashes| crashes.asked.is_empty() && crashes.under_way.is_empty();
        let _ = self.crashes.subscribe().wait_for(is_over).await;
    }

    /// A lane has panicked, and will go on at its checkpoint.
    pub(super) fn note_panic(&self, partition: u32) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.crashes
            .send_if_modified(|crashes| crashes.under_way.remove(&partition));
    }

    /// How often a lane has panicked.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}
