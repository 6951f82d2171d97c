//! The read side, wired: broker, projections, read model, cache and query API over one event store.
//!
//! The event store needs an observer when it is opened, and the read side needs the store when it starts. So
//! there are two steps: [`ReadSideBuilder`] has the observer, and [`ReadSideBuilder::start`] takes the store.

use std::sync::Arc;

use async_trait::async_trait;
use broker::{
    Broker,
    in_process::InProcessBroker,
    relay::{Relay, RelayInbox},
};
use cache::{Cache, in_process::InProcessCache};
use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError, Opener};
use domain::{
    id::WorkspaceId,
    view::{self, AnyView},
};
use event_store::{CommitObserver, EventStore};
use lab::dials::{DialBoard, broker::BentBroker, cache::BentCache};
use lifecycle::{PurgeError, WorkspaceKeeper};
use projection::{
    Context, Projections, StartError, heads,
    health::Health,
    lane_leases::LaneLeases,
    ownership::{EveryServer, Ownership},
    progress::Progress,
};
use query::{QueryApi, live::hub::Hub, settled::Settlement};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the read side runs on. Each is a trait, so a test can wrap a broker, a cache or a clock to inject
/// faults.
#[derive(Debug)]
pub struct Dependencies {
    /// Box 5.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// Box 9.
    pub cache: Arc<dyn Cache>,
    /// Box 8.
    pub read_model: Arc<dyn DocumentStore>,
    /// Which lane groups this server runs.
    pub ownership: Arc<dyn Ownership>,
    /// The machine's clock.
    pub clock: SharedClock,
}

impl Dependencies {
    /// A broker and a cache in this process, on a server that runs all lane groups: the embedded defaults.
    pub fn in_process(
        store: Arc<dyn EventStore>,
        read_model: Arc<dyn DocumentStore>,
        clock: SharedClock,
    ) -> Self {
        Self {
            broker: Arc::new(InProcessBroker::new(Arc::clone(&store))),
            cache: Arc::new(InProcessCache::new()),
            ownership: Arc::new(EveryServer),
            store,
            read_model,
            clock,
        }
    }

    /// The same, with the broker and the cache as the dials of workspaces bend them.
    #[must_use]
    pub fn with_dials(self, board: &Arc<DialBoard>) -> Self {
        Self {
            broker: Arc::new(BentBroker::new(self.broker, Arc::clone(board))),
            cache: Arc::new(BentCache::new(self.cache, Arc::clone(board))),
            ..self
        }
    }

    /// Shares the lane groups with the other servers on the read model, if it is one that servers share.
    pub async fn with_shared_lanes(self) -> Result<Self, DocumentStoreError> {
        let Some(sharing) = self.read_model.sharing() else {
            return Ok(self);
        };
        let leases = LaneLeases::join(sharing, self.clock.new_id()).await?;
        Ok(Self {
            ownership: Arc::new(leases),
            ..self
        })
    }
}

/// The read side before the event store is open.
#[derive(Debug)]
pub struct ReadSideBuilder {
    progress: Arc<Progress>,
    relay: Relay,
    max_subscriptions: Option<u32>,
    opener: Option<Arc<dyn Opener>>,
}

impl Default for ReadSideBuilder {
    fn default() -> Self {
        Self::with_views(view::all())
    }
}

