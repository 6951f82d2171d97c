//! What only a bent box can tell: the events that it published before their append, the mails that it took,
//! and the frames that it lost. The log and the views do not have these, or not all of them.
//!
//! A box reports only while its workspace is bent. A report waits for the watcher of the workspace, in a
//! bounded list; the oldest are dropped.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use broker::PublishedEvent;
use domain::id::WorkspaceId;
use uuid::Uuid;

/// The most reports of a workspace that wait.
const MAX_REPORTS: usize = 512;

/// The most workspaces whose reports wait.
const MAX_WORKSPACES: usize = 64;

/// What a bent box has done.
#[derive(Debug)]
pub(super) enum Report {
    /// It published an event before its append, with the position that it would get.
    Published(Arc<PublishedEvent>),
    /// The append of such an event was refused.
    Refused(Uuid),
    /// A mail went out again.
    MailRepeated {
        /// The event that it is about.
        event: Uuid,
        /// The id under which it went out this time.
        mail: Uuid,
    },
    /// A frame to a client was lost.
    FrameLost {
        /// The view whose change it told; empty if it is not known.
        view: String,
        /// The event that made the change.
        event: Option<Uuid>,
    },
}

/// Takes the reports of bent boxes.
#[derive(Debug, Default)]
pub struct Witness {
    reports: Mutex<HashMap<WorkspaceId, VecDeque<Report>>>,
}

impl Witness {
    /// An event is published before its append, which may be refused.
    pub fn published(&self, workspace: WorkspaceId, event: &Arc<PublishedEvent>) {
        self.report(workspace, Report::Published(Arc::clone(event)));
    }

    /// The append of an event that was published before is refused, or has failed.
    pub fn refused(&self, workspace: WorkspaceId, event: Uuid) {
        self.report(workspace, Report::Refused(event));
    }

    /// A mail about an event went out again, this time under the id `mail`.
    pub fn mail_repeated(&self, workspace: WorkspaceId, event: Uuid, mail: Uuid) {
        self.report(workspace, Report::MailRepeated { event, mail });
    }

    /// A frame of a view's change does not reach its client; `event` made the change.
    pub fn frame_lost(&self, workspace: WorkspaceId, view: &str, event: Option<Uuid>) {
        let view = view.to_owned();
        self.report(workspace, Report::FrameLost { view, event });
    }

    /// Takes what was reported of a workspace, oldest first.
    pub(super) fn take(&self, workspace: WorkspaceId) -> VecDeque<Report> {
        self.reports().remove(&workspace).unwrap_or_default()
    }

    /// Forgets a purged workspace.
    pub fn end(&self, workspace: WorkspaceId) {
        self.reports().remove(&workspace);
    }

    fn report(&self, workspace: WorkspaceId, report: Report) {
        let mut reports = self.reports();
        if reports.len() >= MAX_WORKSPACES && !reports.contains_key(&workspace) {
            return;
        }
        let of_workspace = reports.entry(workspace).or_default();
        if of_workspace.len() >= MAX_REPORTS {
            of_workspace.pop_front();
        }
        of_workspace.push_back(report);
    }

    fn reports(&self) -> MutexGuard<'_, HashMap<WorkspaceId, VecDeque<Report>>> {
        // Each change is one step: a panic leaves it whole.
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
