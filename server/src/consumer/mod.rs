//! Document 2's consumers: what is done about events, besides showing them.
//!
//! So far: **process managers**. A [policy](domain::policy) is run by the same lanes as a view: what a process remembers and
//! wants done is its document, changed exactly once by each event, with dead letters, retries and restarts like any view's.
//! These documents lie in a store of their own, because they cannot be folded again from the log: a rebuild never runs a
//! policy. The [`runner`] does what the documents say is to be done. Time is the workspace's: see [`clocks`].

pub mod clocks;
mod process;
pub mod runner;
mod sending;

use std::sync::Arc;

use domain::{id::WorkspaceId, policy::AnyPolicy, token::ConsistencyToken, view::AnyView};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    broker::Broker,
    cache::in_process::InProcessCache,
    clock::SharedClock,
    command::CommandService,
    event_store::EventStore,
    projection::{
        Context, Projections, StartError, dead_letters::DeadLetters, health::Health, progress::Progress,
    },
    query::settled::Unfinished,
    read_model::{ReadModel, ReadModelError},
};
use clocks::Clocks;
use runner::{Needs, Runner, Waker};

/// What consumers need of the other boxes.
#[derive(Debug)]
pub struct Boxes {
    /// Box 5, for historical events.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// Box 3, which takes the policies' commands.
    pub commands: Arc<CommandService>,
    /// Where processes lie: never the views' own read model.
    pub processes: Arc<dyn ReadModel>,
    /// Time, as each workspace has it.
    pub clocks: Arc<Clocks>,
    /// The machine's clock.
    pub clock: SharedClock,
}

/// The consumers, running.
#[derive(Debug)]
pub struct Consumers {
    /// Time, as each workspace has it.
    pub clocks: Arc<Clocks>,
    projections: Projections,
    progress: Arc<Progress>,
    processes: Arc<dyn ReadModel>,
    health: Arc<Health>,
    runner: Arc<Runner>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

impl Consumers {
    /// Starts lanes and the runner. What a stop has interrupted goes on.
    pub async fn start(
        boxes: Boxes,
        policies: &'static [&'static dyn AnyPolicy],
    ) -> Result<Self, StartError> {
        let Boxes {
            store,
            broker,
            commands,
            processes,
            clocks,
            clock,
        } = boxes;
        let views: Vec<&'static dyn AnyView> = policies.iter().map(|policy| policy.as_view()).collect();
        let progress = Arc::new(Progress::new(views));
        let health = Arc::new(Health::default());
        let waker = Arc::new(Waker::default());
        let context = Context {
            store: store.clone(),
            broker,
            read_model: processes.clone(),
            cache: Arc::new(InProcessCache::new()),
            followers: waker.clone(),
            progress: progress.clone(),
            health: health.clone(),
            clock: clock.clone(),
        };
        let (tasks, cancelled) = (TaskTracker::new(), CancellationToken::new());
        let runner = Arc::new(Runner::new(Needs {
            policies,
            processes: processes.clone(),
            commands,
            progress: progress.clone(),
            clocks: clocks.clone(),
            clock,
            waker: waker.clone(),
        }));
        for checkpoint in processes.checkpoints().await? {
            if let Some(policy) = policies.iter().find(|policy| policy.name() == checkpoint.view) {
                waker.wake(checkpoint.workspace, policy.name());
            }
        }
        let projections = Projections::start(Arc::new(context)).await?;
        tasks.spawn(runner.clone().run(cancelled.clone()));
        Ok(Self {
            clocks,
            projections,
            progress,
            processes,
            health,
            runner,
            tasks,
            cancelled,
        })
    }

    /// Events that policies could not apply.
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.projections.dead_letters
    }

    /// A workspace is there no more. When this returns, no lane writes to it here, and nothing of it is in memory.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.projections.end(workspace).await;
        self.clocks.end(workspace);
        self.runner.end(workspace);
    }

    /// What process managers remember.
    pub fn processes(&self) -> &Arc<dyn ReadModel> {
        &self.processes
    }

    /// Lets lanes finish their transaction, stops, and closes the store of processes.
    pub async fn stop(&self) {
        self.cancelled.cancel();
        self.projections.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.processes.close().await;
    }
}

#[async_trait::async_trait]
impl Unfinished for Consumers {
    fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    fn complaints(&self) -> Vec<String> {
        self.health.complaints()
    }

    async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<Uuid>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, ReadModelError> {
        let mut unfinished = Vec::new();
        for view in self.progress.views() {
            if let Some(progress) = self.progress.of(workspace, view.name())
                && !progress.folded().covers(up_to)
            {
                unfinished.push(format!("{}: events to handle", view.name()));
            }
        }
        unfinished.extend(self.runner.unfinished(workspace, correlation).await?);
        let counts = self.processes.parked_counts(Some(workspace), correlation).await?;
        unfinished.extend(counts.into_iter().map(|count| {
            format!(
                "{}: {} dead letters, {} events wait behind one",
                count.view, count.dead, count.waiting
            )
        }));
        Ok(unfinished)
    }
}

#[cfg(test)]
mod tests;
