//! Process managers: carry out what policies decide about events, exactly once, even across a crash.
//!
//! A [policy](domain::policy) runs on the same lanes as a view. The state of a process, with its pending
//! commands and timers, is a document that each event changes exactly once, with dead letters, retries and
//! restarts like any view's. These documents are in the **process store**, separate from the views, because
//! they cannot be folded again from the log: a rebuild never runs a policy. The [`runner`] sends the commands
//! and expires the timers. Time is the workspace's: see [`Clocks`].
//!
//! Tests over the whole pipeline: `server/src/consumers/tests.rs`.

mod command_queue;
mod follower;
mod listing;
mod outcomes;
pub mod process;
mod recorded;
mod runner;
mod sender;
mod takeover;
mod timers;
mod unfinished;
mod work_set;

use std::{collections::HashSet, sync::Arc};

use broker::Broker;
use clock::SharedClock;
use command::CommandService;
use documents::{DocumentStore, DocumentStoreError};
use domain::{event::TypedEvent, id::WorkspaceId, policy::AnyPolicy, token::ConsistencyToken};
use event_store::EventStore;
use projection::{
    Context, Projections, StartError,
    dead_letters::DeadLetters,
    health::Health,
    progress::{LaneSetup, Progress},
};
use tokio::sync::futures::OwnedNotified;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use workspace_clock::{Clocks, Timers};

use command_queue::CommandQueues;
use follower::CommitFollower;
use runner::{Dependencies as RunnerDependencies, Runner};
pub use unfinished::{Awaited, ProcessKeys};
use work_set::{Unlisted, WorkSet};

/// The boxes that process managers need.
#[derive(Debug)]
pub struct Dependencies {
    /// Box 5, for historical events.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// Box 3, which takes the policies' commands.
    pub commands: Arc<CommandService>,
    /// The process store, which is never the read model of the views.
    pub process_store: Arc<dyn DocumentStore>,
    /// The clocks of workspaces.
    pub clocks: Arc<Clocks>,
    /// Prepares the lanes before they start.
    pub lane_setup: Arc<dyn LaneSetup>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// The running process managers.
#[derive(Debug)]
pub struct ProcessManagers {
    projections: Arc<Projections>,
    progress: Arc<Progress>,
    process_store: Arc<dyn DocumentStore>,
    health: Arc<Health>,
    runner: Arc<Runner>,
    clocks: Arc<Clocks>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

impl ProcessManagers {
    /// Starts the lanes and the runner, which continue at their checkpoints.
    pub async fn start(
        dependencies: Dependencies,
        policies: &'static [&'static dyn AnyPolicy],
    ) -> Result<Self, StartError> {
        let Dependencies {
            store,
            broker,
            commands,
            process_store,
            clocks,
            lane_setup,
            clock,
        } = dependencies;
        let progress = Arc::new(Progress::new(process::managers(policies)));
        lane_setup.prepare(&progress);
        let work = Arc::new(WorkSet::default());
        let queues = Arc::new(CommandQueues::new(work.clone()));
        let follower = CommitFollower {
            work: work.clone(),
            queues: queues.clone(),
            progress: progress.clone(),
        };
        let context = Context {
            followers: Arc::new(follower),
            ..Context::unread(
                store.clone(),
                broker,
                process_store.clone(),
                progress.clone(),
                clock.clone(),
            )
        };
        let health = context.health.clone();
        let (tasks, cancelled) = (TaskTracker::new(), CancellationToken::new());
        let runner = Arc::new(Runner::new(RunnerDependencies {
            policies,
            store: store.clone(),
            process_store: process_store.clone(),
            commands,
            progress: progress.clone(),
            clocks: clocks.clone(),
            clock,
            work: work.clone(),
            queues,
        }));
        let timers: Arc<dyn Timers> = runner.clone();
        clocks.expire_first(Arc::downgrade(&timers));
        // Work of a workspace that is not in this event store cannot be done here.
        let known: HashSet<WorkspaceId> = store.heads().await?.iter().map(|(of, ..)| *of).collect();
        for checkpoint in process_store.checkpoints().await? {
            if !known.contains(&checkpoint.workspace) {
                continue;
            }
            if let Some(policy) = policies.iter().find(|policy| policy.name() == checkpoint.view) {
                work.add_unlisted((checkpoint.workspace, policy.name()), Unlisted::Unknown);
            }
        }
        let projections = Arc::new(Projections::start(Arc::new(context)).await?);
        tasks.spawn(runner.clone().run(cancelled.clone()));
        Ok(Self {
            projections,
            progress,
            process_store,
            health,
            runner,
            clocks,
            tasks,
            cancelled,
        })
    }

    /// Their lanes.
    pub fn lanes(&self) -> &Arc<Projections> {
        &self.projections
    }

    /// Events that policies could not handle.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.projections.dead_letters
    }

    /// The process store, with checkpoints.
    pub fn process_store(&self) -> &Arc<dyn DocumentStore> {
        &self.process_store
    }

    /// Wakes when processes or parked events of a workspace change after the call.
    pub fn changed(&self, workspace: WorkspaceId) -> OwnedNotified {
        self.progress.work_changed(workspace)
    }

    /// Waits until the policies have handled the events of a workspace up to a token.
    pub async fn reach(&self, workspace: WorkspaceId, token: &ConsistencyToken) {
        for handler in self.progress.handlers() {
            if let Some(progress) = self.progress.of(workspace, handler.name()) {
                progress.reaches(token).await;
            }
        }
    }

    /// The processes that an event concerns: the work that it causes is in no other.
    pub fn processes_of(&self, event: &TypedEvent) -> ProcessKeys {
        self.runner.processes_of(event)
    }

    /// Whether a command, a timer or a parked event is left, including those of consumers that keep their
    /// checkpoints in the process store.
    pub async fn is_unfinished(
        &self,
        workspace: WorkspaceId,
        awaited: Awaited<'_>,
    ) -> Result<bool, DocumentStoreError> {
        if self.runner.has_open_process(workspace, awaited).await? {
            return Ok(true);
        }
        let counts = self
            .process_store
            .parked_counts(Some(workspace), awaited.correlation())
            .await?;
        Ok(!counts.is_empty())
    }

    /// Why they are not ready, one sentence each.
    pub fn unready_reasons(&self) -> Vec<String> {
        self.health.unready_reasons()
    }

    /// Their remaining work for events up to a token, one sentence each: events to handle, commands, timers,
    /// and events that are parked in the process store, including those of consumers that keep their
    /// checkpoints there.
    pub async fn unfinished(
        &self,
        workspace: WorkspaceId,
        awaited: Awaited<'_>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let mut unfinished = Vec::new();
        for handler in self.progress.handlers() {
            if let Some(progress) = self.progress.of(workspace, handler.name())
                && !progress.folded().covers(up_to)
            {
                let paused = progress.controls().phrase();
                unfinished.push(format!("{}: events to handle{paused}", handler.name()));
            }
        }
        unfinished.extend(self.runner.unfinished(workspace, awaited).await?);
        let counts = self
            .process_store
            .parked_counts(Some(workspace), awaited.correlation())
            .await?;
        unfinished.extend(counts.iter().map(ToString::to_string));
        Ok(unfinished)
    }

    /// Ends a purged workspace. When this returns, no lane writes to it here, and nothing of it is in memory.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.projections.end(workspace).await;
        self.clocks.end(workspace);
        self.runner.end(workspace);
    }

    /// Stops sending, and stops the lanes after their transactions. The process store stays open for the
    /// consumers beside them.
    pub async fn stop(&self) {
        self.cancelled.cancel();
        self.projections.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
    }
}
