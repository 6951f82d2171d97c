//! Rebuilds, blue and green: a new generation of a view is folded from the whole log beside the live one, which goes on
//! answering and folding; when the new one has caught up, it becomes the live one in one transaction.
//!
//! Which generation is being built, and how far it is, lies in the read model: after a restart a rebuild goes on. What is
//! left of a generation that was replaced or given up is removed behind the scenes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{id::WorkspaceId, wire::RebuildProgress};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Context, StartError,
    build::{Build, Ended},
    handler::EventHandler,
};
use documents::{DocumentStoreError, Scope, StoredGeneration};

/// How many generations are folded at the same time; the others wait their turn.
const AT_ONCE: usize = 2;

/// How many rows of a kind are removed in one transaction.
const REMOVED_AT_ONCE: u32 = 1_000;

type Key = (WorkspaceId, &'static str);

/// Why a rebuild did not begin or end.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such view.
    #[error("there is no projection {0}")]
    UnknownView(String),
    /// Nothing is being rebuilt.
    #[error("{0} is not being rebuilt")]
    NotRunning(&'static str),
    /// It would move on though it is to stand still.
    #[error("{0} is paused; resume it first")]
    Paused(&'static str),
    /// A rebuild cannot be held.
    #[error("{0} is being rebuilt; wait until that is done, or cancel it")]
    Running(&'static str),
    /// The read model did not do it.
    #[error(transparent)]
    ReadModel(#[from] DocumentStoreError),
}

/// The rebuilds of a server.
#[derive(Debug)]
pub struct Rebuilds {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    running: Mutex<HashMap<Key, Arc<Build>>>,
    /// One at a time begins or cancels.
    deciding: tokio::sync::Mutex<()>,
    at_once: Semaphore,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Rebuilds {
    /// Goes on with the rebuilds that a stop has interrupted, and removes what earlier ones left. What is not of a workspace of
    /// the event store is left alone: of a purged one it is deleted, and any other is another server's, whose view would be
    /// folded from no events.
    pub async fn start(
        context: Arc<Context>,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Result<Self, StartError> {
        let rebuilds = Self {
            shared: Arc::new(Shared {
                context,
                running: Mutex::default(),
                deciding: tokio::sync::Mutex::default(),
                at_once: Semaphore::new(AT_ONCE),
                tasks,
                stopping,
            }),
        };
        let shared = &rebuilds.shared;
        for interrupted in shared.context.documents.builds().await? {
            if shared
                .context
                .store
                .workspace(interrupted.workspace)
                .await?
                .is_none()
            {
                continue;
            }
            if let Some(handler) = shared.context.progress.handler(&interrupted.view) {
                tracing::info!(projection.view = handler.name(), workspace = %interrupted.workspace, "a rebuild goes on");
                shared.begin(handler.clone(), interrupted.workspace, interrupted.generation);
            }
        }
        for leftover in shared.context.documents.leftovers().await? {
            if shared
                .context
                .store
                .workspace(leftover.workspace)
                .await?
                .is_none()
            {
                continue;
            }
            shared.tasks.spawn(shared.clone().remove(leftover));
        }
        Ok(rebuilds)
    }

    /// Begins to rebuild a view of a workspace; where it is being rebuilt already, that goes on.
    pub async fn rebuild(&self, workspace: WorkspaceId, view: &str) -> Result<RebuildProgress, RebuildError> {
        let shared = &self.shared;
        let view = shared.handler(view)?;
        let _deciding = shared.deciding.lock().await;
        if let Some(running) = shared.running(workspace, view.name()) {
            return Ok(running.progress());
        }
        let progress = shared.context.progress.of(workspace, view.name());
        if progress.is_some_and(|progress| progress.controls().is_paused()) {
            return Err(RebuildError::Paused(view.name()));
        }
        let generation = shared
            .context
            .documents
            .begin_build(workspace, view.name())
            .await?;
        Ok(shared.begin(view, workspace, generation).progress())
    }

    /// Holds the lanes of a view that is not being rebuilt. When it returns, none of them is in the middle of anything.
    pub(super) async fn pause(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        let shared = &self.shared;
        let view = shared.handler(view)?;
        let _deciding = shared.deciding.lock().await;
        if shared.running(workspace, view.name()).is_some() {
            return Err(RebuildError::Running(view.name()));
        }
        if let Some(progress) = shared.context.progress.of(workspace, view.name()) {
            progress.controls().pause();
            drop(progress.turn().await);
        }
        Ok(())
    }

    /// A workspace is there no more: nothing is built there, and when this returns, nothing is written.
    pub(super) async fn end(&self, workspace: WorkspaceId) {
        let _deciding = self.shared.deciding.lock().await;
        let builds: Vec<_> = {
            let running = self.shared.lock();
            let of_it = running.iter().filter(|((of, _), _)| *of == workspace);
            of_it.map(|(_, build)| build.clone()).collect()
        };
        for build in builds {
            build.cancel();
            build.ended().await;
        }
    }

    /// How far the rebuild of a view is; `None` where it is not being rebuilt.
    pub fn progress(&self, workspace: WorkspaceId, view: &str) -> Option<RebuildProgress> {
        let view = self.shared.context.progress.handler(view)?;
        Some(self.shared.running(workspace, view.name())?.progress())
    }

    /// Waits until no rebuild of a view is running.
    pub async fn finished(&self, workspace: WorkspaceId, view: &str) {
        let view = self.shared.context.progress.handler(view);
        let build = view.and_then(|view| self.shared.running(workspace, view.name()));
        if let Some(build) = build {
            build.ended().await;
        }
    }

    /// Gives a rebuild up. The live generation was never touched.
    pub async fn cancel(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        let shared = &self.shared;
        let view = shared.handler(view)?;
        let _deciding = shared.deciding.lock().await;
        let not_running = RebuildError::NotRunning(view.name());
        let Some(build) = shared.running(workspace, view.name()) else {
            return Err(not_running);
        };
        // From here on its lanes cannot write, whatever they are about to do. Unless the switch was faster.
        if !shared.context.documents.cancel_build(build.scope()).await? {
            return Err(not_running);
        }
        build.cancel();
        build.ended().await;
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Build>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handler(&self, view: &str) -> Result<Arc<dyn EventHandler>, RebuildError> {
        let known = self.context.progress.handler(view).cloned();
        known.ok_or_else(|| RebuildError::UnknownView(view.to_owned()))
    }

    fn running(&self, workspace: WorkspaceId, view: &'static str) -> Option<Arc<Build>> {
        self.lock().get(&(workspace, view)).cloned()
    }

    fn begin(
        self: &Arc<Self>,
        handler: Arc<dyn EventHandler>,
        workspace: WorkspaceId,
        generation: u64,
    ) -> Arc<Build> {
        let scope = Scope {
            workspace,
            view: handler.name(),
            generation,
        };
        let build = Arc::new(Build::new(
            self.context.clone(),
            handler,
            scope,
            self.stopping.child_token(),
        ));
        self.lock().insert((workspace, scope.view), build.clone());
        self.tasks.spawn(self.clone().run(build.clone()));
        build
    }

    async fn run(self: Arc<Self>, build: Arc<Build>) {
        let Scope {
            workspace,
            view,
            generation,
        } = *build.scope();
        // Never closed; without a permit it would run all the same.
        let permit = self.at_once.acquire().await;
        let replaced = self
            .context
            .progress
            .of(workspace, view)
            .map(|progress| progress.generation());
        let ended = build.run().await;
        drop(permit);
        metrics::counter!("foldline_rebuilds_total", "view" => view, "outcome" => ended.name()).increment(1);
        tracing::info!(projection.view = view, %workspace, generation, outcome = ended.name(), "a rebuild has ended");
        self.lock().remove(&(workspace, view));
        build.note_ended();
        let leftover = match ended {
            Ended::Switched => replaced,
            Ended::Cancelled => Some(generation),
            // It goes on after the next start.
            Ended::Interrupted => None,
        };
        if let Some(generation) = leftover {
            let leftover = StoredGeneration {
                workspace,
                view: view.to_owned(),
                generation,
            };
            self.remove(leftover).await;
        }
    }

    /// Removes a generation, a little at a time; what a stop interrupts is removed after the next start.
    async fn remove(self: Arc<Self>, leftover: StoredGeneration) {
        while !self.stopping.is_cancelled() {
            match self.context.documents.remove(&leftover, REMOVED_AT_ONCE).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, ?leftover, "an old generation is left for the next start to remove");
                    return;
                }
            }
        }
    }
}
