//! Box 7, Projection Worker: builds read models from ordered events.
//!
//! A **lane** is one handler on one partition, with its own checkpoint; see [`lane`]. A [lane
//! group](lane_group) starts lanes as events arrive and lets them end when nothing is left to do, so an
//! unused workspace costs no task. What an event means to a view is defined by the view itself
//! (`domain::view`); the query API serves the documents.

mod batch_commit;
mod build;
mod dead_letter_gauge;
pub mod dead_letters;
mod document_fold;
pub mod effect;
mod effect_delivery;
pub mod fold;
pub mod fold_result;
mod followed_commits;
mod following;
mod generation_switch;
pub mod handler;
mod handler_status;
pub mod health;
mod history;
pub mod lane;
pub mod lane_controls;
pub mod lane_error;
pub mod lane_group;
mod lane_hops;
pub mod lane_leases;
pub mod log_history;
pub mod own_views;
pub mod ownership;
pub mod progress;
mod read_ahead;
pub mod rebuild;
pub mod refused_commands;
pub mod retry;
mod servers;
mod shared_changes;

use std::{collections::HashMap, fmt::Debug, sync::Arc};

pub use broker::PartitionId;
use broker::{Broker, ServerMessage, in_process::InProcessBroker};
use cache::{Cache, in_process::InProcessCache};
use clock::SharedClock;
use documents::{DocumentStore, DocumentStoreError, Scope, StoredCheckpoint};
use domain::{
    id::WorkspaceId,
    token::ConsistencyToken,
    wire::{FailingLane, ProjectionStatus},
};
use event_store::{EventStore, StoreError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use dead_letters::DeadLetters;
use fold_result::DocumentChange;
use following::Following;
use handler::EventHandler;
use health::Health;
use lane_controls::LaneDials;
use lane_group::{LaneGroup, Lanes};
use ownership::{EveryServer, Ownership};
use progress::Progress;
use rebuild::{RebuildError, Rebuilds};
use servers::ServerFollower;

/// What a lane has committed.
#[derive(Debug)]
pub struct Commit {
    /// The workspace, view and generation.
    pub scope: Scope,
    /// The partition.
    pub partition: u32,
    /// The position of the last event.
    pub to: u64,
    /// The changes.
    pub changes: Changes,
}

/// The changes of a commit, as far as they are known.
#[derive(Debug)]
pub enum Changes {
    /// Event by event.
    Each(Vec<DocumentChange>),
    /// The lane did not track changes, because no client followed the view or because there were too many.
    Unknown,
    /// Any document may have changed, though the checkpoint may not have moved: parked events were applied,
    /// or another generation is live. Every follower needs a snapshot.
    Everything,
}

/// Notifies the clients that follow views live.
pub trait Followers: Send + Sync + Debug {
    /// Whether a client follows this view of the workspace, so that changes must be announced one by one.
    fn follow(&self, scope: &Scope) -> bool;

    /// With more events than this in one transaction, its commit is announced as [`Changes::Unknown`].
    fn max_tracked_events(&self) -> usize {
        lane::MAX_TRACKED_EVENTS
    }

    /// A view has begun again at a token: what was announced after it was of another history than the log.
    /// [`Changes::Everything`] follows.
    fn set_back(&self, _scope: &Scope, _as_of: &ConsistencyToken) {}

    /// Announces a commit, in the order of the view's commits and after the cache was invalidated. Must not
    /// block.
    fn committed(&self, commit: Commit);
}

/// For lanes without followers: no commit is announced.
#[derive(Debug)]
pub struct NoFollowers;

impl Followers for NoFollowers {
    fn follow(&self, _: &Scope) -> bool {
        false
    }

    fn committed(&self, _: Commit) {}
}

/// What every lane needs.
#[derive(Debug)]
pub struct Context {
    /// Box 5, for historical events.
    pub store: Arc<dyn EventStore>,
    /// Box 6.
    pub broker: Arc<dyn Broker>,
    /// The store of documents and checkpoints: box 8, or that of a process manager or a consumer.
    pub documents: Arc<dyn DocumentStore>,
    /// Box 9.
    pub cache: Arc<dyn Cache>,
    /// The live subscriptions of box 10.
    pub followers: Arc<dyn Followers>,
    /// How far each workspace is stored and folded.
    pub progress: Arc<Progress>,
    /// Lanes that are catching up or fail.
    pub health: Arc<Health>,
    /// For the lag in milliseconds.
    pub clock: SharedClock,
    /// Which lane groups this server runs.
    pub ownership: Arc<dyn Ownership>,
}

impl Context {
    /// For handlers whose documents no client reads: none is cached, and no commit is announced.
    pub fn unread(
        store: Arc<dyn EventStore>,
        broker: Arc<dyn Broker>,
        documents: Arc<dyn DocumentStore>,
        progress: Arc<Progress>,
        clock: SharedClock,
    ) -> Self {
        Self {
            store,
            broker,
            documents,
            cache: Arc::new(InProcessCache::new()),
            followers: Arc::new(NoFollowers),
            progress,
            health: Arc::new(Health::default()),
            clock,
            ownership: Arc::new(EveryServer),
        }
    }

    /// For a command at the terminal: nothing is published here, and running servers are told of changes.
    pub fn without_server(
        store: Arc<dyn EventStore>,
        documents: Arc<dyn DocumentStore>,
        progress: Progress,
        clock: SharedClock,
    ) -> Self {
        let broker = Arc::new(InProcessBroker::new(Arc::clone(&store)));
        Self::unread(store, broker, documents, Arc::new(progress), clock)
    }
}

/// Why projections could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The heads could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The checkpoints could not be read.
    #[error(transparent)]
    Documents(#[from] DocumentStoreError),
}

/// The lane groups of all views, and the lab's operations on them.
#[derive(Debug)]
pub struct Projections {
    /// The events that could not be applied.
    pub dead_letters: DeadLetters,
    /// The rebuilds of views.
    pub rebuilds: Rebuilds,
    context: Arc<Context>,
    /// In the order of the views.
    lanes: Vec<Lanes>,
    /// For what other servers fold.
    following: Arc<Following>,
    tasks: TaskTracker,
    cancelled: CancellationToken,
}

impl Projections {
    /// Starts a lane group for each handler of the context's progress. Lanes whose checkpoint is behind the
    /// head catch up from the event store. A view that was added since has no checkpoint and folds the whole
    /// log.
    pub async fn start(context: Arc<Context>) -> Result<Self, StartError> {
        let (tasks, cancelled) = (TaskTracker::new(), CancellationToken::new());
        // From before the checkpoints are read, so that no change is in between.
        let messages = context.broker.messages();
        let (following, ownership) = (
            Arc::new(Following::new(context.clone())),
            context.ownership.changes(),
        );
        // Subscribe before reading the heads: an event appended in between arrives twice rather than not at
        // all.
        let mut groups = Vec::new();
        for handler in context.progress.handlers() {
            let broker = &context.broker;
            let subscriber = match context.progress.interest(handler.name()) {
                Some(interest) => broker.subscribe_to_some(handler.name(), interest).await,
                None => broker.subscribe(handler.name()).await,
            };
            let group = LaneGroup::new(
                context.clone(),
                handler.clone(),
                following.clone(),
                tasks.clone(),
                cancelled.clone(),
            );
            groups.push((group, subscriber));
        }
        log_history::begin_again_at_start(&context).await?;
        for checkpoint in context.documents.checkpoints().await? {
            let StoredCheckpoint {
                workspace,
                view,
                generation,
                partition,
                position,
                released_at,
                ..
            } = checkpoint;
            if let Some(progress) = context.progress.of(workspace, &view) {
                if progress.generation() != generation {
                    progress.set_generation(generation);
                }
                if released_at > 0 {
                    progress.note_release(partition, released_at);
                }
                context
                    .progress
                    .folded(&view, PartitionId { workspace, partition }, position);
            }
        }
        let heads = heads(&*context.store).await?;
        for (partition, head) in &heads {
            context.progress.stored(*partition, *head);
        }
        for workspace in context.progress.own_views().workspaces() {
            let head = context.progress.head(workspace);
            for own in context.progress.own_views().defined(workspace) {
                own.progress.note_history(head.clone());
            }
        }
        let lanes: Vec<_> = groups.iter().map(|(group, _)| group.lanes()).collect();
        for (group, subscriber) in groups {
            group.catch_up(&heads);
            tasks.spawn(group.run(subscriber));
        }
        let follower = ServerFollower {
            context: context.clone(),
            lanes: lanes.clone(),
            following: following.clone(),
        };
        tasks.spawn(follower.run(messages, cancelled.clone()));
        if let Some(changes) = ownership {
            tasks.spawn(following.clone().run(cancelled.clone()));
            let (context, lanes) = (context.clone(), lanes.clone());
            tasks.spawn(following::take_over(
                context,
                lanes,
                following.clone(),
                changes,
                cancelled.clone(),
            ));
        }
        dead_letter_gauge::report(&context).await;
        let rebuilds = Rebuilds::start(context.clone(), tasks.clone(), cancelled.clone()).await?;
        Ok(Self {
            dead_letters: DeadLetters::new(context.clone()),
            rebuilds,
            context,
            lanes,
            following,
            tasks,
            cancelled,
        })
    }

    /// The names of the handlers that every workspace has.
    pub fn handler_names(&self) -> Vec<&'static str> {
        let handlers = self.context.progress.handlers().iter();
        let names = handlers.map(|handler| handler.name());
        names
            .filter(|name| domain::view::own::slot(name).is_none())
            .collect()
    }

    /// Whether the lanes of a handler of this name are among these, in a workspace.
    pub fn has_handler(&self, workspace: WorkspaceId, name: &str) -> bool {
        self.context.progress.lane_name(workspace, name).is_some()
    }

    /// Bends the lanes of a handler in a workspace, also those that start later, or puts all of their dials
    /// to rest. It is kept in the memory of this server. `false`: there is no such handler.
    pub fn bend(&self, workspace: WorkspaceId, view: &str, dials: Option<LaneDials>) -> bool {
        self.context.progress.bend(workspace, view, dials)
    }

    /// Whether the lanes of a view may be paused: there is such a view, and it is not being rebuilt.
    pub fn check_may_pause(&self, workspace: WorkspaceId, view: &str) -> Result<(), RebuildError> {
        self.rebuilds.check_not_running(workspace, view)
    }

    /// Waits until no lane of a handler is in the middle of a transaction: once this returns, dials that were
    /// bent before hold for all of them.
    pub async fn transactions_ended(&self, workspace: WorkspaceId, view: &str) {
        let lane = self.context.progress.lane_name(workspace, view);
        if let Some(progress) = lane.and_then(|lane| self.context.progress.of(workspace, lane)) {
            drop(progress.turn().await);
        }
    }

    /// Tells the other servers, without waiting for that.
    fn tell(&self, message: ServerMessage) {
        let broker = self.context.broker.clone();
        self.tasks.spawn(async move { broker.tell(&message).await });
    }

    /// Makes every lane of a handler in a workspace panic, at every server, and waits until each of this one
    /// has; the supervisor restarts it at its checkpoint. `false`: there is no such handler.
    pub async fn crash(&self, workspace: WorkspaceId, view: &str) -> bool {
        let Some(lane) = self.context.progress.lane_name(workspace, view) else {
            return false;
        };
        let crashing = servers::request_crash(&self.context, &self.lanes, workspace, lane);
        let Some(progress) = crashing else {
            return false;
        };
        self.tell(ServerMessage::Crash {
            workspace,
            handler: lane.to_owned(),
        });
        progress.controls().crashed().await;
        true
    }

    /// Ends a purged workspace. When this returns, its lanes and rebuilds write nothing more, and nothing of
    /// it is in memory.
    pub async fn end(&self, workspace: WorkspaceId) {
        self.context.progress.end(workspace).await;
        self.rebuilds.end(workspace).await;
        self.context.health.end(workspace);
        self.context.cache.clear().await;
    }

    /// The status of every handler of these lanes in a workspace.
    pub async fn status(&self, workspace: WorkspaceId) -> Result<Vec<ProjectionStatus>, DocumentStoreError> {
        let statuses = self.lane_status(workspace).await?;
        Ok(statuses.into_iter().map(|(_, status)| status).collect())
    }

    /// The status of every handler of a workspace, with it.
    async fn lane_status(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(Arc<dyn EventHandler>, ProjectionStatus)>, DocumentStoreError> {
        let counts = self
            .context
            .documents
            .parked_counts(Some(workspace), None)
            .await?;
        let status = |view: &Arc<dyn EventHandler>| {
            let progress = self.context.progress.of(workspace, view.name())?;
            let count = counts.iter().find(|count| count.view == view.name());
            let as_of = progress.folded();
            let dials = progress.controls().dials().unwrap_or_default();
            let mut failing = self.context.health.failing(view.name(), workspace);
            // Another server may run its lanes, or none may run now.
            for (partition, _) in progress.head().iter() {
                if let Some(reason) = progress.stop_reason(partition)
                    && failing.iter().all(|lane| lane.partition != partition)
                {
                    failing.push(FailingLane {
                        partition,
                        failures: 1,
                        stopped: true,
                        reason,
                    });
                }
            }
            let status = ProjectionStatus {
                view: view.name_in(workspace).into_owned(),
                generation: progress.generation(),
                behind: as_of.behind(&progress.head()),
                as_of,
                dead_letters: count.map_or(0, |count| count.dead),
                waiting: count.map_or(0, |count| count.waiting),
                failing,
                paused: dials.paused,
                slow_ms: u32::try_from(dials.slow.as_millis()).unwrap_or(u32::MAX),
                fails_by_dial: dials.failing.is_some(),
                poison: dials.poison.clone(),
                panics: progress.controls().panics(),
                rebuild: self.rebuilds.lane_progress(workspace, view.name()),
            };
            Some((Arc::clone(view), status))
        };
        Ok(self
            .context
            .progress
            .handlers()
            .iter()
            .filter_map(status)
            .collect())
    }

    /// Stops, after every lane has finished its transaction.
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
mod testing;
#[cfg(test)]
mod tests;
