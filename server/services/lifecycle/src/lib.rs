//! The life of a workspace, across the boxes: whether it is there and somebody in it ([`presence`]), that nobody's
//! expires ([`sweep`]), that it goes as a whole ([`purge`]), and that the stores of it belong together ([`foreign_stores`]).
//!
//! No box of the diagram. What is kept of a workspace, and that nothing of it is deleted in part, is the event store's
//! ([`Lifecycle`](event_store::Lifecycle)); each box forgets its own. Every workspace is a sandbox: opened by
//! anybody, limited, and gone when nobody uses it.

pub mod foreign_stores;
pub mod presence;
pub mod purge;
pub mod sweep;

pub use presence::Presence;
pub use purge::{PurgeError, Purger, WorkspaceKeeper};
pub use sweep::Sweeper;
