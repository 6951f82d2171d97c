//! The lifecycle of a workspace in the store: the people admitted to it, its last activity, and its purge.
//!
//! A workspace is purged as a whole or not at all. First it is marked, irrevocably: from then on queries do
//! not find it, appends to it are refused, and its rows can be deleted in batches. Its own row is deleted
//! last, so an interrupted purge is found and continues. Its id stays recorded, which tells its remains in
//! other stores from those of another event store. The callers decide when a workspace is purged.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};

use super::{StoreError, Workspace};

/// The outcome of admitting a person to a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionOutcome {
    /// The person is admitted and counted.
    Yes,
    /// The workspace has as many people as it may have.
    Full,
    /// There is no such workspace.
    Unknown,
}

/// How far a purge is after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurgeProgress {
    /// A batch was deleted, and there may be more.
    Batch,
    /// Nothing is left, or there is no such workspace that is marked.
    Complete,
    /// Another server holds the workspace and deletes it.
    HeldElsewhere,
}

/// The workspace that has taken the place of one that was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    /// It.
    pub workspace: WorkspaceId,
    /// When the other one was reset, by the machine's clock.
    pub moved_at: Timestamp,
}

/// The lifecycle of workspaces; part of [`EventStore`](super::EventStore).
#[async_trait]
pub trait Lifecycle: Send + Sync + Debug {
    /// Admits a person and counts them, unless `most` people were admitted before.
    async fn admit(&self, workspace: WorkspaceId, most: Option<u32>) -> Result<AdmissionOutcome, StoreError>;

    /// Frees the places of this many people who were admitted. `false`: there is no such workspace, or it has
    /// not had so many besides the person who opened it.
    async fn release(&self, workspace: WorkspaceId, people: u32) -> Result<bool, StoreError>;

    /// Notes activity at that time; an earlier time changes nothing. `false`: there is no such workspace.
    async fn note_activity(&self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError>;

    /// Workspaces without activity since that time, at most `limit`.
    async fn idle_since(&self, since: Timestamp, limit: u32) -> Result<Vec<WorkspaceId>, StoreError>;

    /// Marks a workspace as being purged; with `idle_since`, only if it had no activity since. When it
    /// returns `true`, every server refuses to read or append there. `false`: there is no such workspace,
    /// or it had activity.
    async fn begin_purge(
        &self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
    ) -> Result<bool, StoreError>;

    /// Marks a workspace as being purged, and gives its join code and its number of people to another one
    /// that was opened for it, in one transaction: people join the new one from then on, and
    /// [`successor`](Self::successor) leads there. `false`: one of the two does not exist, or `old` has
    /// another join code by now; nothing was changed.
    async fn replace(&self, old: &Workspace, new: WorkspaceId) -> Result<bool, StoreError>;

    /// The workspace that has the place of one that was reset; it is known for two days. `None`: it was not
    /// reset.
    async fn successor(&self, workspace: WorkspaceId) -> Result<Option<Successor>, StoreError>;

    /// Marked workspaces of which rows are left.
    async fn purging(&self) -> Result<Vec<WorkspaceId>, StoreError>;

    /// Whether a workspace is marked, or was purged and not imported again. `false`: it is in use, or this
    /// store never had it.
    async fn was_purged(&self, workspace: WorkspaceId) -> Result<bool, StoreError>;

    /// Deletes up to `limit` rows of a marked workspace, in one transaction.
    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<PurgeProgress, StoreError>;
}
