//! Compares the listed blocks of types with the events: a block that is not listed hides its events from a
//! reader of their type.

use std::collections::BTreeSet;

use domain::event::StoredEvent;

use super::{VerifyError, findings::Findings};
use event_store::{EventStore, TYPE_BLOCK_BITS, TypeBlockEntry, Workspace};

/// Blocks behind the last event that are looked at.
const BLOCKS_BEHIND: u64 = 1_024;

/// The blocks of one partition, as its events are read.
pub(super) struct BlockCheck<'a> {
    store: &'a dyn EventStore,
    workspace: &'a Workspace,
    partition: u32,
    /// The first block that was not compared yet.
    next: u64,
    /// What the events have that were read since.
    found: BTreeSet<TypeBlockEntry>,
    /// Whether an event cannot be read: it may have a type that no other event has.
    has_unread: bool,
}

/// The block and the type of an event.
pub(super) fn block_entry(event: &StoredEvent) -> TypeBlockEntry {
    TypeBlockEntry {
        block: event.position >> TYPE_BLOCK_BITS,
        event_type: event.event_type.clone(),
        schema_version: event.schema_version,
    }
}

impl<'a> BlockCheck<'a> {
    pub(super) fn new(store: &'a dyn EventStore, workspace: &'a Workspace, partition: u32) -> Self {
        Self {
            store,
            workspace,
            partition,
            next: 0,
            found: BTreeSet::new(),
            has_unread: false,
        }
    }

    /// Notes that an event of a page cannot be read.
    pub(super) fn note_unread(&mut self) {
        self.has_unread = true;
    }

    /// Adds what a page has, and compares the blocks that are complete then.
    pub(super) async fn add(
        &mut self,
        found: BTreeSet<TypeBlockEntry>,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        let Some(current) = found.last().map(|entry| entry.block) else {
            return Ok(());
        };
        self.found.extend(found);
        if current > self.next {
            self.compare(current - 1, true, findings).await?;
            self.next = current;
        }
        Ok(())
    }

    /// Compares the last block. `is_whole`: no event was appended since.
    pub(super) async fn finish(mut self, is_whole: bool, findings: &mut Findings) -> Result<(), VerifyError> {
        let last = self.next.saturating_add(BLOCKS_BEHIND);
        self.compare(last, is_whole, findings).await
    }

    async fn compare(
        &mut self,
        last: u64,
        is_whole: bool,
        findings: &mut Findings,
    ) -> Result<(), VerifyError> {
        let (workspace, partition) = (self.workspace.id, self.partition);
        let listed = self
            .store
            .type_blocks(workspace, partition, (self.next, last))
            .await?;
        let listed: BTreeSet<TypeBlockEntry> = listed.into_iter().collect();
        let later = self.found.split_off(&TypeBlockEntry {
            block: last.saturating_add(1),
            event_type: String::new(),
            schema_version: 0,
        });
        let found = std::mem::replace(&mut self.found, later);
        for entry in found.difference(&listed) {
            findings.add(format!(
                "partition {partition}: block {} is not listed as having {} version {}",
                entry.block, entry.event_type, entry.schema_version
            ));
        }
        if is_whole && !self.has_unread {
            for entry in listed.difference(&found) {
                findings.add(format!(
                    "partition {partition}: block {} is listed as having {} version {}, and has none",
                    entry.block, entry.event_type, entry.schema_version
                ));
            }
        }
        Ok(())
    }
}
