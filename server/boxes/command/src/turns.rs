//! Turns: commands on one stream wait for each other, so that a busy stream costs a commit a command and not a storm of
//! conflicts. That is a courtesy of one process: what keeps two writers apart is the version check of the append, and no
//! other.

use std::hash::{BuildHasher, RandomState};

use domain::id::{StreamName, WorkspaceId};
use tokio::sync::{Mutex, MutexGuard};

/// Streams share this many turns; two that share one wait for each other now and then, and nothing worse.
const TURNS: usize = 1024;

/// The turns of every stream.
#[derive(Debug)]
pub(super) struct Turns {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            locks: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the turn of a stream, which lasts as long as the guard.
    pub(super) async fn take(&self, workspace: WorkspaceId, stream: &StreamName) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one((workspace, stream));
        let index = usize::try_from(hash % self.locks.len() as u64).unwrap_or(0);
        self.locks[index].lock().await
    }
}
