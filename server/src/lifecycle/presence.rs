//! Presence: is this workspace there, and that somebody is in it.
//!
//! Asked with every request and now and then by every socket, so it costs a look at a table in memory. The event store is
//! asked again after a few seconds, because another server may have purged the workspace, and is told at most once in a
//! [grain](Presence::grain) that somebody was there.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{id::WorkspaceId, timestamp::Timestamp};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::SharedClock,
    event_store::{EventStore, StoreError},
};

/// How long what was read is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// The longest time between two notes that somebody was there.
const LONGEST_GRAIN: Duration = Duration::from_hours(1);

/// How many grains a workspace can be idle for, at least.
const GRAINS: u32 = 16;

/// What is known of one workspace.
#[derive(Debug, Default)]
struct Known {
    gone: CancellationToken,
    /// In microseconds since 1970: until when what is known is believed.
    believed_until: AtomicI64,
    /// When it was last noted that somebody was there.
    noted: Mutex<Option<Timestamp>>,
}

/// See the module.
#[derive(Debug)]
pub struct Presence {
    store: Arc<dyn EventStore>,
    clock: SharedClock,
    idle: Option<Duration>,
    known: RwLock<HashMap<WorkspaceId, Arc<Known>>>,
}

impl Presence {
    /// Of the workspaces of a store, which expire when nobody was in them for `idle`.
    pub fn new(store: Arc<dyn EventStore>, clock: SharedClock, idle: Option<Duration>) -> Self {
        Self {
            store,
            clock,
            idle,
            known: RwLock::default(),
        }
    }

    /// How much older than the truth the stored time of the last activity may be.
    pub fn grain(&self) -> Duration {
        self.idle
            .map_or(LONGEST_GRAIN, |idle| LONGEST_GRAIN.min(idle / GRAINS))
    }

    /// When a workspace expires if nobody comes after now; `None`: never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.idle.map(|idle| moved(self.clock.now(), idle, 1))
    }

    /// Workspaces with no activity since then have expired: never early, and up to a grain late.
    pub fn expired_since(&self) -> Option<Timestamp> {
        self.idle
            .map(|idle| moved(self.clock.now(), idle + self.grain(), -1))
    }

    /// Whether the workspace is there, said by somebody who is in it. A store that does not answer is not a reason to turn
    /// anybody away: whatever they ask for will say so.
    pub async fn is_there(&self, workspace: WorkspaceId) -> bool {
        let known = self.known(workspace);
        if known.gone.is_cancelled() {
            return false;
        }
        let now = self.clock.now();
        if now.as_micros() < known.believed_until.load(Ordering::Acquire) {
            return true;
        }
        // one at a time looks; the others wait for what it finds
        let mut noted = known.noted.lock().await;
        if known.gone.is_cancelled() || now.as_micros() < known.believed_until.load(Ordering::Acquire) {
            return !known.gone.is_cancelled();
        }
        match self.look(workspace, &mut noted, now).await {
            Ok(true) => {}
            Ok(false) => known.gone.cancel(),
            Err(error) => {
                tracing::warn!(%workspace, %error, "it is not known whether a workspace is there");
            }
        }
        let until = moved(now, BELIEVED, 1);
        known.believed_until.store(until.as_micros(), Ordering::Release);
        !known.gone.is_cancelled()
    }

    /// Cancelled when the workspace is gone: for whoever stays.
    pub fn gone(&self, workspace: WorkspaceId) -> CancellationToken {
        self.known(workspace).gone.clone()
    }

    /// The workspace is gone. That, and no more, stays known.
    pub fn end(&self, workspace: WorkspaceId) {
        self.known(workspace).gone.cancel();
    }

    async fn look(
        &self,
        workspace: WorkspaceId,
        noted: &mut Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let is_fresh = |noted: Timestamp| now < moved(noted, self.grain(), 1);
        if noted.is_some_and(is_fresh) {
            return Ok(self.store.workspace(workspace).await?.is_some());
        }
        let is_there = self.store.note_activity(workspace, now).await?;
        *noted = Some(now);
        Ok(is_there)
    }

    fn known(&self, workspace: WorkspaceId) -> Arc<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&workspace) {
            return known.clone();
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(workspace).or_default().clone()
    }
}

fn moved(at: Timestamp, by: Duration, sign: i64) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_add(sign.saturating_mul(micros)))
}
