//! The dial of the workspace's clock: frozen, or running on from where it stands.
//!
//! The dial says what is wanted, and the stored clock what is: a clock follows the stored dials, by their
//! version, at whichever server sees first that they differ. So it also does where the server that was told
//! has ended in between.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use documents::DocumentStoreError;
use domain::id::WorkspaceId;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use workspace_clock::{Clocks, Reading};

use super::{DialError, DialKeeper};

/// How long after a failure the dials are followed again.
const RETRY: Duration = Duration::from_secs(1);

/// Has the clocks of workspaces follow their dials.
#[derive(Debug)]
pub struct ClockDials {
    keeper: Arc<DialKeeper>,
    clocks: Arc<Clocks>,
}

impl ClockDials {
    /// The clocks follow the dials of this keeper once [`run`](Self::run) runs.
    pub fn new(keeper: Arc<DialKeeper>, clocks: Arc<Clocks>) -> Self {
        Self { keeper, clocks }
    }

    /// Has the clock of a workspace follow its stored dials, and reads it.
    pub async fn read(&self, workspace: WorkspaceId) -> Result<Reading, DocumentStoreError> {
        let answer = self.keeper.of(workspace).await.map_err(|error| match error {
            DialError::Documents(error) => error,
            other => DocumentStoreError::Corrupt(other.to_string()),
        })?;
        let is_wanted = answer.dials.clock.frozen;
        let reading = self.clocks.refresh(workspace).await?;
        if reading.is_frozen == is_wanted {
            return Ok(reading);
        }
        self.clocks.freeze(workspace, is_wanted, answer.version).await?;
        tracing::info!(%workspace, is_frozen = is_wanted, "the workspace's clock follows its dial");
        self.clocks.reading(workspace).await
    }

    /// Follows what educators change, here and at other servers, until it is cancelled.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        let mut changes = self.keeper.board().changes();
        loop {
            // Both are registered before anything is read, so that no change is missed in between.
            changes.mark_unchanged();
            let set = self.clocks.changed();
            let mut set = std::pin::pin!(set);
            set.as_mut().enable();
            let has_failed = self.follow_all().await.is_err();
            tokio::select! {
                // The keeper has the board, so its changes do not end.
                _ = changes.changed() => {}
                () = set => {}
                () = sleep(RETRY), if has_failed => {}
            }
        }
    }

    /// Has every clock follow that differs from its dial, as far as this server knows.
    async fn follow_all(&self) -> Result<(), DocumentStoreError> {
        let board = self.keeper.board().all().into_iter();
        let wanted = board.filter(|(_, bent)| bent.dials.clock.frozen);
        let wanted: BTreeSet<_> = wanted.map(|(workspace, _)| workspace).collect();
        let frozen: BTreeSet<_> = self.clocks.frozen().into_iter().collect();
        let mut outcome = Ok(());
        for workspace in wanted.symmetric_difference(&frozen) {
            if let Err(error) = self.read(*workspace).await {
                tracing::warn!(%workspace, %error, "a workspace's clock could not follow its dial");
                outcome = Err(error);
            }
        }
        outcome
    }
}
