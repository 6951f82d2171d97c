//! Document 2's consumers: what is done about events, besides showing them.
//!
//! **Process managers** send commands. A [policy](domain::policy) is run by the same lanes as a view: what a process remembers
//! and wants done is its document, changed exactly once by each event, with dead letters, retries and restarts like any view's.
//! These documents lie in a store of their own, because they cannot be folded again from the log: a rebuild never runs a
//! policy. The [`runner`] does what the documents say is to be done. Time is the workspace's: see [`Clocks`].
//!
//! **Effect consumers** do something outside of the log and the views: see [`effects`] for what they are promised, and
//! [`registry`] for who they are.

pub mod analytics;
mod command_queue;
pub mod effects;
pub mod notification;
pub mod process;
pub mod registry;
pub mod runner;
pub mod seals;
pub mod search;
mod waker;

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use broker::Broker;
use cache::in_process::InProcessCache;
use clock::SharedClock;
use command::CommandService;
use documents::{ParkedCount, ReadModel, ReadModelError};
use domain::{id::WorkspaceId, policy::AnyPolicy, token::ConsistencyToken};
use event_store::EventStore;
use projection::{
    Context, Projections, StartError, dead_letters::DeadLetters, health::Health, ownership::EveryServer,
    progress::Progress,
};
use query::settled::Unfinished;
use tokio::sync::futures::Notified;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use effects::{Consumer, EffectError, Parts, Running};
use runner::{Needs, Runner};
use waker::Waker;
use workspace_clock::Clocks;

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
    /// The folder of checkpoints that stand and fall with what a consumer makes.
    pub folder: PathBuf,
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
    effects: Vec<Running>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

impl Consumers {
    /// Starts lanes and the runner. What a stop has interrupted goes on.
    pub async fn start(
        boxes: Boxes,
        policies: &'static [&'static dyn AnyPolicy],
        effects: Vec<Arc<dyn Consumer>>,
    ) -> Result<Self, StartError> {
        let Boxes {
            store,
            broker,
            commands,
            processes,
            clocks,
            folder,
            clock,
        } = boxes;
        let parts = Parts {
            store: store.clone(),
            broker: broker.clone(),
            processes: processes.clone(),
            folder,
            clock: clock.clone(),
        };
        let progress = Arc::new(Progress::new(process::managers(policies)));
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
            ownership: Arc::new(EveryServer),
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
        // What a checkpoint of another event store's workspace stands for cannot be done here.
        let known: HashSet<WorkspaceId> = store.heads().await?.iter().map(|(of, ..)| *of).collect();
        for checkpoint in processes.checkpoints().await? {
            if !known.contains(&checkpoint.workspace) {
                continue;
            }
            if let Some(policy) = policies.iter().find(|policy| policy.name() == checkpoint.view) {
                waker.wake(checkpoint.workspace, policy.name());
            }
        }
        let projections = Projections::start(Arc::new(context)).await?;
        tasks.spawn(runner.clone().run(cancelled.clone()));
        let mut running = Vec::with_capacity(effects.len());
        for effect in effects {
            running.push(Running::start(effect, &parts).await?);
        }
        Ok(Self {
            clocks,
            projections,
            progress,
            processes,
            health,
            runner,
            effects: running,
            tasks,
            cancelled,
        })
    }

    /// Events that policies and effect consumers could not handle.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetters> {
        // Two that keep them in one place list the same; one of them does what is to be done about each.
        std::iter::once(&self.projections.dead_letters).chain(self.effects.iter().map(Running::dead_letters))
    }

    /// The effect consumer of this name.
    pub fn effect(&self, name: &str) -> Option<&Running> {
        self.effects.iter().find(|running| running.name() == name)
    }

    /// The effect consumers.
    pub fn effects(&self) -> &[Running] {
        &self.effects
    }

    /// A workspace is there no more. When this returns, no lane writes to it here, and nothing of it is in memory.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.projections.end(workspace).await;
        for effect in &self.effects {
            effect.end(workspace).await;
        }
        self.clocks.end(workspace);
        self.runner.end(workspace);
    }

    /// What process managers remember, and checkpoints.
    pub fn memories(&self) -> impl Iterator<Item = &Arc<dyn ReadModel>> {
        std::iter::once(&self.processes).chain(self.effects.iter().filter_map(Running::own_checkpoints))
    }

    /// What effect consumers hold of a workspace goes.
    pub async fn forget(&self, workspace: WorkspaceId) -> Result<(), EffectError> {
        for effect in &self.effects {
            effect.consumer().forget(workspace).await?;
        }
        Ok(())
    }

    /// The workspaces of which effect consumers hold anything.
    pub async fn workspaces(&self) -> Result<Vec<WorkspaceId>, EffectError> {
        let mut held = Vec::new();
        for effect in &self.effects {
            held.extend(effect.consumer().workspaces().await?);
        }
        Ok(held)
    }

    /// Lets lanes finish their transaction, stops, and closes the store of processes.
    pub async fn stop(&self) {
        self.cancelled.cancel();
        self.projections.stop().await;
        for effect in &self.effects {
            effect.stop().await;
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.processes.close().await;
    }
}

#[async_trait::async_trait]
impl Unfinished for Consumers {
    fn changed(&self) -> Vec<Notified<'_>> {
        let effects = self.effects.iter().map(Running::changed);
        std::iter::once(self.progress.changed()).chain(effects).collect()
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
        for view in self.progress.handlers() {
            if let Some(progress) = self.progress.of(workspace, view.name())
                && !progress.folded().covers(up_to)
            {
                unfinished.push(format!("{}: events to handle", view.name()));
            }
        }
        unfinished.extend(self.runner.unfinished(workspace, correlation).await?);
        let counts = self.processes.parked_counts(Some(workspace), correlation).await?;
        unfinished.extend(counts.iter().map(parked));
        for effect in &self.effects {
            unfinished.extend(effect.unfinished(workspace, correlation, up_to).await?);
        }
        Ok(unfinished)
    }
}

/// What is said of parked events.
fn parked(count: &ParkedCount) -> String {
    format!(
        "{}: {} dead letters, {} events wait behind one",
        count.view, count.dead, count.waiting
    )
}

#[cfg(test)]
mod tests;
