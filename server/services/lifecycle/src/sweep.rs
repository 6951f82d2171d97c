//! The sweep: unused workspaces expire, and marked workspaces are deleted.
//!
//! Each server has one task for it. It starts with what a stop or a crash has left, runs every minute, and at
//! once after a request to purge a workspace. Several servers may sweep one database: a workspace is marked
//! once, and one server at a time deletes it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::id::WorkspaceId;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Purger, purge::PurgeError};
use event_store::{StoreError, Workspace};

/// The interval between sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// The interval after an incomplete sweep.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// After how many sweeps orphaned data is searched for.
const SWEEPS_PER_ORPHAN_SEARCH: u32 = 60;

/// How many expired workspaces are read at a time.
const PAGE: u32 = 100;

/// The task that expires and purges workspaces.
#[derive(Debug)]
pub struct Sweeper {
    purger: Purger,
    woken: Notify,
    /// The number of requested sweeps, and of the last one that is done.
    requested: watch::Sender<u64>,
    done: watch::Sender<u64>,
    /// Whether the warning about foreign data was logged.
    has_warned: AtomicBool,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Sweeper {
    /// Starts sweeping.
    pub fn start(purger: Purger) -> Arc<Self> {
        let sweeper = Arc::new(Self {
            purger,
            woken: Notify::new(),
            requested: watch::Sender::new(0),
            done: watch::Sender::new(0),
            has_warned: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        sweeper.tasks.spawn(sweeper.clone().run());
        sweeper
    }

    /// Purges a workspace. When it returns, every request to the workspace is refused; its data is deleted in
    /// the background. `false`: it does not exist.
    pub async fn purge(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let begun = self.purger.begin(workspace, None).await?;
        if begun {
            self.woken.notify_one();
        }
        Ok(begun)
    }

    /// Ends a workspace in favour of another one, which gets its join code: see [`Purger::replace`]. Its data
    /// is deleted once its people have had time to follow.
    pub async fn replace(&self, old: &Workspace, new: WorkspaceId) -> Result<bool, StoreError> {
        self.purger.replace(old, new).await
    }

    /// Notes that another server has ended a workspace in favour of another one.
    pub async fn moved(&self, old: WorkspaceId, new: WorkspaceId) {
        self.purger.moved(old, new).await;
    }

    /// Sweeps now, and waits until the work that was due at the call is done.
    pub async fn sweep_now(&self) {
        let mut wanted = 0;
        self.requested.send_modify(|requested| {
            *requested += 1;
            wanted = *requested;
        });
        self.woken.notify_one();
        // The sender lives as long as this.
        let _ = self.done.subscribe().wait_for(|done| *done >= wanted).await;
    }

    /// Stops between two batches; the next start continues.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn run(self: Arc<Self>) {
        let mut until_orphan_search = 0;
        while !self.stopping.is_cancelled() {
            let (requested, done) = (*self.requested.borrow(), *self.done.borrow());
            let find_orphans = until_orphan_search == 0 || requested > done;
            let rest = match self.sweep(find_orphans).await {
                Ok(true) => {
                    until_orphan_search = if find_orphans {
                        SWEEPS_PER_ORPHAN_SEARCH
                    } else {
                        until_orphan_search - 1
                    };
                    self.done.send_replace(requested);
                    SWEEP_INTERVAL
                }
                Ok(false) => RETRY_INTERVAL,
                Err(error) => {
                    tracing::warn!(%error, "workspaces could not be swept; trying again");
                    RETRY_INTERVAL
                }
            };
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = self.woken.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// One sweep; `false`: something is left.
    async fn sweep(&self, find_orphans: bool) -> Result<bool, PurgeError> {
        let store = &self.purger.store;
        while let Some(since) = self.purger.presence.expired_since() {
            let expired = store.idle_since(since, PAGE).await?;
            for workspace in &expired {
                if self.stopping.is_cancelled() {
                    return Ok(false);
                }
                self.purger.begin(*workspace, Some(since)).await?;
            }
            if expired.len() < PAGE as usize {
                break;
            }
        }
        let mut is_done = true;
        for workspace in store.purging().await? {
            if self.purger.presence.is_being_left(workspace).await? {
                // After a restart, or where another server has reset it, something of it may be in memory.
                self.purger.end(workspace).await;
                continue;
            }
            is_done &= self.purger.finish(workspace, &self.stopping).await?;
        }
        if find_orphans {
            let foreign = self.purger.purge_orphans(&self.stopping).await?;
            self.warn_of(&foreign);
        }
        Ok(is_done && !self.stopping.is_cancelled())
    }

    /// Warns once that stores do not belong together.
    fn warn_of(&self, foreign: &[WorkspaceId]) {
        let Some(first) = foreign.first() else { return };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                workspaces = foreign.len(), %first,
                "stores have data of workspaces that the event store has never had, which is left unchanged: \
                 --event-store, --read-model, --warehouse and --data-dir should name stores of one server"
            );
        }
    }
}
