//! The columns of an event.

/// The columns of [`EventColumns`](crate::columns::EventColumns), for the rows of `e`.
macro_rules! select_events {
    ($($rest:literal),+) => {
        concat!(
            "select p.partition, e.position, s.name, e.version, e.event_id, t.name, t.schema_version,
                e.payload, e.correlation_id, e.causation_id, e.command_id, e.actor_id, e.actor_role,
                e.traceparent, e.recorded_at, e.hash
            from events e
                join partitions p on p.no = e.partition_no
                join streams s on s.no = e.stream_no
                join event_types t on t.no = e.type_no ",
            $($rest),+
        )
    };
}
pub(super) use select_events;
