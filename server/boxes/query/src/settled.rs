//! Settled: all work that an intention caused, or all work of the workspace, is done.
//!
//! Work can cause more work, so the log is read again once all known work is done, until nothing was added.
//! Waiting is driven by the notifications of the lanes and the process managers, each of one workspace;
//! nothing is polled. A dead letter stays until a person retries or discards it. So once nothing but dead
//! letters is left, and nothing changes for a moment, the waiting ends and names them. A caller that waits
//! looks only for the first thing that is left, and for a correlation only in that correlation's processes,
//! so the cost depends neither on other workspaces nor on other open processes.

mod pending_work;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use domain::{
    id::WorkspaceId,
    token::{ConsistencyToken, MAX_PARTITIONS},
    wire::SettledAnswer,
};
use futures::future::select_all;
use tokio::sync::futures::OwnedNotified;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{LONGEST_TIMEOUT, QueryError};
use documents::{DocumentStore, ParkedCount};
use event_store::{EventFilter, EventStore};
pub use pending_work::{OfCorrelation, PendingWork, ProcessKeys};
use projection::progress::Progress;

/// How long nothing changes before the waiting looks whether only dead letters are left.
const QUIET: Duration = Duration::from_millis(200);

/// How many events of a correlation are read at a time.
const PAGE: u32 = 200;

/// What must be settled: all of these conditions; without any, everything in the workspace.
#[derive(Debug, Clone, Default)]
pub struct SettleRequest {
    /// Everything that this intention caused.
    pub correlation: Option<Uuid>,
    /// Everything up to this token.
    pub after: Option<ConsistencyToken>,
    /// How long to wait at most; capped at [`LONGEST_TIMEOUT`].
    pub timeout: Duration,
}

/// Waits until a correlation, a token or a workspace is settled.
#[derive(Debug)]
pub struct Settlement {
    store: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    progress: Arc<Progress>,
    consumers: OnceLock<Arc<dyn PendingWork>>,
    stopping: CancellationToken,
}

/// The events that must be handled, as far as they are known.
#[derive(Debug, Default)]
struct Goal {
    token: ConsistencyToken,
    /// How many events of the correlation there are.
    events: u64,
    /// The processes that they concern.
    processes: ProcessKeys,
    /// Up to where the log was read for them.
    read_to: ConsistencyToken,
}

impl Goal {
    fn of(&self, settle: &SettleRequest) -> Option<OfCorrelation<'_>> {
        let processes = &self.processes;
        settle.correlation.map(|id| OfCorrelation { id, processes })
    }
}

