//! A ring that boxes write to, and its readers, each at its own place: a slow reader loses the oldest hops
//! and never makes a box or another reader wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::wire::{Hop, MergedHops};
use telemetry::hops::HopSink;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::due::sleep_until_some;

use super::{
    merging::{BURST, SINGLES, WINDOW, add},
    ring::{HopBatch, Ring},
};

/// The least time between two batches of a reader.
pub const FRAME_INTERVAL: Duration = WINDOW;

/// The recorded hops of a workspace.
#[derive(Debug)]
pub(super) struct RecordedHops {
    ring: Mutex<Ring>,
    /// Wakes readers.
    recorded: watch::Sender<()>,
}

impl RecordedHops {
    /// None yet; a ring of this many entries.
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            ring: Mutex::new(Ring::new(capacity)),
            recorded: watch::Sender::new(()),
        })
    }

    /// The ring, for one step.
    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        // Each step leaves it whole: a panic between two does not harm it.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what another server has recorded.
    pub(super) fn absorb(&self, data: Vec<Hop>, merged: &[MergedHops], dropped: u64) {
        {
            let now = Instant::now();
            let mut ring = self.ring();
            ring.lose(dropped);
            for hop in data {
                ring.record(hop, now);
            }
            for hops in merged {
                ring.count(hops, now);
            }
        }
        self.recorded.send_replace(());
    }

    /// A reader that begins with the newest hops, as many as `newest`.
    pub(super) fn reader(self: &Arc<Self>, newest: usize) -> HopReader {
        // In this order: a hop that is recorded in between is read, and wakes the reader once for nothing.
        let recorded = self.recorded.subscribe();
        let place = self.ring().newest(newest);
        HopReader {
            hops: Arc::clone(self),
            recorded,
            place,
            first: Some(newest),
            next_at: Instant::now(),
        }
    }
}

impl HopSink for RecordedHops {
    fn record(&self, hop: Hop) {
        self.ring().record(hop, Instant::now());
        self.recorded.send_replace(());
    }
}

/// A reader of recorded hops.
#[derive(Debug)]
pub(super) struct HopReader {
    hops: Arc<RecordedHops>,
    recorded: watch::Receiver<()>,
    place: u64,
    /// Before the first batch, which comes at once and may be empty: the most single hops in it.
    first: Option<usize>,
    next_at: Instant,
}

impl HopReader {
    /// Waits for the next batch, which comes no sooner than [`FRAME_INTERVAL`] after the one before. Cancel
    /// safe.
    pub(super) async fn next(&mut self) -> HopBatch {
        loop {
            if self.next_at > Instant::now() {
                sleep_until(self.next_at).await;
            }
            self.recorded.mark_unchanged();
            if let Some(batch) = self.take() {
                return batch;
            }
            let counts_at = self.hops.ring().counts_at();
            tokio::select! {
                // The sender lives as long as the hops, which this reader holds.
                Ok(()) = self.recorded.changed() => {}
                () = sleep_until_some(counts_at) => {}
            }
        }
    }

    /// The next batch: what waits beyond a burst is lost, oldest first, because this reader is too slow.
    fn take(&mut self) -> Option<HopBatch> {
        let limit = self.first.unwrap_or_default().max(SINGLES);
        let (batch, place, skipped) = {
            let mut ring = self.hops.ring();
            let from = ring.within(self.place, BURST);
            let (batch, place) = ring.page(from, limit, Instant::now());
            (batch, place, from.saturating_sub(self.place))
        };
        let mut merged = Vec::new();
        for hops in &batch.merged {
            add(&mut merged, hops);
        }
        let batch = HopBatch {
            merged,
            dropped: batch.dropped + skipped,
            ..batch
        };
        if batch.is_empty() && self.first.is_none() {
            return None;
        }
        self.first = None;
        self.place = place;
        self.next_at = Instant::now() + FRAME_INTERVAL;
        Some(batch)
    }
}
