//! The clock of each workspace: the machine's time, or another one if an educator has set it. A workspace's
//! events and timers go by it; sessions, limits and purges go by the machine's clock.
//!
//! A clock that was set stays so, also after a restart, so that a timer never fires later than announced. A
//! workspace may be opened with its clock in the past, and a clock may be **frozen**: it stands until it goes
//! on from there. It never goes back, not by the machine's clock either: where that goes back while the
//! server runs, the clocks go on from where they were. Each is a document in the process store, and every
//! server on the same store reads it again after [`MAX_AGE`].
//!
//! What is due first happens first, also if the clock leaps past several moments at once: the timers that are
//! due by the new time expire before the clock shows it. If they cannot, it does not show it yet. Only the
//! log has the new time before, so that what an expired timer causes is not recorded as earlier.

mod log_clock;

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicI64, Ordering},
    },
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

pub use log_clock::LogClock;

/// The view name of the clocks in the process store.
const VIEW: &str = "clocks";
const KEY: &str = "clock";

/// How long a clock is used until it is read again: another server may have set it.
pub const MAX_AGE: Duration = Duration::from_millis(500);

/// The timers that run on the clocks.
#[async_trait]
pub trait Timers: Send + Sync + Debug {
    /// Expires the timers of a workspace that are due at `now`, a time that its clock does not show yet.
    async fn expire_due(&self, workspace: WorkspaceId, now: Timestamp) -> Result<(), DocumentStoreError>;
}

/// A clock, as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredClock {
    /// Its offset from the machine's clock while it runs; negative: it is behind.
    ahead_ms: i64,
    /// The time at which it stands; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_at: Option<Timestamp>,
    /// Counts the changes; 0 also for one that an earlier version has stored.
    #[serde(default)]
    version: u64,
    /// The version of the dials that it follows.
    #[serde(default)]
    dials: u64,
}

impl StoredClock {
    /// The time that it shows when the machine's clock shows `machine`.
    fn at(self, machine: Timestamp) -> Timestamp {
        self.frozen_at.unwrap_or_else(|| moved(machine, self.ahead_ms))
    }

    fn is_newer_than(self, other: Self) -> bool {
        (self.version, self.ahead_ms) > (other.version, other.ahead_ms)
    }

    /// Has it show at least `time`.
    fn put_to(&mut self, time: Timestamp, machine: Timestamp) {
        match &mut self.frozen_at {
            Some(frozen_at) => *frozen_at = (*frozen_at).max(time),
            None => self.ahead_ms = self.ahead_ms.max(millis_between(machine, time)),
        }
    }
}

/// The clock that this server shows.
#[derive(Debug)]
struct Shown {
    clock: StoredClock,
    /// The clock that it shows once the timers that are due by it have expired.
    coming: Option<StoredClock>,
    read_at: Instant,
    /// The latest time that was taken from it, in microseconds: it never goes back.
    latest: AtomicI64,
    /// The latest time that was taken for the log.
    latest_logged: AtomicI64,
}

/// What a clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time.
    pub now: Timestamp,
    /// How far it is ahead of the machine's clock, in milliseconds; negative: it is behind.
    pub ahead_ms: i64,
    /// Whether it stands still.
    pub is_frozen: bool,
}

/// A change of a clock; it is given the machine's time.
type Change<'a> = dyn Fn(&mut StoredClock, Timestamp) + Sync + 'a;

/// The clocks of all workspaces.
#[derive(Debug)]
pub struct Clocks {
    machine: SharedClock,
    /// The latest time that was taken from the machine, and when.
    latest: Mutex<Option<(Timestamp, Instant)>>,
    process_store: Arc<dyn DocumentStore>,
    shown: RwLock<HashMap<WorkspaceId, Shown>>,
    timers: RwLock<Option<Weak<dyn Timers>>>,
    set: Notify,
}

impl Clocks {
    /// Clocks on top of the machine's; those that were set are stored in `process_store`.
    pub fn new(machine: SharedClock, process_store: Arc<dyn DocumentStore>) -> Self {
        Self {
            machine,
            latest: Mutex::default(),
            process_store,
            shown: RwLock::default(),
            timers: RwLock::default(),
            set: Notify::new(),
        }
    }

    /// Expires these timers from now on, before a clock shows that they are due.
    pub fn expire_first(&self, timers: Weak<dyn Timers>) {
        *self.timers.write().unwrap_or_else(PoisonError::into_inner) = Some(timers);
    }

    /// The current time of a workspace; its clock is read again if it is old.
    pub async fn now(&self, workspace: WorkspaceId) -> Result<Timestamp, DocumentStoreError> {
        Ok(self.reading(workspace).await?.now)
    }

    /// How far a workspace's clock is ahead of the machine's, in milliseconds; read again if it is old.
    pub async fn ahead_ms(&self, workspace: WorkspaceId) -> Result<i64, DocumentStoreError> {
        Ok(self.reading(workspace).await?.ahead_ms)
    }

    /// What a workspace's clock shows; read again if it is old.
    pub async fn reading(&self, workspace: WorkspaceId) -> Result<Reading, DocumentStoreError> {
        if self.is_to_be_read(workspace) {
            self.read(workspace).await?;
        }
        Ok(self.shown_reading(workspace))
    }

