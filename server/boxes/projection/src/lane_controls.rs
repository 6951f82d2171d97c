//! The lab's controls of a view's lanes in one workspace: pause, resume and crash. They are in memory only:
//! after a restart no lane is paused, unless another server tells that it is.

use std::{
    collections::BTreeSet,
    panic,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

/// The message of a panic that an educator has asked for.
pub(super) const REQUESTED_CRASH: &str = "an educator had this lane crash";

/// Pauses, resumes and crashes the lanes of one view in one workspace.
#[derive(Debug, Default)]
pub struct LaneControls {
    decision: watch::Sender<Decision>,
    crashes: watch::Sender<Crashes>,
    panics: AtomicU64,
}

/// Whether the lanes are paused. The latest decision of all servers is valid; of two at the same time, the
/// one to resume.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) paused: bool,
    /// In milliseconds, and later than every decision that was known then; 0: there was none.
    pub(super) at: u64,
}

/// The partitions whose lanes are to crash, and those whose panic the supervisor has not caught yet.
#[derive(Debug, Default)]
struct Crashes {
    requested: BTreeSet<u32>,
    in_progress: BTreeSet<u32>,
}

impl LaneControls {
    /// Pauses the lanes, which then begin no transaction, or resumes them at their checkpoints.
    pub(super) fn decide(&self, paused: bool, now_ms: u64) {
        self.decision.send_modify(|known| {
            let at = now_ms.max(known.at + 1);
            *known = Decision { paused, at };
        });
    }

    /// Follows a decision that was made at another server, unless a later one is known.
    pub(super) fn follow(&self, decision: Decision) {
        let order = |decision: &Decision| (decision.at, !decision.paused);
        self.decision.send_if_modified(|known| {
            let is_later = order(&decision) > order(known);
            if is_later {
                *known = decision;
            }
            is_later
        });
    }

    /// The latest known decision, if there was one.
    pub(super) fn decision(&self) -> Option<Decision> {
        Some(*self.decision.borrow()).filter(|decision| decision.at > 0)
    }

    /// Whether the lanes are paused.
    pub fn is_paused(&self) -> bool {
        self.decision.borrow().paused
    }

    /// Waits until the lanes are not paused.
    pub async fn resumed(&self) {
        // The sender lives as long as this: it cannot be closed while it is borrowed.
        let _ = self.decision.subscribe().wait_for(|known| !known.paused).await;
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

    #[test]
    fn the_latest_decision_is_valid_at_every_server() {
        let (here, there) = (LaneControls::default(), LaneControls::default());
        let tell = |from: &LaneControls, to: &LaneControls| {
            if let Some(decision) = from.decision() {
                to.follow(decision);
            }
        };
        let exchange = || {
            tell(&here, &there);
            tell(&there, &here);
            (here.is_paused(), there.is_paused())
        };
        here.decide(true, 5);
        assert_eq!(exchange(), (true, true));
        // Its clock is behind the other's.
        there.decide(false, 3);
        assert_eq!(exchange(), (false, false));
        here.decide(true, 9);
        there.decide(false, 9);
        assert_eq!(exchange(), (false, false), "at the same time");
        // A restart forgets, and is told.
        here.decide(true, 10);
        let restarted = LaneControls::default();
        assert_eq!(restarted.decision(), None);
        tell(&here, &restarted);
        assert!(restarted.is_paused());
    }
}
