//! The lab: an educator's operations on the pipeline of a workspace, which make it visible.
//!
//! An educator pauses, resumes and crashes lanes, and puts the workspace's clock forward. The lab only calls
//! the boxes; what follows is their own behaviour, at every server. A pause is kept in their memory: once all
//! have stopped, every lane runs.
//!
//! Students and educators see what happens there: [`hops`] are the arrows of the drawing that events and
//! queries cross.

pub mod hops;
pub mod recordings;

use std::sync::Arc;

use clock::SharedClock;
use documents::DocumentStoreError;
use domain::{
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::{LabClock, ProjectionStatus},
};
use projection::{Projections, rebuild::RebuildError};
use workspace_clock::Clocks;

/// The most that a clock can be ahead of the machine's, in milliseconds: 100 years.
const MAX_AHEAD_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// An operation on a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervention {
    /// Pauses its lanes.
    Pause,
    /// Resumes its lanes.
    Resume,
    /// Makes its lanes panic; the supervisor restarts them.
    Crash,
}

/// How far to put a clock forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMove {
    /// By this many milliseconds.
    By(i64),
    /// To this time.
    To(Timestamp),
}

/// Why an operation of the lab failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// There is no such projection, or it is being rebuilt.
    #[error(transparent)]
    Projection(#[from] RebuildError),
    /// A clock would go back.
    #[error(
        "a workspace's clock goes forward only; it is {now} there, and a timer that has run out stays so"
    )]
    Backwards {
        /// The workspace's current time.
        now: Timestamp,
    },
    /// A clock would go too far.
    #[error("a workspace's clock can be 100 years ahead of the server's, and no more")]
    TooFar,
    /// The clock could not be read or kept.
    #[error(transparent)]
    Clock(#[from] DocumentStoreError),
}

/// Performs an educator's operations.
#[derive(Debug)]
pub struct Lab {
    projections: Arc<Projections>,
    clocks: Arc<Clocks>,
    clock: SharedClock,
}

impl Lab {
    /// A lab over the projections and the clocks of workspaces; `clock` is the machine's.
    pub fn new(projections: Arc<Projections>, clocks: Arc<Clocks>, clock: SharedClock) -> Self {
        Self {
            projections,
            clocks,
            clock,
        }
    }

    /// Pauses, resumes or crashes the lanes of a projection in a workspace, and returns its status.
    pub async fn intervene(
        &self,
        workspace: WorkspaceId,
        view: &str,
        intervention: Intervention,
    ) -> Result<ProjectionStatus, LabError> {
        let projections = &self.projections;
        let unknown = || RebuildError::UnknownView(view.to_owned());
        let is_known = match intervention {
            Intervention::Pause => {
                projections.pause(workspace, view).await?;
                true
            }
            Intervention::Resume => projections.resume(workspace, view),
            Intervention::Crash => projections.crash(workspace, view).await,
        };
        tracing::info!(projection.view = view, %workspace, ?intervention, is_known, "the lab has intervened");
        if !is_known {
            return Err(unknown().into());
        }
        let status = projections.status(workspace).await?;
        let status = status.into_iter().find(|status| status.view == view);
        Ok(status.ok_or_else(unknown)?)
    }

    /// The time of a workspace.
    pub async fn clock(&self, workspace: WorkspaceId) -> Result<LabClock, LabError> {
        let clocks = &self.clocks;
        // Another server may have put it forward a moment ago.
        let ahead_ms = clocks.refresh(workspace).await?;
        Ok(LabClock {
            ahead_ms,
            now: clocks.now(workspace).await?,
        })
    }

    /// Puts the clock of a workspace forward, on every server. Timers that are due by then expire first.
    pub async fn move_clock(&self, workspace: WorkspaceId, forward: ClockMove) -> Result<LabClock, LabError> {
        let clocks = &self.clocks;
        let ahead_ms = clocks.refresh(workspace).await?;
        let now = clocks.now(workspace).await?;
        match forward {
            ClockMove::By(by_ms) => {
                let by_ms = u64::try_from(by_ms).map_err(|_| LabError::Backwards { now })?;
                if ahead_ms.saturating_add(by_ms) > MAX_AHEAD_MS {
                    return Err(LabError::TooFar);
                }
                clocks.put_forward(workspace, by_ms).await?;
            }
            ClockMove::To(to) => {
                if to < now {
                    return Err(LabError::Backwards { now });
                }
                if to.millis_since(self.clock.now()) > MAX_AHEAD_MS {
                    return Err(LabError::TooFar);
                }
                clocks.put_forward_to(workspace, to).await?;
            }
        }
        self.clock(workspace).await
    }
}
