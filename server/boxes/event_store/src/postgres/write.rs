//! Writes a group: one call of `append_commands`, with an array for each column. The same statement sends the
//! notification to the other servers, which receive it only if the group is committed.

use sqlx::PgConnection;

use super::notification::{CHANNEL, HeadNotification};
use crate::{
    StoreError,
    appender::{CommandOfEvents, EventRow, ValidatedGroup},
    columns::{bytes_of_hash, integer},
};

/// A group as the arguments of the call.
pub(super) struct Group<'a> {
    validated: &'a ValidatedGroup,
    /// The hashes of the partitions before and after, and those of the events, as bytes.
    hashes_before: Vec<Vec<u8>>,
    head_hashes: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(validated: &'a ValidatedGroup) -> Result<Self, StoreError> {
        let of_partitions = validated.partitions.iter();
        let of_events = validated.events.iter();
        Ok(Self {
            validated,
            hashes_before: of_partitions
                .clone()
                .map(|partition| bytes_of_hash(&partition.hash_before))
                .collect::<Result<_, _>>()?,
            head_hashes: of_partitions
                .map(|partition| bytes_of_hash(&partition.head_hash))
                .collect::<Result<_, _>>()?,
            hashes: of_events
                .map(|row| bytes_of_hash(&row.event.hash))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Calls `append_commands`; a transaction by itself, unless one has begun.
    pub(super) async fn run(
        self,
        connection: &mut PgConnection,
        notification: &HeadNotification,
    ) -> Result<(), sqlx::Error> {
        let ValidatedGroup {
            events,
            streams,
            partitions,
            type_blocks,
            commands,
            eventless,
            earlier,
        } = self.validated;
        let type_blocks: Vec<_> = type_blocks.iter().collect();
        sqlx::query(
            "select append_commands(
                $1, $2, $3, $4,
                $5, $6, $7, $8, $9,
                $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                $25, $26, $27, $28,
                $29, $30, $31, $32, $33,
                $34, $35,
                $36, $37, $38
             ), pg_notify($39, $40)",
        )
        .bind(each(partitions, |partition| partition.no))
        .bind(self.hashes_before)
        .bind(each(partitions, |partition| integer(partition.head)))
        .bind(self.head_hashes)
        .bind(each(streams, |stream| stream.no))
        .bind(each(streams, |stream| stream.workspace_no))
        .bind(each(streams, |stream| stream.name.as_str()))
        .bind(each(streams, |stream| stream.partition_no))
        .bind(each(streams, |stream| integer(stream.version)))
        .bind(each(events, |row| row.partition_no))
        .bind(each(events, |row| integer(row.event.position)))
        .bind(each(events, |row| row.stream_no))
        .bind(each(events, |row| integer(row.event.version)))
        .bind(each(events, |row| row.event.event_id))
        .bind(each(events, |row| row.type_no))
        .bind(each(events, |row| row.event.payload.get()))
        .bind(each(events, |row| row.event.metadata.correlation_id))
        .bind(each(events, |row| row.event.metadata.causation_id))
        .bind(each(events, |row| row.event.metadata.command_id))
        .bind(each(events, |row| row.event.metadata.actor.id))
        .bind(each(events, |row| row.event.metadata.actor.role.as_str()))
        .bind(each(events, |row| row.event.metadata.traceparent.as_deref()))
        .bind(each(events, |row| row.event.recorded_at.as_micros()))
        .bind(self.hashes)
        .bind(of_commands(events, |command| command.workspace_no))
        .bind(of_commands(events, |command| &command.body_digest[..]))
        .bind(of_commands(events, |command| integer(command.event_count)))
        .bind(each(events, |row| row.command.as_ref()?.answer.as_deref()))
        .bind(each(commands, |command| command.workspace_no))
        .bind(each(commands, |command| command.command_id))
        .bind(each(commands, |command| &command.body_digest[..]))
        .bind(each(commands, |command| command.correlation_id))
        .bind(each(commands, |command| command.answer.as_str()))
        .bind(eventless.iter().copied().collect::<Vec<_>>())
        .bind(earlier.iter().copied().collect::<Vec<_>>())
        .bind(each(&type_blocks, |block| block.type_no))
        .bind(each(&type_blocks, |block| block.partition_no))
        .bind(each(&type_blocks, |block| integer(block.block)))
        .bind(CHANNEL)
        .bind(notification.to_string())
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The array of a column that only the first event of a command has.
fn of_commands<'a, T>(events: &'a [EventRow], column: impl Fn(&'a CommandOfEvents) -> T) -> Vec<Option<T>> {
    each(events, |row| row.command.as_ref().map(&column))
}

/// The array of a column.
fn each<'a, R, T>(rows: &'a [R], column: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}
