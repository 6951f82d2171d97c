//! Settled: nothing that an intention caused, or the whole workspace, is left to do.
//!
//! What was caused can cause more, so this looks at the log again when all is done that it knew of, until nothing was
//! added. It waits on what the lanes tell, and polls nothing.

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

/// What is to be settled: all of these; without any, everything in the workspace.
#[derive(Debug, Clone, Default)]
pub struct Settle {
    /// Everything that this intention caused.
    pub correlation: Option<Uuid>,
    /// Everything up to this token.
    pub after: Option<ConsistencyToken>,
    /// How long to wait at most; capped at [`LONGEST_TIMEOUT`].
    pub timeout: Duration,
}

/// Those who do more about events than showing them: the consumers.
#[async_trait]
pub trait Unfinished: Send + Sync + Debug {
    /// Each wakes when somebody has come further after the call.
    fn changed(&self) -> Vec<Notified<'_>>;

    /// What keeps them from being ready, one sentence each.
    fn complaints(&self) -> Vec<String>;

    /// What they still have to do, or wait for, about events up to a token; of one correlation or of all.
    async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, DocumentStoreError>;
}

/// See the module.
#[derive(Debug)]
pub struct Settling {
    store: Arc<dyn EventStore>,
    read_model: Arc<dyn DocumentStore>,
    progress: Arc<Progress>,
    consumers: OnceLock<Arc<dyn Unfinished>>,
}

/// What is known to be stored, and has to be done.
#[derive(Debug, Clone, Default, PartialEq)]
struct Goal {
    token: ConsistencyToken,
    events: u64,
}

impl Settling {
    /// Over these boxes.
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

    /// From now on the consumers must be done as well. Said once.
    pub fn wait_for(&self, consumers: Arc<dyn Unfinished>) {
        if self.consumers.set(consumers).is_err() {
            tracing::error!("consumers were named twice; the first ones stay");
        }
    }

    /// What keeps the consumers from being ready.
    pub fn complaints(&self) -> Vec<String> {
        self.consumers
            .get()
            .map(|consumers| consumers.complaints())
            .unwrap_or_default()
    }

    /// Waits until it is settled; otherwise says what is left to do.
    pub async fn settled(
        &self,
        workspace: WorkspaceId,
        settle: &Settle,
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

    /// What is left to do, looked at once more; nothing, where it was done at the last moment.
    async fn waiting_for(
        &self,
        workspace: WorkspaceId,
        settle: &Settle,
        goal: &mut Goal,
    ) -> Result<Vec<String>, QueryError> {
        loop {
            self.look(workspace, settle, goal).await?;
            let mut waiting_for = self.lagging(workspace, &goal.token);
            waiting_for.extend(self.left(workspace, settle.correlation, &goal.token).await?);
            let before = goal.clone();
            self.look(workspace, settle, goal).await?;
            if !waiting_for.is_empty() || *goal == before {
                return Ok(waiting_for);
            }
        }
    }

    async fn wait(&self, workspace: WorkspaceId, settle: &Settle, goal: &mut Goal) -> Result<(), QueryError> {
        loop {
            // Registered before anything is looked at, so that nothing happens unheard in between.
            let changed = self.progress.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let consumed = self.consumers.get().map(|consumers| consumers.changed());
            let mut consumed: Vec<_> = consumed.unwrap_or_default().into_iter().map(Box::pin).collect();
            for consumer in &mut consumed {
                consumer.as_mut().enable();
            }
            self.look(workspace, settle, goal).await?;
            for view in self.progress.handlers() {
                if let Some(progress) = self.progress.of(workspace, view.name()) {
                    progress.reaches(&goal.token).await;
                }
            }
            if !self
                .left(workspace, settle.correlation, &goal.token)
                .await?
                .is_empty()
            {
                tokio::select! {
                    () = changed => {}
                    _ = select_all(consumed), if !consumed.is_empty() => {}
                }
                continue;
            }
            let before = goal.clone();
            self.look(workspace, settle, goal).await?;
            if *goal == before {
                return Ok(());
            }
        }
    }

    /// Brings the goal up to what is stored by now.
    async fn look(&self, workspace: WorkspaceId, settle: &Settle, goal: &mut Goal) -> Result<(), QueryError> {
        if let Some(after) = &settle.after {
            advance(&mut goal.token, after);
        }
        match settle.correlation {
            Some(correlation) => self.look_at(workspace, correlation, goal).await,
            None if settle.after.is_none() => {
                advance(&mut goal.token, &self.store.head(workspace).await?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn look_at(
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
            let (page, behind) = self.store.read_events(workspace, &filter, &after, PAGE).await?;
            events += page.len() as u64;
            for event in &page {
                goal.token.advance(event.partition, event.position);
            }
            if page.len() < PAGE as usize {
                goal.events = events;
                return Ok(());
            }
            after = behind;
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

    /// What is held back, and what the consumers have to do.
    async fn left(
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
        let said = |count: documents::ParkedCount| {
            format!(
                "{}: {} dead letters, {} events wait behind one",
                count.view, count.dead, count.waiting
            )
        };
        let mut left: Vec<_> = counts.into_iter().map(said).collect();
        if let Some(consumers) = self.consumers.get() {
            let unfinished = consumers.unfinished(workspace, correlation, up_to).await;
            left.extend(unfinished.map_err(Arc::new)?);
        }
        Ok(left)
    }
}

fn advance(token: &mut ConsistencyToken, by: &ConsistencyToken) {
    for (partition, position) in by.iter().filter(|(_, position)| *position > 0) {
        token.advance(partition, position);
    }
}
