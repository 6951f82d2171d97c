//! The line to the clients of live sockets, as the dials bend it. The gateway asks for the faults of its line
//! and does not know the dials.

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};

use domain::id::WorkspaceId;
use gateway::Line;
use lab::{
    dials::{DialBoard, line},
    invariants::Witness,
};

/// A line with the faults that the dials of each workspace say.
#[derive(Debug)]
pub(crate) struct BentLine {
    /// The present dials.
    pub(crate) board: Arc<DialBoard>,
    /// Is told of lost changes.
    pub(crate) witness: Arc<Witness>,
}

impl Line for BentLine {
    fn is_slow(&self, workspace: WorkspaceId) -> bool {
        line::is_slow(&self.board, workspace)
    }

    fn delay(self: Arc<Self>, workspace: WorkspaceId) -> BoxFuture<'static, ()> {
        line::delay(Arc::clone(&self.board), workspace).boxed()
    }

    fn loses_change(&self, workspace: WorkspaceId, frame: &[u8]) -> bool {
        line::loses_change(&self.board, &self.witness, workspace, frame)
    }

    fn is_cut(&self, workspace: WorkspaceId) -> bool {
        line::is_cut(&self.board, workspace)
    }

    fn cut(self: Arc<Self>, workspace: WorkspaceId) -> BoxFuture<'static, ()> {
        line::cut(Arc::clone(&self.board), workspace).boxed()
    }
}
