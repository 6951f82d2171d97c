//! The lab: an educator's operations on the pipeline of a workspace, which make it visible.
//!
//! An educator bends the pipeline by [`dials`], pauses, resumes and crashes lanes, and puts the workspace's
//! clock forward. The lab only calls the boxes, or wraps them; what follows is their own behaviour, at every
//! server. A pause is a dial: it is stored, and holds until it is taken back.
//!
//! Students and educators see what happens there: [`hops`] are the arrows of the drawing that events and
//! queries cross.

pub mod dials;
mod due;
pub mod hops;
pub mod invariants;
pub mod recordings;

use std::sync::Arc;

use clock::SharedClock;
use dials::{Bender, DialError, DialKeeper, clock::ClockDials};
use documents::DocumentStoreError;
use domain::{
    id::WorkspaceId,
    timestamp::Timestamp,
    view,
    wire::{Dials, DialsAnswer, LabClock, ProjectionStatus},
};
use projection::{Projections, rebuild::RebuildError};
use workspace_clock::{Clocks, Reading};

/// The most that a clock can be ahead of the machine's, in milliseconds: 100 years.
const MAX_AHEAD_MS: i64 = 100 * 365 * 24 * 3_600_000;

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
    /// The dials were not changed or read.
    #[error(transparent)]
    Dials(#[from] DialError),
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
    dials: Arc<DialKeeper>,
    clocks: Arc<Clocks>,
    clock_dials: Arc<ClockDials>,
    clock: SharedClock,
}

impl Lab {
    /// A lab over the projections, the dials and the clocks of workspaces; `clock` is the machine's.
    pub fn new(
        projections: Arc<Projections>,
        dials: Arc<DialKeeper>,
        clocks: Arc<Clocks>,
        clock: SharedClock,
    ) -> Self {
        Self {
            clock_dials: Arc::new(ClockDials::new(Arc::clone(&dials), Arc::clone(&clocks))),
            projections,
            dials,
            clocks,
            clock,
        }
    }

    /// The dials of clocks, which have to [run](ClockDials::run).
    pub fn clock_dials(&self) -> &Arc<ClockDials> {
        &self.clock_dials
    }

    /// The dials of workspaces. A change that may pause a projection is made by
    /// [`set_dials`](Self::set_dials).
    pub fn dials(&self) -> &Arc<DialKeeper> {
        &self.dials
    }

    /// Sets every dial of a workspace, if its version `is_expected`. When this returns, the dials hold at
    /// this server.
    pub async fn set_dials(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        is_expected: &(dyn Fn(u64) -> bool + Send + Sync),
        mut dials: Dials,
    ) -> Result<DialsAnswer, LabError> {
        // The time is the clock's own, and no part of what is stored of the dials.
        let ahead_ms = dials.clock.ahead_ms.take();
        if ahead_ms.is_some_and(|ahead_ms| ahead_ms > MAX_AHEAD_MS) {
            return Err(LabError::TooFar);
        }
        let is_paused = |name: &str| dials.projections.get(name).is_some_and(|dials| dials.paused);
        let views = view::all().iter().map(|view| view.name());
        let paused: Vec<_> = views.filter(|name| is_paused(name)).collect();
        for view in &paused {
            self.projections.check_may_pause(workspace, view)?;
        }
        let answer = self.dials.set(workspace, by, is_expected, dials).await?;
        let present = self.clock_dials.read(workspace).await?;
        let forward_ms = ahead_ms.map(|wanted| wanted.saturating_sub(present.ahead_ms));
        if let Some(by_ms) = forward_ms.filter(|by_ms| *by_ms > 0) {
            self.move_clock(workspace, ClockMove::By(by_ms)).await?;
        }
        for view in paused {
            self.projections.transactions_ended(workspace, view).await;
        }
        Ok(answer)
    }

    /// Pauses the lanes of a projection, or resumes them. `false`: there is no such projection.
    async fn set_paused(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        view: &str,
        is_paused: bool,
    ) -> Result<bool, LabError> {
        if view::find(view).is_none() {
            return Ok(false);
        }
        let amendment = |dials: &mut Dials| {
            dials.projections.entry(view.to_owned()).or_default().paused = is_paused;
        };
        self.dials.amend(workspace, by, &amendment).await?;
        if is_paused {
            self.projections.transactions_ended(workspace, view).await;
        }
        Ok(true)
    }

    /// Pauses, resumes or crashes the lanes of a projection in a workspace, and returns its status.
    pub async fn intervene(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        view: &str,
        intervention: Intervention,
    ) -> Result<ProjectionStatus, LabError> {
        let projections = &self.projections;
        let unknown = || RebuildError::UnknownView(view.to_owned());
        let is_known = match intervention {
            Intervention::Pause => {
                projections.check_may_pause(workspace, view)?;
                self.set_paused(workspace, by, view, true).await?
            }
            Intervention::Resume => self.set_paused(workspace, by, view, false).await?,
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
        // Another server may have set it a moment ago.
        let Reading {
            now,
            ahead_ms,
            is_frozen,
        } = self.clock_dials.read(workspace).await?;
        Ok(LabClock {
            now,
            ahead_ms,
            frozen: is_frozen,
        })
    }

    /// Puts the clock of a workspace forward, on every server; a frozen one is stepped. Timers that are due
    /// by then expire first.
    pub async fn move_clock(&self, workspace: WorkspaceId, forward: ClockMove) -> Result<LabClock, LabError> {
        let clocks = &self.clocks;
        let Reading { now, ahead_ms, .. } = self.clock_dials.read(workspace).await?;
        match forward {
            ClockMove::By(by_ms) => {
                let forward_ms = u64::try_from(by_ms).map_err(|_| LabError::Backwards { now })?;
                if ahead_ms.saturating_add(by_ms) > MAX_AHEAD_MS {
                    return Err(LabError::TooFar);
                }
                clocks.put_forward(workspace, forward_ms).await?;
            }
            ClockMove::To(to) => {
                if to < now {
                    return Err(LabError::Backwards { now });
                }
                let ahead_ms = i64::try_from(to.millis_since(self.clock.now()));
                if ahead_ms.is_ok_and(|ahead_ms| ahead_ms > MAX_AHEAD_MS) {
                    return Err(LabError::TooFar);
                }
                clocks.put_forward_to(workspace, to).await?;
            }
        }
        self.clock(workspace).await
    }
}
