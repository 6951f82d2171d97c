//! The worker of a view: takes deliveries from the broker and runs a lane for each, as a task that ends when its delivery
//! is applied.
//!
//! It is also the lanes' supervisor: an error is tried again with backoff and jitter, a panic is caught and the delivery
//! made again, and a lane that keeps failing is reported as stopped and goes on trying slowly. No event is ever skipped.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use domain::view::AnyView;
use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Context, Projections, lane::Lane};
use crate::broker::{Delivery, PartitionId, Subscriber};

/// How many lanes of a view work at the same time.
const AT_ONCE: usize = 8;

/// A lane that has failed this often in a row is reported as stopped.
const ATTEMPTS: u32 = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    view: &'static dyn AnyView,
    at_once: Semaphore,
    cancelled: CancellationToken,
}

impl Worker {
    /// The worker of a view.
    pub fn new(context: Arc<Context>, view: &'static dyn AnyView, projections: &Projections) -> Self {
        let cancelled = projections.cancelled.clone();
        let shared = Shared {
            context,
            view,
            at_once: Semaphore::new(AT_ONCE),
            cancelled,
        };
        Self {
            shared: Arc::new(shared),
            tasks: projections.tasks.clone(),
        }
    }

    /// Starts a lane for every partition whose checkpoint lies before its head.
    pub fn catch_up(&self, heads: &HashMap<PartitionId, u64>) {
        let context = &self.shared.context;
        let folded = |partition: PartitionId| {
            let progress = context.progress.of(partition.workspace, self.shared.view.name());
            progress.map_or(0, |progress| progress.folded().position(partition.partition))
        };
        let behind: Vec<_> = heads
            .iter()
            .filter(|(partition, head)| folded(**partition) < **head)
            .map(|(p, h)| (*p, *h))
            .collect();
        context.health.expect(behind.len());
        for (partition, head) in behind {
            let shared = self.shared.clone();
            self.tasks.spawn(async move {
                let context = shared.context.clone();
                let _starting = context.health.starting();
                shared.catch_up(partition, head).await;
            });
        }
    }

    /// Hands deliveries to lanes until it is cancelled or the broker is closed.
    pub async fn run(self, mut subscriber: Box<dyn Subscriber>) {
        loop {
            let delivery = tokio::select! {
                () = self.shared.cancelled.cancelled() => return,
                delivery = subscriber.next() => delivery,
            };
            let Some(delivery) = delivery else { return };
            self.tasks.spawn(self.shared.clone().deliver(delivery));
        }
    }
}

/// How an attempt ended.
enum Outcome {
    Applied,
    Failed(String),
    Panicked,
}

impl Shared {
    async fn deliver(self: Arc<Self>, delivery: Delivery) {
        let lane = Lane::new(self.context.clone(), self.view, delivery.partition());
        // A repetition follows a panic or a lost acknowledgement: it has had its failures before this task.
        let mut failures = delivery.attempt() - 1;
        loop {
            match self.attempt(lane.apply(delivery.events())).await {
                Outcome::Applied => {
                    self.context.health.running(self.view.name(), lane.partition());
                    delivery.acknowledge();
                    return;
                }
                Outcome::Failed(error) => {
                    failures += 1;
                    if !self.pause(&lane, failures, &error).await {
                        return;
                    }
                }
                Outcome::Panicked => {
                    // Not acknowledged: the broker makes it again, and a new lane takes it.
                    self.pause(&lane, failures + 1, "the lane panicked").await;
                    return;
                }
            }
        }
    }

    async fn catch_up(self: Arc<Self>, partition: PartitionId, head: u64) {
        let lane = Lane::new(self.context.clone(), self.view, partition);
        let mut failures = 0;
        loop {
            let error = match self.attempt(lane.catch_up(head)).await {
                Outcome::Applied => {
                    self.context.health.running(self.view.name(), partition);
                    return;
                }
                Outcome::Failed(error) => error,
                Outcome::Panicked => "the lane panicked".to_owned(),
            };
            failures += 1;
            if !self.pause(&lane, failures, &error).await {
                return;
            }
        }
    }

    async fn attempt(&self, work: impl Future<Output = Result<(), super::lane::LaneError>>) -> Outcome {
        // The semaphore is never closed; without a permit the lane would work all the same.
        let _permit = self.at_once.acquire().await;
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => Outcome::Applied,
            Ok(Err(error)) => Outcome::Failed(error.to_string()),
            Err(_) => Outcome::Panicked,
        }
    }

    /// Waits before the next attempt; `false`: there will be none, the server stops.
    async fn pause(&self, lane: &Lane, failures: u32, error: &str) -> bool {
        let (view, partition) = (self.view.name(), lane.partition());
        metrics::counter!("foldline_projection_failures_total", "view" => view).increment(1);
        let pause = pause_after(failures);
        if failures >= ATTEMPTS {
            tracing::error!(projection.view = view, %partition, failures, error, "the lane has stopped");
            self.context.health.stopped(view, partition, error.to_owned());
        } else {
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(projection.view = view, %partition, failures, pause_ms, error, "the lane tries again");
        }
        tokio::select! {
            () = self.cancelled.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

/// Exponential backoff with full-width jitter: 20 ms, doubled each time, up to 30 s, times 0.5 to 1.5.
fn pause_after(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + rand::random::<f64>())
}
