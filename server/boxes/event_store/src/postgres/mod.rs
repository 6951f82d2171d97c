//! The event store in a PostgreSQL database: for several servers, or for a database that is administered
//! elsewhere.
//!
//! The rows of the partitions order the servers: an append locks those that it advances until its commit, so
//! positions are dense and in the order of commits, of one server or of several. The write itself validates
//! an appender's cache: `append_commands` refuses a group if the heads of its partitions differ from the
//! cached ones.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | the database, its connections, their settings and its migrations |
//! | `notification` | the notification of a group to the other servers, and messages to them |
//! | `listen` | receives the notifications of other servers |
//! | `writer` | groups on the connection that writes |
//! | `look_up` | loads the state that a group needs |
//! | `write` | the rows of a group: one call |
//! | `read` | the statements that read events |
//! | `commands` | the statements that read recorded commands |
//! | `digests` | the statements that give digests of earlier versions their key |
//! | `purge` | the purge of a workspace while other servers append |
//! | `row` | the columns of an event |

mod commands;
mod digests;
mod listen;
mod look_up;
mod notification;
mod open;
mod purge;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::{ops::Range, sync::Arc, time::Duration};

use domain::id::WorkspaceId;
use sqlx::{PgConnection, PgPool, Postgres};
use uuid::Uuid;

use super::{
    Append, CommitObserver, EventFilter, StoreError,
    answer::AnswerColumns,
    appender::{self, AppendCache, Cause, Failure, LookUpMode, ValidatedGroup},
    columns::{EventColumns, integer},
    import::Import,
    sql::{Database, ListenerTask, SqlEventStore, import::SqlImport, writer::SqlWriter},
};
use clock::SharedClock;
use database::{connections::ConnectionLimit, postgres::Connector};
use notification::HeadNotification;

/// An event store in a PostgreSQL database.
pub type PostgresEventStore = SqlEventStore<Postgres>;

impl PostgresEventStore {
    /// Opens the database that a URL names, as in `postgres://user:password@host/database`, and runs the
    /// migrations. Refuses a database that a newer version of the program has migrated. `observer` receives
    /// every commit of this process, and the heads that other servers have advanced.
    pub async fn open(
        url: &str,
        connections: ConnectionLimit,
        clock: SharedClock,
        observer: Option<Arc<dyn CommitObserver>>,
    ) -> Result<Self, StoreError> {
        let opened = open::open(url, connections).await?;
        let origin = clock.new_id();
        let writer = SqlWriter::<Postgres>::new(opened.writer, (), origin);
        let queue = appender::start(writer, clock, observer.clone());
        let readers = opened.readers;
        let listener = observer.map_or_else(ListenerTask::none, |observer| {
            listen::start(opened.database, readers.clone(), origin, observer)
        });
        Ok(Self::new(readers, queue, listener))
    }

    /// Opens a migrated database for reading only. Appends are refused.
    pub async fn open_to_read(url: &str, connections: ConnectionLimit) -> Result<Self, StoreError> {
        Ok(Self::read_only(open::open_to_read(url, connections).await?))
    }

    /// Opens the database to import workspaces into it; servers may run on it meanwhile.
    pub async fn open_to_import(
        url: &str,
        connections: ConnectionLimit,
        clock: SharedClock,
    ) -> Result<Import, StoreError> {
        let opened = open::open(url, connections).await?;
        opened.readers.close().await;
        let database = SqlImport::<Postgres>::new(opened.writer.connect().await?, ());
        Ok(Import::new(Box::new(database), clock))
    }
}

impl Database for Postgres {
    type Connector = Connector;
    type Lock = ();

