//! Historical events of a partition, as lanes read them from the event store.

use std::{sync::Arc, time::Instant};

use broker::{Events, PartitionId, PublishedEvent, decode, read_next};

use super::{Context, handler::EventHandler, lane_error::LaneError, lane_hops::note_history};
use event_store::StoreError;

/// How many historical events are read at a time and applied in one transaction.
pub(super) const PAGE: u32 = 1_000;

/// Reads the next historical events of a partition for a handler.
pub(super) async fn history(
    context: &Context,
    handler: &dyn EventHandler,
    partition: PartitionId,
    after: u64,
) -> Result<Events, LaneError> {
    history_page(context, handler, partition, after, PAGE).await
}

/// The same, of so many events at most.
pub(super) async fn history_page(
    context: &Context,
    handler: &dyn EventHandler,
    partition: PartitionId,
    after: u64,
    limit: u32,
) -> Result<Events, LaneError> {
    let begun = Instant::now();
    let read = match read_next(&*context.store, partition, after, limit).await {
        Err(StoreError::Corrupt(reason)) => {
            let position = after + 1;
            return Err(LaneError::Unreadable { position, reason });
        }
        read => read?,
    };
    let events = decode(&read);
    match events.first() {
        Some(first) if first.position == after + 1 => {
            note_history(handler, partition, &events, begun.elapsed());
            Ok(events)
        }
        // Another server may have purged the workspace.
        None if context.store.workspace(partition.workspace).await?.is_none() => Err(LaneError::Gone),
        _ => Err(LaneError::Missing(after + 1)),
    }
}

/// The events before a position, if there are any.
pub(super) fn events_before(position: u64, events: &[Arc<PublishedEvent>]) -> Option<&[Arc<PublishedEvent>]> {
    let count = events
        .iter()
        .take_while(|event| event.position < position)
        .count();
    (count > 0).then(|| &events[..count])
}
