//! Blocks of positions that have an event of a type. They stand in for an index of events by type: an entry
//! for each block instead of each event, and a reader looks through the block.

use std::collections::BTreeSet;

use super::appender::EventRow;

/// A block is the positions with the same number above these bits. The migrations have the same number.
pub const BLOCK_BITS: u32 = 6;

/// The block of a position.
pub(super) const fn block_of(position: u64) -> u64 {
    position >> BLOCK_BITS
}

/// A block that is listed as having an event of a type, as the verifier reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeBlockEntry {
    /// The block.
    pub block: u64,
    /// The type.
    pub event_type: String,
    /// The version of the type's schema.
    pub schema_version: u32,
}

/// A block that has an event of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TypeBlock {
    pub(super) type_no: i64,
    pub(super) partition_no: i64,
    pub(super) block: u64,
}

impl TypeBlock {
    /// The block of an event.
    pub(super) const fn of(row: &EventRow) -> Self {
        Self {
            type_no: row.type_no,
            partition_no: row.partition_no,
            block: block_of(row.event.position),
        }
    }

    /// The blocks of events, each once.
    pub(super) fn of_all(rows: &[EventRow]) -> BTreeSet<Self> {
        rows.iter().map(Self::of).collect()
    }
}

/// The types that the newest block of a partition has, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct NewestBlock {
    block: u64,
    type_nos: Vec<i64>,
}

impl NewestBlock {
    /// Notes an event; `true`: its block was not known to have one of its type.
    pub(super) fn note(&mut self, found: TypeBlock) -> bool {
        if self.block != found.block {
            self.block = found.block;
            self.type_nos.clear();
        }
        let is_new = !self.type_nos.contains(&found.type_no);
        if is_new {
            self.type_nos.push(found.type_no);
        }
        is_new
    }
}