impl ReadSideBuilder {
    /// A read side with these views.
    pub fn with_views(views: &'static [&'static dyn AnyView]) -> Self {
        let progress = Arc::new(Progress::of_views(views));
        Self {
            relay: Relay::new(progress.clone()),
            progress,
            max_subscriptions: None,
            opener: None,
        }
    }

    /// A read side with the views of the program, and slots for those that workspaces define.
    pub fn with_own_views() -> Self {
        let progress = Arc::new(Progress::default().with_own_views());
        Self {
            relay: Relay::new(progress.clone()),
            progress,
            max_subscriptions: None,
            opener: None,
        }
    }

    /// Limits the live subscriptions that a sandbox may have at a time.
    #[must_use]
    pub fn with_quota(self, max_subscriptions: Option<u32>) -> Self {
        Self {
            max_subscriptions,
            ..self
        }
    }

    /// Unseals documents in answers; without this, they are returned sealed.
    #[must_use]
    pub fn with_opener(self, opener: Arc<dyn Opener>) -> Self {
        Self {
            opener: Some(opener),
            ..self
        }
    }

    /// The observer to open the event store with.
    pub fn observer(&self) -> Arc<dyn CommitObserver> {
        self.relay_inbox()
    }

    /// The progress of the views that will run: their lanes can be bent before they start.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    fn relay_inbox(&self) -> Arc<RelayInbox> {
        self.relay.inbox()
    }

    /// Starts relay, lanes and live subscriptions. Returns once the lanes run, which may be before they have
    /// caught up: see [`ReadSide::unready_reasons`].
    pub async fn start(self, dependencies: Dependencies) -> Result<ReadSide, StartError> {
        let Dependencies {
            store,
            broker,
            cache,
            read_model,
            ownership,
            clock,
        } = dependencies;
        let Self {
            progress,
            relay,
            max_subscriptions,
            opener,
        } = self;
        let hub = Arc::new(Hub::new(progress.clone()).with_quota(max_subscriptions));
        let relay_inbox = relay.inbox();
        let health = Arc::new(Health::default());
        // Events stored by now are history; the relay publishes later ones.
        let published = heads(&*store).await?;
        let context = Arc::new(Context {
            store: store.clone(),
            broker: broker.clone(),
            documents: read_model.clone(),
            cache: cache.clone(),
            followers: hub.clone(),
            progress: progress.clone(),
            health: health.clone(),
            clock,
            ownership: ownership.clone(),
        });
        let projections = Arc::new(Projections::start(context).await?);
        let (tasks, cancelled) = (TaskTracker::new(), CancellationToken::new());
        let settlement = Arc::new(Settlement::new(
            store.clone(),
            read_model.clone(),
            progress.clone(),
        ));
        tasks.spawn(relay.run(store, broker.clone(), published, cancelled.clone()));
        tasks.spawn(hub.clone().run(cancelled.clone()));
        let (of_leases, stopping) = (broker.clone(), cancelled.clone());
        tasks.spawn(async move { ownership.run(&*of_leases, stopping).await });
        let query = QueryApi::new(read_model.clone(), cache, progress.clone(), hub.clone());
        let query = Arc::new(query.with_opener(opener));
        Ok(ReadSide {
            query,
            settlement,
            progress,
            broker,
            projections,
            read_model,
            hub,
            relay_inbox,
            health,
            tasks,
            cancelled,
        })
    }
}

/// The running read side.
#[derive(Debug)]
pub struct ReadSide {
    /// Box 10.
    pub query: Arc<QueryApi>,
    /// Waits until work is settled.
    pub settlement: Arc<Settlement>,
    /// How far each workspace is stored and folded.
    pub progress: Arc<Progress>,
    /// Box 6, for further subscribers.
    pub broker: Arc<dyn Broker>,
    /// Box 7: the status of views, dead letters, and rebuilds.
    pub projections: Arc<Projections>,
    read_model: Arc<dyn DocumentStore>,
    hub: Arc<Hub>,
    relay_inbox: Arc<RelayInbox>,
    health: Arc<Health>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

impl ReadSide {
    /// Box 8, for the verifier.
    pub fn read_model(&self) -> &Arc<dyn DocumentStore> {
        &self.read_model
    }

    /// Why it is not ready, one sentence each: lanes that are catching up since the start, and a read model
    /// that does not answer. Empty: it is ready.
    pub async fn unready_reasons(&self) -> Vec<String> {
        let mut unready_reasons = self.health.unready_reasons();
        unready_reasons.extend(self.settlement.unready_reasons());
        if let Err(error) = self.read_model.ping().await {
            tracing::warn!(%error, "the read model does not answer");
            unready_reasons.push("the read model does not answer".to_owned());
        }
        unready_reasons
    }

    /// Ends the waiting of queries and of `/settled`: their callers are told that the server stops.
    pub fn stop_waiting(&self) {
        self.query.stop_waiting();
        self.settlement.stop_waiting();
    }

    /// Ends live sessions, stops the lanes after their transactions, and closes the read model. Unfolded
    /// events are folded after the next start.
    pub async fn shutdown(&self) {
        self.cancelled.cancel();
        self.broker.close();
        self.projections.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.read_model.close().await;
    }
}

#[async_trait]
impl WorkspaceKeeper for ReadSide {
    async fn end(&self, workspace: WorkspaceId) {
        self.projections.end(workspace).await;
        self.hub.end(workspace);
        self.relay_inbox.end(workspace);
    }

    fn stores(&self) -> Vec<Arc<dyn DocumentStore>> {
        vec![Arc::clone(&self.read_model)]
    }

    async fn forget(&self, _: WorkspaceId) -> Result<(), PurgeError> {
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, PurgeError> {
        Ok(self.progress.workspaces())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
