//! Which hops are told one by one, and which are counted for their arrow.
//!
//! In each window of 100 ms, 50 are told one by one, and what calmer windows have not used up, so that an
//! order is told whole. So what is kept and sent does not grow with the load.

use std::time::Duration;

use domain::{
    timestamp::Timestamp,
    wire::{Hop, MergedHops},
};
use tokio::time::Instant;

/// How long a window lasts.
pub(super) const WINDOW: Duration = Duration::from_millis(100);

/// How many hops are told one by one for each window.
pub(super) const SINGLES: usize = 50;

/// How many hops are told one by one at once, after windows that had fewer.
pub(super) const BURST: usize = 1_000;

/// A window that is open, with the hops in it that are counted.
#[derive(Debug)]
pub(super) struct MergeWindow {
    began: Option<Instant>,
    /// How many further hops are told one by one.
    singles: usize,
    merged: Vec<MergedHops>,
}

impl Default for MergeWindow {
    fn default() -> Self {
        Self {
            began: None,
            singles: BURST,
            merged: Vec::new(),
        }
    }
}

impl MergeWindow {
    /// Opens another window if this one is over at `now`. Returns what was counted in it.
    pub(super) fn advance(&mut self, now: Instant) -> Vec<MergedHops> {
        let Some(began) = self.began else {
            self.began = Some(now);
            return Vec::new();
        };
        let windows = now.saturating_duration_since(began).as_millis() / WINDOW.as_millis();
        if windows == 0 {
            return Vec::new();
        }
        let gained = usize::try_from(windows).unwrap_or(BURST).saturating_mul(SINGLES);
        self.singles = self.singles.saturating_add(gained).min(BURST);
        self.began = Some(now);
        std::mem::take(&mut self.merged)
    }

    /// Whether the next hop is told by itself; if so, it is one of those that may be.
    pub(super) fn admits(&mut self) -> bool {
        let admits = self.singles > 0;
        self.singles -= usize::from(admits);
        admits
    }

    /// Counts hops.
    pub(super) fn count(&mut self, hops: &MergedHops) {
        add(&mut self.merged, hops);
    }

    /// When it is over, if hops are counted in it.
    pub(super) fn ends_with_counts(&self) -> Option<Instant> {
        let began = self.began.filter(|_| !self.merged.is_empty())?;
        Some(began + WINDOW)
    }
}

/// A hop as one that is counted.
pub(super) fn counted(hop: &Hop) -> MergedHops {
    let duration = i64::try_from(hop.duration_us).unwrap_or(i64::MAX);
    MergedHops {
        arrow: hop.arrow,
        from: hop.started_at,
        to: Timestamp::from_micros(hop.started_at.as_micros().saturating_add(duration)),
        count: 1,
    }
}

/// Adds counted hops to those of their arrow.
pub(super) fn add(counts: &mut Vec<MergedHops>, hops: &MergedHops) {
    match counts.iter_mut().find(|counted| counted.arrow == hops.arrow) {
        Some(counted) => {
            counted.from = counted.from.min(hops.from);
            counted.to = counted.to.max(hops.to);
            counted.count = counted.count.saturating_add(hops.count);
        }
        None => counts.push(hops.clone()),
    }
}
