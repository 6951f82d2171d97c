//! Which server runs the lanes of a group on a partition. A lane group asks each time that it has work.
//!
//! Ownership saves work; it is no safeguard. If two servers both believe that they own a lane, its checkpoint
//! decides: only one of them can move it.

use std::fmt::Debug;

use async_trait::async_trait;
use broker::PartitionId;

/// Decides which server runs a lane group.
#[async_trait]
pub trait Ownership: Send + Sync + Debug {
    /// Whether this server runs the lanes of this group on this partition now.
    async fn owns(&self, group: &'static str, partition: PartitionId) -> bool;
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
