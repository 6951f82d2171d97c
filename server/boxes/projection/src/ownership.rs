//! Which server runs the lanes of a group on a partition. A lane group asks each time that it has work.
//!
//! Ownership saves work; it is no safeguard. If two servers both believe that they own a lane, its checkpoint
//! decides: only one of them can move it.

use std::fmt::Debug;

use async_trait::async_trait;
use broker::{Broker, PartitionId};
use domain::id::WorkspaceId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Decides which server runs a lane group.
#[async_trait]
pub trait Ownership: Send + Sync + Debug {
    /// Whether this server runs the lanes of this group on this partition now.
    async fn owns(&self, group: &'static str, partition: PartitionId) -> bool;

    /// Whether servers share the lane groups, so that one that does not own a group follows its owner.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether there are other servers, to which an owner hands over what it commits.
    fn has_others(&self) -> bool {
        false
    }

    /// Notes that a commit of a workspace was handed over.
    fn handed_over(&self, _workspace: WorkspaceId) {}

    /// Changes whenever this server has become the owner of further groups, or is no longer that of some;
    /// `None`: it never does.
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Keeps what this server owns, and tells the other servers of its commits, until it is cancelled; then
    /// it gives everything up.
    async fn run(&self, _broker: &dyn Broker, _cancelled: CancellationToken) {}
}

/// Every server runs every group.
#[derive(Debug, Clone, Copy, Default)]
pub struct EveryServer;

#[async_trait]
impl Ownership for EveryServer {
    async fn owns(&self, _group: &'static str, _partition: PartitionId) -> bool {
        true
    }
}
