//! Prepares the lanes of process managers and consumers before they start. They know the heads that the relay
//! reports to the views, and obey the dials of their workspaces from their first transaction on.

use std::sync::Arc;

use lab::dials::{DialBoard, lanes::BentLanes};
use projection::progress::{LaneSetup, Progress};

/// What every lane of this server has in common.
#[derive(Debug)]
pub(crate) struct ServerLanes {
    /// The progress of the views, to which the relay reports.
    pub(crate) views: Arc<Progress>,
    /// The present dials.
    pub(crate) board: Arc<DialBoard>,
}

impl LaneSetup for ServerLanes {
    fn prepare(&self, progress: &Arc<Progress>) {
        self.views.share_heads(progress);
        BentLanes::bend(progress, &self.board);
    }
}
