//! The lab: an educator's operations on the pipeline of a workspace, which make it visible.
//!
//! An educator bends the pipeline by [`dials`], pauses, resumes and crashes lanes, and puts the workspace's
//! clock forward. The lab only calls the boxes, or wraps them; what follows is their own behaviour, at every
//! server. A pause is a dial: it is stored, and holds until it is taken back.
//!
//! Students and educators see what happens there: [`hops`] are the arrows of the drawing that events and
//! queries cross.

pub mod class;
pub mod dials;
mod due;
pub mod hops;
pub mod invariants;
pub mod own_views;
pub mod recordings;
mod servers;
#[cfg(test)]
mod testing;

use std::{sync::Arc, time::Duration};

use clock::SharedClock;
use dials::{Bender, DialError, DialKeeper, clock::ClockDials};
use documents::DocumentStoreError;
use domain::{
    id::WorkspaceId,
    timestamp::Timestamp,
    wire::{Dials, DialsAnswer, ERASURE, LabClock, ProjectionStatus},
};
use projection::{Projections, rebuild::RebuildError};
use tokio::time::timeout;
use workspace_clock::{Clocks, Reading};

/// The most that a clock can be ahead of the machine's, in milliseconds: 100 years.
const MAX_AHEAD_MS: i64 = 100 * 365 * 24 * 3_600_000;

/// How long a pause waits at most for what a process manager or a consumer is in the middle of: an effect in
/// the outside world may take long, and is finished all the same.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(2);

/// An operation on the lanes of an event handler.
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
    /// There is no such event handler.
    #[error("there is no event handler {0}")]
    UnknownHandler(String),
    /// The lanes of this handler have no dials.
    #[error("{0} is not paused: the erasure of a person is their right, in a lesson too")]
    Unbendable(String),
    /// The view is being rebuilt.
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
    /// The lanes of process managers and consumers.
    others: Vec<Arc<Projections>>,
    dials: Arc<DialKeeper>,
    clocks: Arc<Clocks>,
    clock_dials: Arc<ClockDials>,
    clock: SharedClock,
}

impl Lab {
    /// A lab over the projections, the lanes of process managers and consumers, the dials and the clocks of
    /// workspaces; `clock` is the machine's.
    pub fn new(
        projections: Arc<Projections>,
        others: Vec<Arc<Projections>>,
        dials: Arc<DialKeeper>,
        clocks: Arc<Clocks>,
        clock: SharedClock,
    ) -> Self {
        Self {
            clock_dials: Arc::new(ClockDials::new(Arc::clone(&dials), Arc::clone(&clocks))),
            projections,
            others,
            dials,
            clocks,
            clock,
        }
    }

    /// The names of the views that people of a workspace have defined.
    pub fn own_view_names(&self, workspace: WorkspaceId) -> Vec<String> {
        self.projections.progress().own_views().names(workspace)
    }

    /// The lanes of an event handler of a workspace.
    fn lanes_of(&self, workspace: WorkspaceId, handler: &str) -> Option<&Arc<Projections>> {
        let mut lanes = std::iter::once(&self.projections).chain(&self.others);
        lanes.find(|lanes| lanes.has_handler(workspace, handler))
    }

    /// Fails if a handler may not be paused now: it is a view that is being rebuilt.
    fn check_may_pause(&self, workspace: WorkspaceId, handler: &str) -> Result<(), RebuildError> {
        if self.projections.has_handler(workspace, handler) {
            self.projections.check_may_pause(workspace, handler)?;
        }
        Ok(())
    }

    /// Waits until a pause of a handler holds: no lane of a view is in the middle of a transaction. What
    /// another handler is in the middle of is waited for a moment, and finished.
    async fn pause_holds(&self, workspace: WorkspaceId, handler: &str) {
        let Some(lanes) = self.lanes_of(workspace, handler) else {
            return;
        };
        let ended = lanes.transactions_ended(workspace, handler);
        if Arc::ptr_eq(lanes, &self.projections) {
            ended.await;
        } else if timeout(PAUSE_TIMEOUT, ended).await.is_err() {
            tracing::info!(%workspace, handler, "what it is in the middle of ends after the pause began");
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
        let paused = dials.projections.iter().filter(|(_, dials)| dials.paused);
        let paused: Vec<String> = paused.map(|(handler, _)| handler.clone()).collect();
        for handler in &paused {
            self.check_may_pause(workspace, handler)?;
        }
        let answer = self.dials.set(workspace, by, is_expected, dials).await?;
        let present = self.clock_dials.read(workspace).await?;
        let forward_ms = ahead_ms.map(|wanted| wanted.saturating_sub(present.ahead_ms));
        if let Some(by_ms) = forward_ms.filter(|by_ms| *by_ms > 0) {
            self.move_clock(workspace, ClockMove::By(by_ms)).await?;
        }
        for handler in &paused {
            self.pause_holds(workspace, handler).await;
        }
        Ok(answer)
    }

    /// Pauses the lanes of an event handler, or resumes them.
    async fn set_paused(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        handler: &str,
        is_paused: bool,
    ) -> Result<(), LabError> {
        if handler == ERASURE {
            return Err(LabError::Unbendable(handler.to_owned()));
        }
        if is_paused {
            self.check_may_pause(workspace, handler)?;
        }
        let amendment = |dials: &mut Dials| {
            dials.projections.entry(handler.to_owned()).or_default().paused = is_paused;
        };
        self.dials.amend(workspace, by, &amendment).await?;
        if is_paused {
            self.pause_holds(workspace, handler).await;
        }
        Ok(())
    }

    /// Pauses, resumes or crashes the lanes of an event handler in a workspace, and returns its status.
    pub async fn intervene(
        &self,
        workspace: WorkspaceId,
        by: &Bender,
        handler: &str,
        intervention: Intervention,
    ) -> Result<ProjectionStatus, LabError> {
        let unknown = || LabError::UnknownHandler(handler.to_owned());
        let lanes = self.lanes_of(workspace, handler).ok_or_else(unknown)?;
        match intervention {
            Intervention::Pause => self.set_paused(workspace, by, handler, true).await?,
            Intervention::Resume => self.set_paused(workspace, by, handler, false).await?,
            Intervention::Crash => {
                lanes.crash(workspace, handler).await;
            }
        }
        tracing::info!(projection.view = handler, %workspace, ?intervention, "the lab has intervened");
        let status = lanes.status(workspace).await?;
        let status = status.into_iter().find(|status| status.view == handler);
        status.ok_or_else(unknown)
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
