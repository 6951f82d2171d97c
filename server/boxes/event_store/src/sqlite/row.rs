//! The column `place`, which combines a partition and a position, and the columns of an event.

use crate::columns::integer;

/// A position has the lower 40 bits of a place, the partition the 23 bits above.
const POSITION_BITS: u32 = 40;

/// The highest position in a partition.
pub(super) const MAX_POSITION: u64 = (1 << POSITION_BITS) - 1;

/// The place of a position in a partition.
pub(super) fn place(partition_no: i64, position: u64) -> i64 {
    (partition_no << POSITION_BITS) | integer(position.min(MAX_POSITION))
}

/// The columns of [`EventColumns`](crate::columns::EventColumns), and their tables. `e` comes first, so that
/// its order is the order of the rows.
macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "select p.partition, e.place & 1099511627775, s.name, e.version, e.event_id, t.name, \
             t.schema_version, e.payload, e.correlation_id, e.causation_id, e.command_id, e.actor_id, \
             e.actor_role, e.traceparent, e.recorded_at, e.hash ",
            $rest
        )
    };
}
pub(super) use select_events;

/// The tables beside `events e`.
macro_rules! joined_tables {
    () => {
        "cross join partitions p on p.no = e.place >> 40 \
         cross join streams s on s.no = e.stream_no \
         cross join event_types t on t.no = e.type_no "
    };
}
pub(super) use joined_tables;