    /// Reads what a workspace's clock shows: another server may have set it a moment ago.
    pub async fn refresh(&self, workspace: WorkspaceId) -> Result<Reading, DocumentStoreError> {
        self.read(workspace).await?;
        Ok(self.shown_reading(workspace))
    }

    /// Reads a workspace's clock unless it is known, before its time is taken by [`logged`](Self::logged). A
    /// clock that is known is read again if it is old, and used as it is if that fails.
    pub async fn prepare(&self, workspace: WorkspaceId) -> Result<(), DocumentStoreError> {
        match self.reading(workspace).await {
            Err(error) if self.logged(workspace).is_none() => Err(error),
            _ => Ok(()),
        }
    }

    /// The current time of a workspace's log, as far as this server has read its clock; `None`: it has not.
    pub fn logged(&self, workspace: WorkspaceId) -> Option<Timestamp> {
        let machine = self.machine_now();
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(shown.get(&workspace)?.logged_time(machine))
    }

    /// The workspaces whose clocks stand still, as far as this server has read them.
    pub fn frozen(&self) -> Vec<WorkspaceId> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let frozen = shown.iter().filter(|(_, shown)| shown.clock.frozen_at.is_some());
        frozen.map(|(workspace, _)| *workspace).collect()
    }

    /// Notes that a workspace is new: its clock was not set, and need not be read.
    pub fn opened(&self, workspace: WorkspaceId) {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        shown
            .entry(workspace)
            .or_insert_with(|| Shown::of(StoredClock::default(), Instant::now()));
    }

    /// Puts a workspace's clock forward, which fires the timers that are due by then. Returns how far it is
    /// ahead now.
    pub async fn put_forward(&self, workspace: WorkspaceId, by_ms: u64) -> Result<i64, DocumentStoreError> {
        let by_ms = i64::try_from(by_ms).unwrap_or(i64::MAX);
        self.change(workspace, &|clock, _| match &mut clock.frozen_at {
            Some(frozen_at) => *frozen_at = moved(*frozen_at, by_ms),
            None => clock.ahead_ms = clock.ahead_ms.saturating_add(by_ms),
        })
        .await?;
        Ok(self.shown_reading(workspace).ahead_ms)
    }

    /// Puts a workspace's clock forward to a time, unless it has passed that; the timers that are due by then
    /// fire. Returns how far it is ahead now.
    pub async fn put_forward_to(
        &self,
        workspace: WorkspaceId,
        to: Timestamp,
    ) -> Result<i64, DocumentStoreError> {
        self.change(workspace, &|clock, machine| clock.put_to(to, machine))
            .await?;
        Ok(self.shown_reading(workspace).ahead_ms)
    }

    /// Sets the clock of a new workspace to a time, which may be in the past; a clock that was set before
    /// stays as it is.
    pub async fn open_at(&self, workspace: WorkspaceId, at: Timestamp) -> Result<(), DocumentStoreError> {
        self.change(workspace, &|clock, machine| {
            if *clock == StoredClock::default() {
                clock.ahead_ms = millis_between(machine, at);
            }
        })
        .await
    }

    /// Stops a workspace's clock, or lets it go on from where it stands, as the dials of this version say. An
    /// older version than the one that it follows changes nothing.
    pub async fn freeze(
        &self,
        workspace: WorkspaceId,
        is_frozen: bool,
        dials: u64,
    ) -> Result<(), DocumentStoreError> {
        self.refresh(workspace).await?;
        self.change(workspace, &|clock, machine| {
            if dials < clock.dials || is_frozen == clock.frozen_at.is_some() {
                return;
            }
            clock.dials = dials;
            match clock.frozen_at.take() {
                // This server may have shown more before it read that the clock stands.
                Some(frozen_at) => clock.ahead_ms = millis_between(machine, frozen_at),
                None => {
                    clock.frozen_at = Some(clock.at(machine)).max(self.logged(workspace));
                }
            }
        })
        .await
    }

    /// Removes a workspace that has ended from memory.
    pub fn end(&self, workspace: WorkspaceId) {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        shown.remove(&workspace);
    }

    /// Completes when a clock is set after the call, here or by another server.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.set.notified()
    }

    /// Whether the clock is to be read. While one caller reads it, the others use what is shown; where
    /// nothing was shown yet since the server started, each reads it, because the clock may have been
    /// further before.
    fn is_to_be_read(&self, workspace: WorkspaceId) -> bool {
        let now = Instant::now();
        let is_old = |shown: &Shown| {
            let is_first = shown.coming.is_some() && shown.clock == StoredClock::default();
            is_first || now.saturating_duration_since(shown.read_at) >= MAX_AGE
        };
        {
            let all = self.shown.read().unwrap_or_else(PoisonError::into_inner);
            match all.get(&workspace) {
                Some(shown) if is_old(shown) => {}
                Some(_) => return false,
                None => return true,
            }
        }
        let mut all = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&workspace) {
            Some(shown) if is_old(shown) => {
                shown.read_at = now;
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    async fn read(&self, workspace: WorkspaceId) -> Result<(), DocumentStoreError> {
        let read_at = Instant::now();
        let read = self.process_store.document(workspace, VIEW, KEY).await?;
        let stored = read
            .value
            .map(|document| parsed(document.data.get()))
            .transpose()?;
        self.show(workspace, stored.unwrap_or_default(), read_at).await
    }

    /// Shows a stored clock, after the timers that are due by it have expired.
    async fn show(
        &self,
        workspace: WorkspaceId,
        clock: StoredClock,
        read_at: Instant,
    ) -> Result<(), DocumentStoreError> {
        let before = {
            let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
            shown
                .get(&workspace)
                .map_or_else(StoredClock::default, |shown| shown.clock)
        };
        let is_newer = clock.is_newer_than(before);
        let machine = self.machine_now();
        if is_newer
            && clock.at(machine) > before.at(machine)
            && let Some(timers) = self.timers()
        {
            {
                let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
                let shown = shown
                    .entry(workspace)
                    .or_insert_with(|| Shown::of(StoredClock::default(), read_at));
                if shown.coming.is_none_or(|coming| clock.is_newer_than(coming)) {
                    shown.coming = Some(clock);
                }
            }
            timers.expire_due(workspace, clock.at(machine)).await?;
        }
        {
            let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
            let shown = shown
                .entry(workspace)
                .or_insert_with(|| Shown::of(clock, read_at));
            if clock.is_newer_than(shown.clock) {
                shown.clock = clock;
            }
            shown.coming = shown.coming.filter(|coming| coming.is_newer_than(shown.clock));
            shown.read_at = shown.read_at.max(read_at);
        }
        if is_newer {
            self.set.notify_waiters();
        }
        Ok(())
    }

    fn shown_reading(&self, workspace: WorkspaceId) -> Reading {
        let machine = self.machine_now();
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let Some(shown) = shown.get(&workspace) else {
            // It has ended meanwhile.
            return Reading {
                now: machine,
                ahead_ms: 0,
                is_frozen: false,
            };
        };
        let now = shown.time(machine);
        let is_frozen = shown.clock.frozen_at.is_some();
        let ahead_ms = if is_frozen {
            millis_between(machine, now)
        } else {
            shown.clock.ahead_ms
        };
        Reading {
            now,
            ahead_ms,
            is_frozen,
        }
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

    /// Changes the stored clock in one transaction, and shows it. What stays as it is, is not written.
    async fn change(&self, workspace: WorkspaceId, change: &Change<'_>) -> Result<(), DocumentStoreError> {
        let scope = Scope {
            workspace,
            view: VIEW,
            generation: FIRST_GENERATION,
        };
        let mut changed = StoredClock::default();
        let mut fold = |loaded: documents::FoldInput| {
            let unreadable = |reason: String| FoldFault { position: 0, reason };
            let stored = loaded
                .documents
                .first()
                .map(|document| parsed(document.data.get()));
            let stored = stored
                .transpose()
                .map_err(|error| unreadable(error.to_string()))?
                .unwrap_or_default();
            changed = stored;
            change(&mut changed, self.machine_now());
            if changed == stored {
                return Ok(FoldOutput::default());
            }
            changed.version += 1;
            let data =
                serde_json::value::to_raw_value(&changed).map_err(|error| unreadable(error.to_string()))?;
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
        self.show(workspace, changed, Instant::now()).await
    }
}

impl Shown {
    fn of(clock: StoredClock, read_at: Instant) -> Self {
        Self {
            clock,
            coming: None,
            read_at,
            latest: AtomicI64::new(i64::MIN),
            latest_logged: AtomicI64::new(i64::MIN),
        }
    }

    /// The time that it shows, which is never before one that it has shown.
    fn time(&self, machine: Timestamp) -> Timestamp {
        not_before(&self.latest, self.clock.at(machine))
    }

    /// The time that the log has, which is never before one that it has had.
    fn logged_time(&self, machine: Timestamp) -> Timestamp {
        let coming = self.coming.map(|coming| coming.at(machine));
        not_before(
            &self.latest_logged,
            coming.into_iter().fold(self.clock.at(machine), Ord::max),
        )
    }
}

/// A time, or the latest one if that is later.
fn not_before(latest: &AtomicI64, time: Timestamp) -> Timestamp {
    let time = time.as_micros();
    Timestamp::from_micros(latest.fetch_max(time, Ordering::Relaxed).max(time))
}

/// So many milliseconds after a time.
fn moved(time: Timestamp, by_ms: i64) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_add(by_ms.saturating_mul(1_000)))
}

/// The milliseconds from one time to another, rounded up; negative if the other one is earlier.
fn millis_between(from: Timestamp, to: Timestamp) -> i64 {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    micros.div_euclid(1_000) + i64::from(micros.rem_euclid(1_000) > 0)
}

fn parsed(text: &str) -> Result<StoredClock, DocumentStoreError> {
    serde_json::from_str(text).map_err(|error| DocumentStoreError::Corrupt(format!("a clock: {error}")))
}

#[cfg(test)]
mod tests;
