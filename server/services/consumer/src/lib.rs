//! Effect consumers: those that do something outside of the log and the views. Each is run by the same lanes as a view,
//! with a checkpoint per partition, retries, dead letters and restarts; it has no documents, and no rebuild ever runs it.
//!
//! An effect comes before the checkpoint moves: at least once, in order. What makes it exactly once is the consumer's: it
//! knows what of it is done already, by the ids of events or by an [`ProcessedPositions`] that is written with the effect.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use domain::{id::WorkspaceId, token::ConsistencyToken};
use tokio::sync::futures::Notified;
use uuid::Uuid;

use broker::Broker;
use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError, sqlite::SqliteDocumentStore};
use event_store::EventStore;
use projection::{
    Context, Projections, StartError,
    dead_letters::DeadLetters,
    progress::{HandlerProgress, Progress},
};
pub use projection::{
    effect::{EffectError, ProcessedPositions, Work},
    handler::EventHandler,
};

/// An effect consumer, as the registry names it.
#[async_trait]
pub trait Consumer: EventHandler {
    /// What its checkpoints stand and fall with.
    fn checkpoint_storage(&self) -> CheckpointStorage;

    /// The workspaces of which it holds anything.
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError>;

    /// A workspace is there no more: everything that is held of it goes. Called when no lane of it runs.
    async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError>;

    /// Finishes what is under way.
    async fn close(&self) {}
}

/// What the checkpoints of a consumer stand and fall with.
#[derive(Debug, Clone)]
pub enum CheckpointStorage {
    /// The memory of process managers, which is backed up with the events: what was done in the world stays done.
    Processes,
    /// What it made, by this id. Where that is lost, or made anew, every event is handled again from the first.
    Made(Uuid),
}

/// What effect consumers need of the other boxes.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Box 5, for historical events.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// Where process managers remember.
    pub processes: Arc<dyn DocumentStore>,
    /// The folder of checkpoints that stand and fall with what a consumer makes.
    pub folder: PathBuf,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// An effect consumer, running.
#[derive(Debug)]
pub struct RunningConsumer {
    consumer: Arc<dyn Consumer>,
    projections: Projections,
    progress: Arc<Progress>,
    checkpoints: Arc<dyn DocumentStore>,
    /// The checkpoints lie in a file of its own.
    own: bool,
}

impl RunningConsumer {
    /// Starts its lanes. What a stop has interrupted goes on.
    pub async fn start(consumer: Arc<dyn Consumer>, dependencies: &Dependencies) -> Result<Self, StartError> {
        let (checkpoints, own): (Arc<dyn DocumentStore>, _) = match consumer.checkpoint_storage() {
            CheckpointStorage::Processes => (dependencies.processes.clone(), false),
            CheckpointStorage::Made(id) => (
                Arc::new(open(&dependencies.folder, consumer.name(), id).await?),
                true,
            ),
        };
        let handler: Arc<dyn EventHandler> = consumer.clone();
        let progress = Arc::new(Progress::new([handler]));
        let context = Context::unread(
            dependencies.store.clone(),
            dependencies.broker.clone(),
            checkpoints.clone(),
            progress.clone(),
            dependencies.clock.clone(),
        );
        Ok(Self {
            projections: Projections::start(Arc::new(context)).await?,
            consumer,
            progress,
            checkpoints,
            own,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.consumer.name()
    }

    /// How far it is in a workspace.
    pub fn progress_of(&self, workspace: WorkspaceId) -> Option<HandlerProgress> {
        self.progress.of(workspace, self.name())
    }

    /// Events that it could not handle.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.projections.dead_letters
    }

    /// Wakes when it has handled anything after the call.
    pub fn changed(&self) -> Notified<'_> {
        self.progress.changed()
    }

    /// What it still has to do about events up to a token. What it has parked in the process managers' memory is counted
    /// there.
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
            unfinished.push(format!("{}: events to handle", self.name()));
        }
        if self.own {
            let counts = self
                .checkpoints
                .parked_counts(Some(workspace), correlation)
                .await?;
            unfinished.extend(counts.iter().map(ToString::to_string));
        }
        Ok(unfinished)
    }

    /// A workspace is there no more. When this returns, nothing is done about its events here.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.projections.end(workspace).await;
    }

    /// Its checkpoints, where they lie in a file of its own.
    pub fn own_checkpoints(&self) -> Option<&Arc<dyn DocumentStore>> {
        self.own.then_some(&self.checkpoints)
    }

    /// The consumer itself.
    pub fn consumer(&self) -> &Arc<dyn Consumer> {
        &self.consumer
    }

    /// Lets its lanes finish what they are doing, and stops.
    pub async fn stop(&self) {
        self.projections.stop().await;
        self.consumer.close().await;
        if self.own {
            self.checkpoints.close().await;
        }
    }
}

/// Opens the checkpoints of what has this id; those of what was there before are removed.
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
