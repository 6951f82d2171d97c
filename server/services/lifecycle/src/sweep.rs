//! The sweep: workspaces that nobody uses expire, and what is marked as being purged is deleted.
//!
//! One task a server. It begins with what a stop or a crash has left, and comes again every minute, and at once when
//! somebody purges a workspace. Several servers may sweep one database: a workspace is marked once, and one server at a
//! time deletes.

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
use event_store::StoreError;

/// How long it rests.
const EVERY: Duration = Duration::from_mins(1);

/// How long it rests where something is left that could not be done.
const AGAIN: Duration = Duration::from_secs(5);

/// After how many sweeps it is looked for what is kept of workspaces that are not there.
const STRANGERS_EVERY: u32 = 60;

/// How many expired workspaces are read at a time.
const PAGE: u32 = 100;

/// See the module.
#[derive(Debug)]
pub struct Sweeper {
    purger: Purger,
    woken: Notify,
    /// How many sweeps somebody waits for, and the number of the last that is done.
    asked: watch::Sender<u64>,
    done: watch::Sender<u64>,
    /// Whether it was said that stores do not belong together.
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
            asked: watch::Sender::new(0),
            done: watch::Sender::new(0),
            has_warned: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        sweeper.tasks.spawn(sweeper.clone().run());
        sweeper
    }

    /// Purges a workspace. When it returns, nobody gets in or out of it; what is left of it is deleted behind the scenes.
    /// `false`: it is not there.
    pub async fn purge(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let begun = self.purger.begin(workspace, None).await?;
        if begun {
            self.woken.notify_one();
        }
        Ok(begun)
    }

    /// Sweeps now, and waits until everything is done that was to be done when this was called.
    pub async fn swept(&self) {
        let mut wanted = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            wanted = *asked;
        });
        self.woken.notify_one();
        // The sender lives as long as this.
        let _ = self.done.subscribe().wait_for(|done| *done >= wanted).await;
    }

    /// Stops between two pieces; the next start goes on.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn run(self: Arc<Self>) {
        let mut until_strangers = 0;
        while !self.stopping.is_cancelled() {
            let (asked, done) = (*self.asked.borrow(), *self.done.borrow());
            let look_for_strangers = until_strangers == 0 || asked > done;
            let rest = match self.sweep(look_for_strangers).await {
                Ok(true) => {
                    until_strangers = if look_for_strangers {
                        STRANGERS_EVERY
                    } else {
                        until_strangers - 1
                    };
                    self.done.send_replace(asked);
                    EVERY
                }
                Ok(false) => AGAIN,
                Err(error) => {
                    tracing::warn!(%error, "workspaces could not be swept; trying again");
                    AGAIN
                }
            };
            tokio::select! {
                () = self.stopping.cancelled() => {}
                () = self.woken.notified() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// `false`: something is left.
    async fn sweep(&self, look_for_strangers: bool) -> Result<bool, PurgeError> {
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
            is_done &= self.purger.finish(workspace, &self.stopping).await?;
        }
        if look_for_strangers {
            let foreign = self.purger.forget_strangers(&self.stopping).await?;
            self.warn_of(&foreign);
        }
        Ok(is_done && !self.stopping.is_cancelled())
    }

    /// Says once that stores do not belong together.
    fn warn_of(&self, foreign: &[WorkspaceId]) {
        let Some(first) = foreign.first() else { return };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                workspaces = foreign.len(), %first,
                "something is kept of workspaces that the event store has never had; it is left alone: --event-store, \
                 --read-model, --warehouse and --data-dir should name stores of one server"
            );
        }
    }
}
