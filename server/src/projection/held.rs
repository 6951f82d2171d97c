//! What the lab does to the lanes of a view in one workspace: it holds them, or has them crash. In memory: a server that
//! starts again holds nothing.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

/// See the module.
#[derive(Debug, Default)]
pub struct Held {
    paused: watch::Sender<bool>,
    /// The partitions whose lanes are to crash, and have not yet.
    to_crash: watch::Sender<BTreeSet<u32>>,
    panics: AtomicU64,
}

impl Held {
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
        self.to_crash.send_modify(|asked| asked.extend(partitions));
    }

    /// Panics where this lane was asked to.
    pub(super) fn crash_if_asked(&self, partition: u32) {
        let asked = self
            .to_crash
            .send_if_modified(|asked| asked.remove(&partition));
        #[expect(clippy::panic, reason = "that is what somebody in the lab wants to see; the supervisor catches it")]
        if asked {
            panic!("somebody in the lab had this lane crash");
        }
    }

    /// Waits until every lane that was asked to crash has done so.
    pub async fn crashed(&self) {
        let _ = self.to_crash.subscribe().wait_for(BTreeSet::is_empty).await;
    }

    /// A lane has panicked, and will go on at its checkpoint.
    pub(super) fn note_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a lane has panicked.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}
