//! The columns of an event, and the version of a stream.

/// The columns of [`EventColumns`](crate::columns::EventColumns), for the rows of `e`.
macro_rules! select_events {
    (from $from:literal, $($rest:literal),+) => {
        concat!(
            "select p.partition, e.position, s.name, e.version, e.event_id, t.name, t.schema_version,
                e.payload, e.correlation_id, e.causation_id, e.command_id, e.actor_id, e.actor_role,
                e.traceparent, e.recorded_at, e.hash
            from ", $from, "
                join partitions p on p.no = e.partition_no
                join streams s on s.no = e.stream_no
                join event_types t on t.no = e.type_no ",
            $($rest),+
        )
    };
    ($($rest:literal),+) => {
        select_events!(from "events e", $($rest),+)
    };
}
pub(super) use select_events;

/// The version of the stream `s`: the one of its newest event.
macro_rules! version_of_stream {
    () => {
        "coalesce((
            select e.version from events e where e.partition_no = s.partition_no and e.stream_no = s.no
            order by e.version desc limit 1
        ), 0)"
    };
}
pub(super) use version_of_stream;
