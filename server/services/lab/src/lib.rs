//! The lab: what an educator does to the pipeline of a workspace, so that everybody sees what it is made for.
//!
//! Lanes are paused, resumed and made to crash, and the workspace's clock is put forward. The lab asks the boxes; what
//! then happens, and what readers are told meanwhile, is the boxes' own. A pause is kept in memory: it is a demonstration,
//! and a server that starts again runs every lane.

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

/// The furthest that a clock can be ahead of the machine's, in milliseconds: 100 years.
const FURTHEST_MS: u64 = 100 * 365 * 24 * 3_600_000;

/// What can be done to a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervention {
    /// Its lanes are held.
    Pause,
    /// They go on.
    Resume,
    /// They panic, now, and are started again.
    Crash,
}

/// How far a clock is put forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// By so many milliseconds.
    By(i64),
    /// To this time.
    To(Timestamp),
}

/// Why the lab did nothing.
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
        /// What time it is there.
        now: Timestamp,
    },
    /// A clock would go too far.
    #[error("a workspace's clock can be 100 years ahead of the server's, and no more")]
    TooFar,
    /// The clock could not be read or kept.
    #[error(transparent)]
    Clock(#[from] DocumentStoreError),
}

/// See the module.
#[derive(Debug)]
pub struct Lab {
    projections: Arc<Projections>,
    clocks: Arc<Clocks>,
    clock: SharedClock,
}

impl Lab {
    /// Over the projections and the clocks of workspaces; `clock` is the machine's.
    pub fn new(projections: Arc<Projections>, clocks: Arc<Clocks>, clock: SharedClock) -> Self {
        Self {
            projections,
            clocks,
            clock,
        }
    }

    /// Does something to the lanes of a projection in a workspace; how it stands then.
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

    /// What time it is in a workspace.
    pub async fn clock(&self, workspace: WorkspaceId) -> Result<LabClock, LabError> {
        let clocks = &self.clocks;
        Ok(LabClock {
            ahead_ms: clocks.ahead_ms(workspace).await?,
            now: clocks.now(workspace).await?,
        })
    }

    /// Puts the clock of a workspace forward: timers that are due by then run out at once.
    pub async fn move_clock(&self, workspace: WorkspaceId, forward: Forward) -> Result<LabClock, LabError> {
        let clocks = &self.clocks;
        let now = clocks.now(workspace).await?;
        let ahead_ms = clocks.ahead_ms(workspace).await?;
        match forward {
            Forward::By(by_ms) => {
                let by_ms = u64::try_from(by_ms).map_err(|_| LabError::Backwards { now })?;
                if ahead_ms.saturating_add(by_ms) > FURTHEST_MS {
                    return Err(LabError::TooFar);
                }
                clocks.put_forward(workspace, by_ms).await?;
            }
            Forward::To(to) => {
                if to < now {
                    return Err(LabError::Backwards { now });
                }
                if to.millis_since(self.clock.now()) > FURTHEST_MS {
                    return Err(LabError::TooFar);
                }
                clocks.put_forward_to(workspace, to).await?;
            }
        }
        self.clock(workspace).await
    }
}
