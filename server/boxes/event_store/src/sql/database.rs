//! The differences between the databases; all other SQL is the same for both.

use std::{ops::Range, time::Duration};

use domain::id::WorkspaceId;
use sqlx::Pool;
use uuid::Uuid;

use super::{
    digests::{EventDigestColumns, RowDigestColumns},
    writer::SqlWriter,
};
use database::engine::{Engine, Reads};

use crate::{
    Append, EventFilter, StoreError,
    answer::{AnswerColumns, CommandColumns},
    appender::{AppendCache, Cause, Failure, LookUpMode, ValidatedGroup},
    columns::{
        EventColumns, ListedSnapshotColumns, SchemaColumns, SnapshotColumns, StreamColumns, TypeBlockColumns,
        WorkspaceColumns,
    },
};

/// A database of the event store. Its functions return the errors of sqlx where the writer has to know
/// whether the connection was lost.
pub(crate) trait Database:
    Engine
    + Reads<EventColumns>
    + Reads<WorkspaceColumns>
    + Reads<SnapshotColumns>
    + Reads<StreamColumns>
    + Reads<SchemaColumns>
    + Reads<AnswerColumns>
    + Reads<(i64, i64, i64)>
    + Reads<(Uuid, i64)>
    + Reads<(Uuid, i64, i64)>
    + Reads<(Uuid, i64, i64, Vec<u8>)>
    + Reads<ListedSnapshotColumns>
    + Reads<TypeBlockColumns>
    + Reads<(String, i64)>
    + Reads<(String, Vec<u8>)>
    + Reads<(i64, Option<String>)>
    + Reads<CommandColumns>
    + Reads<EventDigestColumns>
    + Reads<RowDigestColumns>
{
    /// Opens the connection that writes, and a new one when it has broken.
    type Connector: Send + Sync + 'static;

    /// The lock that excludes other processes; `()` where they are allowed.
    type Lock: Send + 'static;

    /// Whether other servers write to the same log, so that the cache may be out of date.
    const SHARED: bool;

    /// How long one step on the connection that writes may take before the connection counts as lost; `None`
    /// for a file.
    const STEP_LIMIT: Option<Duration>;

    /// Opens a connection that writes.
    fn connect(
        connector: &Self::Connector,
    ) -> impl Future<Output = Result<Self::Connection, sqlx::Error>> + Send;

    /// Whether a connection that was idle for a while still works.
    fn is_alive(connection: &mut Self::Connection, rested: Duration) -> impl Future<Output = bool> + Send;

    /// The cause of an error, which decides about a retry.
    fn cause(error: &sqlx::Error) -> Cause;

    /// Implements [`Writer::look_up`](crate::appender::Writer::look_up).
    fn look_up(
        writer: &mut SqlWriter<Self>,
        cache: &mut AppendCache,
        appends: &[&Append],
        mode: LookUpMode,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Implements [`Writer::write`](crate::appender::Writer::write).
    fn write(
        writer: &mut SqlWriter<Self>,
        validated: &ValidatedGroup,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Implements [`Writer::roll_back`](crate::appender::Writer::roll_back).
    fn roll_back(writer: &mut SqlWriter<Self>) -> impl Future<Output = ()> + Send;

    /// Inserts the partitions of the workspace with the number `$1`: `$2` of them, with the hash `$3`.
    const OPEN_PARTITIONS: &'static str;

    /// The command of the workspace `$1` with the id `$2`.
    const RECORDED_COMMAND: &'static str;

    /// The commands of the workspace `$1` in the order of their ids, after `$2`, at most `$3`.
    const COMMANDS_AFTER: &'static str;

    /// The same, from `$2` on.
    const COMMANDS_FROM: &'static str;

    /// Name, version and partition of the streams of the workspace `$1` from the name `$2` on, before `$3`
    /// and after `$4`, by name, at most `$5`.
    const STREAMS: &'static str;

    /// The snapshots of the workspace `$1` by the names of their streams, after `$2`, at most `$3`: name,
    /// version and partition of the stream; version, schema version and state of the snapshot.
    const SNAPSHOTS: &'static str;

    /// The events of a stream in the order of their versions: of the workspace `$1` and the name `$2`, from
    /// version `$3` on, at most `$4`.
    const STREAM_FORWARDS: &'static str;

    /// The same, back from version `$3`.
    const STREAM_BACKWARDS: &'static str;

    /// The same in the order of their versions, from the one on that the snapshot of schema version `$3` was
    /// taken at.
    const STREAM_TAIL: &'static str;

    /// The rows of [`EventStore::read_partition`](crate::EventStore::read_partition).
    fn partition(
        connection: &mut Self::Connection,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<EventColumns>, sqlx::Error>> + Send;

    /// The events of the partition with the number `$1` after `$2` and up to `$3`, which are
    /// [`bounds`](Self::bounds), of the type `$4` and the streams from `$5` to `$6`, in the blocks of the
    /// type from `$7` to `$8`, at most `$9`.
    const PAGE_OF_TYPE: &'static str;

    /// The events of the partition with the number `$1` after `$2` and up to `$3`, which are
    /// [`bounds`](Self::bounds), with the correlation `$4`, if there is one also the type `$5`, and the
    /// streams from `$6` to `$7`, at most `$8`.
    fn page(filter: &EventFilter) -> &'static str;

    /// Two positions of a partition, as values of the column that orders the events.
    fn bounds(partition_no: i64, after: u64, until: u64) -> (i64, i64);

    /// The columns for a command's answer, of `count` events of a partition from a position on.
    fn answer_events(
        connection: &mut Self::Connection,
        workspace_no: i64,
        partition: u32,
        position: u64,
        count: u64,
    ) -> impl Future<Output = Result<Vec<AnswerColumns>, sqlx::Error>> + Send;

    /// Sends a message to the other servers; `origin` is this one.
    fn tell(
        readers: &Pool<Self>,
        origin: Uuid,
        message: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes every server's cached heads of a workspace invalid.
    fn invalidate_heads(
        connection: &mut Self::Connection,
        workspace_no: i64,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The number of the workspace `$1`, if it is marked and no other server is deleting it.
    const CLAIM_PURGE: &'static str;

    /// Deletes blocks of types of the workspace with the number `$1`, at most `$2`.
    const PURGE_TYPE_BLOCKS: &'static str;

    /// Delete rows of commands of the workspace with the number `$1`, each at most `$2`.
    const PURGE_COMMANDS: &'static [&'static str];

    /// Deletes partitions of the workspace with the number `$1`, at most `$2`.
    const PURGE_PARTITIONS: &'static str;

    /// Deletes events of a workspace, at most `limit`; returns their number.
    fn purge_events(
        connection: &mut Self::Connection,
        workspace_no: i64,
        limit: u32,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Keeps other servers from the digests that this one keys; `None` where there are no other servers.
    const LOCK_UNKEYED_DIGESTS: Option<&'static str>;

    /// Waits for appends of other servers; `None` where there are no other servers.
    const LOCK_PARTITIONS: Option<&'static str>;

    /// Runs before digests are keyed, and after all of them have a key: the digests without a key must not
    /// remain in the database's files, as far as it supports that.
    const BEFORE_KEYING: &'static [&'static str];

    /// See [`BEFORE_KEYING`](Self::BEFORE_KEYING).
    const AFTER_KEYING: &'static [&'static str];

    /// Digests without a key of commands with rows, at most `$1`; with the statement that stores those with a
    /// key.
    const UNKEYED_ROWS: &'static [(&'static str, &'static str)];

    /// The digests of events of the partition with the number `$1`, after the position `$2` and up to `$3`,
    /// in the order of positions, at most `$4`.
    const UNKEYED_EVENTS: &'static str;

    /// Stores keyed digests of commands with rows by a statement of [`UNKEYED_ROWS`](Self::UNKEYED_ROWS):
    /// number of the workspace, id, digest. Returns the number of changed rows.
    fn write_row_digests(
        connection: &mut Self::Connection,
        update: &'static str,
        keyed: &[(i64, Uuid, [u8; 32])],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Stores keyed digests of events of a partition: position, digest. Returns the number of changed events.
    fn write_event_digests(
        connection: &mut Self::Connection,
        partition_no: i64,
        keyed: &[(i64, [u8; 32])],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// The statements that begin the transaction of an import.
    const BEGIN_IMPORT: &'static [&'static str];

    /// An id that several events of the workspace with the number `$1` have.
    const REPEATED_EVENT_ID: &'static str;

    /// Name, number and version of those of these streams that exist.
    fn streams(
        connection: &mut Self::Connection,
        workspace_no: i64,
        names: &[&str],
    ) -> impl Future<Output = Result<Vec<(String, i64, i64)>, sqlx::Error>> + Send;

    /// Unused stream numbers.
    fn stream_numbers(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<Range<i64>, sqlx::Error>> + Send;

    /// Writes rows in the transaction of an import.
    fn write_rows(
        connection: &mut Self::Connection,
        validated: &ValidatedGroup,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
