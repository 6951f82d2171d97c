//! The lab's controls of a handler's lanes in one workspace: its dials, and crashes. They are in memory; the
//! lab stores the dials and bends the lanes again after a restart. At rest a look at them costs one load.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::lane_error::LaneError;

/// The message of a panic that an educator has asked for.
pub(super) const REQUESTED_CRASH: &str = "an educator had this lane crash";

/// Decides which transactions of a handler's lanes fail.
pub trait TransactionFaults: Send + Sync + Debug {
    /// Whether the next transaction fails. Each call is for another transaction.
    fn fails_next(&self) -> bool;
}

/// The dials of a handler's lanes in one workspace.
#[derive(Debug, Clone)]
pub struct LaneDials {
    /// The lanes begin no transaction.
    pub paused: bool,
    /// Each event takes so much longer.
    pub slow: Duration,
    /// Which transactions fail, to be tried again; `None`: none does because of a dial.
    pub failing: Option<Arc<dyn TransactionFaults>>,
    /// Events of this type cannot be handled.
    pub poison: Option<String>,
    /// Whether a lane skips a delivered event that it has applied.
    pub detects_duplicates: bool,
    /// Whether a lane reads what is missing before it applies a later event.
    pub detects_gaps: bool,
}

impl Default for LaneDials {
    /// All of them at rest.
    fn default() -> Self {
        Self {
            paused: false,
            slow: Duration::ZERO,
            failing: None,
            poison: None,
            detects_duplicates: true,
            detects_gaps: true,
        }
    }
}

impl LaneDials {
    /// Whether they bend nothing.
    pub fn are_at_rest(&self) -> bool {
        let Self {
            paused,
            slow,
            failing,
            poison,
            detects_duplicates,
            detects_gaps,
        } = self;
        !paused
            && slow.is_zero()
            && failing.is_none()
            && poison.is_none()
            && *detects_duplicates
            && *detects_gaps
    }

    /// Whether a lane looks at what was delivered as usual.
    pub(super) fn detect_everything(&self) -> bool {
        self.detects_duplicates && self.detects_gaps
    }
}

/// Bends and crashes the lanes of one handler in one workspace.
#[derive(Debug, Default)]
pub struct LaneControls {
    /// Whether there are dials.
    is_bent: AtomicBool,
    dials: watch::Sender<Option<Arc<LaneDials>>>,
    crashes: watch::Sender<Crashes>,
    panics: AtomicU64,
}

/// The partitions whose lanes are to crash, and those whose panic the supervisor has not caught yet.
#[derive(Debug, Default)]
struct Crashes {
    requested: BTreeSet<u32>,
    in_progress: BTreeSet<u32>,
}

impl LaneControls {
    /// Bends the lanes, or puts all of their dials to rest. A transaction that has begun is not affected; one
    /// that begins with the handler's lock taken afterwards is.
    pub fn bend(&self, dials: Option<LaneDials>) {
        let dials = dials.filter(|dials| !dials.are_at_rest()).map(Arc::new);
        self.dials.send_if_modified(|known| {
            let is_change = known.is_some() || dials.is_some();
            self.is_bent.store(dials.is_some(), Ordering::Release);
            *known = dials;
            is_change
        });
    }

    /// The dials; `None`: they are at rest.
    pub fn dials(&self) -> Option<Arc<LaneDials>> {
        if !self.is_bent.load(Ordering::Acquire) {
            return None;
        }
        self.dials.borrow().clone()
    }

    /// Whether the lanes are paused.
    pub fn is_paused(&self) -> bool {
        self.dials().is_some_and(|dials| dials.paused)
    }

