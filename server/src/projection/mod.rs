//! Box 7, Projection Worker: builds read models from ordered events.
//!
//! A **lane** is one view on one partition, with its own checkpoint; see [`lane`]. A [`worker`] per view starts lanes as
//! events arrive and lets them end when nothing is left to do, so a workspace that nobody uses costs no task. Effects of
//! events are the views' own (`domain::view`); serving what was folded is left to the query API.

pub mod fold;
pub mod health;
pub mod lane;
pub mod progress;
pub mod worker;

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use domain::view::AnyView;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    broker::{Broker, PartitionId},
    cache::Cache,
    clock::SharedClock,
    event_store::{EventStore, StoreError},
    read_model::{ReadModel, ReadModelError, Scope, StoredCheckpoint},
};
use fold::DocumentChange;
use health::Health;
use progress::Progress;
use worker::Worker;

/// What a lane has committed.
#[derive(Debug)]
pub struct Commit {
    /// Where.
    pub scope: Scope,
    /// In which partition.
    pub partition: u32,
    /// The position of the last event.
    pub to: u64,
    /// What changed, event by event; `None` where the lane did not look closely, because nobody followed the view, or
    /// because there was too much.
    pub changes: Option<Vec<DocumentChange>>,
}

/// Those who follow views live.
pub trait Followers: Send + Sync + Debug {
    /// Whether anybody follows this view of the workspace, so that changes must be told one by one.
    fn follow(&self, scope: &Scope) -> bool;

    /// Tells of a commit; in the order of commits of a view, after the cache was invalidated. Must not block.
    fn committed(&self, commit: Commit);
}

/// What every lane needs.
#[derive(Debug)]
pub struct Context {
    /// Box 5, for historical events.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// Box 8.
    pub read_model: Arc<dyn ReadModel>,
    /// Box 9.
    pub cache: Arc<dyn Cache>,
    /// The live subscriptions of box 10.
    pub followers: Arc<dyn Followers>,
    /// What is stored and what is folded.
    pub progress: Arc<Progress>,
    /// Lanes that are catching up or have stopped.
    pub health: Arc<Health>,
    /// For the lag in milliseconds.
    pub clock: SharedClock,
}

/// Why projections could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The heads could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checkpoints could not be read.
    #[error(transparent)]
    ReadModel(#[from] ReadModelError),
}

/// The workers of all views.
#[derive(Debug)]
pub struct Projections {
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

impl Projections {
    /// Starts a worker per view. Lanes whose checkpoint lies before the head catch up from the event store.
    pub async fn start(context: Arc<Context>, views: &[&'static dyn AnyView]) -> Result<Self, StartError> {
        let projections = Self {
            tasks: TaskTracker::new(),
            cancelled: CancellationToken::new(),
        };
        // Subscribe first, look at the heads second: what is appended in between arrives twice rather than not at all.
        let mut workers = Vec::with_capacity(views.len());
        for view in views {
            let subscriber = context.broker.subscribe(view.name()).await;
            workers.push((Worker::new(context.clone(), *view, &projections), subscriber));
        }
        for checkpoint in context.read_model.checkpoints().await? {
            let StoredCheckpoint {
                workspace,
                view,
                generation,
                partition,
                position,
            } = checkpoint;
            if let Some(progress) = context.progress.of(workspace, &view) {
                progress.set_generation(generation);
                context
                    .progress
                    .folded(&view, PartitionId { workspace, partition }, position);
            }
        }
        let heads = heads(&*context.store).await?;
        for (partition, head) in &heads {
            context.progress.stored(*partition, *head);
        }
        for (worker, subscriber) in workers {
            worker.catch_up(&heads);
            projections.tasks.spawn(worker.run(subscriber));
        }
        Ok(projections)
    }

    /// Lets every lane finish its transaction, and stops.
    pub async fn stop(&self) {
        self.cancelled.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The newest position of every partition that has events.
pub async fn heads(store: &dyn EventStore) -> Result<HashMap<PartitionId, u64>, StoreError> {
    let heads = store.heads().await?;
    Ok(heads
        .into_iter()
        .map(|(workspace, partition, head)| (PartitionId { workspace, partition }, head))
        .collect())
}

#[cfg(test)]
mod tests;
