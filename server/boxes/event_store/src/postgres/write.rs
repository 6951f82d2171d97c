//! What a group writes: one call of `append_group`, an array a column. With it goes the notice to other servers, which
//! they get if the group is committed, and not otherwise.

use sqlx::PgConnection;

use super::notice::{CHANNEL, Notice};
use crate::{
    StoreError,
    appender::ValidatedGroup,
    columns::{bytes_of_hash, integer},
};

/// A group as the call has it.
pub(super) struct Group<'a> {
    judged: &'a ValidatedGroup,
    /// Of partitions: before and after; of events.
    hashes_before: Vec<Vec<u8>>,
    head_hashes: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(judged: &'a ValidatedGroup) -> Result<Self, StoreError> {
        let of_partitions = judged.partitions.iter();
        let of_events = judged.events.iter();
        Ok(Self {
            judged,
            hashes_before: of_partitions
                .clone()
                .map(|partition| bytes_of_hash(&partition.hash_before))
                .collect::<Result<_, _>>()?,
            head_hashes: of_partitions
                .map(|partition| bytes_of_hash(&partition.head_hash))
                .collect::<Result<_, _>>()?,
            hashes: of_events
                .map(|placed| bytes_of_hash(&placed.event.hash))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Calls; a transaction by itself, unless there is one.
    pub(super) async fn run(self, connection: &mut PgConnection, notice: &Notice) -> Result<(), sqlx::Error> {
        let ValidatedGroup {
            events,
            streams,
            partitions,
            commands,
        } = self.judged;
        let (begun, moved): (Vec<_>, Vec<_>) = streams.iter().partition(|stream| stream.is_new);
        sqlx::query(
            "select append_group(
                $1, $2, $3, $4,
                $5, $6, $7, $8, $9,
                $10, $11,
                $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,
                $27, $28, $29, $30, $31
             ), pg_notify($32, $33)",
        )
        .bind(each(partitions, |partition| partition.no))
        .bind(self.hashes_before)
        .bind(each(partitions, |partition| integer(partition.head)))
        .bind(self.head_hashes)
        .bind(each(&begun, |stream| stream.no))
        .bind(each(&begun, |stream| stream.workspace_no))
        .bind(each(&begun, |stream| stream.name.as_str()))
        .bind(each(&begun, |stream| stream.partition_no))
        .bind(each(&begun, |stream| integer(stream.version)))
        .bind(each(&moved, |stream| stream.no))
        .bind(each(&moved, |stream| integer(stream.version)))
        .bind(each(events, |placed| placed.partition_no))
        .bind(each(events, |placed| integer(placed.event.position)))
        .bind(each(events, |placed| placed.stream_no))
        .bind(each(events, |placed| integer(placed.event.version)))
        .bind(each(events, |placed| placed.event.event_id))
        .bind(each(events, |placed| placed.type_no))
        .bind(each(events, |placed| placed.event.payload.get()))
        .bind(each(events, |placed| placed.event.metadata.correlation_id))
        .bind(each(events, |placed| placed.event.metadata.causation_id))
        .bind(each(events, |placed| placed.event.metadata.command_id))
        .bind(each(events, |placed| placed.event.metadata.actor.id))
        .bind(each(events, |placed| placed.event.metadata.actor.role.as_str()))
        .bind(each(events, |placed| {
            placed.event.metadata.traceparent.as_deref()
        }))
        .bind(each(events, |placed| placed.event.recorded_at.as_micros()))
        .bind(self.hashes)
        .bind(each(commands, |command| command.workspace_no))
        .bind(each(commands, |command| command.command_id))
        .bind(each(commands, |command| &command.body_digest[..]))
        .bind(each(commands, |command| command.correlation_id))
        .bind(each(commands, |command| command.answer.as_str()))
        .bind(CHANNEL)
        .bind(notice.to_string())
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A column.
fn each<'a, R, T>(rows: &'a [R], column: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}
