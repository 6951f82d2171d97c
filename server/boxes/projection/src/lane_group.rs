//! A lane group: the lanes of one handler on every partition that this server owns. It takes deliveries from
//! the broker and runs a lane for each, as a task that ends when its delivery is applied.
//!
//! It is also the lanes' supervisor. An error is retried with backoff and jitter; after a panic the delivery
//! is made again; a lane that keeps failing is reported as stopped and goes on retrying slowly. An event that
//! cannot be applied is parked after its attempts; no event is skipped silently. Where a dial of the lab has
//! a lane wait, it waits here, without a permit: the lanes of other workspaces go on.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Context,
    fold::panic_message,
    following::Following,
    handler::EventHandler,
    health::StartupGuard,
    lane::Lane,
    lane_controls::REQUESTED_CRASH,
    lane_error::LaneError,
    retry::{Retry, STOPPED_AFTER},
};
use broker::{Delivery, PartitionId, Subscriber};

/// How many lanes of a group run at the same time.
const MAX_RUNNING_LANES: usize = 8;

/// A handle to the lanes of a group, for the lab.
#[derive(Debug, Clone)]
pub struct Lanes {
    supervisor: Arc<Supervisor>,
    tasks: TaskTracker,
}

impl Lanes {
    /// Starts a supervised lane of a partition, which folds up to `head`.
    pub(super) fn start(&self, partition: PartitionId, head: u64) {
        self.tasks
            .spawn(self.supervisor.clone().catch_up(partition, head, None));
    }
}

/// Runs the lanes of one handler and restarts those that fail.
#[derive(Debug)]
pub struct LaneGroup {
    supervisor: Arc<Supervisor>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Supervisor {
    context: Arc<Context>,
    handler: Arc<dyn EventHandler>,
    /// For the partitions that another server owns.
    following: Arc<Following>,
    permits: Semaphore,
    cancelled: CancellationToken,
}

impl LaneGroup {
    /// The group of a handler; its lanes are tasks of `tasks`.
    pub(super) fn new(
        context: Arc<Context>,
        handler: Arc<dyn EventHandler>,
        following: Arc<Following>,
        tasks: TaskTracker,
        cancelled: CancellationToken,
    ) -> Self {
        let supervisor = Supervisor {
            context,
            handler,
            following,
            permits: Semaphore::new(MAX_RUNNING_LANES),
            cancelled,
        };
        Self {
            supervisor: Arc::new(supervisor),
            tasks,
        }
    }

    /// A handle to its lanes.
    pub fn lanes(&self) -> Lanes {
        Lanes {
            supervisor: self.supervisor.clone(),
            tasks: self.tasks.clone(),
        }
    }

    /// Starts a lane for every partition whose checkpoint is behind its head.
    pub fn catch_up(&self, heads: &HashMap<PartitionId, u64>) {
        let context = &self.supervisor.context;
        let folded = |partition: PartitionId| {
            let progress = context
                .progress
                .of(partition.workspace, self.supervisor.handler.name());
            progress.map(|progress| progress.folded().position(partition.partition))
        };
        let behind: Vec<_> = heads
            .iter()
            .filter(|(partition, head)| folded(**partition).is_some_and(|folded| folded < **head))
            .map(|(p, h)| (*p, *h))
            .collect();
        context.health.awaits(behind.len());
        for (partition, head) in behind {
            let supervisor = self.supervisor.clone();
            self.tasks.spawn(async move {
                let context = supervisor.context.clone();
                let starting = context.health.starting();
                if !supervisor.owns(partition).await {
                    supervisor.following.look_now(partition.workspace);
                    return;
                }
                supervisor.catch_up(partition, head, Some(starting)).await;
            });
        }
    }

    /// Hands deliveries to lanes until it is cancelled or the broker is closed.
    pub async fn run(self, mut subscriber: Box<dyn Subscriber>) {
        loop {
            let delivery = tokio::select! {
                () = self.supervisor.cancelled.cancelled() => return,
                delivery = subscriber.next() => delivery,
            };
            let Some(delivery) = delivery else { return };
            // A runtime that shuts down drops each task that is spawned, and the broker delivers again at
            // once: without a point at which this task yields, it would never end.
            tokio::task::coop::consume_budget().await;
            if self.supervisor.owns(delivery.partition()).await {
                self.tasks.spawn(self.supervisor.clone().deliver(delivery));
            } else {
                // The owner reads it from its own broker, or from the event store.
                self.supervisor.following.expect(delivery.partition().workspace);
                delivery.acknowledge();
            }
        }
    }
}

/// Why an attempt failed.
enum Failure {
    Error(LaneError),
    Panic(String),
}

impl Failure {
    /// Whether the lane has to wait because of a dial, or its workspace was purged: then there is no backoff.
    fn is_expected(&self) -> bool {
        matches!(
            self,
            Self::Error(LaneError::Paused | LaneError::Slow | LaneError::Gone)
        )
    }

    /// Whether retrying it soon will not help.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Error(error) if error.is_lasting())
    }
}

impl Supervisor {
    async fn owns(&self, partition: PartitionId) -> bool {
        let ownership = &self.context.ownership;
        ownership.owns(self.handler.name(), partition).await
    }

