//! Follows the commits of the lanes: they tell which processes have work, and which commands were carried
//! out.

use std::sync::Arc;

use documents::Scope;
use domain::policy::WORK;
use projection::{Changes, Commit, Followers, fold_result::DocumentChange, progress::Progress};

use super::{
    command_queue::CommandQueues,
    work_set::{Snapshot, Unlisted, WorkSet, policy_of},
};

/// Passes the commits of the lanes on to the runner, and to the tasks that wait for processes.
#[derive(Debug)]
pub(super) struct CommitFollower {
    pub(super) work: Arc<WorkSet>,
    pub(super) queues: Arc<CommandQueues>,
    pub(super) progress: Arc<Progress>,
}

impl CommitFollower {
    fn follow_changes(&self, scope: &Scope, changes: Vec<DocumentChange>) {
        for change in changes {
            if let Some(command) = change.event.command_id {
                self.queues.carried_out(scope, &change.key, command);
            }
            if let Some(after) = change.after
                && after.sort_in(WORK, "").is_some()
            {
                let snapshot = Snapshot::Folded(Arc::clone(&after.data));
                self.work.add(scope, change.key, Some(snapshot));
            }
        }
    }
}

impl Followers for CommitFollower {
    fn follow(&self, _: &Scope) -> bool {
        true
    }

    fn max_tracked_events(&self) -> usize {
        usize::MAX
    }

    fn committed(&self, commit: Commit) {
        let Commit { scope, changes, .. } = commit;
        match changes {
            Changes::Each(changes) => self.follow_changes(&scope, changes),
            // The lanes here track every commit of their own.
            Changes::Unknown => self
                .work
                .add_unlisted(policy_of(&scope), Unlisted::ElsewhereChanged),
            Changes::Everything => self.work.add_unlisted(policy_of(&scope), Unlisted::Unknown),
        }
        self.progress.wake_waiting(scope.workspace);
    }
}
