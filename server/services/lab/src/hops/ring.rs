//! The newest hops of a workspace, in a ring of bounded length: the oldest make room.
//!
//! A place in the ring is a number of hops: those that were recorded before it, counted ones and lost ones
//! included. So the distance between a reader's place and the next entry is what the reader has lost.

use std::collections::VecDeque;

use domain::wire::{Hop, MergedHops};
use tokio::time::Instant;

use super::merging::{MergeWindow, counted};

/// What a reader gets of a ring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HopBatch {
    /// Single hops, in the order in which they were recorded.
    pub data: Vec<Hop>,
    /// Further hops, counted for each arrow.
    pub merged: Vec<MergedHops>,
    /// How many hops were lost.
    pub dropped: u64,
}

impl HopBatch {
    /// Whether it tells nothing.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.merged.is_empty() && self.dropped == 0
    }
}

#[derive(Debug)]
enum Content {
    Single(Hop),
    Counted(MergedHops),
}

#[derive(Debug)]
struct Entry {
    /// Its place.
    at: u64,
    content: Content,
}

impl Entry {
    fn is_single(&self) -> bool {
        matches!(self.content, Content::Single(_))
    }

    /// The place after it.
    fn end(&self) -> u64 {
        let hops = match &self.content {
            Content::Single(_) => 1,
            Content::Counted(counted) => counted.count,
        };
        self.at.saturating_add(hops)
    }
}

/// The newest hops.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    entries: VecDeque<Entry>,
    window: MergeWindow,
    /// The place of the next entry.
    end: u64,
}

impl Ring {
    /// An empty ring with room for this many entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: VecDeque::new(),
            window: MergeWindow::default(),
            end: 0,
        }
    }

    /// Records a hop; beyond the limit of its window it is counted.
    pub(super) fn record(&mut self, hop: Hop, now: Instant) {
        self.advance(now);
        if self.window.admits() {
            self.append(Content::Single(hop));
        } else {
            self.window.count(&counted(&hop));
        }
    }

    /// Adds hops that another server has counted.
    pub(super) fn count(&mut self, hops: &MergedHops, now: Instant) {
        self.advance(now);
        self.window.count(hops);
    }

    /// Notes hops that were lost on their way here.
    pub(super) fn lose(&mut self, hops: u64) {
        self.end = self.end.saturating_add(hops);
    }

    /// A page from a place on, with at most `limit` single hops, and the place after it. What is counted in a
    /// window that is open comes once it is over.
    pub(super) fn page(&mut self, from: u64, limit: usize, now: Instant) -> (HopBatch, u64) {
        self.advance(now);
        let mut batch = HopBatch::default();
        let mut read = from;
        for entry in self.entries.range(self.index_of(from)..) {
            match &entry.content {
                Content::Single(_) if batch.data.len() == limit => return (batch, read),
                Content::Single(hop) => batch.data.push(hop.clone()),
                Content::Counted(hops) => batch.merged.push(hops.clone()),
            }
            batch.dropped += entry.at.saturating_sub(read);
            read = entry.end();
        }
        batch.dropped += self.end.saturating_sub(read);
        (batch, self.end)
    }

    /// The place of the oldest of the newest single hops, as many as `singles`.
    pub(super) fn newest(&self, singles: usize) -> u64 {
        let newest = self.entries.iter().rev().filter(|entry| entry.is_single());
        newest.take(singles).last().map_or(self.end, |entry| entry.at)
    }

    /// A reader's place; or a later one, if more than `singles` single hops wait from there on.
    pub(super) fn within(&self, place: u64, singles: usize) -> u64 {
        let waiting = self.entries.range(self.index_of(place)..).rev();
        let mut waiting = waiting.filter(|entry| entry.is_single());
        let mut oldest = None;
        for _ in 0..singles {
            match waiting.next() {
                Some(entry) => oldest = Some(entry.at),
                None => return place,
            }
        }
        match (oldest, waiting.next()) {
            (Some(oldest), Some(_)) => oldest,
            _ => place,
        }
    }

    /// All single hops that are kept, oldest first.
    pub(super) fn singles(&self) -> Vec<Hop> {
        let single = |entry: &Entry| match &entry.content {
            Content::Single(hop) => Some(hop.clone()),
            Content::Counted(_) => None,
        };
        self.entries.iter().filter_map(single).collect()
    }

    /// When there will be counted hops to read, because their window is over.
    pub(super) fn counts_at(&self) -> Option<Instant> {
        self.window.ends_with_counts()
    }

    /// The index of the first entry at a place, or after it.
    fn index_of(&self, place: u64) -> usize {
        self.entries.partition_point(|entry| entry.at < place)
    }

    /// Enters what was counted in a window that is over.
    fn advance(&mut self, now: Instant) {
        for counted in self.window.advance(now) {
            self.append(Content::Counted(counted));
        }
    }

    fn append(&mut self, content: Content) {
        let entry = Entry {
            at: self.end,
            content,
        };
        self.end = entry.end();
        self.entries.push_back(entry);
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
    }
}
