//! Starts the event handlers besides the views: process managers and consumers.
//!
//! **Process managers** send commands: see [`process_manager`]. **Consumers** have effects outside of the log
//! and the views: see [`consumer`] for their guarantees, and [`registry`] for the list.

pub(crate) mod registry;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use broker::Broker;
use clock::SharedClock;
use command::CommandService;
use consumer::{Consumer, RunningConsumer};
use documents::{DocumentStore, DocumentStoreError};
use domain::{event::TypedEvent, id::WorkspaceId, policy::AnyPolicy, token::ConsistencyToken};
use event_store::EventStore;
use lifecycle::{PurgeError, WorkspaceKeeper};
use process_manager::{Awaited, ProcessManagers};
#[cfg(test)]
use projection::dead_letters::DeadLetters;
use projection::{Projections, StartError, progress::LaneSetup};
use query::settled::{OfCorrelation, PendingWork, ProcessKeys};
use tokio::sync::futures::OwnedNotified;
use workspace_clock::Clocks;

/// The boxes that process managers and consumers need.
#[derive(Debug)]
pub(crate) struct Dependencies {
    /// Box 5, for historical events.
    pub(crate) store: Arc<dyn EventStore>,
    /// Box 6.
    pub(crate) broker: Arc<dyn Broker>,
    /// Box 3, which takes the policies' commands.
    pub(crate) commands: Arc<CommandService>,
    /// The process store, which is never the read model of the views.
    pub(crate) process_store: Arc<dyn DocumentStore>,
    /// The clocks of workspaces.
    pub(crate) clocks: Arc<Clocks>,
    /// The folder of checkpoints that are bound to a consumer's output.
    pub(crate) folder: PathBuf,
    /// Prepares the lanes before they start.
    pub(crate) lane_setup: Arc<dyn LaneSetup>,
    /// The machine's clock.
    pub(crate) clock: SharedClock,
}

/// The running process managers and consumers.
#[derive(Debug)]
pub(crate) struct Consumers {
    process_managers: ProcessManagers,
    consumers: Vec<Arc<RunningConsumer>>,
}

impl Consumers {
    /// Starts all of them. They continue at their checkpoints.
    pub(crate) async fn start(
        dependencies: Dependencies,
        policies: &'static [&'static dyn AnyPolicy],
        consumers: Vec<Arc<dyn Consumer>>,
    ) -> Result<Self, StartError> {
        let Dependencies {
            store,
            broker,
            commands,
            process_store,
            clocks,
            folder,
            lane_setup,
            clock,
        } = dependencies;
        let of_consumers = consumer::Dependencies {
            store: store.clone(),
            broker: broker.clone(),
            process_store: process_store.clone(),
            folder,
            lane_setup: lane_setup.clone(),
            clock: clock.clone(),
        };
        let of_process_managers = process_manager::Dependencies {
            store,
            broker,
            commands,
            process_store,
            clocks,
            lane_setup,
            clock,
        };
        let process_managers = ProcessManagers::start(of_process_managers, policies).await?;
        let mut running = Vec::with_capacity(consumers.len());
        for consumer in consumers {
            running.push(Arc::new(RunningConsumer::start(consumer, &of_consumers).await?));
        }
        Ok(Self {
            process_managers,
            consumers: running,
        })
    }

    /// The lanes of policies and consumers. Those that share a store list the same dead letters; only one of
    /// them can retry or discard each.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Arc<Projections>> {
        let of_consumers = self.consumers.iter().map(|running| running.lanes());
        std::iter::once(self.process_managers.lanes()).chain(of_consumers)
    }

    /// The dead letters of policies and consumers.
    #[cfg(test)]
    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = &DeadLetters> {
        self.lanes().map(|lanes| &lanes.dead_letters)
    }

    /// The consumer of this name.
    pub(crate) fn consumer(&self, name: &str) -> Option<&Arc<RunningConsumer>> {
        self.consumers.iter().find(|running| running.name() == name)
    }

    /// Ends what the consumers wait for in the outside world, so that [`stop`](Self::stop) does not wait for
    /// it.
    pub(crate) fn interrupt(&self) {
        for consumer in &self.consumers {
            consumer.interrupt();
        }
    }

    /// Stops the lanes after their transactions, and closes the process store.
    pub(crate) async fn stop(&self) {
        self.process_managers.stop().await;
        for consumer in &self.consumers {
            consumer.stop().await;
        }
        self.process_managers.process_store().close().await;
    }
}

#[async_trait]
impl WorkspaceKeeper for Consumers {
    async fn end(&self, workspace: WorkspaceId) {
        self.process_managers.end(workspace).await;
        for consumer in &self.consumers {
            consumer.end(workspace).await;
        }
    }

    fn stores(&self) -> Vec<Arc<dyn DocumentStore>> {
        let own_checkpoints = self
            .consumers
            .iter()
            .filter_map(|running| running.own_checkpoints());
        std::iter::once(self.process_managers.process_store())
            .chain(own_checkpoints)
            .cloned()
            .collect()
    }

    async fn forget(&self, workspace: WorkspaceId) -> Result<(), PurgeError> {
        for running in &self.consumers {
            let forgotten = running.consumer().forget(workspace).await;
            forgotten.map_err(|error| PurgeError::Consumer(error.to_string()))?;
        }
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError> {
        let mut workspaces_of_consumers = Vec::new();
        for running in &self.consumers {
            let workspaces = running.consumer().workspaces().await;
            workspaces_of_consumers
                .extend(workspaces.map_err(|error| PurgeError::Consumer(error.to_string()))?);
        }
        Ok(workspaces_of_consumers)
    }
}

#[async_trait]
impl PendingWork for Consumers {
    fn changed(&self, workspace: WorkspaceId) -> Vec<OwnedNotified> {
        let consumers = self.consumers.iter().map(|running| running.changed(workspace));
        std::iter::once(self.process_managers.changed(workspace))
            .chain(consumers)
            .collect()
    }

    fn unready_reasons(&self) -> Vec<String> {
        self.process_managers.unready_reasons()
    }

    async fn reach(&self, workspace: WorkspaceId, token: &ConsistencyToken) {
        self.process_managers.reach(workspace, token).await;
        for consumer in &self.consumers {
            consumer.reach(workspace, token).await;
        }
    }

    fn processes_of(&self, event: &TypedEvent) -> ProcessKeys {
        self.process_managers.processes_of(event)
    }

    async fn is_unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<OfCorrelation<'_>>,
    ) -> Result<bool, DocumentStoreError> {
        let awaited = awaited(correlation);
        if self.process_managers.is_unfinished(workspace, awaited).await? {
            return Ok(true);
        }
        for consumer in &self.consumers {
            if consumer.has_parked(workspace, awaited.correlation()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn unfinished(
        &self,
        workspace: WorkspaceId,
        correlation: Option<OfCorrelation<'_>>,
        up_to: &ConsistencyToken,
    ) -> Result<Vec<String>, DocumentStoreError> {
        let awaited = awaited(correlation);
        let mut unfinished = self
            .process_managers
            .unfinished(workspace, awaited, up_to)
            .await?;
        for consumer in &self.consumers {
            let of_consumer = consumer.unfinished(workspace, awaited.correlation(), up_to);
            unfinished.extend(of_consumer.await?);
        }
        Ok(unfinished)
    }
}

fn awaited(correlation: Option<OfCorrelation<'_>>) -> Awaited<'_> {
    correlation.map_or(Awaited::All, |of| Awaited::Correlation(of.id, of.processes))
}

#[cfg(test)]
mod tests;
