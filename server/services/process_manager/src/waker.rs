//! Which policies may have something to do: woken by the commits of lanes, and by answers that free a queue.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use documents::Scope;
use domain::id::WorkspaceId;
use projection::{Commit, Followers};
use tokio::sync::Notify;

/// The policies of workspaces in which something may be to do; woken by the lanes.
#[derive(Debug, Default)]
pub(super) struct Waker {
    awake: Mutex<BTreeSet<(WorkspaceId, &'static str)>>,
    woken: Notify,
}

impl Waker {
    /// A policy of a workspace may have something to do.
    pub(super) fn wake(&self, workspace: WorkspaceId, policy: &'static str) {
        self.awake
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((workspace, policy));
        self.woken.notify_one();
    }

    /// A workspace is there no more.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let mut awake = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        awake.retain(|(of, _)| *of != workspace);
    }

    /// The policies that were woken since this was last asked.
    pub(super) fn take(&self) -> BTreeSet<(WorkspaceId, &'static str)> {
        std::mem::take(&mut *self.awake.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Waker {
    /// Waits until a policy is woken.
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Followers for Waker {
    fn follow(&self, _: &Scope) -> bool {
        false
    }

    fn committed(&self, commit: Commit) {
        self.wake(commit.scope.workspace, commit.scope.view);
    }
}
