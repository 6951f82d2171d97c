//! The clock of each workspace: the machine's time, or ahead of it if the clock was put forward.
//!
//! A clock that was put forward stays so, also after a restart, so that a timer never fires later than
//! announced. It is never put back, not by the machine's clock either: where that goes back while the server
//! runs, the clocks go on from where they were. Its offset is in the process store, and every server on the
//! same store reads it again after [`MAX_AGE`].
//!
//! What is due first happens first, also if the clock leaps past several moments at once: the timers that are
//! due by the new time expire before the clock shows it.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use clock::SharedClock;
use documents::{
    DocumentStore, DocumentStoreError, DocumentWrite, FIRST_GENERATION, FoldFault, FoldOutput, Scope,
};
use domain::{id::WorkspaceId, timestamp::Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// The view name of the clocks in the process store.
const VIEW: &str = "clocks";
const KEY: &str = "clock";

/// How long an offset is used until it is read again: another server may have put the clock forward.
pub const MAX_AGE: Duration = Duration::from_millis(500);

/// The timers that run on the clocks.
#[async_trait]
pub trait Timers: Send + Sync + Debug {
    /// Expires the timers of a workspace that are due at `now`, a time that its clock does not show yet.
    async fn expire_due(&self, workspace: WorkspaceId, now: Timestamp);
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct StoredClock {
    ahead_ms: u64,
}

/// The offset that a clock shows.
#[derive(Debug, Clone, Copy)]
struct Shown {
    ahead_ms: u64,
    read_at: Instant,
}

/// The clocks of all workspaces.
#[derive(Debug)]
pub struct Clocks {
    machine: SharedClock,
    /// The latest time that was taken from the machine, and when.
    latest: Mutex<Option<(Timestamp, Instant)>>,
    process_store: Arc<dyn DocumentStore>,
    shown: RwLock<HashMap<WorkspaceId, Shown>>,
    timers: RwLock<Option<Weak<dyn Timers>>>,
    put_forward: Notify,
}

impl Clocks {
    /// Clocks on top of the machine's; their offsets are stored in `process_store`.
    pub fn new(machine: SharedClock, process_store: Arc<dyn DocumentStore>) -> Self {
        Self {
            machine,
            latest: Mutex::default(),
            process_store,
            shown: RwLock::default(),
            timers: RwLock::default(),
            put_forward: Notify::new(),
        }
    }

    /// Expires these timers from now on, before a clock shows that they are due.
    pub fn expire_first(&self, timers: Weak<dyn Timers>) {
        *self.timers.write().unwrap_or_else(PoisonError::into_inner) = Some(timers);
    }

    /// How far a workspace's clock is ahead of the machine's, in milliseconds; read again if it is old.
    pub async fn ahead_ms(&self, workspace: WorkspaceId) -> Result<u64, DocumentStoreError> {
        match self.recently_shown(workspace) {
            Some(ahead_ms) => Ok(ahead_ms),
            None => self.refresh(workspace).await,
        }
    }

    /// Reads how far a workspace's clock is ahead, in milliseconds: another server may have put it forward a
    /// moment ago.
    pub async fn refresh(&self, workspace: WorkspaceId) -> Result<u64, DocumentStoreError> {
        let read_at = Instant::now();
        let read = self.process_store.document(workspace, VIEW, KEY).await?;
        let stored = read
            .value
            .map(|document| parsed(document.data.get()))
            .transpose()?;
        let ahead_ms = stored.unwrap_or_default().ahead_ms;
        Ok(self.show(workspace, ahead_ms, read_at).await)
    }

    /// The shown offset, unless it is to be read again. While one caller reads it, the others use the old
    /// one.
    fn recently_shown(&self, workspace: WorkspaceId) -> Option<u64> {
        let now = Instant::now();
        let is_old = |shown: &Shown| now.saturating_duration_since(shown.read_at) >= MAX_AGE;
        let shown = {
            let all = self.shown.read().unwrap_or_else(PoisonError::into_inner);
            *all.get(&workspace)?
        };
        if !is_old(&shown) {
            return Some(shown.ahead_ms);
        }
        let mut all = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        let shown = all.get_mut(&workspace)?;
        if !is_old(shown) {
            return Some(shown.ahead_ms);
        }
        shown.read_at = now;
        None
    }

    /// Shows a stored offset, after the timers that are due by it have expired. A clock never goes back.
    async fn show(&self, workspace: WorkspaceId, ahead_ms: u64, read_at: Instant) -> u64 {
        let before = {
            let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
            shown.get(&workspace).map_or(0, |shown| shown.ahead_ms)
        };
        let is_newer = ahead_ms > before;
        if is_newer && let Some(timers) = self.timers() {
            timers.expire_due(workspace, self.ahead_by(ahead_ms)).await;
        }
        let newest = {
            let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
            let shown = shown.entry(workspace).or_insert(Shown { ahead_ms, read_at });
            shown.ahead_ms = shown.ahead_ms.max(ahead_ms);
            shown.read_at = shown.read_at.max(read_at);
            shown.ahead_ms
        };
        if is_newer {
            self.put_forward.notify_waiters();
        }
        newest
    }

    fn timers(&self) -> Option<Arc<dyn Timers>> {
        let timers = self.timers.read().unwrap_or_else(PoisonError::into_inner);
        timers.as_ref().and_then(Weak::upgrade)
    }

    /// The machine's time; where its clock has gone back, the time that has passed since the latest one.
    fn machine_now(&self) -> Timestamp {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let (machine, at) = (self.machine.now(), Instant::now());
        let now = match *latest {
            Some((latest, then)) if machine < latest => {
                let passed = at.saturating_duration_since(then).as_micros();
                let passed = i64::try_from(passed).unwrap_or(i64::MAX);
                Timestamp::from_micros(latest.as_micros().saturating_add(passed))
            }
            _ => machine,
        };
        *latest = Some((now, at));
        now
    }

    /// The machine's time, and so much more.
    fn ahead_by(&self, ahead_ms: u64) -> Timestamp {
        let ahead_ms = i64::try_from(ahead_ms).unwrap_or(i64::MAX);
        let micros = self.machine_now().as_micros();
        Timestamp::from_micros(micros.saturating_add(ahead_ms.saturating_mul(1_000)))
    }

    /// The current time of a workspace.
    pub async fn now(&self, workspace: WorkspaceId) -> Result<Timestamp, DocumentStoreError> {
        Ok(self.ahead_by(self.ahead_ms(workspace).await?))
    }

    /// Puts a workspace's clock forward, which fires the timers that are due by then. Returns how far it is
    /// ahead now.
    pub async fn put_forward(&self, workspace: WorkspaceId, by_ms: u64) -> Result<u64, DocumentStoreError> {
        self.advance(workspace, &|ahead_ms| ahead_ms.saturating_add(by_ms))
            .await
    }

    /// Puts a workspace's clock forward to a time, unless it has passed that; the timers that are due by then
    /// fire. Returns how far it is ahead now.
    pub async fn put_forward_to(
        &self,
        workspace: WorkspaceId,
        to: Timestamp,
    ) -> Result<u64, DocumentStoreError> {
        let micros = to.as_micros().saturating_sub(self.machine_now().as_micros());
        let wanted_ms = u64::try_from(micros).unwrap_or(0).div_ceil(1_000);
        self.advance(workspace, &|ahead_ms| ahead_ms.max(wanted_ms)).await
    }

    /// Removes a workspace that has ended from memory.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        shown.remove(&workspace);
    }

    async fn advance(
        &self,
        workspace: WorkspaceId,
        further: &(dyn Fn(u64) -> u64 + Sync),
    ) -> Result<u64, DocumentStoreError> {
        let scope = Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        let mut ahead_ms = 0;
        let mut fold = |loaded: documents::FoldInput| {
            let unreadable = |reason: String| FoldFault { position: 0, reason };
            let stored = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let stored = stored
                .transpose()
                .map_err(|error| unreadable(error.to_string()))?;
            ahead_ms = further(stored.unwrap_or_default().ahead_ms);
            let data = serde_json::value::to_raw_value(&StoredClock { ahead_ms })
                .map_err(|error| unreadable(error.to_string()))?;
            Ok(FoldOutput {
                writes: vec![DocumentWrite {
                    key: KEY.to_owned(),
                    data: Some(data.into()),
                    owner: None,
                    removed_entries: Vec::new(),
                    added_entries: Vec::new(),
                }],
                ..FoldOutput::default()
            })
        };
        self.process_store
            .amend(&scope, &[KEY.to_owned()], &mut fold)
            .await?;
        self.show(workspace, ahead_ms, Instant::now()).await;
        Ok(ahead_ms)
    }

    /// Completes when a clock is put forward after the call, here or by another server.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.put_forward.notified()
    }
}

fn parsed(text: &str) -> Result<StoredClock, DocumentStoreError> {
    serde_json::from_str(text).map_err(|error| DocumentStoreError::Corrupt(format!("a clock: {error}")))
}

#[cfg(test)]
mod tests;
