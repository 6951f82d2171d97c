//! The event store in one SQLite file: the embedded default.
//!
//! WAL with `synchronous=FULL`: what is acknowledged is on disk. A lock keeps every other process from
//! appending, so the appender's cache is always current.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | the file, its settings and its migrations |
//! | `owner` | the lock of the file, under any name |
//! | `writer` | groups on the connection that writes |
//! | `look_up` | loads the state that a group needs |
//! | `write` | the rows of a group, in as few statements as possible |
//! | `read` | the statements that read events |
//! | `commands` | the statements that read recorded commands |
//! | `digests` | the statements that give digests of earlier versions their key |
//! | `row` | the `place` column, and the columns of an event |

mod commands;
mod digests;
mod look_up;
mod open;
mod owner;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{ops::Range, path::Path, sync::Arc, time::Duration};

use domain::id::WorkspaceId;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{
    Append, CommitObserver, EventFilter, StoreError,
    answer::AnswerColumns,
    appender::{self, AppendCache, Cause, Failure, LookUpMode, ValidatedGroup},
    columns::EventColumns,
    import::Import,
    sql::{Database, ListenerTask, SqlEventStore, import::SqlImport, writer::SqlWriter},
};
use clock::SharedClock;
use open::Connector;
use owner::Lock;
use row::place;

/// An event store in one SQLite file.
pub type SqliteEventStore = SqlEventStore<Sqlite>;

impl SqliteEventStore {
    /// Opens the file, and creates it with its folder if it does not exist. Refuses a file that a newer
    /// version of the program has migrated, and one that another process has open. `observer` receives every
    /// commit.
    pub async fn open(
        path: &Path,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Self, StoreError> {
        let opened = open::open(path).await?;
        let writer = SqlWriter::<Sqlite>::new(opened.writer, opened.lock, Uuid::nil());
        let queue = appender::start(writer, clock, observer);
        Ok(Self::new(opened.readers, queue, ListenerTask::none()))
    }

    /// Opens an existing file for reading only, also while a server has it open. Appends are refused.
    pub async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::read_only(open::open_to_read(path).await?))
    }

    /// Opens the file to import workspaces into it, as for appending: it is created if it does not exist, and
    /// no other process may have it open.
    pub async fn open_to_import(path: &Path, clock: SharedClock) -> Result<Import, StoreError> {
        let opened = open::open(path).await?;
        opened.readers.close().await;
        let database = SqlImport::<Sqlite>::new(opened.writer.connect().await?, opened.lock);
        Ok(Import::new(Box::new(database), clock))
    }
}

impl Database for Sqlite {
    type Connector = Connector;
    type Lock = Lock;

