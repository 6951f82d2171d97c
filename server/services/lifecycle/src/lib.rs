//! The lifecycle of workspaces, across the boxes: their existence and activity ([`presence`]), the expiry of
//! unused ones ([`sweep`]), their complete deletion ([`purge`]), and the check that all stores belong
//! together ([`foreign_stores`]).
//!
//! This is no box of the diagram. The event store marks and deletes a workspace
//! ([`Lifecycle`](event_store::Lifecycle)), and each box deletes its own data. Every workspace is a sandbox:
//! anyone may open one, its size is limited, and it expires when it is unused.

pub mod foreign_stores;
pub mod presence;
pub mod purge;
pub mod sweep;

pub use presence::Presence;
pub use purge::{PurgeError, Purger, WorkspaceKeeper};
pub use sweep::Sweeper;
