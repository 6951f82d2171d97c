//! Which policies may have work: woken by the commits of lanes, and by answers that free a queue.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use documents::Scope;
use domain::id::WorkspaceId;
use projection::{Commit, Followers};
use tokio::sync::Notify;

/// The policies of workspaces that may have work.
#[derive(Debug, Default)]
pub(super) struct Waker {
    awake: Mutex<BTreeSet<(WorkspaceId, &'static str)>>,
    woken: Notify,
}

impl Waker {
    /// Wakes a policy of a workspace.
    pub(super) fn wake(&self, workspace: WorkspaceId, policy: &'static str) {
        self.awake
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((workspace, policy));
        self.woken.notify_one();
    }

    /// Forgets a purged workspace.
    pub(super) fn end(&self, workspace: WorkspaceId) {
        let mut awake = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        awake.retain(|(of, _)| *of != workspace);
    }

    /// Takes the policies that were woken since the last call.
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