    const SHARED: bool = true;
    const STEP_LIMIT: Option<Duration> = Some(writer::STEP_LIMIT);
    const OPEN_PARTITIONS: &'static str =
        "insert into partitions (no, workspace_no, partition, head, head_hash)
        overriding system value
        select n.no, $1, n.n - 1, 0, $3 from partition_numbers($2) with ordinality n (no, n)";
    const RECORDED_COMMAND: &'static str = commands::RECORDED;
    const COMMANDS_AFTER: &'static str = commands::AFTER;
    const COMMANDS_FROM: &'static str = commands::FROM;
    const STREAMS: &'static str = read::STREAMS;
    const SNAPSHOTS: &'static str = read::SNAPSHOTS;
    const PAGE_OF_TYPE: &'static str = read::PAGE_OF_TYPE;
    const STREAM_FORWARDS: &'static str = read::STREAM_FORWARDS;
    const STREAM_BACKWARDS: &'static str = read::STREAM_BACKWARDS;
    const STREAM_TAIL: &'static str = read::STREAM_TAIL;
    const CLAIM_PURGE: &'static str = purge::CLAIM_PURGE;
    const PURGE_TYPE_BLOCKS: &'static str = purge::PURGE_TYPE_BLOCKS;
    const PURGE_COMMANDS: &'static [&'static str] = &purge::PURGE_COMMANDS;
    const PURGE_PARTITIONS: &'static str = purge::PURGE_PARTITIONS;
    const LOCK_UNKEYED_DIGESTS: Option<&'static str> = Some("lock table unkeyed_digests in exclusive mode");
    // every append changes them
    const LOCK_PARTITIONS: Option<&'static str> = Some("lock table partitions in share row exclusive mode");
    // vacuuming removes old versions of rows: see docs/operations.md
    const BEFORE_KEYING: &'static [&'static str] = &[];
    const AFTER_KEYING: &'static [&'static str] = &[];
    const UNKEYED_ROWS: &'static [(&'static str, &'static str)] = &digests::UNKEYED_ROWS;
    const UNKEYED_EVENTS: &'static str = digests::UNKEYED_EVENTS;
    const BEGIN_IMPORT: &'static [&'static str] = &[
        "begin",
        // an import may be slow, and blocks no other transaction
        "set local idle_in_transaction_session_timeout = 0",
    ];

    // the partition as well: the events of a stream are found by both
    const REPEATED_EVENT_ID: &'static str = "select e.event_id
         from streams s join events e on e.partition_no = s.partition_no and e.stream_no = s.no
         where s.workspace_no = $1 group by e.event_id having count(*) > 1 limit 1";

    async fn connect(connector: &Connector) -> Result<PgConnection, sqlx::Error> {
        connector.connect().await
    }

    async fn is_alive(connection: &mut PgConnection, rested: Duration) -> bool {
        writer::is_alive(connection, rested).await
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
        writer::look_up(writer, cache, appends, mode).await
    }

    async fn write(writer: &mut SqlWriter<Self>, validated: &ValidatedGroup) -> Result<(), Failure> {
        writer::write(writer, validated).await
    }

    async fn roll_back(writer: &mut SqlWriter<Self>) {
        writer::roll_back(writer).await;
    }

    async fn partition(
        connection: &mut PgConnection,
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

    fn bounds(_: i64, after: u64, until: u64) -> (i64, i64) {
        (integer(after), integer(until))
    }

    async fn answer_events(
        connection: &mut PgConnection,
        workspace_no: i64,
        partition: u32,
        position: u64,
        count: u64,
    ) -> Result<Vec<AnswerColumns>, sqlx::Error> {
        read::answer_events(connection, workspace_no, partition, position, count).await
    }

    async fn tell(readers: &PgPool, origin: Uuid, message: &str) -> Result<(), StoreError> {
        notification::tell(readers, origin, message).await
    }

    async fn invalidate_heads(connection: &mut PgConnection, workspace_no: i64) -> Result<(), sqlx::Error> {
        purge::invalidate_heads(connection, workspace_no).await
    }

    async fn purge_events(
        connection: &mut PgConnection,
        workspace_no: i64,
        limit: u32,
    ) -> Result<u64, sqlx::Error> {
        purge::events(connection, workspace_no, limit).await
    }

    async fn write_row_digests(
        connection: &mut PgConnection,
        update: &'static str,
        keyed: &[(i64, Uuid, [u8; 32])],
    ) -> Result<u64, sqlx::Error> {
        digests::write_rows(connection, update, keyed).await
    }

    async fn write_event_digests(
        connection: &mut PgConnection,
        partition_no: i64,
        keyed: &[(i64, [u8; 32])],
    ) -> Result<u64, sqlx::Error> {
        digests::write_events(connection, partition_no, keyed).await
    }

    async fn streams(
        connection: &mut PgConnection,
        workspace_no: i64,
        names: &[&str],
    ) -> Result<Vec<(String, i64, i64)>, sqlx::Error> {
        look_up::streams(connection, workspace_no, names).await
    }

    async fn stream_numbers(connection: &mut PgConnection) -> Result<Range<i64>, sqlx::Error> {
        look_up::stream_numbers(connection).await
    }

    async fn write_rows(connection: &mut PgConnection, validated: &ValidatedGroup) -> Result<(), StoreError> {
        // every server receives it after the commit: no server has the nil id
        let notification = HeadNotification::of(Uuid::nil(), validated);
        Ok(write::Group::new(validated)?
            .run(connection, &notification)
            .await?)
    }
}
