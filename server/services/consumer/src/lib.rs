//! Consumers: event handlers with an effect outside of the log and the views. Each runs on the same lanes as
//! a view, with a checkpoint per partition, retries, dead letters and restarts. It has no documents, and no
//! rebuild runs it.
//!
//! An effect comes before the checkpoint moves: at least once, in order. To make it exactly once, the
//! consumer recognises events that it has handled, by their ids or by a [`ProcessedPositions`] that it writes
//! with the effect.
//!
//! Under load, deliveries are gathered: see [`gathering`].
//!
//! Tests over the whole pipeline: `server/src/consumers/tests/consumer.rs`.

mod gathering;

use std::{
    collections::HashSet,
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};
use tokio::sync::futures::OwnedNotified;
use uuid::Uuid;

use broker::Broker;
pub use broker::PartitionId;
use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError, sqlite::SqliteDocumentStore};
use event_store::EventStore;
use gathering::GatheringBroker;
use projection::{
    Context, Projections, StartError,
    dead_letters::DeadLetters,
    progress::{HandlerProgress, LaneSetup, Progress},
};
pub use projection::{
    effect::{EffectError, ProcessedPositions, Work},
    handler::{EventHandler, LaneArrows},
    log_history::LogHistory,
};

/// A consumer, as it is registered.
#[async_trait]
pub trait Consumer: EventHandler {
    /// The lifetime of its checkpoints.
    fn checkpoint_storage(&self) -> CheckpointStorage;

    /// The workspaces of which it has data.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError>;

    /// Deletes all data of a purged workspace. Called when no lane of it runs.
    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError>;

    /// Ends work that waits for the outside world, because the server stops now. What is not finished comes
    /// again after the next start.
    fn interrupt(&self) {}

    /// Finishes running work.
    async fn close(&self) {}
}

/// Where the checkpoints of a consumer are stored, and with what they are lost.
#[derive(Debug, Clone)]
pub enum CheckpointStorage {
    /// In the process store, which is backed up with the events: an effect in the outside world is not
    /// repeated.
    ProcessStore,
    /// Bound to the consumer's own output with this id. If the output is lost or recreated, every event is
    /// handled again from the first.
    Output(Uuid),
}

/// The boxes that consumers need.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Box 5, for historical events.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// The process store.
    pub process_store: Arc<dyn DocumentStore>,
    /// The folder of checkpoints that are bound to a consumer's output.
    pub folder: PathBuf,
    /// Prepares the lanes before they start.
    pub lane_setup: Arc<dyn LaneSetup>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// A running consumer.
#[derive(Debug)]
pub struct RunningConsumer {
    consumer: Arc<dyn Consumer>,
    projections: Arc<Projections>,
    progress: Arc<Progress>,
    checkpoints: Arc<dyn DocumentStore>,
    /// Whether its checkpoints are in a file of their own.
    has_own_store: bool,
}

