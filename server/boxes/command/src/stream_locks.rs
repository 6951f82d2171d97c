//! Locks of streams: commands on one stream wait for each other, so that concurrent commands do not cause
//! conflicts. The locks are only an optimisation within one process; correctness depends on the version check
//! of the append alone.

use std::hash::{BuildHasher, RandomState};

use domain::id::{StreamName, WorkspaceId};
use tokio::sync::{Mutex, MutexGuard};

/// The number of locks that all streams share; two streams with the same lock sometimes wait for each other.
const LOCKS: usize = 1024;

/// The locks of all streams.
#[derive(Debug)]
pub(super) struct StreamLocks {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl StreamLocks {
    pub(super) fn new() -> Self {
        Self {
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the lock of a stream, which is held as long as the guard.
    pub(super) async fn lock(&self, workspace: WorkspaceId, stream: &StreamName) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one((workspace, stream));
        let index = usize::try_from(hash % self.locks.len() as u64).unwrap_or(0);
        self.locks[index].lock().await
    }
}
