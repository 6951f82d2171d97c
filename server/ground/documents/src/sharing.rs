//! Servers that share a document store: which of them are alive, which lane groups each of them owns, and the
//! commits that the owner of a lane hands over to the others.
//!
//! An ownership is a lease by the clock of the database: a server renews its membership, and one that does
//! not, or whose connection is gone, loses its groups. It saves work and is no safeguard; the compared
//! checkpoint of an update is the fencing token.
//!
//! A commit that is handed over is stored in the transaction of the documents. A server that follows a view
//! knows how many events it has followed, over all partitions; the commits of a generation of a view are
//! ordered by that number, since its updates are serialised. What is old is removed: a server that finds a
//! gap has missed commits, and knows from the checkpoints how far the view is.

use std::fmt::Debug;

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};
use uuid::Uuid;

use super::DocumentStoreError;

/// What an update of a lane hands over to the servers that do not own the lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedChanges {
    /// The lane's checkpoint before the update.
    pub from: u64,
    /// The changes of the documents, event by event, as JSON; `None`: they are not known one by one.
    pub content: Option<String>,
}

/// A commit that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCommit {
    /// How many events the view had folded after it, over all partitions.
    pub events: u64,
    /// The partition.
    pub partition: u32,
    /// The lane's checkpoint before it.
    pub from: u64,
    /// The lane's checkpoint after it.
    pub to: u64,
    /// The changes, as in [`SharedChanges`].
    pub content: Option<String>,
}

/// How many events of a view a server has followed, over all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowedView {
    /// The view.
    pub view: &'static str,
    /// The events.
    pub events: u64,
}

/// What a view has committed, read in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCommits {
    /// The view.
    pub view: &'static str,
    /// Its live generation.
    pub generation: u64,
    /// How far that generation is folded.
    pub as_of: ConsistencyToken,
    /// The commits of that generation after what the server has followed, in order; at most
    /// [`SHARED_PAGE`].
    pub commits: Vec<SharedCommit>,
}

/// The most commits of a view that are read at a time.
pub const SHARED_PAGE: u32 = 256;

/// The servers that are alive, and the lane groups with their owners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The ids of the servers, in order.
    pub servers: Vec<Uuid>,
    /// Lane groups, each with the server that owns it. One of a server that is not alive has no owner.
    pub owners: Vec<(u32, Uuid)>,
}

/// What servers that share a document store agree upon.
#[async_trait]
pub trait Sharing: Send + Sync + Debug {
    /// Renews the membership of a server, ends that of servers that are gone, and reads the rest.
    async fn renew(&self, server: Uuid) -> Result<Membership, DocumentStoreError>;

    /// Takes those of these lane groups that have no living owner, and reads all owners. Of several servers
    /// that take one at the same time, one gets it.
    async fn claim(&self, server: Uuid, groups: &[u32]) -> Result<Vec<(u32, Uuid)>, DocumentStoreError>;

    /// Gives lane groups of a server to others.
    async fn hand_over(&self, server: Uuid, groups: &[(u32, Uuid)]) -> Result<(), DocumentStoreError>;

    /// Ends the membership of a server, and with it the ownership of its groups.
    async fn leave(&self, server: Uuid) -> Result<(), DocumentStoreError>;

    /// Removes old commits that were handed over.
    async fn trim(&self) -> Result<(), DocumentStoreError>;

    /// The commits of views of a workspace after what a server has followed, in the order of `views`.
    async fn commits(
        &self,
        workspace: WorkspaceId,
        views: &[FollowedView],
    ) -> Result<Vec<SharedCommits>, DocumentStoreError>;
}