    const SHARED: bool = false;
    const STEP_LIMIT: Option<Duration> = None;
    const OPEN_PARTITIONS: &'static str = "with recursive numbered (partition) as (
            select 0 where $2 > 0
            union all
            select partition + 1 from numbered where partition + 1 < $2
        )
        insert into partitions (workspace_no, partition, head, head_hash)
        select $1, partition, 0, $3 from numbered";
    const RECORDED_COMMAND: &'static str = commands::RECORDED;
    const COMMANDS_AFTER: &'static str = commands::AFTER;
    const COMMANDS_FROM: &'static str = commands::FROM;
    const STREAMS: &'static str = read::STREAMS;
    const SNAPSHOTS: &'static str = read::SNAPSHOTS;
    const PAGE_OF_TYPE: &'static str = read::PAGE_OF_TYPE;
    const STREAM_FORWARDS: &'static str = read::STREAM_FORWARDS;
    const STREAM_BACKWARDS: &'static str = read::STREAM_BACKWARDS;
    const STREAM_TAIL: &'static str = read::STREAM_TAIL;
    const CLAIM_PURGE: &'static str = "select no from workspaces where id = $1 and purging_since is not null";
    const PURGE_TYPE_BLOCKS: &'static str = "delete from type_blocks
        where (type_no, partition_no, block) in (
            select b.type_no, b.partition_no, b.block
            from partitions p cross join event_types t
                cross join type_blocks b on b.type_no = t.no and b.partition_no = p.no
            where p.workspace_no = $1 limit $2)";
    const PURGE_COMMANDS: &'static [&'static str] =
        &["delete from answers where workspace_no = $1 and command_id in (
            select command_id from answers where workspace_no = $1 limit $2)"];
    // one at a time: SQLite scans all streams for one that refers to it
    const PURGE_PARTITIONS: &'static str = "delete from partitions where no in (
        select no from partitions where workspace_no = $1 limit min(1, $2))";
    const LOCK_UNKEYED_DIGESTS: Option<&'static str> = None;
    const LOCK_PARTITIONS: Option<&'static str> = None;
    const BEFORE_KEYING: &'static [&'static str] = &["pragma secure_delete = on"];
    const AFTER_KEYING: &'static [&'static str] =
        &["pragma secure_delete = off", "pragma wal_checkpoint(truncate)"];
    const UNKEYED_ROWS: &'static [(&'static str, &'static str)] = &digests::UNKEYED_ROWS;
    const UNKEYED_EVENTS: &'static str = digests::UNKEYED_EVENTS;
    const BEGIN_IMPORT: &'static [&'static str] = &["begin immediate"];

    const REPEATED_EVENT_ID: &'static str = "select e.event_id
         from streams s join events e on e.stream_no = s.no
         where s.workspace_no = $1 group by e.event_id having count(*) > 1 limit 1";

    async fn connect(connector: &Connector) -> Result<SqliteConnection, sqlx::Error> {
        connector.connect().await
    }

    /// A connection to a file is never lost.
    async fn is_alive(_: &mut SqliteConnection, _: Duration) -> bool {
        true
    }

    fn cause(error: &sqlx::Error) -> Cause {
        writer::cause(error)
    }

    async fn look_up(
        writer: &mut SqlWriter<Self>,
        cache: &mut AppendCache,
        appends: &[&Append],
        mode: LookUpMode,
    ) -> Result<(), Failure> {
        let open = writer.connect().await?;
        Ok(look_up::look_up(&mut open.connection, cache, appends, mode).await?)
    }

    async fn write(writer: &mut SqlWriter<Self>, validated: &ValidatedGroup) -> Result<(), Failure> {
        writer::write(writer, validated).await
    }

    async fn roll_back(writer: &mut SqlWriter<Self>) {
        writer::roll_back(writer).await;
    }

    async fn partition(
        connection: &mut SqliteConnection,
        workspace: WorkspaceId,
        partition: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventColumns>, sqlx::Error> {
        read::partition(connection, workspace, partition, after, limit).await
    }

    fn page(filter: &EventFilter) -> &'static str {
        read::page(filter)
    }

    fn bounds(partition_no: i64, after: u64, until: u64) -> (i64, i64) {
        (place(partition_no, after), place(partition_no, until))
    }

    async fn answer_events(
        connection: &mut SqliteConnection,
        workspace_no: i64,
        partition: u32,
        position: u64,
        count: u64,
    ) -> Result<Vec<AnswerColumns>, sqlx::Error> {
        read::answer_events(connection, workspace_no, partition, position, count).await
    }

    /// No other server caches heads.
    /// There are no other servers.
    async fn tell(_: &SqlitePool, _: Uuid, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn invalidate_heads(_: &mut SqliteConnection, _: i64) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn purge_events(
        connection: &mut SqliteConnection,
        workspace_no: i64,
        limit: u32,
    ) -> Result<u64, sqlx::Error> {
        read::purge_events(connection, workspace_no, limit).await
    }

    async fn write_row_digests(
        connection: &mut SqliteConnection,
        update: &'static str,
        keyed: &[(i64, Uuid, [u8; 32])],
    ) -> Result<u64, sqlx::Error> {
        digests::write_rows(connection, update, keyed).await
    }

    async fn write_event_digests(
        connection: &mut SqliteConnection,
        partition_no: i64,
        keyed: &[(i64, [u8; 32])],
    ) -> Result<u64, sqlx::Error> {
        digests::write_events(connection, partition_no, keyed).await
    }

    async fn streams(
        connection: &mut SqliteConnection,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
        look_up::streams(connection, workspace_no, names).await
    }

    async fn stream_numbers(connection: &mut SqliteConnection) -> Result<Range<i64>, sqlx::Error> {
        look_up::stream_numbers(connection).await
    }

    async fn write_rows(
        connection: &mut SqliteConnection,
        validated: &ValidatedGroup,
    ) -> Result<(), StoreError> {
        write::rows(validated)?.run(connection).await?;
        Ok(())
    }
}
