//! Rebuilds, blue and green: a new generation of a view is folded from the whole log beside the live one,
//! which goes on folding and answering queries. Once the new one has caught up, it becomes the live one in
//! one transaction.
//!
//! The read model stores which generation is being built and how far it is, so a rebuild continues after a
//! restart. What is left of a replaced or cancelled generation is removed in the background.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use domain::{id::WorkspaceId, wire::RebuildProgress};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Context, StartError,
    build::{Build, BuildOutcome},
    handler::EventHandler,
};
use broker::ServerMessage;
use documents::{DocumentStoreError, Scope, StoredGeneration};

/// How many generations are folded at the same time, one of a workspace at most; the others wait.
const MAX_RUNNING_BUILDS: usize = 2;

/// How many rows of a kind are removed in one transaction.
const REMOVAL_BATCH: u32 = 1_000;

type Key = (WorkspaceId, &'static str);

/// Why a rebuild or a pause was refused.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such view.
    #[error("there is no projection {0}")]
    UnknownView(String),
    /// The view is not being rebuilt.
    #[error("{0} is not being rebuilt")]
    NotRunning(String),
    /// The view is paused, and a rebuild would move it.
    #[error("{0} is paused; resume it first")]
    Paused(String),
    /// The view is being rebuilt, and a rebuild cannot be paused.
    #[error("{0} is being rebuilt; wait until that is done, or cancel it")]
    Running(String),
    /// The read model failed.
    #[error(transparent)]
    ReadModel(#[from] DocumentStoreError),
}

/// Hears of the rebuilds that this server begins.
pub trait RebuildObserver: Send + Sync + Debug {
    /// A rebuild of a view was asked for and has begun. Must not block.
    fn begun(self: Arc<Self>, workspace: WorkspaceId, view: &'static str);
}

/// The rebuilds of a server.
#[derive(Debug)]
pub struct Rebuilds {
    runner: Arc<RebuildRunner>,
}

#[derive(Debug)]
struct RebuildRunner {
    context: Arc<Context>,
    running: Mutex<HashMap<Key, Arc<Build>>>,
    observer: OnceLock<Arc<dyn RebuildObserver>>,
    /// Serialises begin and cancel.
    decision: tokio::sync::Mutex<()>,
    permits: Semaphore,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Rebuilds {
    /// Continues the rebuilds that a stop has interrupted, and removes what earlier ones left. Generations of
    /// workspaces that are not in this event store are left alone: those of a purged workspace are deleted
    /// with it, and any other belongs to another server, and would be folded from no events here.
    pub async fn start(
        context: Arc<Context>,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Result<Self, StartError> {
        let rebuilds = Self {
            runner: Arc::new(RebuildRunner {
                context,
                running: Mutex::default(),
                observer: OnceLock::new(),
                decision: tokio::sync::Mutex::default(),
                permits: Semaphore::new(MAX_RUNNING_BUILDS),
                tasks,
                stopping,
            }),
        };
        let runner = &rebuilds.runner;
        for interrupted in runner.context.documents.builds().await? {
            if runner
                .context
                .store
                .workspace(interrupted.workspace)
                .await?
                .is_none()
            {
                continue;
            }
            if let Some(handler) = runner.context.progress.handler(&interrupted.view) {
                tracing::info!(
                    projection.view = handler.name(), workspace = %interrupted.workspace,
                    "an interrupted rebuild continues"
                );
                runner.begin(handler.clone(), interrupted.workspace, interrupted.generation);
            }
        }
        for leftover in runner.context.documents.leftovers().await? {
            if runner
                .context
                .store
                .workspace(leftover.workspace)
                .await?
                .is_none()
            {
                continue;
            }
            runner.tasks.spawn(runner.clone().remove(leftover));
        }
        Ok(rebuilds)
    }

    /// Tells an observer of every rebuild that is asked for from now on; the first observer stays.
    pub fn observe(&self, observer: Arc<dyn RebuildObserver>) {
        self.runner.observer.get_or_init(|| observer);
    }

    /// Begins to rebuild a view of a workspace. If it is being rebuilt already, that rebuild continues.
    pub async fn rebuild(&self, workspace: WorkspaceId, view: &str) -> Result<RebuildProgress, RebuildError> {
        let runner = &self.runner;
        let (name, view) = (view, runner.handler(workspace, view)?);
        let _decision = runner.decision.lock().await;
        if let Some(running) = runner.running(workspace, view.name()) {
            return Ok(running.progress());
        }
        let progress = runner.context.progress.of(workspace, view.name());
        if progress.is_some_and(|progress| progress.controls().is_paused()) {
            return Err(RebuildError::Paused(name.to_owned()));
        }
        let generation = runner
            .context
            .documents
            .begin_build(workspace, view.name())
            .await?;
        let build = runner.begin(view, workspace, generation);
        if let Some(observer) = runner.observer.get() {
            Arc::clone(observer).begun(workspace, build.scope().view);
        }
        Ok(build.progress())
    }

    /// Fails unless there is such a view, and it is not being rebuilt here.
    pub(super) fn check_not_running(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        let (name, view) = (view, self.runner.handler(workspace, view)?);
        match self.runner.running(workspace, view.name()) {
            Some(_) => Err(RebuildError::Running(name.to_owned())),
            None => Ok(()),
        }
    }

    /// Cancels the builds of a purged workspace. When this returns, they write nothing more.
    pub(super) async fn end(&self, workspace: WorkspaceId) {
        let _decision = self.runner.decision.lock().await;
        let builds: Vec<_> = {
            let running = self.runner.lock();
            let of_it = running.iter().filter(|((of, _), _)| *of == workspace);
            of_it.map(|(_, build)| build.clone()).collect()
        };
        for build in builds {
            build.cancel();
            build.ended().await;
        }
    }

    /// How far the rebuild of a view is; `None`: it is not being rebuilt.
    pub fn progress(&self, workspace: WorkspaceId, view: &str) -> Option<RebuildProgress> {
        self.lane_progress(
            workspace,
            self.runner.context.progress.lane_name(workspace, view)?,
        )
    }

    /// The same by the name of its lanes.
    pub(super) fn lane_progress(
        &self,
        workspace: WorkspaceId,
        lane: &'static str,
    ) -> Option<RebuildProgress> {
        Some(self.runner.running(workspace, lane)?.progress())
    }

    /// Cancels the build of a view that is not there any more. When this returns, it writes nothing more.
    pub(super) async fn end_view(&self, workspace: WorkspaceId, lane: &'static str) {
        let _decision = self.runner.decision.lock().await;
        if let Some(build) = self.runner.running(workspace, lane) {
            build.cancel();
            build.ended().await;
        }
    }

    /// Removes a generation that is neither live nor being built, in the background.
    pub(super) fn remove_later(&self, leftover: StoredGeneration) {
        let runner = Arc::clone(&self.runner);
        self.runner.tasks.spawn(runner.remove(leftover));
    }

    /// Waits until no rebuild of a view is running.
    pub async fn finished(&self, workspace: WorkspaceId, view: &str) {
        let lane = self.runner.context.progress.lane_name(workspace, view);
        let build = lane.and_then(|lane| self.runner.running(workspace, lane));
        if let Some(build) = build {
            build.ended().await;
        }
    }

    /// Cancels a rebuild. The live generation was never touched.
    pub async fn cancel(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        let runner = &self.runner;
        let (name, view) = (view, runner.handler(workspace, view)?);
        let _decision = runner.decision.lock().await;
        let not_running = RebuildError::NotRunning(name.to_owned());
        let Some(build) = runner.running(workspace, view.name()) else {
            return Err(not_running);
        };
        // From here on its lanes cannot write, unless the switch was faster.
        if !runner.context.documents.cancel_build(build.scope()).await? {
            return Err(not_running);
        }
        build.cancel();
        build.ended().await;
        Ok(())
    }
}

impl RebuildRunner {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Build>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handler(&self, workspace: WorkspaceId, view: &str) -> Result<Arc<dyn EventHandler>, RebuildError> {
        let progress = &self.context.progress;
        let lane = progress.lane_name(workspace, view);
        let known = lane.and_then(|lane| progress.handler(lane)).cloned();
        known.ok_or_else(|| RebuildError::UnknownView(view.to_owned()))
    }

    fn running(&self, workspace: WorkspaceId, view: &'static str) -> Option<Arc<Build>> {
        self.lock().get(&(workspace, view)).cloned()
    }

    /// The turn of a workspace's builds: that of one that has not ended, or a new one.
    fn turn(&self, workspace: WorkspaceId) -> Arc<Semaphore> {
        let running = self.lock();
        let of_workspace = running.iter().find(|((of, _), _)| *of == workspace);
        of_workspace.map_or_else(|| Arc::new(Semaphore::new(1)), |(_, build)| build.turn())
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
            self.turn(workspace),
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
        let replaced = self
            .context
            .progress
            .of(workspace, view)
            .map(|progress| progress.generation());
        let ended = build.run(&self.permits).await;
        metrics::counter!("foldline_rebuilds_total", "view" => view, "outcome" => ended.name()).increment(1);
        tracing::info!(
            projection.view = view, %workspace, generation, outcome = ended.name(), "a rebuild has ended"
        );
        if ended == BuildOutcome::Switched {
            let handler = view.to_owned();
            let changed = ServerMessage::Changed { workspace, handler };
            self.context.broker.tell(&changed).await;
        }
        self.lock().remove(&(workspace, view));
        build.note_ended();
        let leftover = match ended {
            BuildOutcome::Switched => replaced,
            BuildOutcome::Cancelled => Some(generation),
            // It continues after the next start.
            BuildOutcome::Interrupted => None,
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

    /// Removes a generation in small batches; after an interruption the next start removes the rest.
    async fn remove(self: Arc<Self>, leftover: StoredGeneration) {
        while !self.stopping.is_cancelled() {
            match self.context.documents.remove(&leftover, REMOVAL_BATCH).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(
                        %error, ?leftover, "an old generation is left for the next start to remove"
                    );
                    return;
                }
            }
        }
    }
}
