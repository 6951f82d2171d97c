//! Hops of several servers: one that observes a workspace says so, and the others send theirs.
//!
//! Messages of servers are short, and take the channel on which they tell each other of commits. So hops are
//! sent in parts, and as few as a reader would get: at most 50 single ones in 100 ms, and the others counted.

use domain::{
    id::WorkspaceId,
    wire::{Hop, MergedHops},
};
use serde::Serialize;

use super::ring::HopBatch;
use broker::ServerMessage;

/// The most bytes of hops in a message; with what surrounds them it stays below the 7000 bytes that an event
/// store passes on.
const MAX_BYTES: usize = 6_500;

/// A part of a batch.
#[derive(Debug, Default)]
struct Part {
    bytes: usize,
    data: Vec<Hop>,
    merged: Vec<MergedHops>,
    dropped: u64,
}

impl Part {
    fn into_message(self, workspace: WorkspaceId) -> ServerMessage {
        ServerMessage::Hops {
            workspace,
            data: self.data,
            merged: self.merged,
            dropped: self.dropped,
        }
    }
}

/// The messages that bring a batch to the other servers. What is too long for one is counted as lost.
pub(super) fn messages(workspace: WorkspaceId, batch: HopBatch) -> Vec<ServerMessage> {
    if batch.is_empty() {
        return Vec::new();
    }
    let mut parts = vec![Part {
        dropped: batch.dropped,
        ..Part::default()
    }];
    for hop in batch.data {
        match length(&hop) {
            Some(bytes) => part_with_room(&mut parts, bytes).data.push(hop),
            None => part_with_room(&mut parts, 0).dropped += 1,
        }
    }
    for hops in batch.merged {
        match length(&hops) {
            Some(bytes) => part_with_room(&mut parts, bytes).merged.push(hops),
            None => part_with_room(&mut parts, 0).dropped += hops.count,
        }
    }
    parts
        .into_iter()
        .map(|part| part.into_message(workspace))
        .collect()
}

/// The length of a value in a message; `None`: it has none that fits.
fn length(value: &impl Serialize) -> Option<usize> {
    let bytes = serde_json::to_string(value).ok()?.len() + 1;
    Some(bytes).filter(|bytes| *bytes <= MAX_BYTES)
}

/// The last part, or a new one if that has no room, with the room taken.
fn part_with_room(parts: &mut Vec<Part>, bytes: usize) -> &mut Part {
    if parts.last().is_none_or(|last| last.bytes + bytes > MAX_BYTES) {
        parts.push(Part::default());
    }
    let last = parts.len() - 1;
    let part = &mut parts[last];
    part.bytes += bytes;
    part
}
