//! The life of a workspace in the store: who was let in, when somebody was last there, and its end.
//!
//! A workspace ends as a whole or not at all. It is marked first, for ever: from then on nobody knows it, appends to it
//! are refused, and only what is in it can be deleted, a piece at a time. Its own row goes last, so a purge that was
//! interrupted is known and can go on. Its id is remembered, so that what is left of it elsewhere can be told from what belongs
//! to another event store. When to do so is left to others.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, timestamp::Timestamp};

use super::StoreError;

/// Whether somebody was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// They are counted.
    Yes,
    /// As many as may have come in already.
    Full,
    /// There is no such workspace.
    Unknown,
}

/// What became of a piece of a purge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purged {
    /// Something was deleted, and there is more.
    Piece,
    /// Nothing is left, or nothing was there that is marked.
    Whole,
    /// Another server is deleting it at this moment.
    Elsewhere,
}

/// Part of [`EventStore`](super::EventStore).
#[async_trait]
pub trait Lifecycle: Send + Sync + Debug {
    /// Counts somebody who comes in, unless `most` have come in before.
    async fn admit(&self, workspace: WorkspaceId, most: Option<u32>) -> Result<Admitted, StoreError>;

    /// Somebody was there at that time; an earlier time changes nothing. `false`: there is no such workspace.
    async fn note_activity(&self, workspace: WorkspaceId, at: Timestamp) -> Result<bool, StoreError>;

    /// Workspaces where nobody was since that time, at most `limit`.
    async fn idle_since(&self, since: Timestamp, limit: u32) -> Result<Vec<WorkspaceId>, StoreError>;

    /// Marks a workspace as being purged; with `idle_since`, only if nobody was there since. When it returns `true`, nobody
    /// reads or appends there any more, whichever server they ask. `false`: there is no such workspace, or somebody was
    /// there.
    async fn begin_purge(
        &self,
        workspace: WorkspaceId,
        idle_since: Option<Timestamp>,
    ) -> Result<bool, StoreError>;

    /// Workspaces that are marked, of which something is left.
    async fn purging(&self) -> Result<Vec<WorkspaceId>, StoreError>;

    /// Whether a workspace is marked, or was purged and is not there again. `false`: it is in use, or this store never had it.
    async fn was_purged(&self, workspace: WorkspaceId) -> Result<bool, StoreError>;

    /// Deletes up to `limit` rows of a workspace that is marked, in one transaction.
    async fn purge(&self, workspace: WorkspaceId, limit: u32) -> Result<Purged, StoreError>;
}