impl RunningConsumer {
    /// Starts its lanes, which continue at their checkpoints.
    pub async fn start(consumer: Arc<dyn Consumer>, dependencies: &Dependencies) -> Result<Self, StartError> {
        let (checkpoints, has_own_store): (Arc<dyn DocumentStore>, _) = match consumer.checkpoint_storage() {
            CheckpointStorage::ProcessStore => (dependencies.process_store.clone(), false),
            CheckpointStorage::Output(id) => (
                Arc::new(open(&dependencies.folder, consumer.name(), id).await?),
                true,
            ),
        };
        if has_own_store {
            compare_output(&*consumer, &*checkpoints, &*dependencies.store).await?;
        }
        let handler: Arc<dyn EventHandler> = consumer.clone();
        let progress = Arc::new(Progress::new([handler]));
        dependencies.lane_setup.prepare(&progress);
        let context = Context::unread(
            dependencies.store.clone(),
            Arc::new(GatheringBroker::new(dependencies.broker.clone())),
            checkpoints.clone(),
            progress.clone(),
            dependencies.clock.clone(),
        );
        Ok(Self {
            projections: Arc::new(Projections::start(Arc::new(context)).await?),
            consumer,
            progress,
            checkpoints,
            has_own_store,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.consumer.name()
    }

    /// Its progress in a workspace.
    pub fn progress_of(&self, workspace: WorkspaceId) -> Option<HandlerProgress> {
        self.progress.of(workspace, self.name())
    }

    /// Its lanes.
    pub fn lanes(&self) -> &Arc<Projections> {
        &self.projections
    }

    /// Events that it could not handle.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.projections.dead_letters
    }

    /// Wakes when parked events of a workspace change after the call.
    pub fn changed(&self, workspace: WorkspaceId) -> OwnedNotified {
        self.progress.work_changed(workspace)
    }

    /// Waits until it has handled the events of a workspace up to a token.
    pub async fn reach(&self, workspace: WorkspaceId, token: &ConsistencyToken) {
        if let Some(progress) = self.progress_of(workspace) {
            progress.reaches(token).await;
        }
    }

    /// Whether events are parked, of one correlation or of all. Those that it has parked in the process store
    /// are counted there.
    pub async fn has_parked(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
    ) -> Result<bool, DocumentStoreError> {
        if !self.has_own_store {
            return Ok(false);
        }
        let counts = self
            .checkpoints
            .parked_counts(Some(workspace), correlation)
            .await?;
        Ok(!counts.is_empty())
    }

    /// Its remaining work for events up to a token. Events that it has parked in the process store are
    /// counted there.
    pub async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let mut unfinished = Vec::new();
        if let Some(progress) = self.progress_of(workspace)
            && !progress.folded().covers(up_to)
        {
            let paused = progress.controls().phrase();
            unfinished.push(format!("{}: events to handle{paused}", self.name()));
        }
        if self.has_own_store {
            let counts = self
                .checkpoints
                .parked_counts(Some(workspace), correlation)
                .await?;
            unfinished.extend(counts.iter().map(ToString::to_string));
        }
        Ok(unfinished)
    }

    /// Ends a purged workspace. When this returns, none of its events is handled here.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.projections.end(workspace).await;
    }

    /// Its checkpoints, if they are in a file of their own.
    pub fn own_checkpoints(&self) -> Option<&Arc<dyn DocumentStore>> {
        self.has_own_store.then_some(&self.checkpoints)
    }

    /// The consumer itself.
    pub fn consumer(&self) -> &Arc<dyn Consumer> {
        &self.consumer
    }

    /// Ends what its lanes wait for in the outside world; see [`Consumer::interrupt`].
    pub fn interrupt(&self) {
        self.consumer.interrupt();
    }

    /// Stops, after its lanes have finished their work.
    pub async fn stop(&self) {
        self.projections.stop().await;
        self.consumer.close().await;
        if self.has_own_store {
            self.checkpoints.close().await;
        }
    }
}

/// Compares output that has no checkpoint with the log: it may be of another history, in which it has handled
/// positions that it would not handle again.
async fn compare_output(
    consumer: &dyn Consumer,
    checkpoints: &dyn DocumentStore,
    store: &dyn EventStore,
) -> Result<(), StartError> {
    let known: HashSet<WorkspaceId> = checkpoints
        .checkpoints()
        .await?
        .into_iter()
        .map(|checkpoint| checkpoint.workspace)
        .collect();
    let mut workspaces = match consumer.workspaces().await {
        Ok(workspaces) => workspaces,
        Err(error) => {
            let consumer = consumer.name();
            tracing::warn!(consumer, %error, "its output cannot be compared with the log now");
            return Ok(());
        }
    };
    workspaces.retain(|workspace| !known.contains(workspace));
    if workspaces.is_empty() {
        return Ok(());
    }
    let mut history = LogHistory::read(store).await?;
    for workspace in workspaces {
        if history.has_workspace(workspace) {
            let compared = consumer.begin_again(workspace, &mut history).await;
            compared.map_err(|error| DocumentStoreError::Unavailable(error.to_string()))?;
        }
    }
    Ok(())
}

/// Opens the checkpoints that are bound to this id, and removes those of earlier ids.
async fn open(folder: &Path, name: &str, id: Uuid) -> Result<SqliteDocumentStore, StartError> {
    let failed = |error: std::io::Error| {
        StartError::Documents(DocumentStoreError::Unavailable(format!(
            "{}: {error}",
            folder.display()
        )))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let current = format!("{name}-{}.db", id.simple());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let file = entry.file_name();
        let Some(file) = file.to_str() else { continue };
        let is_older = file.starts_with(&format!("{name}-")) && !file.starts_with(&current);
        if is_older {
            std::fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(SqliteDocumentStore::open(&folder.join(current)).await?)
}
