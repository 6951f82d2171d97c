//! Settled: all work that an intention caused, or all work of the workspace, is done.
//!
//! Work can cause more work, so the log is read again once all known work is done, until nothing was added.
//! Waiting is driven by the lanes' notifications; nothing is polled.

use std::{
    fmt::Debug,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    id::WorkspaceId,
    token::{ConsistencyToken, MAX_PARTITIONS},
    wire::SettledAnswer,
};
use futures::future::select_all;
use tokio::sync::futures::Notified;
use uuid::Uuid;

use super::{LONGEST_TIMEOUT, QueryError};
use documents::{DocumentStore, DocumentStoreError};
use event_store::{EventFilter, EventStore};
use projection::progress::Progress;

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

/// What process managers and consumers still have to do.
#[async_trait]
pub trait PendingWork: Send + Sync + Debug {
    /// Each wakes when a process manager or a consumer makes progress after the call.
    fn changed(&self) -> Vec<Notified<'_>>;

    /// Why they are not ready, one sentence each.
    fn unready_reasons(&self) -> Vec<String>;

    /// Their remaining work and timers for events up to a token, of one correlation or of all.
    async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, DocumentStoreError>;
}

/// Waits until a correlation, a token or a workspace is settled.
#[derive(Debug)]
pub struct Settlement {
    store: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    progress: Arc<Progress>,
    consumers: OnceLock<Arc<dyn PendingWork>>,
}

/// The events that must be handled, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq)]
struct Goal {
    token: ConsistencyToken,
    events: u64,
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
        }
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
        let done = tokio::time::timeout(settle.timeout.min(LONGEST_TIMEOUT), done).await;
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
        loop {
            self.refresh_goal(workspace, settle, goal).await?;
            let mut waiting_for = self.lagging(workspace, &goal.token);
            waiting_for.extend(self.remaining(workspace, settle.correlation, &goal.token).await?);
            let before = goal.clone();
            self.refresh_goal(workspace, settle, goal).await?;
            if !waiting_for.is_empty() || *goal == before {
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
        loop {
            // Registered before anything is read, so that no notification is missed in between.
            let changed = self.progress.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let consumer_changes = self.consumers.get().map(|consumers| consumers.changed());
            let mut consumer_changes: Vec<_> = consumer_changes
                .unwrap_or_default()
                .into_iter()
                .map(Box::pin)
                .collect();
            for consumer in &mut consumer_changes {
                consumer.as_mut().enable();
            }
            self.refresh_goal(workspace, settle, goal).await?;
            for view in self.progress.handlers() {
                if let Some(progress) = self.progress.of(workspace, view.name()) {
                    progress.reaches(&goal.token).await;
                }
            }
            if !self
                .remaining(workspace, settle.correlation, &goal.token)
                .await?
                .is_empty()
            {
                tokio::select! {
                    () = changed => {}
                    _ = select_all(consumer_changes), if !consumer_changes.is_empty() => {}
                }
                continue;
            }
            let before = goal.clone();
            self.refresh_goal(workspace, settle, goal).await?;
            if *goal == before {
                return Ok(());
            }
        }
    }

    /// Advances the goal to what is stored by now.
    async fn refresh_goal(
        &self,
        workspace: WorkspaceId,
        settle: &SettleRequest,
        goal: &mut Goal,
    ) -> Result<(), QueryError> {
        if let Some(after) = &settle.after {
            advance(&mut goal.token, after);
        }
        match settle.correlation {
            Some(correlation) => self.refresh_from_correlation(workspace, correlation, goal).await,
            None if settle.after.is_none() => {
                advance(&mut goal.token, &self.store.head(workspace).await?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn refresh_from_correlation(
        &self,
        workspace: WorkspaceId,
        correlation: Uuid,
        goal: &mut Goal,
    ) -> Result<(), QueryError> {
        let filter = EventFilter {
            correlation_id: Some(correlation),
            ..EventFilter::default()
        };
        let mut events = 0;
        let mut after = ConsistencyToken::default();
        loop {
            let (page, next) = self.store.read_events(workspace, &filter, &after, PAGE).await?;
            events += page.len() as u64;
            for event in &page {
                goal.token.advance(event.partition, event.position);
            }
            if page.len() < PAGE as usize {
                goal.events = events;
                return Ok(());
            }
            after = next;
        }
    }

    fn lagging(&self, workspace: WorkspaceId, goal: &ConsistencyToken) -> Vec<String> {
        let mut waiting_for = Vec::new();
        for view in self.progress.handlers() {
            let Some(progress) = self.progress.of(workspace, view.name()) else {
                continue;
            };
            waiting_for.extend(super::lagging(view.name(), &progress, goal));
        }
        waiting_for
    }

    /// Parked events, and the consumers' remaining work.
    async fn remaining(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, QueryError> {
        let counts = self
            .read_model
            .parked_counts(Some(workspace), correlation)
            .await
            .map_err(Arc::new)?;
        let phrase = |count: documents::ParkedCount| {
            format!(
                "{}: {} dead letters, {} events wait behind one",
                count.view, count.dead, count.waiting
            )
        };
        let mut remaining: Vec<_> = counts.into_iter().map(phrase).collect();
        if let Some(consumers) = self.consumers.get() {
            let unfinished = consumers.unfinished(workspace, correlation, up_to).await;
            remaining.extend(unfinished.map_err(Arc::new)?);
        }
        Ok(remaining)
    }
}

fn advance(token: &mut ConsistencyToken, by: &ConsistencyToken) {
    for (partition, position) in by.iter().filter(|(_, position)| *position > 0) {
        token.advance(partition, position);
    }
}