    /// What is said of work that waits for the lanes: that they are paused, or nothing.
    pub fn phrase(&self) -> &'static str {
        if self.is_paused() { " (paused)" } else { "" }
    }

    /// Fails if a dial has the next transaction fail.
    pub(super) fn fail_if_requested(&self) -> Result<(), LaneError> {
        let failing = self.dials().and_then(|dials| dials.failing.clone());
        match failing {
            Some(failing) if failing.fails_next() => Err(LaneError::FailedByDial),
            _ => Ok(()),
        }
    }

    /// Waits until the lanes are not paused.
    pub async fn resumed(&self) {
        let runs = |known: &Option<Arc<LaneDials>>| known.as_ref().is_none_or(|dials| !dials.paused);
        // The sender lives as long as this: it cannot be closed while it is borrowed.
        let _ = self.dials.subscribe().wait_for(runs).await;
    }

    /// Waits for as long as an event takes longer. A change of the dials holds for a wait that has begun.
    pub(super) async fn slow_down(&self) {
        let begun = Instant::now();
        let mut dials = self.dials.subscribe();
        loop {
            let slow = dials.borrow_and_update().as_ref().map(|dials| dials.slow);
            tokio::select! {
                () = sleep_until(begun + slow.unwrap_or_default()) => return,
                changed = dials.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Waits so long, or until the dials change: a lane that has failed because of a dial tries again at
    /// once.
    pub(super) async fn pause_for(&self, pause: Duration, is_by_dial: bool) {
        let mut dials = self.dials.subscribe();
        let works = |known: &LaneDials| known.failing.is_none();
        if is_by_dial && dials.borrow_and_update().as_deref().is_none_or(works) {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // The sender lives as long as this.
            _ = dials.changed() => {}
        }
    }

    /// Requests a crash of the lanes of these partitions: each panics once, at its next step.
    pub fn request_crash(&self, partitions: impl IntoIterator<Item = u32>) {
        self.crashes
            .send_modify(|crashes| crashes.requested.extend(partitions));
    }

    /// Panics if a crash of this lane was requested.
    pub(super) fn crash_if_requested(&self, partition: u32) {
        let requested = self.crashes.send_if_modified(|crashes| {
            crashes.requested.remove(&partition) && crashes.in_progress.insert(partition)
        });
        if requested {
            // A panic like any other, which the supervisor catches; but it is no defect, so the panic hook is
            // passed by, which would write where it came from.
            panic::resume_unwind(Box::new(REQUESTED_CRASH));
        }
    }

    /// Waits until every requested crash has happened and the supervisor has caught it.
    pub async fn crashed(&self) {
        let is_over = |crashes: &Crashes| crashes.requested.is_empty() && crashes.in_progress.is_empty();
        let _ = self.crashes.subscribe().wait_for(is_over).await;
    }

    /// Notes that a lane has panicked and will continue at its checkpoint.
    pub(super) fn note_panic(&self, partition: u32) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        self.crashes
            .send_if_modified(|crashes| crashes.in_progress.remove(&partition));
    }

    /// How often a lane has panicked.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(slow_ms: u64) -> LaneDials {
        LaneDials {
            slow: Duration::from_millis(slow_ms),
            ..LaneDials::default()
        }
    }

    #[tokio::test]
    async fn dials_at_rest_bend_nothing() {
        let controls = LaneControls::default();
        assert!(controls.dials().is_none());
        controls.bend(Some(LaneDials::default()));
        assert!(controls.dials().is_none() && !controls.is_paused());
        controls.bend(Some(slow(5)));
        assert!(controls.dials().is_some() && !controls.is_paused());
        controls.bend(None);
        assert!(controls.dials().is_none());
        controls.resumed().await;
        controls.slow_down().await;
    }

    #[tokio::test]
    async fn a_wait_that_has_begun_follows_the_dials() {
        let controls = LaneControls::default();
        for dials in [Some(slow(1)), None] {
            controls.bend(Some(slow(3_600_000)));
            tokio::join!(controls.slow_down(), async { controls.bend(dials) });
        }
        let hour = Duration::from_hours(1);
        tokio::join!(controls.pause_for(hour, false), async {
            controls.bend(Some(slow(1)));
        });
        controls.pause_for(hour, true).await;
        let paused = LaneDials {
            paused: true,
            ..slow(1)
        };
        controls.bend(Some(paused));
        tokio::join!(controls.resumed(), async { controls.bend(Some(slow(1))) });
        assert!(!controls.is_paused());
    }
}