impl Settlement {
    /// Waits on these boxes.
    pub fn new(
        store: Arc<dyn EventStore>,
        read_model: Arc<dyn DocumentStore>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            store,
            read_model,
            progress,
            consumers: OnceLock::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Ends all waiting with [`QueryError::Stopping`], from now on.
    pub fn stop_waiting(&self) {
        self.stopping.cancel();
    }

    /// Includes the consumers from now on. Called once.
    pub fn wait_for(&self, consumers: Arc<dyn PendingWork>) {
        if self.consumers.set(consumers).is_err() {
            tracing::error!("consumers were registered twice; the first ones stay");
        }
    }

    /// Why the consumers are not ready.
    pub fn unready_reasons(&self) -> Vec<String> {
        self.consumers
            .get()
            .map(|consumers| consumers.unready_reasons())
            .unwrap_or_default()
    }

    /// Waits until everything is settled; on timeout, the error names the remaining work.
    pub async fn settled(
        &self,
        workspace: WorkspaceId,
        settle: &SettleRequest,
    ) -> Result<SettledAnswer, QueryError> {
        let impossible = |token: &ConsistencyToken| {
            token
                .iter()
                .any(|(partition, _)| partition as usize >= MAX_PARTITIONS)
        };
        if settle.after.as_ref().is_some_and(impossible) {
            return Err(QueryError::BadToken);
        }
        let mut goal = Goal::default();
        let done = self.wait(workspace, settle, &mut goal);
        let done = tokio::time::timeout(settle.timeout.min(LONGEST_TIMEOUT), done);
        let done = tokio::select! {
            biased;
            done = done => done,
            () = self.stopping.cancelled() => return Err(QueryError::Stopping),
        };
        if let Ok(done) = done {
            done?;
        } else {
            let waiting_for = self.waiting_for(workspace, settle, &mut goal).await?;
            if !waiting_for.is_empty() {
                return Err(QueryError::NotSettled { waiting_for });
            }
        }
        Ok(SettledAnswer {
            as_of: goal.token,
            events: settle.correlation.map(|_| goal.events),
        })
    }

    /// The remaining work after the timeout, read once more; empty if it was done at the last moment.
    async fn waiting_for(
        &self,
        workspace: WorkspaceId,
        settle: &SettleRequest,
        goal: &mut Goal,
    ) -> Result<Vec<String>, QueryError> {
        self.advance_goal(workspace, settle, goal).await?;
        loop {
            let mut waiting_for = self.lagging(workspace, &goal.token);
            waiting_for.extend(self.remaining(workspace, goal.of(settle), &goal.token).await?);
            if !waiting_for.is_empty() || !self.advance_goal(workspace, settle, goal).await? {
                return Ok(waiting_for);
            }
        }
    }

    async fn wait(
        &self,
        workspace: WorkspaceId,
        settle: &SettleRequest,
        goal: &mut Goal,
    ) -> Result<(), QueryError> {
        self.advance_goal(workspace, settle, goal).await?;
        loop {
            self.reach(workspace, &goal.token).await;
            // Registered before anything is read, so that no notification is missed in between.
            let changed = self.changed(workspace);
            if self.is_unfinished(workspace, goal.of(settle)).await? {
                let mut changed = select_all(changed.into_iter().map(Box::pin));
                if tokio::time::timeout(QUIET, &mut changed).await.is_err() {
                    let left = self.remaining(workspace, goal.of(settle), &goal.token).await?;
                    if !left.is_empty() && left.iter().all(|what| is_parked(what)) {
                        return Err(QueryError::NotSettled { waiting_for: left });
                    }
                    changed.await;
                }
            } else if !self.advance_goal(workspace, settle, goal).await? {
                return Ok(());
            }
        }
    }

    /// Each wakes when work or parked events of a workspace change after the call.
    fn changed(&self, workspace: WorkspaceId) -> Vec<OwnedNotified> {
        let mut changed = vec![self.progress.work_changed(workspace)];
        if let Some(consumers) = self.consumers.get() {
            changed.extend(consumers.changed(workspace));
        }
        changed
    }

    /// Waits until every view, process manager and consumer has handled the events up to a token.
    async fn reach(&self, workspace: WorkspaceId, token: &ConsistencyToken) {
        for view in self.progress.handlers() {
            if let Some(progress) = self.progress.of(workspace, view.name()) {
                progress.reaches(token).await;
            }
        }
        if let Some(consumers) = self.consumers.get() {
            consumers.reach(workspace, token).await;
        }
    }

    /// Advances the goal to what is stored by now. Returns whether there is more to handle.
    async fn advance_goal(
        &self,
        workspace: WorkspaceId,
        settle: &SettleRequest,
        goal: &mut Goal,
    ) -> Result<bool, QueryError> {
        let before = (goal.token.clone(), goal.events);
        if let Some(after) = &settle.after {
            advance(&mut goal.token, after);
        }
        match settle.correlation {
            Some(correlation) => self.read_correlation(workspace, correlation, goal).await?,
            None if settle.after.is_none() => {
                advance(&mut goal.token, &self.store.head(workspace).await?);
            }
            None => {}
        }
        Ok(before != (goal.token.clone(), goal.events))
    }

    /// Adds the events of a correlation that were stored since the last call.
    async fn read_correlation(
        &self,
        workspace: WorkspaceId,
        correlation: Uuid,
        goal: &mut Goal,
    ) -> Result<(), QueryError> {
        let filter = EventFilter {
            correlation_id: Some(correlation),
            ..EventFilter::default()
        };
        loop {
            let read = self.store.read_events(workspace, &filter, &goal.read_to, PAGE);
            let (page, next) = read.await?;
            goal.read_to = next;
            goal.events += page.len() as u64;
            for event in &page {
                goal.token.advance(event.partition, event.position);
                // No policy handles an event that cannot be decoded: it is a dead letter.
                if let (Some(consumers), Ok(event)) = (self.consumers.get(), event.decode()) {
                    goal.processes.extend(consumers.processes_of(&event));
                }
            }
            if page.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Whether work or a parked event is left. Looks no further than the first.
    async fn is_unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<OfCorrelation<'_>>,
    ) -> Result<bool, QueryError> {
        if let Some(consumers) = self.consumers.get() {
            let is_unfinished = consumers.is_unfinished(workspace, correlation).await;
            if is_unfinished.map_err(Arc::new)? {
                return Ok(true);
            }
        }
        let counts = self
            .read_model
            .parked_counts(Some(workspace), correlation.map(|of| of.id))
            .await
            .map_err(Arc::new)?;
        Ok(!counts.is_empty())
    }

    fn lagging(&self, workspace: WorkspaceId, goal: &ConsistencyToken) -> Vec<String> {
        let mut waiting_for = Vec::new();
        for view in self.progress.handlers() {
            let Some(progress) = self.progress.of(workspace, view.name()) else {
                continue;
            };
            waiting_for.extend(super::lagging(&view.name_in(workspace), &progress, goal));
        }
        waiting_for
    }

    /// Parked events, and the consumers' remaining work.
    async fn remaining(
        &self,
        workspace: WorkspaceId,
        correlation: Option<OfCorrelation<'_>>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, QueryError> {
        let counts = self
            .read_model
            .parked_counts(Some(workspace), correlation.map(|of| of.id))
            .await
            .map_err(Arc::new)?;
        let named = |mut count: ParkedCount| {
            count.view = self.progress.name_in(workspace, &count.view).into_owned();
            count.to_string()
        };
        let mut remaining: Vec<_> = counts.into_iter().map(named).collect();
        if let Some(consumers) = self.consumers.get() {
            let unfinished = consumers.unfinished(workspace, correlation, up_to).await;
            remaining.extend(unfinished.map_err(Arc::new)?);
        }
        Ok(remaining)
    }
}

/// Whether a remaining thing is parked events or refused commands, which only a person can settle.
fn is_parked(what: &str) -> bool {
    what.contains(" dead letters, ")
}

fn advance(token: &mut ConsistencyToken, by: &ConsistencyToken) {
    for (partition, position) in by.iter().filter(|(_, position)| *position > 0) {
        token.advance(partition, position);
    }
}
