//! Which workspaces this server follows because another one folds them, and when it looks next.
//!
//! The owner's message says that there is something to read. A message may be lost, so as long as a view is
//! behind, this server looks again at growing intervals.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::id::WorkspaceId;
use futures::StreamExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Context, followed_commits, lane_group::Lanes};
use broker::{PartitionId, read_next};
use event_store::StoreError;

/// How long after an event was stored the first look is taken, if no message has come.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// The longest pause between two looks at a workspace that is behind.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The most events that are read of a workspace to find out why it stops.
const MOST_READ: usize = 64;

/// How many workspaces are read at the same time.
const READS: usize = 2;

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    /// The pause after it, if the workspace is behind still.
    pause: Duration,
}

/// The workspaces that are to be looked at.
#[derive(Debug)]
pub(super) struct Following {
    context: Arc<Context>,
    due: Mutex<HashMap<WorkspaceId, Look>>,
    added: Notify,
}

impl Following {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            due: Mutex::default(),
            added: Notify::new(),
        }
    }

    fn due(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Look>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Events of a workspace are stored that another server folds.
    pub(super) fn expect(&self, workspace: WorkspaceId) {
        self.look_at(workspace, Instant::now() + FIRST_LOOK);
    }

    /// Another server has folded events of a workspace.
    pub(super) fn look_now(&self, workspace: WorkspaceId) {
        self.look_at(workspace, Instant::now());
    }

    fn look_at(&self, workspace: WorkspaceId, at: Instant) {
        if !self.context.ownership.is_shared() {
            return;
        }
        let look = Look {
            at,
            pause: FIRST_LOOK,
        };
        let is_earlier = {
            let mut due = self.due();
            let known = due.entry(workspace).or_insert(look);
            let is_earlier = at <= known.at;
            if is_earlier {
                *known = look;
            }
            is_earlier
        };
        if is_earlier {
            self.added.notify_one();
        }
    }

    /// Looks at workspaces until it is cancelled.
    pub(super) async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        tokio::select! {
            () = cancelled.cancelled() => {}
            () = self.look_forever() => {}
        }
    }

    async fn look_forever(&self) {
        loop {
            let now = Instant::now();
            let (ready, next) = {
                let mut due = self.due();
                let ready: Vec<_> = due.extract_if(|_, look| look.at <= now).collect();
                (ready, due.values().map(|look| look.at).min())
            };
            if ready.is_empty() {
                tokio::select! {
                    () = self.added.notified() => {}
                    () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
                }
                continue;
            }
            futures::stream::iter(ready)
                .for_each_concurrent(READS, |(workspace, look)| self.look(workspace, look))
                .await;
        }
    }

    async fn look(&self, workspace: WorkspaceId, look: Look) {
        let context = &self.context;
        if context.progress.has_ended(workspace) {
            return;
        }
        if let Err(error) = followed_commits::follow(context, workspace).await {
            tracing::warn!(%workspace, %error, "what another server has folded could not be read");
        }
        if !is_behind(context, workspace) || owns(context, workspace).await {
            return;
        }
        if look.pause > FIRST_LOOK {
            note_unreadable(context, workspace).await;
        }
        let next = Look {
            at: Instant::now() + look.pause,
            pause: (look.pause * 2).min(LONGEST_PAUSE),
        };
        // A message may have come meanwhile.
        self.due().entry(workspace).or_insert(next);
    }
}

/// Notes the partitions that stop before an event that cannot be read: the owner does not say why it stops.
async fn note_unreadable(context: &Context, workspace: WorkspaceId) {
    let mut behind: BTreeSet<(u32, u64)> = BTreeSet::new();
    let head = context.progress.head(workspace);
    for handler in context.progress.handlers() {
        if let Some(progress) = context.progress.of(workspace, handler.name()) {
            let folded = progress.folded();
            let partitions = head
                .iter()
                .map(|(partition, to)| (partition, folded.position(partition), to));
            behind.extend(
                partitions
                    .filter(|(_, at, to)| at < to)
                    .map(|(partition, at, _)| (partition, at)),
            );
        }
    }
    for (partition, at) in behind.into_iter().take(MOST_READ) {
        let partition = PartitionId { workspace, partition };
        if let Err(StoreError::Corrupt(_)) = read_next(&*context.store, partition, at, 1).await {
            context.progress.note_unreadable(partition, at + 1);
        }
    }
}

/// Whether a view of a workspace has not folded everything that is stored.
fn is_behind(context: &Context, workspace: WorkspaceId) -> bool {
    let head = context.progress.head(workspace);
    context.progress.handlers().iter().any(|handler| {
        let progress = context.progress.of(workspace, handler.name());
        progress.is_some_and(|progress| !progress.folded().covers(&head))
    })
}

/// Whether this server owns the views of a workspace. All partitions of a workspace are in one group.
async fn owns(context: &Context, workspace: WorkspaceId) -> bool {
    let Some(handler) = context.progress.handlers().first() else {
        return false;
    };
    let partition = PartitionId {
        workspace,
        partition: 0,
    };
    context.ownership.owns(handler.name(), partition).await
}

/// Takes over lanes whenever this server becomes their owner: what the former owner has handed over is
/// followed, and what it has left undone is folded.
pub(super) async fn take_over(
    context: Arc<Context>,
    lanes: Vec<Lanes>,
    following: Arc<Following>,
    mut changes: watch::Receiver<u64>,
    cancelled: CancellationToken,
) {
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            outcome = changes.changed() => if outcome.is_err() { return },
        }
        for workspace in context.progress.workspaces() {
            if !is_behind(&context, workspace) {
                continue;
            }
            if !owns(&context, workspace).await {
                following.expect(workspace);
                continue;
            }
            if let Err(error) = followed_commits::follow(&context, workspace).await {
                // The lanes find the checkpoints by themselves.
                tracing::warn!(%workspace, %error, "what the former owner has folded could not be read");
            }
            start_lanes(&context, &lanes, workspace);
        }
    }
}

/// Starts the lanes of a workspace that are behind.
fn start_lanes(context: &Context, lanes: &[Lanes], workspace: WorkspaceId) {
    let head = context.progress.head(workspace);
    for (handler, lanes) in context.progress.handlers().iter().zip(lanes) {
        let Some(progress) = context.progress.of(workspace, handler.name()) else {
            continue;
        };
        let folded = progress.folded();
        for (partition, position) in head.iter() {
            if folded.position(partition) < position {
                lanes.start(PartitionId { workspace, partition }, position);
            }
        }
    }
}
