//! Settled: nothing that an intention caused, or the whole workspace, is left to do.
//!
//! What was caused can cause more, so this looks at the log again when all is done that it knew of, until nothing was
//! added. It waits on what the lanes tell, and polls nothing.

use std::{sync::Arc, time::Duration};

use domain::{
    id::WorkspaceId,
    token::{ConsistencyToken, MAX_PARTITIONS},
    wire::SettledAnswer,
};
use uuid::Uuid;

use super::{LONGEST_TIMEOUT, QueryError};
use crate::{
    event_store::{EventFilter, EventStore},
    projection::progress::Progress,
    read_model::ReadModel,
};

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

/// See the module.
#[derive(Debug, Clone)]
pub struct Settling {
    store: Arc<dyn EventStore>,
    read_model: Arc<dyn ReadModel>,
    progress: Arc<Progress>,
}

/// What is known to be stored, and has to be done.
#[derive(Debug, Clone, Default, PartialEq)]
struct Goal {
    token: ConsistencyToken,
    events: u64,
}

impl Settling {
    /// Over these boxes.
    pub fn new(store: Arc<dyn EventStore>, read_model: Arc<dyn ReadModel>, progress: Arc<Progress>) -> Self {
        Self {
            store,
            read_model,
            progress,
        }
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
        match done {
            Ok(done) => done?,
            Err(_) => {
                let mut waiting_for = self.lagging(workspace, &goal.token);
                waiting_for.extend(self.parked(workspace, settle.correlation).await?);
                return Err(QueryError::NotSettled { waiting_for });
            }
        }
        Ok(SettledAnswer {
            as_of: goal.token,
            events: settle.correlation.map(|_| goal.events),
        })
    }

    async fn wait(&self, workspace: WorkspaceId, settle: &Settle, goal: &mut Goal) -> Result<(), QueryError> {
        loop {
            // Registered before anything is looked at, so that nothing happens unheard in between.
            let changed = self.progress.changed();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            self.look(workspace, settle, goal).await?;
            for view in self.progress.views() {
                if let Some(progress) = self.progress.of(workspace, view.name()) {
                    progress.reaches(&goal.token).await;
                }
            }
            if !self.parked(workspace, settle.correlation).await?.is_empty() {
                changed.await;
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
        for view in self.progress.views() {
            let Some(progress) = self.progress.of(workspace, view.name()) else {
                continue;
            };
            waiting_for.extend(super::lagging(view.name(), &progress.folded(), goal));
        }
        waiting_for
    }

    async fn parked(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
    ) -> Result<Vec<String>, QueryError> {
        let counts = self
            .read_model
            .parked_counts(Some(workspace), correlation)
            .await
            .map_err(Arc::new)?;
        let said = |count: crate::read_model::ParkedCount| {
            format!(
                "{}: {} dead letters, {} events wait behind one",
                count.view, count.dead, count.waiting
            )
        };
        Ok(counts.into_iter().map(said).collect())
    }
}

fn advance(token: &mut ConsistencyToken, by: &ConsistencyToken) {
    for (partition, position) in by.iter().filter(|(_, position)| *position > 0) {
        token.advance(partition, position);
    }
}