    async fn deliver(self: Arc<Self>, delivery: Delivery) {
        let lane = Lane::new(self.context.clone(), self.handler.clone(), delivery.partition());
        // A repeated delivery follows a panic or a lost acknowledgement: its earlier failures count.
        let mut retry = Retry::after(delivery.attempt() - 1);
        loop {
            let poison: Vec<_> = retry.poison().into_iter().collect();
            match self.attempt(lane.apply(delivery.events(), &poison)).await {
                Ok(()) => {
                    self.context.health.running(self.handler.name(), lane.partition());
                    delivery.acknowledge();
                    return;
                }
                Err(failure) => {
                    if failure.is_expected() {
                        if self.wait_for_resumption(&lane, &mut retry, failure).await {
                            continue;
                        }
                        return;
                    }
                    let panicked = matches!(failure, Failure::Panic(_));
                    let goes_on = self.pause(&lane, &mut retry, failure).await;
                    // After a panic the delivery is not acknowledged: the broker makes it again, and a new
                    // lane takes it.
                    if panicked || !goes_on {
                        return;
                    }
                }
            }
        }
    }

    async fn catch_up(
        self: Arc<Self>,
        partition: PartitionId,
        head: u64,
        mut starting: Option<StartupGuard<'_>>,
    ) {
        let lane = Lane::new(self.context.clone(), self.handler.clone(), partition);
        let mut retry = Retry::default();
        if lane.is_bent() {
            // Its dials are to make it wait, and nothing else.
            drop(starting.take());
        }
        loop {
            let poison: Vec<_> = retry.poison().into_iter().collect();
            let Err(failure) = self.attempt(lane.catch_up(head, &poison)).await else {
                self.context.health.running(self.handler.name(), partition);
                return;
            };
            let goes_on = if failure.is_expected() {
                drop(starting.take());
                self.wait_for_resumption(&lane, &mut retry, failure).await
            } else {
                if failure.is_lasting() || retry.failures() + 1 >= STOPPED_AFTER {
                    // It goes on retrying, and readiness does not wait for it.
                    drop(starting.take());
                }
                self.pause(&lane, &mut retry, failure).await
            };
            if !goes_on {
                return;
            }
        }
    }

    async fn attempt(&self, work: impl Future<Output = Result<(), LaneError>>) -> Result<(), Failure> {
        // The semaphore is never closed; without a permit the lane would run all the same.
        let _permit = self.permits.acquire().await;
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(result) => result.map_err(Failure::Error),
            Err(panic) => Err(Failure::Panic(panic_message(&*panic).to_owned())),
        }
    }

    /// Waits, without a permit, until the lane may go on. `false`: the server stops.
    async fn wait_for_resumption(&self, lane: &Lane, retry: &mut Retry, failure: Failure) -> bool {
        let (view, partition) = (self.handler.name(), lane.partition());
        self.context.health.running(view, partition);
        if matches!(failure, Failure::Error(LaneError::Gone)) {
            // Nothing is left to do for this workspace.
            self.context.progress.end(partition.workspace).await;
            return true;
        }
        let Some(progress) = self.context.progress.of(partition.workspace, view) else {
            return true;
        };
        let is_slow = matches!(failure, Failure::Error(LaneError::Slow));
        let wait = async {
            if is_slow {
                progress.controls().slow_down().await;
            } else {
                progress.controls().resumed().await;
            }
        };
        tokio::select! {
            () = self.cancelled.cancelled() => return false,
            () = wait => {}
        }
        if is_slow && lane.allow_next() {
            // It has made progress since it failed.
            *retry = Retry::default();
        }
        true
    }

    /// Waits before the next attempt. `false`: the server stops.
    async fn pause(&self, lane: &Lane, retry: &mut Retry, failure: Failure) -> bool {
        let (view, partition) = (self.handler.name(), lane.partition());
        let unreadable = match &failure {
            Failure::Error(LaneError::Unreadable { position, .. }) => Some(*position),
            _ => None,
        };
        let is_requested = matches!(&failure, Failure::Panic(message) if message == REQUESTED_CRASH);
        let is_by_dial = matches!(&failure, Failure::Error(LaneError::FailedByDial));
        let (error, reason) = match failure {
            Failure::Error(error) => {
                retry.failed(&error);
                (error.to_string(), error.public_reason())
            }
            Failure::Panic(message) => {
                retry.panicked();
                if let Some(progress) = self.context.progress.of(partition.workspace, view) {
                    progress.controls().note_panic(partition.partition);
                }
                metrics::counter!("foldline_projection_panics_total", "view" => view).increment(1);
                let error = format!("the lane panicked: {message}");
                (error.clone(), error)
            }
        };
        metrics::counter!("foldline_projection_failures_total", "view" => view).increment(1);
        let (failures, pause) = (retry.failures(), retry.pause());
        if is_requested || is_by_dial {
            // The lab has said so, in one line for all lanes of the view.
            tracing::debug!(projection.view = view, %partition, "a lane has failed as requested");
        } else if failures >= STOPPED_AFTER || unreadable.is_some() {
            tracing::error!(projection.view = view, %partition, failures, error, "the lane has stopped");
        } else {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                projection.view = view, %partition, failures, pause_ms, error,
                "the lane failed and will be retried"
            );
        }
        if let Some(position) = unreadable
            && self.handler.is_rebuildable()
        {
            // All handlers meet it; it is counted for the views.
            self.context.progress.note_unreadable(partition, position);
        }
        let counted = (failures, unreadable.is_some());
        self.context.health.failed(view, partition, counted, reason);
        let waited = async {
            match self.context.progress.of(partition.workspace, view) {
                Some(progress) => progress.controls().pause_for(pause, is_by_dial).await,
                None => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            () = self.cancelled.cancelled() => false,
            () = waited => true,
        }
    }
}
